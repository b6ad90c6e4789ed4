"""One listening turn: say a prompt while hearing the caller, until the turn is over.

Sound goes through the speech detector to the recogniser as it comes, also while the prompt plays. 200 ms of speech
stop the prompt (barge-in), a digit stops it at once. `KeyPad` and `speech.endpoint.Endpointer` decide, both pure;
this module carries the frames between the line and them. What one turn shows of the caller's pauses holds in the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from cases.schema import Asks, Word
from ivr.actions import Ask
from ivr.audiosocket import AudioConnection, AudioFrame, DtmfFrame, HangUp, Playback
from ivr.events import TurnEnd
from ivr.menu_states import Endpointing
from ivr.metrics import BARGE_IN_SECONDS, FINAL_SECONDS
from speech.audio import FRAME_BYTES
from speech.caller_pace import CallerPace
from speech.end_words import EndWords
from speech.endpoint import (
    Endpointer,
    EndpointEvent,
    EndReason,
    Patience,
    PerhapsEnded,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
)
from speech.errors import SpeechError
from speech.recognizer import Partial, Recognizer, RecognizerStream, SpokenWord, Transcript
from speech.transcribe import SpeechOnly
from speech.vad import SpeechDetector

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.1
INTER_DIGIT_SECONDS = 2.5
# A recogniser that is this late is of no use to the dialog; the last partial transcript stands in.
FINISH_SECONDS = 10.0
# A cough or a slammed door wakes the detector and yields no word: go on listening, but not for ever.
WORDLESS_MAX = 2
DIGITS_MAX = 64
_ENDED_BY = {
    EndReason.SILENCE: TurnEnd.SILENCE,
    EndReason.NO_INPUT: TurnEnd.NO_INPUT,
    EndReason.MAXIMUM: TurnEnd.MAXIMUM,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a turn heard. Seconds count from the recording's first sample."""

    text: str
    words: tuple[Word, ...]
    digits: str
    ended_by: TurnEnd
    heard_from_seconds: float
    heard_to_seconds: float
    late: bool  # words are missing: the recogniser failed or could not keep up
    silence_seconds: float | None = None  # that the caller was given at the end
    pending: bool = False  # sound that may be speech was recorded, and nobody recognised it yet


class Notes(Protocol):
    """Where a turn tells what happens, before it acts on it. Each returns when it is on disk."""

    async def key_pressed(self, digit: str) -> None: ...

    async def prompt_stopped(self, cause: str, after_ms: float) -> None: ...

    async def partial(self, text: str, words: tuple[Word, ...]) -> None: ...

    async def final(self, text: str, words: tuple[Word, ...]) -> None: ...

    async def more_asked(self, silence_seconds: float) -> None: ...

    async def nothing_more_said(self, text: str, from_seconds: float) -> None: ...


@dataclass(slots=True)
class KeyPad:
    """Pure: what the digits pressed in a turn mean for its end."""

    ask: Ask
    digits: str = ""
    last_at_seconds: float | None = None

    def press(self, digit: str, at_seconds: float) -> TurnEnd | None:
        """A digit; the turn's end if this one ends it."""
        self.last_at_seconds = at_seconds
        alone = not self.digits
        if len(self.digits) < DIGITS_MAX:
            self.digits += digit
        if digit == self.ask.terminator:
            return TurnEnd.TERMINATOR
        if alone and digit in self.ask.keys:
            return TurnEnd.KEY
        if self.ask.max_digits:
            return TurnEnd.KEY if len(self.digits) >= self.ask.max_digits else None
        # A stray digit in a story is no answer; to a question it is one, if a wrong one.
        return None if self.ask.asks in (Asks.NARRATION, Asks.PLACE) else TurnEnd.KEY

    def tick(self, at_seconds: float) -> TurnEnd | None:
        """A number without a terminator ends when the caller stops pressing."""
        if self.ask.max_digits and self.last_at_seconds is not None:
            return TurnEnd.KEY if at_seconds - self.last_at_seconds >= INTER_DIGIT_SECONDS else None
        return None

    @property
    def collecting(self) -> bool:
        return bool(self.ask.max_digits and self.digits)


@dataclass(slots=True)
class _Turn:
    """The state of the turn that runs."""

    ask: Ask
    endpointer: Endpointer
    keypad: KeyPad
    playback: Playback
    prompt_over: bool = False
    stream: RecognizerStream | None = None
    latest: Partial = field(default_factory=lambda: Partial(""))
    text: str = ""
    words: tuple[Word, ...] = ()
    wordless: int = 0
    watched: int = 0
    failed: bool = False
    late: bool = False
    note_failed: bool = False
    silence_seconds: float | None = None
    more: Playback | None = None  # the question whether there is more, while it sounds
    more_asked: int = 0
    more_at_seconds: float | None = None  # when it was last asked
    chars_before_more: int = 0
    unheard: bool = False  # there was sound for a recogniser, and there is none


