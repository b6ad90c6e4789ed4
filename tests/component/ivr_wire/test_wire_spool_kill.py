"""kill -9 before every single step of a call and of its delivery: the backend has its draft, once, with all that was
heard, and the recording."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cases.schema import Ended, draft_id_of
from ivr import callfolder
from ivr.callfolder import FolderState
from ivr.events import CallHeardAgain, DraftDelivered, DraftReady, RecordingDelivered, TurnEnded
from ivr.journal import read_journal, revision_of, transcript_of
from speech.audio import write_wav

pytestmark = pytest.mark.timeout(300)
LAB = Path(__file__).with_name("kill_lab.py")
CHECKOUT = Path(__file__).parents[3]
CALL = "8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab"
DRAFT = str(draft_id_of(CALL))
STEPS_MAX = 500  # far more than there are


class Lab:
    def __init__(self, process: asyncio.subprocess.Process, backend: Any, root: Path) -> None:
        self._process, self._backend, self.root = process, backend, root

    @property
    def folder(self) -> Path:
        return self.root / "2026-11-24" / CALL

    async def run(self, what: str, kill_at: int = 0) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = f"{what} {self.root} {self._backend.url} {self._backend.token} {kill_at}\n"
        self._process.stdin.write(line.encode())
        async with asyncio.timeout(60):
            return (await self._process.stdout.readline()).decode().strip()

    def forget(self) -> None:
        shutil.rmtree(self.root)
        self._backend.drafts.clear()
        self._backend.posts.clear()
        self._backend.revisions.clear()
        self._backend.recordings.clear()


@pytest.fixture
async def lab(backend: Any, tmp_path: Path) -> AsyncIterator[Lab]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(LAB),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
    )
    yield Lab(process, backend, tmp_path / "spool")
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


def check_delivered_once(lab: Lab, backend: Any) -> None:
    facts = read_journal(lab.folder / "journal.jsonl")
    transcript = transcript_of(facts)
    assert list(backend.drafts) == [DRAFT]
    assert backend.drafts[DRAFT].turns == transcript.turns
    assert backend.drafts[DRAFT].ended is transcript.ended
    assert backend.drafts[DRAFT].caller.number == "13910001234"
    assert callfolder.look_at(lab.folder).state is FolderState.DONE
    assert sum(isinstance(fact, DraftDelivered) for fact in facts) >= 1
    assert sum(isinstance(fact, DraftReady) for fact in facts) >= 1
    if callfolder.has_sound(lab.folder / "heard.wav"):
        assert (backend.recordings[CALL])[:4] == b"RIFF"
        assert any(isinstance(fact, RecordingDelivered) for fact in facts)
    assert not list(lab.folder.glob(".*.part"))


async def test_a_call_killed_before_any_step_leaves_its_draft_once(lab: Lab, backend: Any) -> None:
    nothing_said = interrupted = whole = 0
    for kill_at in range(1, STEPS_MAX):
        outcome = await lab.run("live", kill_at)
        assert outcome in ("killed", "ended"), kill_at
        assert await lab.run("recover") == "ended", kill_at
        if (lab.folder / "journal.jsonl").exists() and read_journal(lab.folder / "journal.jsonl"):
            check_delivered_once(lab, backend)
            interrupted += backend.drafts[DRAFT].ended is Ended.INTERRUPTED
            whole += backend.drafts[DRAFT].ended is Ended.COMPLETED
        else:  # killed before the call was on disk: the dialplan has the caller, nothing was heard
            nothing_said += 1
            assert not backend.drafts
        lab.forget()
        if outcome == "ended":
            break
    assert outcome == "ended"
    assert nothing_said < 10
    assert interrupted > 10
    assert whole > 10


async def test_a_message_left_while_we_were_down_survives_kills_of_its_recovery(lab: Lab, backend: Any) -> None:
    for kill_at in range(1, STEPS_MAX):
        lab.folder.mkdir(parents=True)
        write_wav(lab.folder / "message.wav", bytes(2 * 16000))
        (lab.folder / "caller.txt").write_text("13910001234\n")
        outcome = await lab.run("recover", kill_at)
        assert outcome in ("killed", "ended"), kill_at
        assert await lab.run("recover") == "ended", kill_at
        check_delivered_once(lab, backend)
        assert [turn.text for turn in backend.drafts[DRAFT].turns] == ["留言"]
        turns = [fact for fact in read_journal(lab.folder / "journal.jsonl") if isinstance(fact, TurnEnded)]
        assert len(turns) == 1
        assert len(backend.recordings[CALL]) == 44 + 2 * 16000
        lab.forget()
        if outcome == "ended":
            break
    assert outcome == "ended"
    assert kill_at > 10


async def test_a_call_heard_afterwards_gets_its_words_whatever_is_killed(lab: Lab, backend: Any) -> None:
    """Not heard live, then recognised late, then a second pass: before any step a kill, and another in the recovery."""
    postponed = heard_whole = killed_again = 0
    for kill_at in range(1, STEPS_MAX):
        outcome = await lab.run("postponed", kill_at)
        assert outcome in ("killed", "ended"), kill_at
        if kill_at % 3 == 0:
            killed_again += await lab.run("recover-later", 1 + 7 * kill_at % 31) == "killed"
        assert await lab.run("recover-later") == "ended", kill_at
        facts = read_journal(lab.folder / "journal.jsonl") if (lab.folder / "journal.jsonl").exists() else []
        if facts:
            check_delivered_once(lab, backend)
            draft = backend.drafts[DRAFT]
            assert draft.revision == revision_of(facts), kill_at
            assert backend.revisions == sorted(backend.revisions), "never an older one after a newer one"
            hearings = [fact.hearing for fact in facts if isinstance(fact, CallHeardAgain)]
            assert len(hearings) == len(set(hearings)), "each once, however often it was begun"
            assert not any(turn.pending for turn in draft.turns)
            postponed += 0 in backend.revisions and draft.revision > 0
            if any(isinstance(fact, TurnEnded) for fact in facts):
                assert [turn.text for turn in draft.turns] == ["楼上半夜还在装修"], kill_at
                heard_whole += 1
        else:
            assert not backend.drafts
        if lab.root.exists():
            lab.forget()
        if outcome == "ended":
            break
    assert outcome == "ended"
    assert postponed > 10
    assert heard_whole > 20
    assert killed_again > 5
