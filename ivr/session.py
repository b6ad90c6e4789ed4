"""One call from its first prompt to its end: carries out what the dialog asks, and tells the journal first.

The dialog decides, the listener hears, the journal keeps, drafting understands, the desk watches; this module only
brings them together. Whatever fails on our side, the caller hears the apology and goes to a human.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog

from cases import drafting
from cases.schema import Asks, ComplaintDraft, Ended, LiveKind, LiveUpdate, Word
from ivr.actions import Action, Alarm, Ask, Finish, Piece, Say
from ivr.audiosocket import AudioConnection, HangUpCause, Rendezvous
from ivr.dialog import CallContext, DialogEvent, advance, answer_of, begin
from ivr.errors import CallError
from ivr.events import (
    AlertRaised,
    AudioConnected,
    CallEnded,
    CallerHungUp,
    CallFailed,
    CallStarted,
    Fact,
    HearingPostponed,
    KeyPressed,
    MoreAsked,
    NothingMoreSaid,
    PromptSaid,
    PromptStopped,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnd,
    TurnEnded,
)
from ivr.journal import Journal, transcript_of
from ivr.listen import Heard, Listener
from ivr.live_fields import fields_shown
from ivr.menu import Menu
from ivr.metrics import CALLS_ADMITTED, TURNS_LATE
from ivr.prompts import PromptSounds, Speaker
from ivr.recorder import HeardRecorder
from speech.recognizer import Recognizer

log = structlog.get_logger(__name__)

# Free text is rendered while the caller waits: past this the read-back goes without it.
RENDER_SECONDS = 6.0
LAST_TURN_SECONDS = 150.0
FIELDS_EVERY_SECONDS = 0.5


class LiveSink(Protocol):
    """The desk's window on the call: never blocks, never raises."""

    def post(self, update: LiveUpdate) -> None: ...