class Listener:
    """One call's ear and mouth. `offset_seconds`: where second 0 of the line's clock lies in the recording."""

    def __init__(
        self,
        line: AudioConnection,
        recognizer: Recognizer | None,
        *,
        offset_seconds: float,
        watcher: Callable[[str, tuple[str, ...]], bool],
        endpointing: Endpointing | None = None,
        openers: tuple[str, ...] = (),
        more_prompt: bytes = b"",
    ) -> None:
        """`recognizer`: None for a call that is transcribed later; its turns end by silence and keys as any other's.

        `more_prompt`: the sound that asks a narrating caller for more, empty: nobody is asked."""
        self._line = line
        self._recognizer = recognizer
        self._offset_seconds = offset_seconds
        self._watcher = watcher
        self._endpointing = endpointing or Endpointing(adaptive=False)
        self._openers = openers
        self._more_prompt = more_prompt
        self._pace = CallerPace()
        self._detector = SpeechDetector()
        self._speech_only = SpeechOnly(self._detector)

    async def say(self, pcm: bytes, *, interruptible: bool = False) -> bool:
        """Say it to its end. False when the caller has left. `interruptible`: a digit stops it."""
        playback = self._line.play(pcm)
        while not playback.over:
            event = await self._line.receive(TICK_SECONDS)
            if isinstance(event, HangUp):
                return False
            if isinstance(event, DtmfFrame) and interruptible:
                self._line.stop()
        return self._line.hang_up is None

    async def hear(self, ask: Ask, prompt: bytes, notes: Notes) -> Heard:
        """Carry out one Ask; `prompt` is its sound, 8 kHz s16le. Always ends, by the Ask's limits at the latest."""
        started = self._line.now_seconds
        turn = _Turn(ask, self._new_endpointer(ask), KeyPad(ask), self._line.play(prompt))
        partials = _Latest()
        worker = asyncio.create_task(self._tell_partials(turn, partials, notes))
        try:
            ended_by = await self._until_over(turn, partials, notes)
        except BaseException:
            if turn.stream is not None:
                turn.stream.close()
            raise
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            if not turn.playback.over or (turn.more is not None and not turn.more.over):
                self._line.stop()
        if turn.stream is not None:
            await self._finish_stream(turn, notes)
        if turn.failed and not turn.text and not turn.keypad.digits and ended_by is not TurnEnd.HANG_UP:
            ended_by = TurnEnd.FAILED
        return Heard(
            turn.text,
            turn.words,
            turn.keypad.digits,
            ended_by,
            self._recorded(started),
            self._recorded(self._line.now_seconds),
            turn.late or turn.failed or self._line.late,
            turn.silence_seconds,
            turn.unheard,
        )

    async def _until_over(self, turn: _Turn, partials: _Latest, notes: Notes) -> TurnEnd:
        while True:
            event = await self._line.receive(TICK_SECONDS)
            over: TurnEnd | None = None
            match event:
                case HangUp():
                    return TurnEnd.HANG_UP
                case DtmfFrame(digit=digit, at_seconds=at):
                    over = await self._press(turn, digit, at, notes)
                case AudioFrame():
                    over = await self._take(turn, event, partials, notes)
            if over is None:
                over = await self._pass_time(turn, partials, notes)
            if over is not None:
                return over

    async def _press(self, turn: _Turn, digit: str, at_seconds: float, notes: Notes) -> TurnEnd | None:
        await self._stop_prompt(turn, "key", at_seconds, notes)
        self._more_over(turn)
        await notes.key_pressed(digit)
        return turn.keypad.press(digit, at_seconds)

    async def _take(self, turn: _Turn, frame: AudioFrame, partials: _Latest, notes: Notes) -> TurnEnd | None:
        """A frame of the caller: to the recogniser if it is worth it, and to the endpointer."""
        pcm = frame.pcm.ljust(FRAME_BYTES, b"\0")
        for wanted, at_seconds in self._speech_only.take(pcm, frame.at_seconds):
            if self._recognizer is None:
                turn.unheard = True
                break
            if turn.stream is None:
                partials.newest = Partial("")
                turn.stream = self._recognizer.open(phrases=turn.ask.phrases, on_partial=partials.put)
            turn.stream.feed(wanted, at_seconds)
        if not turn.ask.barge_in and not turn.prompt_over:
            return None
        turn.endpointer.heard((turn.text + partials.newest.text)[turn.chars_before_more :])
        event = turn.endpointer.frame(frame.at_seconds, self._detector.last, self._detector.level_dbfs)
        return await self._decided(turn, event, partials, notes)

    async def _decided(
        self, turn: _Turn, event: EndpointEvent | None, partials: _Latest, notes: Notes
    ) -> TurnEnd | None:
        match event:
            case SpeechStarted(at_seconds=at):
                await self._stop_prompt(turn, "speech", at, notes)
            case SpeechResumed():
                self._more_over(turn)
            case PerhapsEnded(at_seconds=at, spoke_until_seconds=spoke_until, silence_seconds=silence):
                if turn.text or partials.newest.text:
                    await self._ask_for_more(turn, at, silence, partials, notes)
                    return None
                return await self._speech_over(turn, SpeechEnded(at, EndReason.SILENCE, spoke_until, silence), notes)
            case SpeechEnded() as ended:
                return await self._speech_over(turn, ended, notes)
        return None

    async def _ask_for_more(
        self, turn: _Turn, at_seconds: float, silence_seconds: float, partials: _Latest, notes: Notes
    ) -> None:
        """还有吗？ to a caller who may not have finished; listening goes on, the turn's words stay one utterance."""
        await notes.more_asked(round(silence_seconds, 3))
        turn.more_asked += 1
        turn.more_at_seconds = at_seconds
        turn.chars_before_more = len(turn.text + partials.newest.text)
        turn.more = self._line.play(self._more_prompt)

    def _more_over(self, turn: _Turn) -> None:
        """The question was heard, or the caller stopped it."""
        if turn.more is None:
            return
        if not turn.more.over:
            self._line.stop()
        turn.more = None
        turn.endpointer.asked_for_more(self._line.now_seconds)

    async def _pass_time(self, turn: _Turn, partials: _Latest, notes: Notes) -> TurnEnd | None:
        now = self._line.now_seconds
        if turn.watched >= 2:
            return TurnEnd.KEYWORD
        if not turn.prompt_over and turn.playback.over:
            turn.prompt_over = True
            turn.endpointer.prompt_finished(now)
        if turn.more is not None and turn.more.over:
            self._more_over(turn)
        if turn.keypad.collecting:
            return turn.keypad.tick(now)
        # The clock runs ahead of the frames by what the network delays them; a late frame must not be a silence.
        return await self._decided(turn, turn.endpointer.tick(now - TICK_SECONDS), partials, notes)

    async def _speech_over(self, turn: _Turn, ended: SpeechEnded, notes: Notes) -> TurnEnd | None:
        """The endpointer says that the turn is over. When there was sound and no word, listen on a while."""
        if turn.keypad.collecting:
            return None
        if ended.reason is EndReason.NO_INPUT:
            if turn.stream is not None:
                turn.stream.close()
                turn.stream = None
            return TurnEnd.NO_INPUT
        await self._finish_stream(turn, notes)
        turn.silence_seconds = ended.silence_seconds
        if turn.text or turn.failed or turn.unheard or ended.reason is EndReason.MAXIMUM:
            return _ENDED_BY[ended.reason]
        turn.wordless += 1
        if turn.wordless > WORDLESS_MAX:
            return TurnEnd.NO_INPUT
        turn.endpointer = self._new_endpointer(turn.ask, turn.more_asked)
        turn.endpointer.prompt_finished(self._line.now_seconds)
        return None

    async def _finish_stream(self, turn: _Turn, notes: Notes) -> None:
        """The final words of what was fed; when the recogniser fails, the last partial stands in."""
        stream, turn.stream = turn.stream, None
        if stream is None:
            return
        begun = self._line.now_seconds
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                heard = await stream.finish()
        except (SpeechError, TimeoutError) as error:
            stream.close()
            log.error("recognition_failed", call_id=self._line.call_id, error=str(error) or "no answer in time")
            turn.failed = True
            heard = Transcript(turn.latest.text, turn.latest.words, True, 0.0, 0.0)
        FINAL_SECONDS.observe(self._line.now_seconds - begun)
        if heard.late and not turn.failed:
            turn.late = True
            log.warning("transcript_late", call_id=self._line.call_id)
        heard = await self._without_nothing_more(turn, heard, notes)
        if heard.text:
            words = self._in_recording(heard.words)
            turn.text += heard.text
            # Words that do not make up the text (an engine without word times) cannot point into it.
            turn.words = (*turn.words, *words) if "".join(w.text for w in words) == heard.text else ()
            if turn.text != "".join(word.text for word in turn.words):
                turn.words = ()
            await notes.final(heard.text, words)
        turn.latest = Partial("")

    async def _without_nothing_more(self, turn: _Turn, heard: Transcript, notes: Notes) -> Transcript:
        """The transcript without 没有了, when that is all that was said to the question: it is no part of the story."""
        if turn.more_at_seconds is None or "".join(word.text for word in heard.words) != heard.text:
            return heard
        story = tuple(word for word in heard.words if word.start_seconds < turn.more_at_seconds)
        reply = heard.words[len(story) :]
        text = "".join(word.text for word in reply)
        if not story or not EndWords(no_more=self._endpointing.no_more).says_no_more(text):
            return heard
        await notes.nothing_more_said(text, round(max(0.0, self._recorded(reply[0].start_seconds)), 3))
        return replace(heard, text="".join(word.text for word in story), words=story)

    async def _stop_prompt(self, turn: _Turn, cause: str, since_seconds: float, notes: Notes) -> None:
        if turn.prompt_over:
            return
        turn.prompt_over = True
        playing = not turn.playback.over
        self._line.stop()
        now = self._line.now_seconds
        turn.endpointer.prompt_finished(now)
        if playing:
            BARGE_IN_SECONDS.labels(cause).observe(max(0.0, now - since_seconds))
            await notes.prompt_stopped(cause, round(1000 * max(0.0, now - since_seconds), 1))

    async def _tell_partials(self, turn: _Turn, partials: _Latest, notes: Notes) -> None:
        """Partials on disk and on to the desk, the latest only: a slow disk makes them rarer, never late."""
        while True:
            partial = await partials.get()
            turn.latest = partial
            try:
                await notes.partial(turn.text + partial.text, (*turn.words, *self._in_recording(partial.words)))
            except Exception as error:
                if not turn.note_failed:  # once: a full disk would fill with lines about itself
                    log.error("partial_not_noted", call_id=self._line.call_id, error=str(error))
                turn.note_failed = True
            turn.watched = turn.watched + 1 if self._watcher(partial.text, turn.ask.watch) else 0

    def _in_recording(self, words: tuple[SpokenWord, ...]) -> tuple[Word, ...]:
        return tuple(
            Word(
                text=word.text,
                start_seconds=round(max(0.0, self._recorded(word.start_seconds)), 3),
                end_seconds=round(max(0.0, self._recorded(word.end_seconds)), 3),
                confidence=min(1.0, max(0.0, word.confidence)),
                heard=word.heard,
            )
            for word in words
        )

    def _recorded(self, line_seconds: float) -> float:
        return line_seconds + self._offset_seconds

    def _new_endpointer(self, ask: Ask, more_asked: int = 0) -> Endpointer:
        return Endpointer(
            end_silence_seconds=ask.end_silence_seconds,
            max_seconds=ask.max_seconds,
            no_input_seconds=ask.no_input_seconds,
            patience=patience_of(
                self._endpointing, self._openers, ask, self._pace, bool(self._more_prompt), more_asked
            ),
        )


