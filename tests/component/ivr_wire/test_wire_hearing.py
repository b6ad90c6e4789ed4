"""Recordings heard after their calls: who comes first, what is given up, and what goes to the backend."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from cases.client import CasesClient
from cases.schema import Asks, ComplaintDraft, Ended, Word
from ivr.callfolder import FolderState, bare_draft, look_at
from ivr.events import (
    AudioConnected,
    CallEnded,
    CallHeardAgain,
    CallStarted,
    Fact,
    Hearing,
    HearingBegun,
    HearingPostponed,
    TurnEnd,
    TurnEnded,
)
from ivr.journal import encode_fact, read_journal
from ivr.second_pass import TRIES_MAX, Ears, HearingLater
from ivr.spool import Spool
from speech.audio import write_wav
from speech.errors import SpeechError
from speech.recognizer import SpokenWord, Transcript

pytestmark = pytest.mark.timeout(120)
WAIT_SECONDS = 60.0


class Ear:
    """Says the same of every sound, when it is let; `trouble` is raised instead. `heard`: how often it was asked."""

    def __init__(self, name: str, text: str, trouble: SpeechError | None = None) -> None:
        self.name = name
        self._text = text
        self._trouble = trouble
        self.heard = 0
        self.let = asyncio.Event()
        self.let.set()

    async def hear(self, pcm: bytes) -> Transcript:
        self.heard += 1
        await self.let.wait()
        if self._trouble is not None:
            raise self._trouble
        return Transcript(
            self._text, tuple(SpokenWord(c, n, n + 1, 0.95) for n, c in enumerate(self._text)), False, 0, 0
        )

    async def close(self) -> None:
        pass


class Lab:
    def __init__(self, root: Path, client: CasesClient, backend: Any) -> None:
        self.root, self.client, self.backend = root, client, backend
        self.spools: list[Spool] = []

    async def start(self, late: Ear, second: Ear | None = None, at_once: int = 1) -> Spool:
        later = HearingLater(Ears(late, second, at_once), lambda _turn: "")
        short = {"channel_quiet_seconds": 0, "settled_seconds": 0, "keep_days": 10_000, "recover_every_seconds": 0.2}
        made = Spool(self.root, self.client, bare_draft, None, later, **short)
        self.spools.append(made)
        await made.start()
        return made

    def call(self, minute: int = 0, *more: Fact, text: str = "", sound: bool = True) -> Path:
        """A call that is over; without text one that was not heard live."""
        folder = self.root / "2026-11-24" / str(uuid4())
        folder.mkdir(parents=True)
        at = datetime(2026, 11, 24, 10, minute, tzinfo=UTC)
        words = tuple(Word(text=c, start_seconds=n, end_seconds=n + 1, confidence=0.5) for n, c in enumerate(text))
        facts: list[Fact] = [
            CallStarted(folder.name, at, "13910001234", "12345", "", None),
            AudioConnected(folder.name, at, 0.0),
            *([] if text else [HearingPostponed(folder.name, at, 1)]),
            TurnEnded(
                *(folder.name, at, 0, "open", Asks.NARRATION, "请说", text, words, "", TurnEnd.SILENCE, 0, 2),
                pending=not text,
            ),
            CallEnded(folder.name, at, Ended.COMPLETED, "goodbye"),
            *more,
        ]
        (folder / "journal.jsonl").write_bytes(b"".join(encode_fact(fact) for fact in facts))
        if sound:
            write_wav(folder / "heard.wav", bytes(2 * 16000))
        return folder

    def draft(self, folder: Path) -> ComplaintDraft | None:
        return next((draft for draft in self.backend.drafts.values() if draft.call_id == folder.name), None)

    def text(self, folder: Path) -> str | None:
        draft = self.draft(folder)
        return draft.turns[0].text if draft is not None else None


@pytest.fixture
async def lab(backend: Any, tmp_path: Path) -> AsyncIterator[Lab]:
    async with CasesClient(backend.url, backend.token) as client:
        lab = Lab(tmp_path / "spool", client, backend)
        yield lab
        for made in lab.spools:
            await made.stop()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not reached():  # noqa: ASYNC110 - what is waited for is on disk or at the backend
            await asyncio.sleep(0.01)


def hearings(folder: Path) -> list[CallHeardAgain]:
    return [fact for fact in read_journal(folder / "journal.jsonl") if isinstance(fact, CallHeardAgain)]


def done(*folders: Path) -> bool:
    return all(look_at(folder).state is FolderState.DONE for folder in folders)


async def test_an_operator_has_the_call_before_its_words_are_there(lab: Lab) -> None:
    ear = Ear("late", "楼上装修")
    ear.let.clear()
    folder = lab.call()
    await lab.start(ear)
    await until(lambda: lab.draft(folder) is not None and ear.heard == 1)
    draft = lab.draft(folder)
    assert draft is not None
    assert (draft.revision, draft.turns[0].pending) == (0, True)
    assert not done(folder), "what is still to be heard is kept"
    ear.let.set()
    await until(lambda: done(folder))
    assert (lab.text(folder), lab.backend.revisions) == ("楼上装修", [0, 1])


async def test_the_backend_may_be_away_while_recordings_are_heard(lab: Lab) -> None:
    lab.backend.away = True
    folder = lab.call()
    await lab.start(Ear("late", "楼上装修"))
    await until(lambda: bool(hearings(folder)))
    lab.backend.away = False
    await until(lambda: done(folder))
    assert lab.text(folder) == "楼上装修"


async def test_the_oldest_call_first_and_no_second_pass_while_others_have_no_words(lab: Lab) -> None:
    late, second = Ear("late", "楼上装修"), Ear("second", "楼上在装修")
    late.let.clear()
    waiting = [lab.call(minute) for minute in (3, 1, 2)]
    await lab.start(late, second)
    await until(lambda: late.heard == 1 and gauge("late") == 2)
    heard = lab.call(0, text="楼上装修")
    await until(lambda: gauge("second") == 1)
    assert second.heard == 0
    (first,) = [folder for folder in waiting if begun(folder)]
    late.let.set()
    await until(lambda: done(*waiting, heard))
    in_order = sorted(waiting, key=lambda folder: hearings(folder)[0].at)
    assert in_order == [first, *(folder for folder in (waiting[1], waiting[2], waiting[0]) if folder is not first)]
    assert [lab.text(folder) for folder in (*waiting, heard)] == ["楼上在装修"] * 4
    assert gauge("late") == gauge("second") == 0


def begun(folder: Path) -> bool:
    return any(isinstance(fact, HearingBegun) for fact in read_journal(folder / "journal.jsonl"))


def gauge(hearing: str) -> float | None:
    return REGISTRY.get_sample_value("hotline_ivr_calls_to_hear", {"hearing": hearing})


async def test_a_second_pass_that_hears_the_same_sends_nothing(lab: Lab) -> None:
    folder = lab.call(text="楼上装修")
    await lab.start(Ear("late", ""), Ear("second", "楼上装修"))
    await until(lambda: done(folder))
    assert [hearing.hearing for hearing in hearings(folder)] == [Hearing.SECOND]
    assert lab.backend.revisions == [0]


async def test_without_a_second_model_a_heard_call_is_heard_once(lab: Lab) -> None:
    ear = Ear("late", "别的")
    folder = lab.call(text="楼上装修")
    await lab.start(ear)
    await until(lambda: done(folder))
    assert (ear.heard, hearings(folder)) == (0, [])


async def test_a_recogniser_that_fails_again_and_again_is_given_up_and_the_desk_waits_no_longer(lab: Lab) -> None:
    folder = lab.call()
    ear = Ear("late", "", SpeechError("speech-decode-failed", "no", recoverable=True))
    await lab.start(ear)
    await until(lambda: done(folder))
    assert ear.heard == TRIES_MAX
    draft = lab.draft(folder)
    assert draft is not None
    assert (draft.revision, draft.turns[0].pending, draft.turns[0].final) == (1, False, False)
    assert "speech-decode-failed" in hearings(folder)[0].error


async def test_what_cannot_be_mended_is_tried_once(lab: Lab) -> None:
    folder = lab.call(sound=False)
    await lab.start(ear := Ear("late", "楼上"))
    await until(lambda: done(folder))
    assert ear.heard == 0
    assert "audio-missing" in hearings(folder)[0].error


async def test_a_recording_that_killed_us_every_time_is_left_alone(lab: Lab) -> None:
    """A crash in native code would otherwise end every start of the call handler."""
    at = datetime(2026, 11, 24, 11, tzinfo=UTC)
    killer = lab.call()
    with (killer / "journal.jsonl").open("ab") as journal:
        journal.write(encode_fact(HearingBegun(killer.name, at, Hearing.LATE)) * TRIES_MAX)
    other = lab.call(5)
    await lab.start(ear := Ear("late", "楼上装修"))
    await until(lambda: done(killer, other))
    assert ear.heard == 1
    assert "hearing-given-up" in hearings(killer)[0].error
    assert lab.text(other) == "楼上装修"


async def test_a_call_handler_that_is_restarted_again_and_again_gives_no_recording_up(lab: Lab) -> None:
    """A start that fails (a port that is taken) or an update is none of the recording's doing."""
    folder = lab.call()
    for _ in range(TRIES_MAX + 1):
        ear = Ear("late", "楼上装修")
        ear.let.clear()
        made = await lab.start(ear)
        await until(lambda ear=ear: ear.heard == 1)  # type: ignore[misc]
        await made.stop()
    assert hearings(folder) == []
    await lab.start(Ear("late", "楼上装修"))
    await until(lambda: done(folder))
    assert lab.text(folder) == "楼上装修"


async def test_a_folder_that_is_taken_away_meanwhile_stops_nobody(lab: Lab) -> None:
    ear = Ear("late", "楼上装修")
    ear.let.clear()
    gone, other = lab.call(0), lab.call(1)
    await lab.start(ear, at_once=2)
    await until(lambda: ear.heard == 2)
    shutil.rmtree(gone)
    ear.let.set()
    await until(lambda: done(other))
    assert not gone.exists()
    third = lab.call(2)
    await until(lambda: done(third))
