"""The spool with a real HTTP backend: delivery, a backend that is away, broken folders, messages, recordings, pruning."""

from __future__ import annotations

import asyncio
import builtins
import io
import os
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from cases.client import CasesClient
from cases.schema import Asks, CallTranscript, ComplaintDraft, Ended, Word, draft_id_of
from ivr import callfolder, spool
from ivr.callfolder import FolderState, bare_draft, look_at
from ivr.errors import CallError
from ivr.events import (
    AudioConnected,
    CallEnded,
    CallStarted,
    Fact,
    HearingPostponed,
    RecordingDelivered,
    TurnEnd,
    TurnEnded,
)
from ivr.journal import Journal, encode_fact, read_journal
from ivr.spool import Spool, retry_seconds
from speech.audio import write_wav

pytestmark = pytest.mark.timeout(120)
WAIT_SECONDS = 30.0
LONG_AGO = 1_600_000_000.0


def words(text: str) -> tuple[Word, ...]:
    return tuple(Word(text=c, start_seconds=n, end_seconds=n + 1, confidence=0.9) for n, c in enumerate(text))


@dataclass(frozen=True)
class Heard:
    text: str
    words: tuple[Word, ...]


async def transcribe(path: Path) -> Heard:
    return Heard("留言内容", words("留言内容"))


class Lab:
    def __init__(self, root: Path, client: CasesClient) -> None:
        self.root, self.client = root, client
        self.spools: list[Spool] = []

    def spool(self, **options: Any) -> Spool:
        options = {
            "draft": bare_draft,
            "transcribe": transcribe,
            "channel_quiet_seconds": 0,
            "settled_seconds": 0,
            "keep_days": 10_000,
        } | options
        made = Spool(self.root, self.client, options.pop("draft"), options.pop("transcribe"), **options)
        self.spools.append(made)
        return made

    async def start(self, **options: Any) -> Spool:
        made = self.spool(**options)
        await made.start()
        return made

    def folder(self, call_id: str | None = None, day: str = "2026-11-24") -> Path:
        path = self.root / day / (call_id or str(uuid4()))
        path.mkdir(parents=True)
        return path

    def call(self, minute: int = 0, *more: Fact, ended: Ended | None = Ended.COMPLETED) -> Path:
        """A call that is over, as a killed process or an earlier one left it."""
        folder = self.folder()
        at = datetime(2026, 11, 24, 10, minute, tzinfo=UTC)
        facts: list[Fact] = [
            CallStarted(folder.name, at, "13910001234", "12345", "", None),
            AudioConnected(folder.name, at, 0.0),
            TurnEnded(
                folder.name, at, 0, "open", Asks.NARRATION, "请说", "楼上", words("楼上"), "", TurnEnd.SILENCE, 0, 2
            ),
        ]
        facts += [*more, *([CallEnded(folder.name, at, ended, "goodbye")] if ended else [])]
        (folder / "journal.jsonl").write_bytes(b"".join(encode_fact(fact) for fact in facts))
        return folder


@pytest.fixture
async def lab(backend: Any, tmp_path: Path) -> AsyncIterator[Lab]:
    async with CasesClient(backend.url, backend.token) as client:
        root = tmp_path / "spool"
        root.mkdir()
        lab = Lab(root, client)
        yield lab
        for made in lab.spools:
            await made.stop()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RETRY_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(spool, "RETRY_MOST_SECONDS", 0.05)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not reached():  # noqa: ASYNC110 - what is waited for is on disk or at the backend
            await asyncio.sleep(0.005)


def state(folder: Path) -> FolderState:
    return look_at(folder).state


def channel_is_gone(folder: Path) -> None:
    for sound in folder.glob("*.wav"):
        os.utime(sound, (LONG_AGO, LONG_AGO))


async def is_done(*folders: Path) -> None:
    await until(lambda: all(state(folder) is FolderState.DONE for folder in folders))


