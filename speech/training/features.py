"""Sound -> log-mel frames with a label each, and the fixed maps to what Vosk computes from them.

What is kept is the log-mel spectrum: MFCC is a fixed linear map of it (`dct`), so training can still bend and mask
frequency bands.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from speech.training.calls import RATE_HZ, Call, Sound, imitated_call, resampled
from speech.training.clips import SILENT, UNKNOWN, Clip, Span
from speech.training.units import UNIT_INDEX

BANDS = 40
LOW_HZ, HIGH_HZ = 40, 3800
FRAME_SECONDS = 0.01
_CENTRE_SECONDS = 0.0125  # frames are 25 ms long
# Labels: unit * 2, plus 1 on the unit's first frame. Training leaves UNLABELLED frames out.
UNLABELLED = -100
CMN_FRAMES, CMN_GLOBAL_FRAMES = 600, 200
Frames = NDArray[np.float16]
Labels = NDArray[np.int16]


def log_mel(sound: Sound) -> NDArray[np.float32]:
    """(frames, BANDS): the filter bank of conf/mfcc.conf, by Kaldi's own arithmetic; `sound` in 16-bit units."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither, options.frame_opts.snip_edges = RATE_HZ, 0, True
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = BANDS, LOW_HZ, HIGH_HZ - 4000
    options.use_energy = False
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(RATE_HZ, sound.astype(np.float32).tolist())
    bank.input_finished()
    count = bank.num_frames_ready
    return np.stack([bank.get_frame(i) for i in range(count)]) if count else np.zeros((0, BANDS), np.float32)


def dct(lifter: float = 22.0) -> NDArray[np.float32]:
    """(BANDS, BANDS): mfcc = dct() @ log_mel. Kaldi's DCT-II with its cepstral lifter."""
    matrix = np.zeros((BANDS, BANDS))
    matrix[0] = math.sqrt(1 / BANDS)
    for k in range(1, BANDS):
        matrix[k] = math.sqrt(2 / BANDS) * np.cos(np.pi / BANDS * (np.arange(BANDS) + 0.5) * k)
    lift = 1 + lifter / 2 * np.sin(np.pi * np.arange(BANDS) / lifter)
    return (matrix * lift[:, None]).astype(np.float32)


