"""Forced alignment: when was each unit said, by a model that is there already; and how well the transcript fits."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from speech.training.calls import plain_call
from speech.training.clips import SILENT, Clip, Span
from speech.training.features import FRAME_SECONDS, dct, log_mel, online_mean, read_mono
from speech.training.units import PAUSE, SILENCE, UNIT_INDEX, UNITS

LEAD_SECONDS = 0.3
_PRIOR_SCALE = 0.6
# A frame is 25 ms long; its label is that of its middle.
_MIDDLE_SECONDS = 0.0075
# A single word has no mean of its own: from so many of the speaker's clips on the speaker's mean is subtracted.
_SPEAKER_CLIPS = 3


@njit(cache=True)
def _viterbi(scores: Any, units: Any, optional: Any) -> Any:
    """The best state for each frame. `scores` (frames, units); optional states may be left out."""
    frames, states = scores.shape[0], len(units)
    best = np.full(states, -1e30)
    back = np.zeros((frames, states), np.int8)
    best[0] = scores[0, units[0]]
    if optional[0] and states > 1:
        best[1] = scores[0, units[1]]
    for frame in range(1, frames):
        for state in range(states - 1, -1, -1):
            value, step = best[state], 0
            if state > 0 and best[state - 1] > value:
                value, step = best[state - 1], 1
            if state > 1 and optional[state - 1] and best[state - 2] > value:
                value, step = best[state - 2], 2
            best[state] = value + scores[frame, units[state]]
            back[frame, state] = step
    state = states - 1
    if optional[state] and states > 1 and best[state - 1] > best[state]:
        state -= 1
    path = np.zeros(frames, np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= back[frame, state]
    return path


class Aligner:
    """One model on one thread."""

    def __init__(self, model: Path) -> None:
        import torch

        from speech.training.train import load_trained

        torch.set_num_threads(1)
        trained = load_trained(model)
        self._torch, self._net, self._global_mean = torch, trained.net, trained.global_mean
        self._log_prior = np.log(trained.prior)
        self._dct = dct()

    def frames(self, clip: Clip) -> NDArray[np.float64]:
        sound, rate = read_mono(clip.wav)
        return log_mel(plain_call(sound, rate, LEAD_SECONDS).sound).astype(np.float64)

    def scores(self, frames: NDArray[np.float64], mean: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """(frames, units): log likelihoods up to a constant, each 10 ms: the net runs at each phase of its 30 ms grid."""
        count, context = len(frames), self._net.shape.context
        if mean is None:
            mean = online_mean(frames, self._global_mean, 300, frames.mean(0))
        padded = np.pad(frames - mean, ((context, context + 6), (0, 0)), mode="edge").astype(np.float32) @ self._dct.T
        x = self._torch.from_numpy(padded)
        scores = np.zeros((count + 6, len(UNITS)))
        with self._torch.no_grad():
            for phase in range(3):
                logits = self._net(x[None, phase:])[1][0]
                values = self._torch.log_softmax(logits, -1).numpy()
                at = np.arange(len(values)) * 3 + phase
                scores[at[at < count]] = values[at < count]
        out: NDArray[np.float64] = scores[:count] - _PRIOR_SCALE * self._log_prior
        return out

    def align(self, clip: Clip, mean: NDArray[np.float64] | None = None) -> Clip | None:
        """The clip with the spans that the model finds, and how well they match; None when it is too short."""
        frames = self.frames(clip)
        states = [
            place
            for place, unit in enumerate(clip.units)
            if unit != PAUSE or place in (0, len(clip.units) - 1) or clip.units[place - 1] != PAUSE
        ]
        units = np.array([UNIT_INDEX[SILENCE if clip.units[place] == PAUSE else clip.units[place]] for place in states])
        if len(frames) < 2 * len(states):
            return None
        scores = self.scores(frames, mean)
        path = _viterbi(scores, units, np.array([clip.units[place] == PAUSE for place in states]))
        chosen = units[path]
        spoken = chosen != UNIT_INDEX[SILENCE]
        match = float((scores[np.arange(len(path)), chosen] - scores.max(1))[spoken].mean()) if spoken.any() else -99.0
        edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
        spans = []
        for start, end in pairwise(edges):
            place = states[path[start]]
            unit = SILENT if clip.units[place] == PAUSE else place
            begin, finish = (frame * FRAME_SECONDS + _MIDDLE_SECONDS - LEAD_SECONDS for frame in (start, end))
            if finish > 0:
                spans.append(Span(unit, max(0.0, begin), finish))
        return clip.with_spans(spans, round(match, 3))


_STATE: dict[str, Aligner] = {}


def _start(model: Path) -> None:
    _STATE["aligner"] = Aligner(model)


def _sums(clip: Clip) -> tuple[str, NDArray[np.float64], int]:
    frames = _STATE["aligner"].frames(clip)
    return clip.speaker, frames.sum(0), len(frames)


def _one(job: tuple[Clip, NDArray[np.float64] | None]) -> Clip | None:
    try:
        return _STATE["aligner"].align(*job)
    except Exception as error:
        print(f"left out: {job[0].wav}: {error}", flush=True)
        return None


def align_all(
    model: Path, clips: Sequence[Clip], told: Callable[[int, int], None], *, words_apart: bool = False
) -> list[Clip]:
    """Aligned clips, in their order, those that cannot be left out. `words_apart`: clips are single words, whose mean
    is the speaker's (of up to 60 clips)."""
    with get_context("spawn").Pool(initializer=_start, initargs=(model,)) as pool:
        means: dict[str, NDArray[np.float64]] = {}
        if words_apart:
            means = _speaker_means(pool, clips)
        jobs = [(clip, means.get(clip.speaker)) for clip in clips]
        aligned = []
        for number, done in enumerate(pool.imap(_one, jobs, 20), 1):
            told(number, len(jobs))
            if done is not None:
                aligned.append(done)
    return aligned


def _speaker_means(pool: Any, clips: Sequence[Clip]) -> dict[str, NDArray[np.float64]]:
    rng = random.Random(3)
    speakers: dict[str, list[Clip]] = {}
    for clip in clips:
        speakers.setdefault(clip.speaker, []).append(clip)
    chosen = [
        clip for own in speakers.values() if len(own) >= _SPEAKER_CLIPS for clip in rng.sample(own, min(60, len(own)))
    ]
    sums: dict[str, tuple[Any, int]] = {}
    for speaker, total, count in pool.imap(_sums, chosen, 20):
        before, frames = sums.get(speaker, (0.0, 0))
        sums[speaker] = (before + total, frames + count)
    return {speaker: total / count for speaker, (total, count) in sums.items()}
