"""Recognising recordings after their calls: what was not heard live, then (if one is set) a second pass.

Off the call path and bounded: `late_at_once` recordings by the ear for what is late, one by the ear of the second
pass, and that one only when nothing is late. Nothing here is remembered: a folder's journal says what it is owed, so
what does not fit into the queue, or was under way when the process died, is found by the spool's next recovery.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from cases.schema import Word
from ivr import callfolder
from ivr.errors import CallError
from ivr.events import Fact, Hearing, HearingBegun, HearingPutOff
from ivr.journal import JOURNAL_NAME, read_journal
from ivr.metrics import CALLS_HEARD_AGAIN, CALLS_TO_HEAR
from ivr.rehearing import (
    AnswerOf,
    facts_of_hearing,
    hearing_due,
    hearing_failed,
    part_of,
    spans_of,
    words_in_recording,
)
from speech.audio import BYTES_PER_SECOND, read_telephone, repair_wav
from speech.errors import SpeechError
from speech.recognizer import Transcript

log = structlog.get_logger(__name__)

QUEUE_MAX = 10_000  # overflow: the journal on disk is the queue, the next recovery offers it again
# A recording that was begun so often and never ended is left to a human's ears.
TRIES_MAX = 5


class LaterEar(Protocol):
    """speech.later_ear has two. Raises SpeechError; `recoverable`: the same sound may be heard another time."""

    name: str

    async def hear(self, pcm: bytes) -> Transcript: ...

    async def close(self) -> None: ...


class Keeper(Protocol):
    """Who owns the folders: the spool."""

    async def keep(self, path: Path, facts: Sequence[Fact]) -> None:
        """Add facts to the folder's journal. Raises CallError, FileNotFoundError."""

    async def go_on(self, path: Path) -> None:
        """Look at the folder again: its facts are others than before."""


@dataclass(frozen=True, slots=True)
class Ears:
    """What recognises recordings. `second` None: there is no second pass."""

    late: LaterEar
    second: LaterEar | None = None
    late_at_once: int = 1


