"""Vosk behind the seam: one model a process, a pool of threads, one recogniser a stream.

A stream's sound is decoded in order, by one worker at a time (vosk releases the interpreter lock while it decodes).
A worker takes half a second of a stream's sound, then the next stream's turn comes: eight callers on two cores
all get their partials.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import structlog
import vosk

from speech import metrics
from speech.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, seconds_of
from speech.errors import SpeechError
from speech.fed_time import FedTime
from speech.recognizer import Partial, RecognizerStream, SpokenWord, Transcript
from speech.vosk_files import check_model

log = structlog.get_logger(__name__)

# A stream's undecoded sound. Past it the newest sound is left out of recognition and the transcript marked late:
# the call's recording has it all, and a phone cannot be slowed.
BACKLOG_SECONDS = 30.0
_BACKLOG_BYTES = int(BACKLOG_SECONDS * BYTES_PER_SECOND)
# Less than this is not worth waking a worker for, unless the stream ends.
_WAKE_BYTES = BYTES_PER_SECOND // 10
_SLICE_BYTES = BYTES_PER_SECOND // 2
_LOAD_WINDOW_SECONDS = 10

_ANYTHING_ELSE = "[unk]"

vosk.SetLogLevel(-1)


def join_words(words: Sequence[str]) -> str:
    """Words as text: Chinese without spaces, two Latin words in a row with one."""
    text = ""
    for word in words:
        if text and word and text[-1].isascii() and text[-1].isalnum() and word[0].isascii() and word[0].isalnum():
            text += " "
        text += word
    return text


class VoskEngine:
    """A Recognizer. Call `load` before `open`, `close` at the end. Streams belong to the event loop that opened them."""

    def __init__(self, model_dir: Path, workers: int = 0) -> None:
        """`workers`: decoding threads; 0 is one a core."""
        self._model_dir = Path(model_dir)
        self._worker_count = workers or os.cpu_count() or 1
        self._model: Any = None
        self._lock = threading.Lock()
        # Bounded by the open streams: each stands in it at most once.
        self._ready: queue.SimpleQueue[VoskStream | None] = queue.SimpleQueue()
        self._open: set[VoskStream] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._busy: deque[list[float]] = deque(maxlen=_LOAD_WINDOW_SECONDS + 1)  # [wall second, decode seconds]
        self._decode_seconds = 0.0
        self._audio_seconds = 0.0
        self.supports_grammar = False
        self.model_rate_hz = SAMPLE_RATE_HZ

    @property
    def name(self) -> str:
        return f"vosk:{self._model_dir.name}"

    @property
    def streams(self) -> int:
        """Streams open now."""
        return len(self._open)

    @property
    def workload(self) -> float:
        """Decode seconds per wall second and worker over the last ten seconds, what waits counted in; 1 is full."""
        now = time.monotonic()
        with self._lock:
            busy = sum(seconds for second, seconds in self._busy if second > now - _LOAD_WINDOW_SECONDS)
            pace = self._decode_seconds / self._audio_seconds if self._audio_seconds else 0.0
            waiting = sum(stream.backlog_seconds for stream in self._open)
        return (busy + waiting * pace) / (_LOAD_WINDOW_SECONDS * self._worker_count)

    def load(self) -> None:
        """Read the model and start the workers; blocks for 0.1 s (bundled) to 20 s (a large model).

        Raises SpeechError `speech-model-missing` or `speech-model-broken`.
        """
        if self._model is not None:
            return
        started = time.monotonic()
        files = check_model(self._model_dir)
        self.model_rate_hz = files.rate_hz
        try:
            self._model = vosk.Model(str(self._model_dir))
            probe = self.new_recognizer(None)  # features that do not fit the net only show here
            probe.AcceptWaveform(bytes(2 * self.model_rate_hz // 2))
            probe.FinalResult()
        except Exception as error:
            self._model = None
            raise SpeechError(
                "speech-model-broken",
                f"Vosk cannot load {self._model_dir}: fetch it anew (hotline model add …), or choose another model",
            ) from error
        # Without a word for "anything else" a grammar would hear one of its answers in whatever is said.
        self.supports_grammar = files.supports_grammar and self._model.vosk_model_find_word(_ANYTHING_ELSE) >= 0
        self._closed = False
        for number in range(self._worker_count):
            thread = threading.Thread(target=self._work, name=f"speech-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)
        metrics.LOAD.set_function(lambda: self.workload)
        log.info(
            "speech_model_loaded",
            model=self.name,
            workers=self._worker_count,
            grammar=self.supports_grammar,
            seconds=round(time.monotonic() - started, 3),
        )

    def open(
        self, *, phrases: Sequence[str] = (), on_partial: Callable[[Partial], None] | None = None
    ) -> RecognizerStream:
        """See `Recognizer.open`. Raises SpeechError `speech-engine-closed` before `load` and after `close`."""
        if self._model is None or self._closed:
            raise SpeechError("speech-engine-closed", "the speech engine is not loaded, or closed again")
        stream = VoskStream(self, asyncio.get_running_loop(), self._grammar(phrases), on_partial)
        with self._lock:
            self._open.add(stream)
        metrics.STREAMS_OPEN.inc()
        return stream

    def close(self) -> None:
        """Fail what is still open, wait for the workers, let the model go."""
        self._closed = True
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            stream.fail(SpeechError("speech-engine-closed", "the speech engine was closed"))
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._model = None
        metrics.LOAD.set_function(lambda: 0.0)

    def _grammar(self, phrases: Sequence[str]) -> str | None:
        """Vosk's grammar of the phrases, each split into words that the model has; None for the full model."""
        if not (phrases and self.supports_grammar):
            return None
        known = [words for phrase in phrases if (words := self._words_of(phrase))]
        if len(known) < len(phrases):
            log.info("speech_phrases_not_in_model", model=self.name, left_out=len(phrases) - len(known))
        return (
            json.dumps([" ".join(words) for words in known] + [_ANYTHING_ELSE], ensure_ascii=False) if known else None
        )

    def _words_of(self, phrase: str) -> list[str]:
        """The fewest words of the model that spell the phrase; empty when none do."""
        text = "".join(phrase.split())
        best: list[list[str] | None] = [[]] + [None] * len(text)
        for end in range(1, len(text) + 1):
            for start in range(end):
                head = best[start]
                if head is None or self._model.vosk_model_find_word(text[start:end]) < 0:
                    continue
                current = best[end]
                if current is None or len(head) + 1 < len(current):
                    best[end] = [*head, text[start:end]]
        return best[-1] or []

    def new_recognizer(self, grammar: str | None) -> Any:
        """Called on a worker: making one takes a moment, with a grammar a long one."""
        arguments = (self._model, float(self.model_rate_hz)) + ((grammar,) if grammar else ())
        recognizer = vosk.KaldiRecognizer(*arguments)
        # Partials without times: with them Vosk tells each word one to two seconds later.
        recognizer.SetWords(True)
        return recognizer

    def schedule(self, stream: VoskStream) -> None:
        self._ready.put(stream)

    def gone(self, stream: VoskStream) -> None:
        with self._lock:
            if stream not in self._open:
                return
            self._open.discard(stream)
        metrics.STREAMS_OPEN.dec()

    def count(self, decode_seconds: float, audio_seconds: float) -> None:
        """A worker's time on one slice."""
        second = math.floor(time.monotonic())
        with self._lock:
            self._decode_seconds += decode_seconds
            self._audio_seconds += audio_seconds
            if self._busy and self._busy[-1][0] == second:
                self._busy[-1][1] += decode_seconds
            else:
                self._busy.append([second, decode_seconds])
        metrics.DECODE_SECONDS.observe(decode_seconds)
        metrics.AUDIO_SECONDS.inc(audio_seconds)

    def _work(self) -> None:
        while (stream := self._ready.get()) is not None:
            try:
                stream.step()
            except Exception as error:  # a worker outlives every stream
                log.exception("speech_decode_failed", model=self.name)
                metrics.STREAMS_FAILED.inc()
                stream.fail(SpeechError("speech-decode-failed", f"decoding failed: {error!r}", recoverable=True))