async def test_a_call_from_its_end_to_the_backend(lab: Lab, backend: Any) -> None:
    made = await lab.start()
    call_id = str(uuid4())
    folder = made.call_folder(str(lab.root / "2026-11-24" / call_id), call_id)
    at = datetime.now(UTC)
    with made.live(folder):
        with Journal(folder) as journal:
            journal.write(CallStarted(call_id, at, None, "12345", "", None))
            journal.write(CallEnded(call_id, at, Ended.COMPLETED, "goodbye"))
        write_wav(folder / "recording.wav", bytes(16000))
        await made.recover()
        assert not (folder / "draft.json").exists()  # recovery keeps off a live call
    await is_done(folder)
    draft = callfolder.read_draft(folder)
    assert draft is not None
    assert draft.draft_id == draft_id_of(call_id)
    assert backend.drafts == {str(draft.draft_id): draft}
    assert len(backend.recordings[call_id]) == 16044
    await made.recover()
    await asyncio.sleep(0.05)
    assert backend.posts == {str(draft.draft_id): 1}


async def test_a_call_that_was_handled_is_not_taken_again(lab: Lab) -> None:
    made = lab.spool()
    folder = lab.call()
    with pytest.raises(CallError, match="call-already-handled"):
        made.call_folder(str(folder), folder.name)
    fresh = made.call_folder(str(lab.root / "2026-11-24" / (call_id := str(uuid4()))), call_id)
    with made.live(fresh), pytest.raises(CallError, match="call-already-handled"):
        made.call_folder(str(fresh), fresh.name)


async def test_live_is_used_from_the_calls_own_thread(lab: Lab, backend: Any) -> None:
    made = await lab.start()
    folder = lab.call(ended=None)
    left = threading.Event()

    def thread() -> None:
        with made.live(folder):
            pass
        left.set()

    await asyncio.to_thread(thread)
    assert left.is_set()
    await is_done(folder)
    assert len(backend.drafts) == 1


async def test_a_session_that_crashed_leaves_its_call_to_recovery(lab: Lab, backend: Any) -> None:
    """The caller may still be with Asterisk, leaving a message: its draft waits until the channel is gone."""
    made = await lab.start(channel_quiet_seconds=3600)
    folder = lab.call(ended=None)
    write_wav(folder / "recording.wav", bytes(16000))
    with pytest.raises(ZeroDivisionError), made.live(folder):
        raise ZeroDivisionError
    await asyncio.sleep(0.1)
    assert not backend.drafts
    write_wav(folder / "message.wav", bytes(32000))
    channel_is_gone(folder)
    await made.recover()
    await is_done(folder)
    (draft,) = backend.drafts.values()
    assert draft.ended is Ended.INTERRUPTED
    assert [(turn.step, turn.text) for turn in draft.turns] == [("open", "楼上"), ("leave_message", "留言内容")]
    assert draft.turns[0].words
    assert draft.turns[1].words == ()  # the message's times are not those of recording.wav
    assert len(backend.recordings[folder.name]) == 16044


async def test_who_asked_for_a_human_at_once_and_left_a_message_is_heard(lab: Lab, backend: Any) -> None:
    """Nothing was said to the machine: the draft waits for the channel's end and has the message."""
    made = await lab.start(channel_quiet_seconds=3600)
    folder = lab.folder()
    at = datetime.now(UTC)
    write_wav(folder / "recording.wav", bytes(64000))
    with made.live(folder), Journal(folder) as journal:
        journal.write(CallStarted(folder.name, at, None, "12345", "", None))
        journal.write(TurnEnded(folder.name, at, 0, "open", Asks.NARRATION, "", "", (), "0", TurnEnd.KEY, 0, 1))
        journal.write(CallEnded(folder.name, at, Ended.HUMAN, "open"))
    await asyncio.sleep(0.1)
    assert not backend.drafts
    write_wav(folder / "message.wav", bytes(32000))
    channel_is_gone(folder)
    await made.recover()
    await is_done(folder)
    (draft,) = backend.drafts.values()
    assert draft.ended is Ended.HUMAN
    assert [(turn.text, turn.digits) for turn in draft.turns] == [("", "0"), ("留言内容", "")]