class HearingLater:
    """The queue of recordings and its workers; `offer` a folder whenever it may be owed a hearing."""

    def __init__(self, ears: Ears, answer_of: AnswerOf) -> None:
        self._ears = ears
        self._answer_of = answer_of
        self._keeper: Keeper | None = None
        self._waiting: dict[Hearing, dict[Path, float]] = {hearing: {} for hearing in Hearing}  # folder → began at
        self._running: set[Path] = set()
        self._come = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    def due(self, facts: Sequence[Fact]) -> Hearing | None:
        """What a call that is over is still owed."""
        return hearing_due(facts, second_pass=self._ears.second is not None)

    def start(self, keeper: Keeper) -> None:
        self._keeper = keeper
        workers = [(Hearing.LATE, self._ears.late)] * self._ears.late_at_once
        if self._ears.second is not None:
            workers.append((Hearing.SECOND, self._ears.second))
        self._tasks = [
            asyncio.create_task(self._work(hearing, ear), name=f"hear-{hearing.value}") for hearing, ear in workers
        ]
        for hearing in Hearing:
            CALLS_TO_HEAR.labels(hearing.value).set_function(partial(len, self._waiting[hearing]))

    async def stop(self) -> None:
        """At once; what was under way is done again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for ear in (self._ears.late, self._ears.second):
            if ear is not None:
                await ear.close()

    async def offer(self, path: Path, facts: Sequence[Fact], began_at: float) -> None:
        """Stand in the queue once, if anything is due. The oldest call goes first."""
        hearing = self.due(facts)
        if hearing is None or path in self._running:
            return
        queue = self._waiting[hearing]
        if path not in queue and len(queue) >= QUEUE_MAX:
            return
        async with self._come:
            queue[path] = began_at
            self._come.notify_all()

    async def _work(self, hearing: Hearing, ear: LaterEar) -> None:
        assert self._keeper is not None
        while True:
            path = await self._next(hearing)
            heard = False
            try:
                heard = await self._hear(path, hearing, ear, self._keeper)
            except FileNotFoundError:
                pass  # pruned, or taken away by hand
            except CallError as error:
                log.error("hearing_not_kept", call_id=path.name, code=error.code, error=error.message)
            except Exception:
                log.exception("hearing_crashed", call_id=path.name)
            finally:
                async with self._come:
                    self._running.discard(path)
                    self._come.notify_all()
            if heard:
                await self._keeper.go_on(path)

    async def _next(self, hearing: Hearing) -> Path:
        async with self._come:
            await self._come.wait_for(lambda: self._may_begin(hearing))
            queue = self._waiting[hearing]
            path = min(queue, key=lambda path: queue[path])
            del queue[path]
            self._running.add(path)
            return path

    def _may_begin(self, hearing: Hearing) -> bool:
        """Who has no words at all goes before those who would have better ones."""
        if not self._waiting[hearing]:
            return False
        return hearing is Hearing.LATE or not self._waiting[Hearing.LATE]

    async def _hear(self, path: Path, hearing: Hearing, ear: LaterEar, keeper: Keeper) -> bool:
        """Whether this hearing is over now; if not, the spool's next recovery offers the folder again."""
        facts = await asyncio.to_thread(read_journal, path / JOURNAL_NAME)
        if self.due(facts) is not hearing:
            return False
        tries = 1 + _tries(facts, hearing)
        if tries > TRIES_MAX:
            error = SpeechError("hearing-given-up", f"begun {TRIES_MAX} times and never ended")
            new = self._given_up(path, facts, hearing, ear, error)
        else:
            await keeper.keep(path, [HearingBegun(path.name, datetime.now(UTC), hearing)])
            began_seconds = time.monotonic()
            try:
                new = await self._heard(path, facts, hearing, ear)
            except asyncio.CancelledError:
                with contextlib.suppress(CallError, FileNotFoundError):
                    await keeper.keep(path, [HearingPutOff(path.name, datetime.now(UTC), hearing)])
                raise
            except SpeechError as error:
                if error.recoverable and tries < TRIES_MAX:
                    log.warning("hearing_failed", call_id=path.name, hearing=hearing.value, error=str(error))
                    return False
                new = self._given_up(path, facts, hearing, ear, error)
            else:
                brought = "words" if len(new) > 1 else "same"
                CALLS_HEARD_AGAIN.labels(hearing.value, brought).inc()
                log.info(
                    "call_heard_again",
                    call_id=path.name,
                    hearing=hearing.value,
                    model=ear.name,
                    turns_changed=len(new) - 1,
                    seconds=round(time.monotonic() - began_seconds, 1),
                )
        await keeper.keep(path, new)
        return True

    def _given_up(
        self, path: Path, facts: Sequence[Fact], hearing: Hearing, ear: LaterEar, error: SpeechError
    ) -> tuple[Fact, ...]:
        CALLS_HEARD_AGAIN.labels(hearing.value, "failed").inc()
        log.error("hearing_given_up", call_id=path.name, hearing=hearing.value, model=ear.name, error=str(error))
        return (hearing_failed(facts, hearing, at=datetime.now(UTC), model=ear.name, error=str(error)),)

    async def _heard(self, path: Path, facts: Sequence[Fact], hearing: Hearing, ear: LaterEar) -> tuple[Fact, ...]:
        sound = path / callfolder.HEARD
        await asyncio.to_thread(repair_wav, sound)
        pcm = await asyncio.to_thread(read_telephone, sound)
        heard: dict[int, tuple[str, tuple[Word, ...]]] = {}
        for span in spans_of(facts, hearing):
            part = part_of(pcm, span, bytes_per_second=BYTES_PER_SECOND)
            found = await ear.hear(part) if part else Transcript("", (), False, 0.0, 0.0)
            words = words_in_recording(found.words, span)
            heard[span.turn] = ("".join(word.text for word in words) or found.text, words)
        return await asyncio.to_thread(
            lambda: facts_of_hearing(
                facts, hearing, heard, at=datetime.now(UTC), model=ear.name, answer_of=self._answer_of
            )
        )


def _tries(facts: Sequence[Fact], hearing: Hearing) -> int:
    """How often the recording was begun and it was not we who stopped."""
    begun = sum(isinstance(fact, HearingBegun) and fact.hearing is hearing for fact in facts)
    return begun - sum(isinstance(fact, HearingPutOff) and fact.hearing is hearing for fact in facts)
