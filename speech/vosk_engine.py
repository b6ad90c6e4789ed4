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

import structlog
import vosk

from speech import metrics
from speech.audio import SAMPLE_RATE_HZ
from speech.errors import SpeechError
from speech.recognizer import Partial, RecognizerStream
from speech.vosk_files import check_model
from speech.vosk_stream import VoskStream

log = structlog.get_logger(__name__)

_LOAD_WINDOW_SECONDS = 10

_ANYTHING_ELSE = "[unk]"

vosk.SetLogLevel(-1)


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
