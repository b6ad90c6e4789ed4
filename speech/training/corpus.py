"""Feature files -> the chunks that training draws, each with a tempo, a vocal tract, a channel and masks of its own."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from speech.training.features import BANDS, HIGH_HZ, LOW_HZ, UNLABELLED, dct, online_mean
from speech.training.mmi import Numerator
from speech.training.net import SUBSAMPLING, NetShape

CHUNK_OUTPUTS = 80  # 2.4 s
_WARPS = 41
_TOLERANCE = 3  # output frames that a unit may lie beside its alignment


@dataclass(frozen=True, slots=True)
class Source:
    """`share` of the chunks of a step (shares are normalised). `slowest`, `fastest`: the tempo is drawn between, 1 as
    it is: 0.6 to 1.05 for voices that are too quick, 0.95 to 1.8 for words read one by one."""

    features: Path
    share: float
    slowest: float
    fastest: float


@dataclass(frozen=True, slots=True)
class Batch:
    """`frames` (batch, inputs, BANDS) MFCC; `targets` (batch, CHUNK_OUTPUTS) units or UNLABELLED; `said`."""

    frames: Tensor
    targets: Tensor
    said: Numerator


@dataclass(frozen=True, slots=True)
class _Segments:
    """All labelled units in order of time: frames from `starts` to `ends`."""

    units: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class Corpus:
    """All sources in memory: log-mel frames, their running means, labels, and where chunks begin."""

    def __init__(
        self, sources: Sequence[Source], shape: NetShape, seed: int, global_mean: NDArray[np.float64] | None = None
    ) -> None:
        self.context = shape.context
        self.inputs = SUBSAMPLING * CHUNK_OUTPUTS + 2 * self.context - 2
        self.global_mean = _mean_of(sources) if global_mean is None else global_mean
        rng = np.random.default_rng(seed)
        frames, means, labels = [], [], []
        self.starts: list[Tensor] = []
        position = 0
        for source in sources:
            own: list[int] = []
            stored = np.load(source.features)
            all_frames, all_labels, offset = stored["frames"], stored["labels"], 0
            for length in stored["lengths"]:
                x, y = all_frames[offset : offset + length], all_labels[offset : offset + length]
                offset += int(length)
                speech = np.flatnonzero(y > 1)
                if len(speech) < 10:
                    continue
                # Half of the chunks come in the middle of a call, when the mean has long settled.
                before = int(rng.integers(100, 700)) if rng.random() < 0.5 else 0
                mean = online_mean(x, self.global_mean, before, x.astype(np.float64).mean(0)).astype(np.float16)
                first = max(0, int(speech[0]) - int(rng.integers(8, 40)))
                last = min(int(length), int(speech[-1]) + int(rng.integers(8, 40)))
                chunks = max(1, round((last - first) / (SUBSAMPLING * CHUNK_OUTPUTS)))
                pad = (self.context, max(0, chunks * SUBSAMPLING * CHUNK_OUTPUTS - (last - first)) + self.context + 3)
                frames.append(np.pad(x[first:last], (pad, (0, 0)), mode="edge"))
                means.append(np.pad(mean[first:last], (pad, (0, 0)), mode="edge"))
                labels.append(np.pad(y[first:last], pad, constant_values=UNLABELLED))
                own += [position + number * SUBSAMPLING * CHUNK_OUTPUTS for number in range(chunks)]
                position += len(frames[-1])
            self.starts.append(torch.tensor(own))
        self._frames = torch.from_numpy(np.concatenate(frames))
        self._means = torch.from_numpy(np.concatenate(means))
        flat = np.concatenate(labels)
        self._segments = _segments_of(flat)
        self._units = torch.from_numpy(np.where(flat == UNLABELLED, UNLABELLED, flat >> 1).astype(np.int64))
        self._slow = torch.tensor([math.log(source.slowest) for source in sources])
        self._fast = torch.tensor([math.log(source.fastest) for source in sources])
        self._dct = torch.from_numpy(dct())
        self._warps = mel_warps(0.1)

    @property
    def hours(self) -> float:
        return len(self._frames) / 360000

    def unit_rows(self, limit: int = 200_000) -> list[NDArray[np.int64]]:
        """Sequences of units as they were said, for the trigram of the rivals."""
        segments = self._segments
        breaks = np.flatnonzero(segments.starts[1:] > segments.ends[:-1]) + 1
        return np.split(segments.units, breaks)[:limit]

    def plain(self, starts: Tensor) -> Batch:
        """Chunks as they are."""
        return self._batch(starts.double() + self.context, torch.ones(len(starts)).double(), None)

    def varied(self, starts: Tensor, source: Tensor) -> Batch:
        """Chunks bent and damaged, at random."""
        count = len(starts)
        tempo = torch.exp(self._slow[source] + torch.rand(count) * (self._fast - self._slow)[source])
        tempo = torch.where(torch.rand(count) < 0.1, torch.ones(count), tempo).double()
        moved = (starts + torch.randint(-120, 121, (count,))).clamp_min(0).double()
        centre = moved + self.context + 1.5 * CHUNK_OUTPUTS
        first_output = centre - 1.5 * CHUNK_OUTPUTS * tempo
        return self._batch(first_output, tempo, torch.randint(0, _WARPS, (count,)))

    def _batch(self, first_output: Tensor, tempo: Tensor, warp: Tensor | None) -> Batch:
        """`first_output`: the (fractional) frame on which the first output is centred; `tempo` frames a frame."""
        steps = torch.arange(self.inputs)[None] - self.context
        at = (first_output[:, None] + steps * tempo[:, None]).clamp(0, len(self._frames) - 2)
        whole = at.floor().long()
        rest = (at - whole)[..., None].float()
        x = (self._frames[whole].float() - self._means[whole].float()) * (1 - rest)
        x = x + (self._frames[whole + 1].float() - self._means[whole + 1].float()) * rest
        if warp is not None:
            x = _damaged(torch.bmm(x, self._warps[warp]))
        outputs = at.round().long()[:, self.context : self.context + SUBSAMPLING * CHUNK_OUTPUTS : SUBSAMPLING]
        targets = self._units[outputs]
        return Batch(x @ self._dct.T, targets, self._said(first_output.numpy(), tempo.numpy(), targets))

    def _said(self, first_output: NDArray[np.float64], tempo: NDArray[np.float64], targets: Tensor) -> Numerator:
        """The units of each chunk with their windows. Only the longest labelled stretch counts."""
        rows: list[tuple[list[int], list[int], list[int]]] = []
        begins, ends = [], []
        segments = self._segments
        for chunk in range(len(first_output)):
            begin, end = _longest_run((targets[chunk] != UNLABELLED).numpy())
            begins.append(begin)
            ends.append(end)
            step = SUBSAMPLING * tempo[chunk]
            left, right = first_output[chunk] + begin * step, first_output[chunk] + (end - 1) * step
            low = int(np.searchsorted(segments.ends, left, side="right"))
            high = int(np.searchsorted(segments.starts, right, side="right"))
            units, first, last = [], [], []
            for number in range(low, high):
                units.append(int(segments.units[number]))
                first.append(math.floor((segments.starts[number] - first_output[chunk]) / step) - _TOLERANCE)
                last.append(math.ceil((segments.ends[number] - first_output[chunk]) / step) + _TOLERANCE)
            rows.append((units, first, last))
        width = max(1, *(len(units) for units, _, _ in rows))
        padded = np.zeros((3, len(rows), width), np.int64)
        for chunk, row in enumerate(rows):
            for kind in range(3):
                padded[kind, chunk, : len(row[kind])] = row[kind]
        units, first, last = (torch.from_numpy(padded[kind]) for kind in range(3))
        states = torch.tensor([len(units) for units, _, _ in rows])
        return Numerator(units, first, last, states, torch.tensor(begins), torch.tensor(ends))


def _longest_run(on: NDArray[np.bool_]) -> tuple[int, int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    best = int(lengths.argmax())
    return int(edges[2 * best]), int(edges[2 * best + 1])


def _segments_of(labels: NDArray[np.int16]) -> _Segments:
    units = np.where(labels == UNLABELLED, -1, labels >> 1).astype(np.int64)
    change = np.flatnonzero((units[1:] != units[:-1]) | ((labels[1:] != UNLABELLED) & (labels[1:] & 1 == 1))) + 1
    starts = np.concatenate([[0], change])
    ends = np.concatenate([change, [len(labels)]])
    real = units[starts] >= 0
    return _Segments(units[starts][real], starts[real], ends[real])


def _mean_of(sources: Sequence[Source]) -> NDArray[np.float64]:
    means = [np.load(source.features)["frames"][::37].astype(np.float64).mean(0) for source in sources]
    mean: NDArray[np.float64] = np.mean(means, 0)
    return mean


def mel_warps(width: float) -> Tensor:
    """(_WARPS, BANDS, BANDS): x @ warps[k] moves the bands as a vocal tract 1-width … 1+width times as long would."""

    def mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(1127 * np.log(1 + np.asarray(hertz) / 700))

    centres = np.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2)[1:-1]
    hertz = 700 * (np.exp(centres / 1127) - 1)
    out = []
    for factor in np.linspace(1 - width, 1 + width, _WARPS):
        moved = hertz * factor
        moved = np.where(moved < 3200, moved, 3200 + (moved - 3200) * 0.3)
        place = np.interp(mel(moved), centres, np.arange(BANDS))
        low = np.minimum(place.astype(int), BANDS - 2)
        matrix = np.zeros((BANDS, BANDS), np.float32)
        matrix[np.arange(BANDS), low] = 1 - (place - low)
        matrix[np.arange(BANDS), low + 1] += (place - low).astype(np.float32)
        out.append(matrix.T)
    return torch.from_numpy(np.stack(out))


def _damaged(x: Tensor) -> Tensor:
    """A channel's ripple, then a masked band and a masked stretch of time."""
    count, length = x.shape[:2]
    band = torch.linspace(-1, 1, BANDS)[None]

    def drawn(size: float) -> Tensor:
        return torch.randn(count, 1) * size

    wave = torch.cos(math.pi * (band + 1) * torch.rand(count, 1) * 2 + 2 * math.pi * torch.rand(count, 1))
    x = x + (drawn(1.0) + drawn(0.7) * band + drawn(0.6) * wave)[:, None]
    for chunk in range(count):
        if random.random() < 0.5:
            width = random.randint(1, 6)
            low = random.randint(0, BANDS - 1 - width)
            x[chunk, :, low : low + width] = x[chunk, :, low : low + width].mean()
        if random.random() < 0.5:
            width = random.randint(4, 20)
            start = random.randint(0, length - width)
            x[chunk, start : start + width] = x[chunk].mean(0)
    return x