class Door(Protocol):
    """Whether one more call can be heard live. `speech.vosk_engine.VoskEngine` is one."""

    @property
    def calls(self) -> int: ...

    def enter(self) -> float | None: ...

    def leave(self, ticket: float) -> None: ...


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What Asterisk and the node know of a call before a word is said."""

    call_id: str
    folder: Path
    reference: str
    caller_number: str | None
    called_number: str
    channel_name: str
    line_call_id: str
    recording_started_at: datetime | None
    longest_seconds: float = 1800.0  # the dialplan takes the caller back after this long


@dataclass(frozen=True, slots=True)
class Parts:
    """What every call of a node shares. `voice_threads`: the voice works there, so that a slow one holds up nobody else."""

    prompts: PromptSounds
    recognizer: Recognizer
    voice: Speaker
    live: LiveSink
    voice_threads: Executor
    timezone: ZoneInfo
    door: Door | None = None  # None: every call is heard
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class CallSession:
    """One call. `begin()` puts it on disk; `converse()` runs it and says how it ended. Neither raises for a caller."""

    def __init__(self, facts: CallFacts, menu: Menu, parts: Parts) -> None:
        self.facts = facts
        self._menu = menu
        self._parts = parts
        self._journal: Journal | None = None
        self._recorder: HeardRecorder | None = None
        self._kept: list[Fact] = []
        self._partial: TranscriptPartial | None = None
        self._turn = -1
        self._step = menu.first
        self._sequence = 0
        self._fields_at_seconds = 0.0
        self._ticket: float | None = None
        self.apologised = False  # the caller was told that our side failed

    # what is kept and shown

    async def _keep(self, fact: Fact) -> None:
        """On disk, then in memory, then on the desk."""
        assert self._journal is not None
        await self._journal.record(fact)
        if isinstance(fact, TranscriptPartial):
            self._partial = fact
        else:
            if isinstance(fact, TranscriptFinal | TurnEnded):
                self._partial = None
            self._kept.append(fact)
        self._show(fact)

    def _stamp(self) -> dict[str, Any]:
        return {"call_id": self.facts.call_id, "at": self._parts.clock()}

    def _show(self, fact: Fact) -> None:
        match fact:
            case CallStarted():
                self._publish(LiveKind.STARTED)
            case PromptSaid(text=text):
                self._publish(LiveKind.PROMPT, text)
            case TranscriptPartial(text=text):
                self._publish(LiveKind.PARTIAL, text)
                self._show_fields(every_seconds=FIELDS_EVERY_SECONDS)
            case TurnEnded(text=text, digits=digits):
                if text:
                    self._publish(LiveKind.FINAL, text)
                if digits:
                    self._publish(LiveKind.DIGITS, digits)
                self._show_fields(every_seconds=0)
            case AlertRaised(kind=kind):
                self._publish(LiveKind.ALERT, kind.value)
            case CallEnded(ended=ended):
                self._publish(LiveKind.ENDED, ended.value)
            case _:
                pass

    def _show_fields(self, every_seconds: float) -> None:
        now = time.monotonic()
        if now - self._fields_at_seconds < every_seconds:
            return
        self._fields_at_seconds = now
        draft = self._understanding()
        if draft is not None:
            self._publish(LiveKind.FIELDS, fields=fields_shown(draft))

    def _publish(self, kind: LiveKind, text: str = "", fields: dict[str, str] | None = None) -> None:
        self._sequence += 1
        self._parts.live.post(
            LiveUpdate(
                call_id=self.facts.call_id,
                sequence=self._sequence,
                at=self._parts.clock(),
                kind=kind,
                step=self._step,
                turn=max(0, self._turn),
                text=text[:4000],
                caller_number=self.facts.caller_number,
                fields=fields or {},
            )
        )

    def _understanding(self) -> ComplaintDraft | None:
        """The draft of everything heard so far; None when drafting itself fails (the call goes on as if empty)."""
        facts = [*self._kept, *([self._partial] if self._partial else [])]
        try:
            return drafting.draft(transcript_of(facts))
        except Exception:
            log.exception("drafting_failed", call_id=self.facts.call_id)
            return None

    # the call

    async def begin(self) -> None:
        """The call is on disk from here on. CallError `disk-full` or `disk-failed`: nothing can be kept."""
        facts = self.facts
        self._journal = await asyncio.to_thread(Journal, facts.folder)
        self._recorder = await asyncio.to_thread(HeardRecorder, facts.folder / "heard.wav")
        await self._keep(
            CallStarted(
                **self._stamp(),
                caller_number=facts.caller_number,
                called_number=facts.called_number,
                reference=facts.reference,
                recording_started_at=facts.recording_started_at,
                channel_name=facts.channel_name,
                line_call_id=facts.line_call_id,
            )
        )

    @property
    def recorder(self) -> HeardRecorder:
        """The tap that keeps the caller's sound; after `begin`."""
        assert self._recorder is not None
        return self._recorder

    async def converse(self, rendezvous: Rendezvous) -> Ended:
        """Wait for the caller's sound, run the dialog to its end, close the sound."""
        line: AudioConnection | None = None
        ended = Ended.INTERRUPTED
        try:
            line = await rendezvous.connection()
            ended = await self._run(line)
        except CallError as error:
            ended = await self._fail(line, error.code, error.message)
        except Exception as error:
            log.exception("call_crashed", call_id=self.facts.call_id)
            ended = await self._fail(line, "call-crashed", type(error).__name__)
        finally:
            if self._ticket is not None and self._parts.door is not None:
                self._parts.door.leave(self._ticket)
            if line is not None:
                line.close()
            await self.close()
        return ended

    async def close(self) -> None:
        """Close what is kept; for a call that never came to `converse` too."""
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)
        if self._journal is not None:
            self._journal.close()

    async def _run(self, line: AudioConnection) -> Ended:
        connected_at = self._parts.clock()
        started = self.facts.recording_started_at
        offset_seconds = max(0.0, (connected_at - started).total_seconds() - line.now_seconds) if started else 0.0
        await self._keep(
            AudioConnected(
                call_id=self.facts.call_id, at=connected_at, recording_offset_seconds=round(offset_seconds, 3)
            )
        )
        more = self._menu.endpointing.more
        heard = await self._admitted()
        listener = Listener(
            line,
            self._parts.recognizer if heard else None,
            offset_seconds=offset_seconds,
            watcher=self._watched,
            endpointing=self._menu.endpointing,
            openers=self._menu.hearing.openers,
            more_prompt=await self._piece(Piece(self._menu.texts[more].zh, more)) if more else b"",
        )
        state, actions = begin(
            self._menu,
            CallContext(
                self.facts.call_id,
                self.facts.reference,
                self.facts.caller_number,
                connected_at.astimezone(self._parts.timezone).timetz().replace(tzinfo=None),
                heard=heard,
            ),
        )
        while True:
            event = await self._carry_out(line, listener, actions)
            if isinstance(event, Finish):
                await self._keep(CallEnded(**self._stamp(), ended=event.ended, step=event.step))
                return event.ended
            if line.now_seconds > self._limit_seconds and isinstance(event, TurnEnded):
                event = CallFailed(**self._stamp(), code="call-too-long", message="a human takes over")
                await self._keep(event)
            understanding = self._understanding()
            state, actions = advance(self._menu, state, event, understanding)
            self._step = state.step

    async def _admitted(self) -> bool:
        """Whether this call is heard live, the whole of it; one that is not is transcribed after its end."""
        door = self._parts.door
        if door is not None and (ticket := door.enter()) is None:
            CALLS_ADMITTED.labels("later").inc()
            log.warning("call_not_heard_live", call_id=self.facts.call_id, calls_heard=door.calls)
            await self._keep(HearingPostponed(**self._stamp(), calls=door.calls))
            return False
        if door is not None:
            self._ticket = ticket
        CALLS_ADMITTED.labels("live").inc()
        return True

    @property
    def _limit_seconds(self) -> float:
        """Past this no further question is asked: the dialplan's own limit would look like a hang-up to us."""
        return max(self.facts.longest_seconds / 2, self.facts.longest_seconds - LAST_TURN_SECONDS)

    async def _carry_out(
        self, line: AudioConnection, listener: Listener, actions: tuple[Action, ...]
    ) -> DialogEvent | Finish:
        """Do the actions in order; what ends them is the next event, or the Finish."""
        for position, action in enumerate(actions):
            match action:
                case Alarm(kind=kind, text=text):
                    await self._keep(AlertRaised(**self._stamp(), kind=kind, turn=max(0, self._turn), text=text))
                case Say():
                    heard_it = await self._say(listener, action)
                    self._sound_is_whole(line)
                    if not heard_it and not _nothing_left_to_ask(actions[position + 1 :]):
                        return await self._hung_up(action.step)
                case Ask():
                    event = await self._ask(listener, action)
                    self._sound_is_whole(line)
                    if event.ended_by is TurnEnd.HANG_UP:
                        return await self._hung_up(action.step)
                    return event
                case Finish():
                    return action
        raise CallError("dialog-without-end", "the dialog gave no question and no end")

    @staticmethod
    def _sound_is_whole(line: AudioConnection) -> None:
        """CallError `sound-lost` when the sound ended by our side's fault or our stopping: nobody hung up."""
        if line.hang_up is not None and line.hang_up.cause in (HangUpCause.BROKEN, HangUpCause.SELF):
            raise CallError("sound-lost", f"the call's sound ended ({line.hang_up.cause.value})")

    async def _hung_up(self, step: str) -> CallerHungUp:
        fact = CallerHungUp(**self._stamp(), step=step)
        await self._keep(fact)
        return fact

    async def _say(self, listener: Listener, action: Say) -> bool:
        self._turn += 1
        self._step = action.step
        await self._prompt_said(action.step, action.pieces, asks=None)
        return await listener.say(await self._sound(action.pieces), interruptible=action.interruptible)

    async def _ask(self, listener: Listener, ask: Ask) -> TurnEnded:
        if self._recorder is not None and self._recorder.failed is not None:
            raise self._recorder.failed
        self._turn += 1
        self._step = ask.step
        sound = await self._sound(ask.pieces)
        await self._prompt_said(ask.step, ask.pieces, asks=ask)
        heard: Heard = await listener.hear(ask, sound, _TurnNotes(self))
        if heard.late:
            TURNS_LATE.inc()
        event = TurnEnded(
            **self._stamp(),
            turn=self._turn,
            step=ask.step,
            asks=ask.asks,
            prompt=ask.prompt_text,
            text=heard.text,
            words=heard.words,
            digits=heard.digits,
            ended_by=heard.ended_by,
            heard_from_seconds=heard.heard_from_seconds,
            heard_to_seconds=heard.heard_to_seconds,
            late=heard.late,
            silence_seconds=round(heard.silence_seconds, 3) if heard.silence_seconds is not None else None,
            pending=heard.pending,
        )
        event = replace(event, answer=answer_of(self._menu, event))
        await self._keep(event)
        return event

    async def _prompt_said(self, step: str, pieces: tuple[Piece, ...], asks: Ask | None) -> None:
        text = "".join(piece.text for piece in pieces)
        await self._keep(
            PromptSaid(**self._stamp(), turn=self._turn, step=step, asks=asks.asks if asks else Asks.NOTHING, text=text)
        )

    async def _sound(self, pieces: tuple[Piece, ...]) -> bytes:
        """The pieces one after the other; a piece that cannot be had is left out and logged, never waited for."""
        return b"".join([await self._piece(piece) for piece in pieces])

    async def _piece(self, piece: Piece) -> bytes:
        if piece.name is not None:
            try:
                return self._parts.prompts.audio(piece)
            except CallError as error:
                log.error("prompt_missing", call_id=self.facts.call_id, name=piece.name, error=error.message)
                if not piece.text:
                    return b""
        try:
            async with asyncio.timeout(RENDER_SECONDS):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._parts.voice_threads, self._parts.voice.speak, piece.text)
        except Exception as error:  # whatever a voice does: the call is worth more than the piece
            reason = "too slow" if isinstance(error, TimeoutError) else repr(error)
            log.error("prompt_not_rendered", call_id=self.facts.call_id, error=reason)
            return b""

    def _watched(self, text: str, phrases: tuple[str, ...]) -> bool:
        """Does a partial transcript hold what must not wait for the end of the turn?"""
        if not phrases:
            return False
        if drafting.hears_emergency(text) is not None:
            return True
        return any(phrase in text for phrase in self._menu.human.watch)

    async def _fail(self, line: AudioConnection | None, code: str, message: str) -> Ended:
        """Our side failed: say sorry if the caller is still there, and leave the rest to the dialplan and recovery."""
        log.error("call_failed", call_id=self.facts.call_id, code=code, error=message)
        try:
            await self._keep(CallFailed(**self._stamp(), code=code, message=message))
            await self._keep(CallEnded(**self._stamp(), ended=Ended.INTERRUPTED, step=self._step))
        except (CallError, AssertionError) as error:
            log.error("call_failure_not_kept", call_id=self.facts.call_id, error=str(error))
        if line is not None and line.hang_up is None:
            try:
                apology = self._parts.prompts.audio(Piece("", "apology"))
                self.apologised = await asyncio.wait_for(line.play(apology).finished(), 10.0)
            except (CallError, TimeoutError) as error:
                log.error("apology_not_said", call_id=self.facts.call_id, error=str(error))
        return Ended.INTERRUPTED


