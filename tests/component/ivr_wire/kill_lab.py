"""Processes that handle a call and are killed (SIGKILL) before any of their steps; run by test_wire_spool_kill.py.

Reads lines `WHAT SPOOL BACKEND_URL TOKEN KILL_AT`, WHAT being `live` or `recover`, or `postponed` or `recover-later`
where recordings are heard after their calls; for each one a process is forked (importing everything
anew would take a second each). A step is a write, a sync, a rename, or a request to the backend or its answer. The
process kills itself before step KILL_AT (from 1; 0: never). Answers each line with `killed`, `failed` or `ended`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from cases.client import CasesClient
from cases.schema import Asks, Ended, Word
from ivr import callfolder
from ivr.audiosocket import AudioFrame
from ivr.events import (
    AudioConnected,
    CallEnded,
    CallStarted,
    HearingPostponed,
    KeyPressed,
    PromptSaid,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnd,
    TurnEnded,
)
from ivr.journal import Journal
from ivr.recorder import HeardRecorder
from ivr.second_pass import Ears, HearingLater
from ivr.spool import Spool
from speech.recognizer import SpokenWord, Transcript

CALL = "8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab"
DAY = "2026-11-24"
STEPS = itertools.count(1)


@dataclass(frozen=True)
class Heard:
    text: str
    words: tuple[Word, ...]


def words(text: str) -> tuple[Word, ...]:
    return tuple(Word(text=c, start_seconds=n, end_seconds=n + 1, confidence=0.9) for n, c in enumerate(text))


async def transcribe(path: Path) -> Heard:
    return Heard("留言", words("留言"))


class Ear:
    """Hears the same in every sound, surely; what recognisers really hear is tested elsewhere."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text

    async def hear(self, pcm: bytes) -> Transcript:
        assert len(pcm) >= 6400, "the whole of what was recorded of the turn"
        heard = tuple(SpokenWord(c, n, n + 1, 0.95) for n, c in enumerate(self._text))
        return Transcript(self._text, heard, False, len(pcm) / 16000, 0.0)

    async def close(self) -> None:
        pass


def step(kill_at: int) -> None:
    if next(STEPS) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


def make_mortal(kill_at: int) -> None:
    def before(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def mortal(*args: Any, **kwargs: Any) -> Any:
            step(kill_at)
            return real(*args, **kwargs)

        setattr(owner, name, mortal)

    def around(name: str) -> None:
        real: Callable[..., Any] = getattr(CasesClient, name)

        async def mortal(*args: Any, **kwargs: Any) -> Any:
            step(kill_at)
            answer = await real(*args, **kwargs)
            step(kill_at)
            return answer

        setattr(CasesClient, name, mortal)

    for name in ("write", "pwrite", "fdatasync", "fsync", "replace"):
        before(os, name)
    around("deliver_draft")
    around("put_recording")


async def talk(spool: Spool, folder: Path) -> None:
    """A short call as a session runs it."""
    now = datetime.now(UTC)
    with spool.live(folder):
        journal, recorder = Journal(folder), HeardRecorder(folder / "heard.wav")
        await journal.record(CallStarted(CALL, now, "13910001234", "12345", "1000017", now))
        await journal.record(AudioConnected(CALL, now, 0.0))
        await journal.record(PromptSaid(CALL, now, 0, "open", Asks.NARRATION, "请说"))
        recorder(AudioFrame(b"\1\0" * 160, 0))
        recorder(AudioFrame(b"\1\0" * 160, 4000))
        await journal.record(TranscriptPartial(CALL, now, 0, "楼上"))
        await journal.record(TranscriptFinal(CALL, now, 0, "楼上半夜", words("楼上半夜")))
        await journal.record(TranscriptPartial(CALL, now, 0, "装修"))
        await journal.record(KeyPressed(CALL, now, 0, "#"))
        heard = "楼上半夜装修"
        await journal.record(
            TurnEnded(CALL, now, 0, "open", Asks.NARRATION, "请说", heard, words(heard), "#", TurnEnd.TERMINATOR, 0, 6)
        )
        await journal.record(CallEnded(CALL, now, Ended.COMPLETED, "goodbye"))
        recorder.close()
        journal.close()


async def talk_unheard(spool: Spool, folder: Path) -> None:
    """The same call when the recogniser has no room for it."""
    now = datetime.now(UTC)
    with spool.live(folder):
        journal, recorder = Journal(folder), HeardRecorder(folder / "heard.wav")
        await journal.record(CallStarted(CALL, now, "13910001234", "12345", "1000017", now))
        await journal.record(AudioConnected(CALL, now, 0.0))
        await journal.record(HearingPostponed(CALL, now, 1))
        for frame in range(20):
            recorder(AudioFrame(b"\1\0" * 160, frame * 160))
        await journal.record(PromptSaid(CALL, now, 0, "open", Asks.NARRATION, "请说"))
        await journal.record(
            TurnEnded(CALL, now, 0, "open", Asks.NARRATION, "请说", "", (), "#", TurnEnd.TERMINATOR, 0, 6, pending=True)
        )
        await journal.record(CallEnded(CALL, now, Ended.COMPLETED, "goodbye"))
        recorder.close()
        journal.close()


async def main(what: str, root: Path, url: str, token: str) -> None:
    folder = root / DAY / CALL
    ears = Ears(Ear("late", "楼上半夜装修"), Ear("second", "楼上半夜还在装修"))
    later = HearingLater(ears, lambda _turn: "") if what in ("postponed", "recover-later") else None
    short = {"channel_quiet_seconds": 0, "settled_seconds": 0, "keep_days": 10**4}
    async with CasesClient(url, token) as client:
        spool = Spool(root, client, callfolder.bare_draft, transcribe, later, **short)
        await spool.start()
        await spool.recover()
        if what == "live":
            await talk(spool, spool.call_folder(str(folder), CALL))
        elif what == "postponed":
            await talk_unheard(spool, spool.call_folder(str(folder), CALL))
        state = callfolder.look_at(folder).state if folder.exists() else callfolder.FolderState.UNHEARD
        while state not in (callfolder.FolderState.DONE, callfolder.FolderState.UNHEARD):
            await asyncio.sleep(0.005)
            state = callfolder.look_at(folder).state
        await spool.stop()


def run(line: str) -> str:
    what, root, url, token, kill_at = line.split()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            make_mortal(int(kill_at))
            asyncio.run(main(what, Path(root), url, token))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _pid, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else "failed"
    return "ended" if os.WEXITSTATUS(status) == 0 else "failed"


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for line in sys.stdin:
        print(run(line), flush=True)