async def test_who_was_not_heard_live_asked_for_a_human_and_left_a_message_is_heard(lab: Lab, backend: Any) -> None:
    """Nothing is understood yet, so the draft waits as it does where nothing was said: it must not miss the message."""
    made = await lab.start(channel_quiet_seconds=3600)
    folder = lab.folder()
    at = datetime.now(UTC)
    write_wav(folder / "recording.wav", bytes(64000))
    with made.live(folder), Journal(folder) as journal:
        journal.write(CallStarted(folder.name, at, None, "12345", "", None))
        journal.write(HearingPostponed(folder.name, at, 1))
        journal.write(
            TurnEnded(folder.name, at, 0, "open", Asks.NARRATION, "", "", (), "0", TurnEnd.KEY, 0, 1, pending=True)
        )
        journal.write(CallEnded(folder.name, at, Ended.HUMAN, "open"))
    await until(lambda: made._pending.get(folder, (0.0, 0.0))[0] > 0)
    assert not backend.drafts
    write_wav(folder / "message.wav", bytes(32000))
    channel_is_gone(folder)
    await made.recover()
    await is_done(folder)
    (draft,) = backend.drafts.values()
    assert [(turn.text, turn.pending) for turn in draft.turns] == [("", True), ("留言内容", False)]


async def test_a_message_without_a_journal_becomes_a_draft(lab: Lab, backend: Any) -> None:
    folder = lab.folder()
    write_wav(folder / "recording.wav", bytes(64000))
    write_wav(folder / "message.wav", bytes(32000))
    (folder / "caller.txt").write_text("13910001234")
    await lab.start(message_prompt="请留言")
    await is_done(folder)
    (draft,) = backend.drafts.values()
    assert draft.ended is Ended.INTERRUPTED
    assert not draft.complete
    assert draft.caller.number == "13910001234"
    (turn,) = draft.turns
    assert (turn.asks, turn.prompt, turn.text, len(turn.words)) == (Asks.NARRATION, "请留言", "留言内容", 4)
    assert len(backend.recordings[folder.name]) == 32044  # the sound that the word times belong to


async def test_a_message_that_is_being_left_is_waited_for(lab: Lab, backend: Any) -> None:
    folder = lab.folder()
    write_wav(folder / "message.wav", bytes(32000))
    made = await lab.start(channel_quiet_seconds=3600)
    await asyncio.sleep(0.05)
    assert state(folder) is FolderState.ORPHANED
    channel_is_gone(folder)
    await made.recover()
    await is_done(folder)
    assert len(backend.drafts) == 1


@pytest.mark.parametrize("ear", [None, "broken"])
async def test_a_message_that_nobody_can_recognise_still_reaches_a_human(
    lab: Lab, backend: Any, ear: str | None
) -> None:
    async def broken(_path: Path) -> Heard:
        raise RuntimeError("no model")

    folder = lab.folder()
    write_wav(folder / "message.wav", bytes(32000))
    await lab.start(transcribe=broken if ear else None)
    await is_done(folder)
    (draft,) = backend.drafts.values()
    assert [turn.text for turn in draft.turns] == [""]
    assert backend.recordings[folder.name]


async def test_a_call_without_words_or_message_is_nobodys_draft(lab: Lab, backend: Any) -> None:
    folder = lab.folder()
    write_wav(folder / "recording.wav", bytes(64000))
    made = await lab.start()
    assert (await made.recover())[FolderState.UNHEARD] == 1
    await asyncio.sleep(0.05)
    assert not backend.drafts


async def test_who_hangs_up_at_the_beep_left_no_message(lab: Lab, backend: Any) -> None:
    folder, talked = lab.folder(), lab.call(ended=None)
    for path in (folder, talked):
        write_wav(path / "message.wav", bytes(15000))
    await lab.start()
    await is_done(talked)
    assert state(folder) is FolderState.UNHEARD
    (draft,) = backend.drafts.values()
    assert [turn.step for turn in draft.turns] == ["open"]