def _nothing_left_to_ask(actions: tuple[Action, ...]) -> bool:
    """A caller who leaves while hearing the reference number or the goodbye has told everything."""
    return all(isinstance(action, Say | Finish) for action in actions) and any(
        isinstance(action, Finish) and action.ended is Ended.COMPLETED for action in actions
    )


class _TurnNotes:
    """What a turn tells while it runs, as facts of its call."""

    def __init__(self, session: CallSession) -> None:
        self._session = session
        self._turn = session._turn

    async def key_pressed(self, digit: str) -> None:
        await self._session._keep(KeyPressed(**self._session._stamp(), turn=self._turn, digit=digit))

    async def prompt_stopped(self, cause: str, after_ms: float) -> None:
        await self._session._keep(
            PromptStopped(**self._session._stamp(), turn=self._turn, cause=cause, after_ms=after_ms)
        )

    async def partial(self, text: str, words: tuple[Word, ...]) -> None:
        await self._session._keep(TranscriptPartial(**self._session._stamp(), turn=self._turn, text=text, words=words))

    async def final(self, text: str, words: tuple[Word, ...]) -> None:
        await self._session._keep(TranscriptFinal(**self._session._stamp(), turn=self._turn, text=text, words=words))

    async def more_asked(self, silence_seconds: float) -> None:
        menu = self._session._menu
        text = menu.texts[menu.endpointing.more].zh
        await self._session._keep(
            MoreAsked(**self._session._stamp(), turn=self._turn, text=text, silence_seconds=silence_seconds)
        )

    async def nothing_more_said(self, text: str, from_seconds: float) -> None:
        await self._session._keep(
            NothingMoreSaid(**self._session._stamp(), turn=self._turn, text=text, from_seconds=from_seconds)
        )
