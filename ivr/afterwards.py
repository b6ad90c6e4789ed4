"""What is recognised after a call: a message that a caller left when nobody answered, or the sound of a call whose
journal is gone. A recogniser that fails leaves the turn empty: a human hears the recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

from cases.schema import Asks, Word
from ivr import callfolder
from ivr.callfolder import CallFolder
from ivr.events import AudioConnected, CallStarted, Fact, TurnEnd, TurnEnded
from ivr.metrics import CALLS_RECOVERED, QUARANTINED

log = structlog.get_logger(__name__)


class HeardWord(Protocol):
    """speech.recognizer.SpokenWord has this shape."""

    @property
    def text(self) -> str: ...
    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...
    @property
    def confidence(self) -> float: ...
    @property
    def heard(self) -> str: ...


class HeardFile(Protocol):
    """speech.transcribe.FileTranscript has this shape."""

    @property
    def text(self) -> str: ...
    @property
    def words(self) -> Sequence[HeardWord]: ...


TranscribeFn = Callable[[Path], Awaitable[HeardFile]]


class AfterwardsEar:
    """One file at a time: a message may wait, live calls need the recogniser."""

    def __init__(self, transcribe: TranscribeFn | None, *, message_prompt: str, called_number: str) -> None:
        self._transcribe = transcribe
        self._message_prompt = message_prompt
        self._called_number = called_number
        self._one_at_a_time = asyncio.Semaphore(1)

    async def adopt(self, path: Path) -> None:
        """Sound without a journal: recognise it and write the journal that the call should have had."""
        message, heard = path / callfolder.MESSAGE, path / callfolder.HEARD
        if await asyncio.to_thread(callfolder.size_bytes, path / callfolder.JOURNAL_NAME):
            await asyncio.to_thread(callfolder.quarantine_journal, path)
            QUARANTINED.inc()
        is_message = await asyncio.to_thread(callfolder.has_message, path)
        sound = message if is_message else heard
        step = callfolder.LEAVE_MESSAGE_STEP if is_message else callfolder.RECOVERED_STEP
        began_at = await asyncio.to_thread(callfolder.sound_began_at, sound)
        turn = await self._recognised(path.name, sound, step, turn=0, keep_times=True)
        caller = await asyncio.to_thread(callfolder.caller_of, path)
        facts: list[Fact] = [CallStarted(path.name, began_at, caller, self._called_number, "", None), turn]
        await asyncio.to_thread(callfolder.write_journal, path, facts)
        CALLS_RECOVERED.labels("message" if is_message else "heard").inc()
        log.info("spool_call_adopted", call_id=path.name, source=sound.name, characters=len(turn.text))

    async def _recognised(self, call_id: str, sound: Path, step: str, *, turn: int, keep_times: bool) -> TurnEnded:
        """The turn of a sound file. A recogniser that fails leaves it empty: a human hears the recording."""
        text, words = "", tuple[Word, ...]()
        ended_by = TurnEnd.FAILED
        if self._transcribe is not None:
            try:
                async with self._one_at_a_time:
                    heard = await self._transcribe(sound)
                words = tuple(
                    Word(
                        text=word.text,
                        start_seconds=max(0.0, word.start_seconds),
                        end_seconds=max(0.0, word.end_seconds),
                        confidence=min(1.0, max(0.0, word.confidence)),
                        heard=word.heard,
                    )
                    for word in heard.words
                )
                text, ended_by = "".join(word.text for word in words) or heard.text, TurnEnd.HANG_UP
            except Exception as error:
                log.error("spool_transcribe_failed", call_id=call_id, source=sound.name, error=str(error))
        return TurnEnded(
            call_id=call_id,
            at=datetime.now(UTC),
            turn=turn,
            step=step,
            asks=Asks.NARRATION,
            prompt=self._message_prompt if step == callfolder.LEAVE_MESSAGE_STEP else "",
            text=text,
            words=words if keep_times else (),
            digits="",
            ended_by=ended_by,
            heard_from_seconds=None,
            heard_to_seconds=None,
        )

    async def message_turn(self, folder: CallFolder) -> TurnEnded | None:
        """The message that a caller left after our part was over; None when there is none, or it is in the journal."""
        message = folder.path / callfolder.MESSAGE
        if callfolder.message_taken(folder.facts):
            return None
        if not await asyncio.to_thread(callfolder.has_message, folder.path):
            return None
        talked = any(isinstance(fact, AudioConnected) for fact in folder.facts)
        turn = 1 + max((getattr(fact, "turn", -1) for fact in folder.facts), default=-1)
        return await self._recognised(
            folder.call_id, message, callfolder.LEAVE_MESSAGE_STEP, turn=turn, keep_times=not talked
        )