async def test_a_backend_that_is_away_is_tried_until_it_is_back(lab: Lab, backend: Any) -> None:
    backend.away = True
    folders = [lab.call(minute) for minute in range(6)]
    with capture_logs() as logs:
        await lab.start()
        await until(lambda: sum(entry["event"] == "spool_backend_away" for entry in logs) >= 3)
    assert {state(folder) for folder in folders} <= {FolderState.DRAFTED, FolderState.UNFINISHED}
    backend.away = False
    await is_done(*folders)
    assert set(backend.posts.values()) == {1}


async def test_the_oldest_calls_go_first(lab: Lab, backend: Any) -> None:
    folders = [lab.call(minute) for minute in (7, 3, 5, 1, 9, 2)]
    await lab.start(at_once=1)
    await is_done(*folders)
    assert backend.order == [folders[n].name for n in (3, 5, 1, 2, 0, 4)]


async def test_a_backend_that_is_not_there_at_all(lab: Lab, backend: Any) -> None:
    async with CasesClient("http://127.0.0.1:9", backend.token) as nowhere:
        lab.client, client = nowhere, lab.client
        folder = lab.call()
        with capture_logs() as logs:
            made = await lab.start()
            await until(lambda: any(entry["event"] == "spool_backend_away" for entry in logs))
        await made.stop()
        lab.client = client
    await lab.start()
    await is_done(folder)
    assert len(backend.drafts) == 1


