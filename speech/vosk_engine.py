"""Vosk behind the seam: one model a process, a pool of threads, one recogniser a stream.

A stream's sound is decoded in order, by one worker at a time (vosk releases the interpreter lock while it decodes).
A worker takes half a second of a stream's sound, then the next stream's turn comes: eight callers on two cores
all get their partials. Whose final words are waited for comes first, then the other callers, and what is transcribed
after a call (`background`) only when no caller waits.

Past what the workers can do, `enter` says no to a call and `level` tells the streams what to give up.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
import vosk

from speech import metrics
from speech.admission import Admission, Level, Limits, Load
from speech.audio import SAMPLE_RATE_HZ
from speech.errors import SpeechError
from speech.recognizer import Partial, RecognizerStream
from speech.vocabulary import Vocabulary
from speech.vocabulary_ear import HEARINGS_WORK_SECONDS, ListedWords
from speech.vosk_files import check_model
from speech.vosk_stream import VoskStream

log = structlog.get_logger(__name__)

_LOAD_WINDOW_SECONDS = 10
# How much sound the pace that was measured before the last ten seconds counts for.
_PACE_MEMORY_SECONDS = 5.0
_PROBE_SECONDS = 1

_ANYTHING_ELSE = "[unk]"

vosk.SetLogLevel(-1)


class _Ready:
    """The streams that want a worker, each at most once: bounded by the open streams. The most urgent goes first."""

    def __init__(self) -> None:
        self._streams: list[VoskStream | None] = []
        self._come = threading.Condition()

    def put(self, stream: VoskStream | None) -> None:
        """None: a worker may end, once nobody waits."""
        with self._come:
            self._streams.append(stream)
            self._come.notify()

    def get(self) -> VoskStream | None:
        with self._come:
            while not self._streams:
                self._come.wait()
            return self._streams.pop(min(range(len(self._streams)), key=self._urgency))

    def _urgency(self, place: int) -> tuple[int, int]:
        stream = self._streams[place]
        return (stream.urgency if stream is not None else 3, place)


class VoskEngine:
    """A Recognizer. Call `load` before `open`, `close` at the end. Streams belong to the event loop that opened them."""

    def __init__(
        self,
        model_dir: Path,
        workers: int = 0,
        limits: Limits | None = None,
        vocabulary: Callable[[], Vocabulary] | None = None,
    ) -> None:
        """`workers`: decoding threads; 0 is one a core. `limits`: when a call is not heard live any more.

        `vocabulary`: the city's own words as they are now, asked once a stream.
        """
        self._model_dir = Path(model_dir)
        self._worker_count = workers or os.cpu_count() or 1
        self._model: Any = None
        self._lock = threading.Lock()
        self._ready = _Ready()
        self._open: set[VoskStream] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        # [wall second, decode seconds, seconds of sound], callers' only
        self._busy: deque[list[float]] = deque(maxlen=_LOAD_WINDOW_SECONDS + 1)
        self._pace = 0.0  # decode seconds a second of sound, as the probe or the seconds before the last ten had it
        self._vocabulary = vocabulary
        self._admission = Admission(limits)
        self._level = Level.NORMAL
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
        return self.measured().workload

    def measured(self) -> Load:
        """What callers give the workers to do; what is transcribed afterwards does not count, it gives way."""
        now = time.monotonic()
        with self._lock:
            lately = [row for row in self._busy if row[0] > now - _LOAD_WINDOW_SECONDS]
            busy, audio = sum(row[1] for row in lately), sum(row[2] for row in lately)
            waiting = sum(stream.backlog_seconds for stream in self._open if not stream.background)
        pace = (busy + self._pace * _PACE_MEMORY_SECONDS) / (audio + _PACE_MEMORY_SECONDS)
        behind_seconds = waiting * pace / self._worker_count
        workload = busy / (_LOAD_WINDOW_SECONDS * self._worker_count) + behind_seconds / _LOAD_WINDOW_SECONDS
        return Load(workload, behind_seconds, pace, self._worker_count)

    # admission: calls heard live

    def enter(self) -> float | None:
        """A call comes: a ticket when it can be heard live, to be given back by `leave`; None: transcribe it later."""
        load = self.measured()
        with self._lock:
            ticket = self._admission.enter(load, time.monotonic())
            self._level = self._admission.level
        return ticket

    def leave(self, ticket: float) -> None:
        with self._lock:
            self._admission.leave(ticket)

    @property
    def calls(self) -> int:
        """Calls heard live now."""
        return self._admission.calls

    @property
    def level(self) -> Level:
        """What the streams give up now, as of the last second."""
        return self._level

    @property
    def idle(self) -> bool:
        """Whether there is room for what can wait: no level is raised and a worker has time to spare."""
        self._see_level()
        return self._level is Level.NORMAL and self.measured().behind_seconds < 0.1

    def _see_level(self) -> None:
        load = self.measured()
        with self._lock:
            before, self._level = self._level, self._admission.see(load, time.monotonic())
            after, calls = self._level, self._admission.calls
        if after is not before:
            log.warning(
                "speech_level_changed",
                model=self.name,
                level=after.name.lower(),
                before=before.name.lower(),
                load=round(load.workload, 2),
                behind_seconds=round(load.behind_seconds, 2),
                calls=calls,
            )

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
            probing = time.monotonic()
            probe.AcceptWaveform(bytes(2 * self.model_rate_hz * _PROBE_SECONDS))
            probe.FinalResult()
            self._pace = (time.monotonic() - probing) / _PROBE_SECONDS
        except Exception as error:
            self._model = None
            raise SpeechError(
                "speech-model-broken",
                f"Vosk cannot load {self._model_dir}: fetch it anew (hotline model add …), or choose another model",
            ) from error
        # Without a word for "anything else" a grammar would hear one of its answers in whatever is said.
        self.supports_grammar = files.supports_grammar and self._model.vosk_model_find_word(_ANYTHING_ELSE) >= 0
        self.listed_words(background=False)  # the lists are read before the first caller waits for them
        self._closed = False
        for number in range(self._worker_count):
            thread = threading.Thread(target=self._work, name=f"speech-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)
        metrics.LOAD.set_function(lambda: self.workload)
        metrics.LEVEL.set_function(lambda: float(self._level))
        log.info(
            "speech_model_loaded",
            model=self.name,
            workers=self._worker_count,
            grammar=self.supports_grammar,
            seconds=round(time.monotonic() - started, 3),
        )

    def open(
        self,
        *,
        phrases: Sequence[str] = (),
        on_partial: Callable[[Partial], None] | None = None,
        background: bool = False,
    ) -> RecognizerStream:
        """See `Recognizer.open`. `background`: decoded only while no caller waits. Raises SpeechError `speech-engine-closed` before `load` and after `close`."""
        if self._model is None or self._closed:
            raise SpeechError("speech-engine-closed", "the speech engine is not loaded, or closed again")
        # Where one of a few answers is expected no place is meant.
        stream = VoskStream(
            self, asyncio.get_running_loop(), self._grammar(phrases), on_partial, background, listed_words=not phrases
        )
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
        metrics.LEVEL.set_function(lambda: 0.0)

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

    def listed_words(self, *, background: bool) -> ListedWords | None:
        """Called on a worker: what puts the city's own words into one stream; None when there are none."""
        try:
            vocabulary = self._vocabulary() if self._vocabulary is not None else None
        except Exception:  # a list of names is no reason to lose what a caller says
            log.exception("vocabulary_failed", model=self.name)
            return None
        if vocabulary is None or not vocabulary.entries:
            return None
        return ListedWords(
            vocabulary,
            lambda: self.new_recognizer(None),
            self.model_rate_hz,
            lambda: math.inf if background else self._seconds_for_hearings(),
        )

    def _seconds_for_hearings(self) -> float:
        """So much sound may be heard a second time while its caller waits for the final words."""
        load = self.measured()
        return HEARINGS_WORK_SECONDS / max(load.pace, 0.001) if self._level is Level.NORMAL else 0.0

    def schedule(self, stream: VoskStream) -> None:
        self._ready.put(stream)

    def gone(self, stream: VoskStream) -> None:
        with self._lock:
            if stream not in self._open:
                return
            self._open.discard(stream)
        metrics.STREAMS_OPEN.dec()

    def count(self, decode_seconds: float, audio_seconds: float, *, background: bool = False) -> None:
        """A worker's time on one slice."""
        second = math.floor(time.monotonic())
        new_second = False
        if not background:
            with self._lock:
                if self._busy and self._busy[-1][0] == second:
                    self._busy[-1][1] += decode_seconds
                    self._busy[-1][2] += audio_seconds
                else:
                    new_second = True
                    if len(self._busy) == self._busy.maxlen:
                        oldest = self._busy[0]
                        whole = oldest[2] + _PACE_MEMORY_SECONDS
                        self._pace = (oldest[1] + self._pace * _PACE_MEMORY_SECONDS) / whole
                    self._busy.append([second, decode_seconds, audio_seconds])
        metrics.DECODE_SECONDS.observe(decode_seconds)
        metrics.AUDIO_SECONDS.inc(audio_seconds)
        if new_second:
            self._see_level()

    def _work(self) -> None:
        while (stream := self._ready.get()) is not None:
            try:
                stream.step()
            except Exception as error:  # a worker outlives every stream
                log.exception("speech_decode_failed", model=self.name)
                metrics.STREAMS_FAILED.inc()
                stream.fail(SpeechError("speech-decode-failed", f"decoding failed: {error!r}", recoverable=True))
