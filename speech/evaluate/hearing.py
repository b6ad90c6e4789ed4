"""A sound heard as a call hears it: detector, endpointing, one stream a turn, in the sound's own time.

The parts are those of `ivr.listen`; what is left out is the telephone. What the endpointer ends goes on in a turn of
its own, as with a caller who speaks on. The sound waits for the recogniser, so that the machine's load tells nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from speech.audio import BYTES_PER_SECOND, FRAME_BYTES, seconds_of
from speech.endpoint import Endpointer, EndpointEvent, EndReason, PerhapsEnded, SpeechEnded, SpeechResumed
from speech.pauses_trial import QUESTION_SECONDS
from speech.recognizer import Partial, Recognizer, RecognizerStream, SpokenWord
from speech.transcribe import SpeechOnly
from speech.vad import SpeechDetector
from speech.vosk_stream import join_words

MakeEndpointer = Callable[[], Endpointer]
# As much as a stream wakes its worker for: with less waiting it has decoded what it was given.
_CAUGHT_UP_SECONDS = 0.1
_STUCK_MS = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """`turns`: turns with words; more than one means that the endpointing cut in. `late`: sound was left out.

    `audio_seconds`: the whole sound. `decoded_seconds`: what was fed. `cpu_seconds`: of this process, all threads,
    from the first frame to the final words.
    """

    text: str
    words: tuple[SpokenWord, ...]
    turns: int
    late: bool
    audio_seconds: float
    decoded_seconds: float
    cpu_seconds: float


async def hear_as_a_call(recognizer: Recognizer, pcm: bytes, new_endpointer: MakeEndpointer) -> Heard:
    """The words of a sound whose end is the caller's hang-up. Raises the recogniser's SpeechErrors."""
    begun = time.process_time()
    listening = _Listening(recognizer, new_endpointer)
    try:
        for start in range(0, len(pcm), FRAME_BYTES):
            await listening.take(pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"), start / BYTES_PER_SECOND)
        await listening.finish_stream()
    finally:
        listening.close()
    return Heard(
        text=join_words([word.text for word in listening.words]),
        words=tuple(listening.words),
        turns=listening.turns,
        late=listening.late,
        audio_seconds=seconds_of(pcm),
        decoded_seconds=listening.decoded_seconds,
        cpu_seconds=time.process_time() - begun,
    )


async def _caught_up(stream: RecognizerStream) -> None:
    """Until what was fed is decoded, but for what no worker is woken for; not for ever, whatever the engine does."""
    least, waited_ms = stream.backlog_seconds, 0
    while stream.backlog_seconds >= _CAUGHT_UP_SECONDS and waited_ms < _STUCK_MS:
        await asyncio.sleep(0.001)
        waited_ms = 0 if stream.backlog_seconds < least else waited_ms + 1
        least = min(least, stream.backlog_seconds)


class _Listening:
    def __init__(self, recognizer: Recognizer, new_endpointer: MakeEndpointer) -> None:
        self._recognizer = recognizer
        self._new_endpointer = new_endpointer
        self._detector = SpeechDetector()
        self._speech_only = SpeechOnly(self._detector)
        self._stream: RecognizerStream | None = None
        self.words: list[SpokenWord] = []
        self.turns = 0
        self.late = False
        self.decoded_seconds = 0.0
        self._new_turn(0.0)

    def _new_turn(self, at_seconds: float) -> None:
        self._endpointer = self._new_endpointer()
        self._endpointer.prompt_finished(at_seconds)
        self._told = ""  # partial words of the stream
        self._told_before_question = 0
        self._question_until: float | None = None

    async def take(self, frame: bytes, at_seconds: float) -> None:
        for wanted, wanted_at in self._speech_only.take(frame, at_seconds):
            if self._stream is None:
                self._told = ""
                # Not a caller's: a file decoded as fast as it goes is no load that anything must be given up for.
                self._stream = self._recognizer.open(on_partial=self._tell, background=True)
            self._stream.feed(wanted, wanted_at)
        if self._stream is not None:
            await _caught_up(self._stream)
        if self._question_until is not None and at_seconds >= self._question_until:
            self._question_over(at_seconds)
        self._endpointer.heard(self._told[self._told_before_question :])
        event = self._endpointer.frame(at_seconds, self._detector.last, self._detector.level_dbfs)
        await self._decided(event, at_seconds)

    async def _decided(self, event: EndpointEvent | None, at_seconds: float) -> None:
        match event:
            case SpeechResumed():
                self._question_over(at_seconds)
            case PerhapsEnded() if self._told:
                self._told_before_question = len(self._told)
                self._question_until = at_seconds + QUESTION_SECONDS
            case SpeechEnded(reason=EndReason.NO_INPUT):
                if self._stream is not None:  # what woke the detector was too short to be speech
                    self._stream.close()
                    self._stream = None
                self._new_turn(at_seconds)
            case PerhapsEnded() | SpeechEnded():
                await self.finish_stream()
                self._new_turn(at_seconds)

    async def finish_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            heard = await stream.finish()
        finally:
            stream.close()
        self.words += heard.words
        self.turns += bool(heard.words)
        self.late = self.late or heard.late
        self.decoded_seconds += heard.audio_seconds

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _tell(self, partial: Partial) -> None:
        self._told = partial.text

    def _question_over(self, at_seconds: float) -> None:
        if self._question_until is not None:
            self._question_until = None
            self._endpointer.asked_for_more(at_seconds)