async def test_while_the_backend_is_away_many_calls_make_one_try_at_a_time(
    lab: Lab, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RETRY_FIRST_SECONDS", 3600.0)
    monkeypatch.setattr(spool, "RETRY_MOST_SECONDS", 3600.0)
    tries = 0
    real = backend._trouble

    def counted(request: Any) -> Any:
        nonlocal tries
        tries += 1
        return real(request)

    monkeypatch.setattr(backend, "_trouble", counted)
    backend.away = True
    folders = [lab.call(minute) for minute in range(20)]
    await lab.start(at_once=4)
    await until(lambda: all((folder / "draft.json").exists() for folder in folders))  # drafting does not wait for it
    assert 1 <= tries <= 4


async def test_a_draft_that_is_refused_does_not_block_the_others(lab: Lab, backend: Any) -> None:
    backend.answers = [422]
    refused, other = lab.call(1), lab.call(2)
    with capture_logs() as logs:
        made = await lab.start(at_once=1)
        await is_done(other)
        await made.recover()  # does not try it again at once either
        await asyncio.sleep(0.05)
    assert state(refused) is FolderState.DRAFTED
    assert [entry["call_id"] for entry in logs if entry["event"] == "spool_backend_refused"] == [refused.name]


async def test_a_damaged_journal_is_kept_beside_the_one_made_from_its_sound(lab: Lab, backend: Any) -> None:
    bad = lab.folder()
    (bad / "journal.jsonl").write_bytes(b"\x00" * 512 + b"\n")
    write_wav(bad / "heard.wav", bytes(48000))
    await lab.start()
    await is_done(bad)
    assert (bad / "journal.jsonl.broken").read_bytes() == b"\x00" * 512 + b"\n"
    assert [turn.step for turn in backend.drafts[str(draft_id_of(bad.name))].turns] == ["recovered"]


@pytest.mark.parametrize("broken", [b"\x00" * 5000, b"rubbish\n" * 100, b"", b'{"fact":"CallerHungUp"}\n'])
async def test_a_broken_journal_blocks_nobody(lab: Lab, backend: Any, broken: bytes) -> None:
    bad, good = lab.folder(), lab.call()
    (bad / "journal.jsonl").write_bytes(broken)
    await lab.start()
    await is_done(good)
    assert len(backend.drafts) == 1
    assert state(bad) is FolderState.UNHEARD


async def test_a_journal_that_does_not_say_whose_it_is_is_set_aside_and_its_sound_kept(lab: Lab, backend: Any) -> None:
    bad, other = lab.folder(), lab.call(1)
    at = datetime.now(UTC)
    (bad / "journal.jsonl").write_bytes(encode_fact(CallEnded(bad.name, at, Ended.HUMAN, "open")))
    write_wav(bad / "heard.wav", bytes(48000))
    with capture_logs() as logs:
        await lab.start()
        await is_done(bad, other)
    assert [entry["call_id"] for entry in logs if entry["event"] == "spool_journal_set_aside"] == [bad.name]
    assert (bad / "journal.jsonl.broken").exists()
    draft = backend.drafts[str(draft_id_of(bad.name))]
    assert [(turn.step, turn.text) for turn in draft.turns] == [("recovered", "留言内容")]
    assert len(backend.recordings[bad.name]) == 48044


async def test_a_journal_of_another_call_is_set_aside(lab: Lab, backend: Any) -> None:
    bad = lab.folder()
    bad.joinpath("journal.jsonl").write_bytes(
        encode_fact(CallStarted(str(uuid4()), datetime.now(UTC), None, "12345", "", None))
    )
    await lab.start()
    await until(lambda: (bad / "journal.jsonl.broken").exists())
    await asyncio.sleep(0.05)
    assert not backend.drafts


async def test_drafting_that_fails_still_delivers_what_was_heard(lab: Lab, backend: Any) -> None:
    def broken(_transcript: CallTranscript) -> ComplaintDraft:
        raise ZeroDivisionError("a bug")

    folder = lab.call()
    await lab.start(draft=broken)
    await is_done(folder)
    (draft,) = backend.drafts.values()
    assert [turn.text for turn in draft.turns] == ["楼上"]


async def test_a_damaged_draft_is_made_again_with_the_same_id(lab: Lab, backend: Any) -> None:
    folder = lab.call()
    (folder / "draft.json").write_bytes(b'{"draft_id"')
    await lab.start()
    await is_done(folder)
    assert list(backend.drafts) == [str(draft_id_of(folder.name))]


async def test_a_full_disk_keeps_no_draft_from_the_backend(
    lab: Lab, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither draft.json nor a fact can be written; the draft goes out from memory, again until it is noted."""
    real = callfolder.write_whole
    full = True

    def write_whole(path: Path, content: bytes) -> None:
        if full:
            raise CallError("disk-full", "no space")
        real(path, content)

    def record(self: Journal, fact: Fact, *, durable: bool = True) -> None:
        if full:
            raise CallError("disk-full", "no space")
        kept(self, fact, durable=durable)

    kept = Journal.write
    monkeypatch.setattr(callfolder, "write_whole", write_whole)
    monkeypatch.setattr(Journal, "write", record)
    folder = lab.call()
    await lab.start()
    await until(lambda: backend.posts.total() >= 2)
    assert len(backend.drafts) == 1
    full = False
    await is_done(folder)
    assert len(backend.drafts) == 1


async def test_a_recording_that_grew_is_sent_again(lab: Lab, backend: Any) -> None:
    """A silent line looked like the end; the longer one replaces."""
    folder = lab.call()
    write_wav(folder / "recording.wav", bytes(16000))
    made = await lab.start(settled_seconds=3600)
    await until(lambda: folder.name in backend.recordings)
    await until(lambda: state(folder) is FolderState.DELIVERED)
    write_wav(folder / "recording.wav", bytes(32000))
    os.utime(folder / "recording.wav", (LONG_AGO, LONG_AGO))
    await made.recover()
    await is_done(folder)
    assert len(backend.recordings[folder.name]) == 32044
    facts = read_journal(folder / "journal.jsonl")
    assert [fact.seconds for fact in facts if isinstance(fact, RecordingDelivered)] == [1.0, 2.0]


async def test_a_call_without_any_sound_is_done_without_a_recording(lab: Lab, backend: Any) -> None:
    folder = lab.call()
    await lab.start()
    await is_done(folder)
    assert not backend.recordings


async def test_only_old_and_delivered_calls_are_pruned(lab: Lab) -> None:
    today = datetime.now(UTC)
    days = [f"{today - timedelta(days=days):%Y-%m-%d}" for days in (40, 31, 10, 0)]
    done = [lab.folder(day=day) for day in days]
    for folder in done:
        callfolder.mark_done(folder)
    waiting = lab.folder(day=days[1])
    (waiting / "journal.jsonl").write_bytes(
        encode_fact(CallStarted(waiting.name, today - timedelta(days=31), None, "12345", "", None))
    )
    other = lab.root / "notes" / "keep.txt"
    other.parent.mkdir()
    other.write_text("not ours")
    made = lab.spool(keep_days=30)
    await made.recover()
    assert not (lab.root / days[0]).exists()
    assert waiting.exists()
    assert done[2].exists()
    assert done[3].exists()
    assert other.exists()
    await made.start()
    await is_done(waiting)
    for _ in range(100):  # done on the disk comes a moment before the spool lets go of the folder
        await made.recover()
        if not (lab.root / days[1]).exists():
            break
        await asyncio.sleep(0.05)
    assert not (lab.root / days[1]).exists()


async def test_a_call_that_a_human_answered_while_we_were_down_is_not_kept_for_ever(lab: Lab) -> None:
    """Nothing of it goes to the backend, so it is never done; its sound and number are a person's all the same."""
    today = datetime.now(UTC)
    old, recent = (f"{today - timedelta(days=days):%Y-%m-%d}" for days in (31, 10))
    answered, beside_one_that_waits, young, goes_on = (lab.folder(day=day) for day in (old, old, recent, old))
    for folder in (answered, beside_one_that_waits, young, goes_on):
        write_wav(folder / "recording.wav", bytes(64000))
        (folder / "caller.txt").write_text("13910001234")
        if folder is not goes_on:
            channel_is_gone(folder)
    waiting = lab.folder(day=old)
    at = today - timedelta(days=31)
    (waiting / "journal.jsonl").write_bytes(encode_fact(CallStarted(waiting.name, at, None, "12345", "", None)))
    left = lab.folder(day=old)
    write_wav(left / "message.wav", bytes(64000))
    made = lab.spool(keep_days=30, settled_seconds=60)
    await made.recover()
    assert [folder.exists() for folder in (answered, beside_one_that_waits)] == [False, False]
    assert [folder.exists() for folder in (young, goes_on, waiting, left)] == [True] * 4


async def test_an_old_day_of_calls_that_humans_answered_is_gone_whole(lab: Lab) -> None:
    folder = lab.folder(day="2026-01-01")
    write_wav(folder / "recording.wav", bytes(64000))
    channel_is_gone(folder)
    made = lab.spool(keep_days=30)
    await made.recover()
    assert not folder.parent.exists()


async def test_calls_are_taken_while_recovery_still_looks_at_what_was_left(
    lab: Lab, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [lab.call(n) for n in range(30)]
    go_on = threading.Event()
    real = callfolder.look_at

    def slow(path: Path) -> callfolder.CallFolder:
        if path in left:
            assert go_on.wait(WAIT_SECONDS)
        return real(path)

    monkeypatch.setattr(callfolder, "look_at", slow)
    made = await lab.start()
    call_id = str(uuid4())
    folder = made.call_folder(str(lab.root / "2026-11-24" / call_id), call_id)
    with made.live(folder), Journal(folder) as journal:
        journal.write(CallStarted(call_id, datetime.now(UTC), None, "12345", "", None))
    await is_done(folder)
    assert backend.order == [call_id]
    go_on.set()
    await is_done(*left)


async def test_a_folder_that_cannot_be_read_keeps_no_other_from_the_backend(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = lab.call(1), lab.call(2)
    real = callfolder.look_at

    def failing(path: Path) -> callfolder.CallFolder:
        if path == bad:
            raise PermissionError(13, "not ours")
        return real(path)

    monkeypatch.setattr(callfolder, "look_at", failing)
    with capture_logs() as logs:
        made = await lab.start()
        await is_done(good)
        await made.recover()
        await until(lambda: any(entry["event"] == "spool_call_crashed" for entry in logs))
    assert {entry["call_id"] for entry in logs if entry["log_level"] == "error"} == {bad.name}


async def test_what_only_waits_for_the_backend_is_not_read_again_and_again(
    lab: Lab, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RETRY_FIRST_SECONDS", 3600.0)
    monkeypatch.setattr(spool, "RETRY_MOST_SECONDS", 3600.0)
    backend.away = True
    folders = [lab.call(minute) for minute in range(20)]
    made = await lab.start()
    await until(lambda: len(made._waiting) == 20 and not made._running)
    looked: list[Path] = []
    monkeypatch.setattr(callfolder, "look_at", looked.append)
    assert await made.recover() == {FolderState.DRAFTED: 20}
    await asyncio.sleep(0.05)
    assert not looked
    monkeypatch.undo()
    backend.away = False
    await made.stop()
    await lab.start()
    await is_done(*folders)
    assert set(backend.posts.values()) == {1}


async def test_a_slow_disk_does_not_stop_the_event_loop(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look into the folders of calls is taken in a thread."""
    left, live = lab.call(), lab.call(ended=None)
    write_wav(left / "recording.wav", bytes(16000))
    write_wav(left / "message.wav", bytes(32000))
    orphan = lab.folder()
    write_wav(orphan / "message.wav", bytes(32000))
    on_the_loop: list[str] = []

    def watched(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def watch(path: Any, *args: Any, **options: Any) -> Any:
            if str(path).startswith(f"{lab.root}/2026") and threading.current_thread() is threading.main_thread():
                on_the_loop.append(f"{name} {path}")
            return real(path, *args, **options)

        monkeypatch.setattr(owner, name, watch)

    for owner, name in ((os, "stat"), (os, "open"), (os, "scandir"), (builtins, "open"), (io, "open")):
        watched(owner, name)
    made = await lab.start()
    await until(lambda: bool(made._pending or made._running))

    def thread() -> None:
        with made.live(live):
            pass

    await asyncio.to_thread(thread)
    async with asyncio.timeout(WAIT_SECONDS):
        while {await asyncio.to_thread(state, folder) for folder in (left, live, orphan)} != {FolderState.DONE}:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert not on_the_loop


async def test_one_process_owns_a_spool(lab: Lab) -> None:
    first = await lab.start()
    with pytest.raises(CallError, match="spool-in-use"):
        await lab.start()
    await first.stop()
    await lab.start()


async def test_a_folder_taken_away_by_hand_is_no_trouble(lab: Lab, backend: Any) -> None:
    import shutil

    backend.away = True
    gone, other = lab.call(1), lab.call(2)
    await lab.start()
    await until(lambda: (gone / "draft.json").exists())
    shutil.rmtree(gone)
    backend.away = False
    await is_done(other)


async def test_recovery_is_periodic(lab: Lab, backend: Any) -> None:
    await lab.start(recover_every_seconds=0.02)
    folder = lab.call()
    await is_done(folder)
    assert len(backend.drafts) == 1


async def test_a_hundred_calls_left_by_a_crash(lab: Lab, backend: Any) -> None:
    folders = [lab.call(n % 60, ended=None) for n in range(100)]
    await lab.start()
    await is_done(*folders)
    assert len(backend.drafts) == 100
    assert set(backend.posts.values()) == {1}


def test_pauses_grow_to_a_bound() -> None:
    spool_pauses = [retry_seconds(failures, 0.5) for failures in range(1, 40)]
    assert spool_pauses == sorted(spool_pauses)
    assert spool_pauses[-1] == spool.RETRY_MOST_SECONDS
    assert retry_seconds(1, 0.0) < retry_seconds(1, 1.0)
