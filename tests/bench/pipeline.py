"""CPU a second of the caller's sound: our way (detector, speech only, engine) against raw `vosk.KaldiRecognizer`.

Ours runs as in calls: several callers at once, paced at real time, partial transcripts on. Raw gets the same sound, all
of it, in pieces of 0.2 s (what vosk-server's clients send), in two ways: paced for the same callers at once with a
partial result a piece, in one thread; and one clip after the other as fast as it goes without partials, which keeps the
processor's caches warm and is the least that the decoding itself can cost. The repetitions are interleaved; CPU is the
process's, not the clock's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vosk

from bench.figures import Figure, PartResult, median, spread_of
from bench.parts import Bench
from bench.processes import cores
from bench.sounds import Clip, frames_of
from hotline.parts import make_engine
from speech.audio import BYTES_PER_SECOND, FRAME_MS, SAMPLE_RATE_HZ, read_telephone, seconds_of
from speech.models import find_model
from speech.recognizer import Partial, Recognizer, RecognizerStream
from speech.transcribe import SpeechOnly

RAW_PIECE_BYTES = BYTES_PER_SECOND // 5
# What the callers at once may need of the machine: past it ours would wait, and a call's pace would be lost.
LOAD_SHARE = 0.5
CALLERS_MOST = 12


def _raw_recognizer(model: Any) -> Any:
    recognizer = vosk.KaldiRecognizer(model, float(SAMPLE_RATE_HZ))
    recognizer.SetWords(True)
    return recognizer


def raw_at_once_cpu(model: Any, clips: Sequence[Clip]) -> float:
    """CPU seconds a second of sound: one clip after the other, no pause, no partials."""
    started = time.process_time()
    for clip in clips:
        recognizer = _raw_recognizer(model)
        for at in range(0, len(clip.pcm), RAW_PIECE_BYTES):
            if recognizer.AcceptWaveform(clip.pcm[at : at + RAW_PIECE_BYTES]):
                recognizer.Result()
        recognizer.FinalResult()
    return (time.process_time() - started) / sum(clip.seconds for clip in clips)


def raw_paced_cpu(model: Any, clips: Sequence[Clip]) -> float:
    """CPU seconds a second of sound: all clips at once, at real time, a partial a piece."""
    started, begun = time.process_time(), time.monotonic()
    recognizers = [_raw_recognizer(model) for _ in clips]
    for number in range(-(-max(len(clip.pcm) for clip in clips) // RAW_PIECE_BYTES)):
        for recognizer, clip in zip(recognizers, clips, strict=True):
            piece = clip.pcm[number * RAW_PIECE_BYTES : (number + 1) * RAW_PIECE_BYTES]
            if piece and recognizer.AcceptWaveform(piece):
                recognizer.Result()
            elif piece:
                recognizer.PartialResult()
        time.sleep(max(0.0, begun + (number + 1) * RAW_PIECE_BYTES / BYTES_PER_SECOND - time.monotonic()))
    for recognizer in recognizers:
        recognizer.FinalResult()
    return (time.process_time() - started) / sum(clip.seconds for clip in clips)


def _ignore(_partial: Partial) -> None:
    pass


class _Caller:
    """One caller's sound on its way through the pipeline, as `ivr.listen` sends it."""

    def __init__(self, recognizer: Recognizer, clip: Clip) -> None:
        self._recognizer = recognizer
        self._frames = frames_of(clip.pcm)
        self._only = SpeechOnly()
        self.stream: RecognizerStream | None = None
        self.fed_bytes = 0

    def frame(self, number: int) -> None:
        if number >= len(self._frames):
            return
        for wanted, at_seconds in self._only.take(self._frames[number], number * FRAME_MS / 1000):
            if self.stream is None:
                self.stream = self._recognizer.open(on_partial=_ignore)
            self.stream.feed(wanted, at_seconds)
            self.fed_bytes += len(wanted)


async def our_cpu(recognizer: Recognizer, clips: Sequence[Clip]) -> tuple[float, float]:
    """CPU seconds a second of sound, and the share of the sound that was worth decoding."""
    callers = [_Caller(recognizer, clip) for clip in clips]
    started, begun = time.process_time(), time.monotonic()
    for number in range(max(len(frames_of(clip.pcm)) for clip in clips)):
        for caller in callers:
            caller.frame(number)
        await asyncio.sleep(max(0.0, begun + (number + 1) * FRAME_MS / 1000 - time.monotonic()))
    await asyncio.gather(*(caller.stream.finish() for caller in callers if caller.stream is not None))
    spent = time.process_time() - started
    seconds = sum(clip.seconds for clip in clips)
    fed = sum(caller.fed_bytes for caller in callers) / BYTES_PER_SECOND
    return spent / seconds, fed / seconds


def recorded_calls(folder: Path) -> list[Clip]:
    """The callers' sides that the part `calls` has recorded in this run's folder; none when it has not run."""
    sounds = [read_telephone(path) for path in sorted(folder.glob("*.wav"))]
    return [Clip(pcm, 0.0, "") for pcm in sounds if seconds_of(pcm) > 5]


def measure(bench: Bench) -> PartResult:
    """Speech without a pause, and calls as they are."""
    return asyncio.run(_measure(bench))


async def _measure(bench: Bench) -> PartResult:
    engine = make_engine(bench.settings)
    engine.load()
    model = vosk.Model(str(find_model(bench.settings.speech.model, bench.settings.models_dir).path))
    callers = bench.callers()
    bench.say("speaking the callers' sentences")
    pace = raw_at_once_cpu(model, [callers.story(6.0)])
    count = max(1, min(CALLERS_MOST, int(LOAD_SHARE * len(cores()) / pace)))
    recorded = recorded_calls(bench.out / "recorded")
    calls = [recorded[n % len(recorded)] for n in range(count)] if recorded else [callers.call(n) for n in range(count)]
    kinds = {
        "speech without a pause": [callers.story(8.0 if bench.quick else 12.0, first=n) for n in range(count)],
        "real calls" if recorded else "calls as they are (imitated)": calls,
    }
    repetitions = 2 if bench.quick else 4
    figures: list[Figure] = []
    notes = [f"{count} callers at once, paced at real time, partials on"]
    try:
        for kind, clips in kinds.items():
            ours: list[float] = []
            paced: list[float] = []
            at_once: list[float] = []
            fed = 0.0
            for repetition in range(repetitions):
                bench.say(f"{kind}: {repetition + 1} of {repetitions}")
                cpu, fed = await our_cpu(engine, clips)
                ours.append(cpu)
                paced.append(raw_paced_cpu(model, clips))
                at_once.append(raw_at_once_cpu(model, clips))
            goal = 1.05 if "without a pause" in kind else 1.0
            figures += [
                _figure(kind, ours, "raw KaldiRecognizer, same callers at once, same pace", paced, goal),
                _figure(kind, ours, "raw KaldiRecognizer, one clip after the other, no partials", at_once, None),
            ]
            notes.append(f"{kind}: {fed:.0%} of the sound was worth decoding")
    finally:
        engine.close()
    return PartResult("pipeline", tuple(figures), notes=tuple(notes))


def _figure(kind: str, ours: Sequence[float], yardstick: str, theirs: Sequence[float], goal: float | None) -> Figure:
    return Figure(
        f"CPU a second of sound, {kind}",
        median(ours),
        "s",
        yardstick,
        median(theirs),
        goal=goal,
        of_ratio=True,
        spread=spread_of(ours, 4),
        note=f"{yardstick}: {spread_of(theirs, 4)}",
    )