def patience_of(
    endpointing: Endpointing,
    openers: tuple[str, ...],
    ask: Ask,
    pace: CallerPace,
    can_ask: bool,
    more_asked: int = 0,
) -> Patience | None:
    """Pure: how a turn of this kind adapts. A menu answer is never asked for more, and no story words end it."""
    if not endpointing.adaptive:
        return None
    story = ask.asks in (Asks.NARRATION, Asks.PLACE)
    return Patience(
        pace=pace,
        words=EndWords(
            finished=endpointing.finished if story else (),
            unfinished=endpointing.unfinished if story or ask.asks is Asks.CONTACT else (),
            openers=openers if ask.asks is Asks.NARRATION else (),
            no_more=endpointing.no_more,
            answers=ask.answers,
            figures=ask.asks is Asks.CONTACT,
        ),
        shortest_seconds=endpointing.shortest_seconds,
        longest_seconds=endpointing.longest_seconds,
        story_seconds=endpointing.story_seconds if ask.asks is Asks.NARRATION else 0.0,
        questions=max(0, endpointing.more_times - more_asked) if can_ask and ask.asks is Asks.NARRATION else 0,
        more_silence_seconds=endpointing.more_silence_seconds,
    )


class _Latest:
    """A place for one partial transcript: a newer one replaces one that nobody took yet."""

    def __init__(self) -> None:
        self.newest = Partial("")  # taken or not
        self._value: Partial | None = None
        self._come = asyncio.Event()

    def put(self, partial: Partial) -> None:
        self._value = self.newest = partial
        self._come.set()

    async def get(self) -> Partial:
        await self._come.wait()
        self._come.clear()
        value, self._value = self._value, None
        assert value is not None
        return value