class VoskStream:
    """One stream. The loop's side puts sound and wishes under the lock; a worker's `step` takes them."""

    def __init__(
        self,
        engine: VoskEngine,
        loop: asyncio.AbstractEventLoop,
        grammar: str | None,
        on_partial: Callable[[Partial], None] | None,
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._grammar = grammar
        self._on_partial = on_partial
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
        self._time = FedTime()
        self._words: list[SpokenWord] = []  # in fed seconds
        self._decode_seconds = 0.0
        self._partial_text = ""

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
            if self._waiting_bytes >= _WAKE_BYTES:
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
            if not last and (self._waiting_bytes >= _WAKE_BYTES or self._final is not None or self._closed):
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
        for pcm, at_seconds in slices:
            self._time.add(at_seconds, seconds_of(pcm))
        sound = b"".join(pcm for pcm, _ in slices)
        if self._resampler is not None:
            sound = self._resampler.resample_chunk(np.frombuffer(sound, "<i2"), last=last).tobytes()
        if sound and self._recognizer.AcceptWaveform(sound):
            self._words += _words(json.loads(self._recognizer.Result()))
        if last:
            self._words += _words(json.loads(self._recognizer.FinalResult()))
        spent = time.monotonic() - started
        self._decode_seconds += spent
        self._engine.count(spent, sum(seconds_of(pcm) for pcm, _ in slices))

    def _tell_partial(self) -> None:
        if self._on_partial is None:
            return
        newest = json.loads(self._recognizer.PartialResult()).get("partial", "").split()
        text = join_words([word.text for word in self._words] + [word for word in newest if _is_word(word)])
        if text == self._partial_text:
            return
        self._partial_text = text
        partial = Partial(text)
        with self._lock:
            waiting, self._next_partial = self._next_partial, partial
        if waiting is None:
            self._on_loop(self._hand_over_partial)

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
            placed.append(SpokenWord(word.text, round(start, 3), round(end, 3), word.confidence))
        return tuple(placed)

    def _on_loop(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            log.info("speech_loop_gone", model=self._engine.name)


def _words(result: dict[str, Any]) -> list[SpokenWord]:
    return [
        SpokenWord(word["word"], float(word["start"]), float(word["end"]), min(1.0, max(0.0, float(word["conf"]))))
        for word in result.get("result", ())
        if _is_word(word["word"])
    ]


def _is_word(word: str) -> bool:
    """Not one of the marks for noise and the unknown: `[unk]`, `<UNK>`, `!SIL`."""
    return bool(word) and word[0] not in "[<!"
