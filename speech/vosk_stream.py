"""One stream of a `VoskEngine`: what the event loop asks of it, and what a worker does for it."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import structlog

from speech import metrics
from speech.admission import Level
from speech.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, seconds_of
from speech.errors import SpeechError
from speech.fed_time import FedTime
from speech.recognizer import Partial, SpokenWord, Transcript
from speech.vocabulary_ear import ListedWords
from speech.vosk_result import is_word, words_of

if TYPE_CHECKING:
    from speech.vosk_engine import VoskEngine

log = structlog.get_logger(__name__)

# A stream's undecoded sound. Past it the newest sound is left out of recognition and the transcript marked late:
# the call's recording has it all, and a phone cannot be slowed.
BACKLOG_SECONDS = 30.0
_BACKLOG_BYTES = int(BACKLOG_SECONDS * BYTES_PER_SECOND)
# Less than this is not worth waking a worker for, unless the stream ends.
_WAKE_BYTES = BYTES_PER_SECOND // 10
_SLICE_BYTES = BYTES_PER_SECOND // 2
# Under load (`Level.PARTIALS_SHED`) a stream is woken less often, and a partial comes once in so much of its sound:
# enough that an emergency told in a long story does not wait for its end.
_SHED_WAKE_BYTES = BYTES_PER_SECOND // 2
_SHED_PARTIAL_SECONDS = 3.0


def join_words(words: Sequence[str]) -> str:
    """Words as text: Chinese without spaces, two Latin words in a row with one."""
    text = ""
    for word in words:
        if text and word and text[-1].isascii() and text[-1].isalnum() and word[0].isascii() and word[0].isalnum():
            text += " "
        text += word
    return text


class VoskStream:
    """One stream. The loop's side puts sound and wishes under the lock; a worker's `step` takes them."""

    def __init__(
        self,
        engine: VoskEngine,
        loop: asyncio.AbstractEventLoop,
        grammar: str | None,
        on_partial: Callable[[Partial], None] | None,
        background: bool = False,
        listed_words: bool = True,
    ) -> None:
        """`listed_words`: the city's own words are put in (`speech.vocabulary_ear`)."""
        self._engine = engine
        self._loop = loop
        self._grammar = grammar
        self._on_partial = on_partial
        self.background = background
        self._lock = threading.Lock()
        self._waiting: deque[tuple[bytes, float]] = deque()  # bounded by BACKLOG_SECONDS: the newest is left out
        self._waiting_bytes = 0
        self._scheduled = False
        self._closed = False
        self._late = False
        self._failure: SpeechError | None = None
        self._final: asyncio.Future[Transcript] | None = None
        self._finish_asked = 0.0
        self._next_partial: Partial | None = None  # the newest one only: a slow loop loses the older
        # Touched by workers only, one at a time.
        self._recognizer: Any = None
        self._resampler: Any = None
        self._listed_words = listed_words
        self._listed: ListedWords | None = None
        self._time = FedTime()
        self._words: list[SpokenWord] = []  # in fed seconds
        self._decode_seconds = 0.0
        self._partial_text = ""
        self._partial_fed_seconds = 0.0

    @property
    def urgency(self) -> int:
        """Whose turn comes first: 0 before all, when somebody waits for the final words."""
        if self.background:
            return 2
        return 0 if self._final is not None else 1

    @property
    def backlog_seconds(self) -> float:
        return self._waiting_bytes / BYTES_PER_SECOND

    def feed(self, pcm: bytes, at_seconds: float) -> None:
        if len(pcm) % 2 or not (math.isfinite(at_seconds) and at_seconds >= 0):
            raise SpeechError(
                "speech-audio-invalid", f"{len(pcm)} bytes at {at_seconds} s: whole samples at a time ≥ 0"
            )
        with self._lock:
            if self._closed or self._failure or self._final is not None or not pcm:
                return
            room = _BACKLOG_BYTES - self._waiting_bytes
            if len(pcm) > room:
                if not self._late:
                    log.warning("speech_backlog_full", model=self._engine.name, seconds=BACKLOG_SECONDS)
                self._late = True
                metrics.DROPPED_SECONDS.inc(seconds_of(pcm[room:]))
                pcm = pcm[:room]
            if pcm:
                self._waiting.append((bytes(pcm), at_seconds))
                self._waiting_bytes += len(pcm)
            if self._waiting_bytes >= self._wake_bytes:
                self._wake()

    async def finish(self) -> Transcript:
        with self._lock:
            if self._failure:
                raise self._failure
            if self._closed:
                raise SpeechError("speech-stream-closed", "the stream was closed before its words were asked for")
            if self._final is None:
                self._final = self._loop.create_future()
                self._final.add_done_callback(lambda final: final.cancelled() or final.exception())  # may go unawaited
                self._finish_asked = time.monotonic()
                self._wake()
        return await asyncio.shield(self._final)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._waiting.clear()
            self._waiting_bytes = 0
            self._wake()  # the recogniser is let go where it was made
        self._engine.gone(self)
        if self._final is not None and not self._final.done():
            self._final.set_exception(
                SpeechError("speech-stream-closed", "the stream was closed before its words came")
            )

    def fail(self, failure: SpeechError) -> None:
        """From any thread: nothing more comes of this stream; whoever waits for its words gets `failure`."""
        with self._lock:
            self._failure = self._failure or failure
            self._waiting.clear()
            self._waiting_bytes = 0
            final = self._final
        self._engine.gone(self)
        if final is not None:
            self._on_loop(lambda: None if final.done() else final.set_exception(failure))

    @property
    def _wake_bytes(self) -> int:
        return _WAKE_BYTES if self._engine.level is Level.NORMAL else _SHED_WAKE_BYTES

    def _wake(self) -> None:
        """With the lock held: stand in the queue once."""
        if not self._scheduled and not self._failure:
            self._scheduled = True
            self._engine.schedule(self)

    def step(self) -> None:
        """On a worker: decode the next slice, tell what changed, stand in the queue again when there is more."""
        with self._lock:
            over = self._closed or self._failure is not None
            slices = [] if over else self._take()
            last = self._final is not None and not self._waiting
        if over:
            self._recognizer = self._resampler = None
            return
        self._decode(slices, last=last)
        if last:
            self._deliver()
        else:
            self._tell_partial()
        with self._lock:
            self._scheduled = False
            if not last and (self._waiting_bytes >= self._wake_bytes or self._final is not None or self._closed):
                self._wake()

    def _take(self) -> list[tuple[bytes, float]]:
        taken: list[tuple[bytes, float]] = []
        room = _SLICE_BYTES
        while self._waiting and room > 0:
            pcm, at_seconds = self._waiting.popleft()
            if len(pcm) > room:
                self._waiting.appendleft((pcm[room:], at_seconds + room / BYTES_PER_SECOND))
                pcm = pcm[:room]
            taken.append((pcm, at_seconds))
            room -= len(pcm)
            self._waiting_bytes -= len(pcm)
        return taken

    def _decode(self, slices: list[tuple[bytes, float]], *, last: bool) -> None:
        started = time.monotonic()
        if self._recognizer is None:
            self._recognizer = self._engine.new_recognizer(self._grammar)
            if self._engine.model_rate_hz != SAMPLE_RATE_HZ:
                self._resampler = soxr.ResampleStream(SAMPLE_RATE_HZ, self._engine.model_rate_hz, 1, dtype="int16")
            self._listed = self._engine.listed_words(background=self.background) if self._listed_words else None
        for pcm, at_seconds in slices:
            self._time.add(at_seconds, seconds_of(pcm))
        sound = b"".join(pcm for pcm, _ in slices)
        if self._resampler is not None:
            sound = self._resampler.resample_chunk(np.frombuffer(sound, "<i2"), last=last).tobytes()
        if self._listed is not None:
            self._listed.fed(sound)
        if sound and self._recognizer.AcceptWaveform(sound):
            self._heard(self._recognizer.Result())
        if last:
            self._heard(self._recognizer.FinalResult())
        spent = time.monotonic() - started
        self._decode_seconds += spent
        self._engine.count(spent, sum(seconds_of(pcm) for pcm, _ in slices), background=self.background)

    def _heard(self, answer: str) -> None:
        words = words_of(answer)
        if self._listed is not None:
            try:
                words = self._listed.put_in(words)
            except Exception:  # a list of names is no reason to lose what a caller says
                log.exception("vocabulary_failed", model=self._engine.name)
                self._listed = None
        self._words += words

    def _tell_partial(self) -> None:
        if self._on_partial is None or self._shed_partial():
            return
        newest = json.loads(self._recognizer.PartialResult()).get("partial", "").split()
        text = join_words([word.text for word in self._words] + [word for word in newest if is_word(word)])
        if text == self._partial_text:
            return
        self._partial_text = text
        partial = Partial(text)
        with self._lock:
            waiting, self._next_partial = self._next_partial, partial
        if waiting is None:
            self._on_loop(self._hand_over_partial)

    def _shed_partial(self) -> bool:
        level = self._engine.level
        if level is Level.NORMAL:
            return False
        if level is Level.FULL or self._time.fed_seconds - self._partial_fed_seconds < _SHED_PARTIAL_SECONDS:
            metrics.PARTIALS_SHED.inc()
            return True
        self._partial_fed_seconds = self._time.fed_seconds
        return False

    def _hand_over_partial(self) -> None:
        with self._lock:
            partial, self._next_partial = self._next_partial, None
            wanted = not self._closed and self._failure is None and self._final is None
        if partial is not None and wanted and self._on_partial is not None:
            self._on_partial(partial)

    def _deliver(self) -> None:
        words = self._in_caller_time(self._words)
        transcript = Transcript(
            text=join_words([word.text for word in words]),
            words=words,
            late=self._late,
            audio_seconds=self._time.fed_seconds,
            decode_seconds=self._decode_seconds,
        )
        self._recognizer = self._resampler = None
        metrics.FINISH_SECONDS.observe(time.monotonic() - self._finish_asked)
        self._engine.gone(self)
        final = self._final
        if final is not None:
            self._on_loop(lambda: None if final.done() else final.set_result(transcript))

    def _in_caller_time(self, words: list[SpokenWord]) -> tuple[SpokenWord, ...]:
        placed = []
        for word in words:
            start, end = self._time.word(word.start_seconds, word.end_seconds)
            placed.append(replace(word, start_seconds=round(start, 3), end_seconds=round(end, 3)))
        return tuple(placed)

    def _on_loop(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            log.info("speech_loop_gone", model=self._engine.name)