def online_mean(
    frames: NDArray[Any], global_mean: NDArray[np.float64], before: int = 0, before_mean: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """What Vosk subtracts at each frame when am/global_cmvn.stats exists (Kaldi's OnlineCmvn, default options): the
    mean of the last CMN_FRAMES frames, filled up with at most CMN_GLOBAL_FRAMES global ones.

    `before` frames of `before_mean` stand for speech of the same call before this clip.
    """
    whole = frames.astype(np.float64)
    if before and before_mean is not None:
        whole = np.concatenate([np.repeat(before_mean[None], before, 0), whole])
    total = np.concatenate([np.zeros((1, whole.shape[1])), np.cumsum(whole, 0)])
    now = np.arange(len(whole) - len(frames), len(whole))
    first = np.maximum(0, now + 1 - CMN_FRAMES)
    count = (now + 1 - first)[:, None]
    extra = np.where(count < CMN_FRAMES, np.minimum(CMN_FRAMES - count, CMN_GLOBAL_FRAMES), 0)
    mean: NDArray[np.float64] = (total[now + 1] - total[first] + extra * global_mean) / (count + extra)
    return mean


def labels_of(clip_units: Sequence[str], spans: Iterable[Span], call: Call, count: int) -> Labels:
    """The label of each of `count` frames: silence where no span lies."""
    labels = np.zeros(count, np.int16)
    for span in spans:
        start, end = (
            round((call.lead_seconds + seconds / call.pace - _CENTRE_SECONDS) / FRAME_SECONDS)
            for seconds in (span.start_seconds, span.end_seconds)
        )
        if end <= start or start >= count:
            continue
        begin = max(start, 0)
        if span.unit == SILENT:
            labels[begin:end] = 0
        elif span.unit == UNKNOWN:
            labels[begin:end] = UNLABELLED
        else:
            labels[begin:end] = 2 * UNIT_INDEX[clip_units[span.unit]]
            labels[begin] += 1
    return labels


def read_mono(path: Path | str) -> tuple[NDArray[np.float32], int]:
    sound, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    return sound.mean(1), rate


@dataclass(frozen=True, slots=True)
class Utterance:
    """Clips of one speaker said one after the other (isolated words are joined so that they are like speech), to be
    sent through one imitated call."""

    clips: tuple[Clip, ...]
    seed: int
    warp: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a source's clips become utterances. `copies` of each through as many calls. `join`: how many clips, from and
    to. `warp`: vocal tract factors. `min_match`: clips aligned worse have a wrong transcript."""

    copies: int
    join: tuple[int, int] = (1, 1)
    warp: tuple[float, float] = (0.8, 1.18)
    min_match: float = -2.5


def utterances_of(clips: Sequence[Clip], recipe: Recipe, seed: int) -> list[Utterance]:
    rng = random.Random(seed)
    speakers: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.spans and (clip.match is None or clip.match >= recipe.min_match):
            speakers.setdefault(clip.speaker if recipe.join != (1, 1) else clip.wav, []).append(clip)
    out: list[Utterance] = []
    for _ in range(recipe.copies):
        for own in speakers.values():
            left = rng.sample(own, len(own))
            while left:
                count = rng.randint(*recipe.join)
                out.append(Utterance(tuple(left[:count]), seed * 1_000_003 + len(out), recipe.warp))
                left = left[count:]
    return out


def _joined(utterance: Utterance) -> tuple[NDArray[np.float32], int, tuple[str, ...], list[Span]]:
    """One sound with the clips' speech, gaps of up to 0.4 s between, and the spans on its clock."""
    rng = random.Random(utterance.seed)
    units: list[str] = []
    spans: list[Span] = []
    parts: list[NDArray[np.float32]] = []
    now, rate = 0.0, 0
    for number, clip in enumerate(utterance.clips):
        sound, rate = read_mono(clip.wav)
        spoken = [span for span in clip.spans if span.unit != SILENT]
        if not spoken:
            continue
        alone = len(utterance.clips) == 1
        before, after = (0.15, 0.15) if alone else (rng.uniform(0.02, 0.1), rng.uniform(0.02, 0.12))
        first = max(0.0, spoken[0].start_seconds - before)
        last = min(len(sound) / rate, spoken[-1].end_seconds + after)
        part = sound[int(first * rate) : int(last * rate)].copy()
        part *= 0.1 * 10 ** (rng.uniform(-0.18, 0.18) if not alone else 0) / (np.sqrt((part**2).mean()) + 1e-6)
        fade = min(80, len(part) // 4)
        part[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        part[len(part) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        if number and rng.random() > 0.35:
            gap = rng.uniform(0, 0.4)
            spans.append(Span(SILENT, now, now + gap))
            parts.append(np.zeros(int(gap * rate), np.float32))
            now += len(parts[-1]) / rate
        for span in clip.spans:
            start, end = max(span.start_seconds, first), min(span.end_seconds, last)
            if end > start:
                place = span.unit if span.unit < 0 else span.unit + len(units)
                spans.append(Span(place, now + start - first, now + end - first))
        units += clip.units
        parts.append(part)
        now += len(part) / rate
    return (np.concatenate(parts) if parts else np.zeros(0, np.float32)), rate, tuple(units), spans


_BABBLE: list[Sound] = []


def _start(babble_clips: Sequence[Clip]) -> None:
    for clip in babble_clips:
        sound, rate = read_mono(clip.wav)
        voice = resampled(sound, rate)[0]
        _BABBLE.append(voice / (voice.std() + 1e-6))


def _work(utterance: Utterance) -> tuple[Frames, Labels] | None:
    try:
        sound, rate, units, spans = _joined(utterance)
        if not len(sound):
            return None
        call = imitated_call(sound, rate, utterance.seed, _BABBLE, warp=utterance.warp)
        frames = log_mel(call.sound)
        return frames.astype(np.float16), labels_of(units, spans, call, len(frames))
    except Exception as error:
        print(f"left out: {utterance.clips[0].wav}: {error}", flush=True)
        return None


def make_features(
    target: Path, clips: Sequence[Clip], recipe: Recipe, seed: int, told: Callable[[int, int], None]
) -> float:
    """Writes the frames and labels of all utterances (npz: `frames` (n, BANDS) float16, `labels` (n,) int16,
    `lengths`). Hours written. 20 s of one core make an hour."""
    utterances = utterances_of(clips, recipe, seed)
    babble = random.Random(5).sample(list(clips), min(60, len(clips)))
    with get_context("spawn").Pool(initializer=_start, initargs=(babble,)) as pool:
        done: list[tuple[Frames, Labels]] = []
        for number, made in enumerate(pool.imap(_work, utterances, chunksize=16), 1):
            if made is not None and len(made[0]) > 30:
                done.append(made)
            told(number, len(utterances))
    part = target.with_suffix(".part.npz")
    np.savez(
        part,
        frames=np.concatenate([frames for frames, _ in done]),
        labels=np.concatenate([labels for _, labels in done]),
        lengths=np.array([len(frames) for frames, _ in done]),
    )
    part.replace(target)
    return sum(len(frames) for frames, _ in done) * FRAME_SECONDS / 3600
