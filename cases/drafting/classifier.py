"""What a text is about, learned from labelled messages: n-grams of characters and of sounds, a linear model.

Sounds survive what a recogniser writes wrongly (四大建立 for 私自搭建); characters tell homophones apart. The model is
plain numbers, votes together with the word tables, and every n-gram knows where it stands, so that a class can show the
words that speak for it. `learning.py` makes models, `model_file.py` keeps them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from cases.drafting.calibration import Points, calibrated
from cases.drafting.pinyin import hear, sound_key

_SILENT = "·"
_LENGTHS = (1, 2, 3)
MAX_CHARS = 1500  # of a text: beyond that nothing new is said
_NOTHING_SAID = 0.3  # a class that no word of the tables speaks for still has this weight in the joint vote
_LEAST_WHY = 0.5  # of the strongest stretch: weaker ones are not shown

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Vote:
    label: str
    share: float  # of the joint vote, 0-1


@dataclass(frozen=True, slots=True)
class Model:
    """One field's classes. Rows of `weights` (float32, grams × labels) belong to `grams`, columns to `labels`.

    `own_power`, `table_power`: how much the model and the word tables count in the joint vote.
    `calibration`: from the winner's share of the joint vote to how often such a winner was right.
    """

    labels: tuple[str, ...]
    grams: Mapping[str, int]
    idf: Floats
    weights: Floats
    bias: Floats
    own_power: float
    table_power: float
    calibration: Points

    def scores(self, text: str) -> dict[str, float]:
        """Label → what the learned weights say for it; only differences count."""
        rows, values = self._vector(text)
        found = self.bias + (self.weights[rows] * values[:, None]).sum(axis=0) if rows else self.bias
        return dict(zip(self.labels, map(float, found), strict=True))

    def votes(self, text: str, table: Mapping[str, float]) -> list[Vote]:
        """All classes by the joint vote of the model and the word tables' weights, best first."""
        return joint_vote(self.scores(text), table, self.own_power, self.table_power)

    def confidence(self, votes: list[Vote]) -> float:
        """How often a winner with such a share was right."""
        return calibrated(self.calibration, votes[0].share)

    def why(self, text: str, label: str, most: int = 2) -> list[tuple[int, int]]:
        """The stretches `[start, end)` of the text that speak most for a label, strongest first."""
        column = self.labels.index(label)
        weight_at: dict[int, float] = defaultdict(float)
        for gram, start, end in grams_of(text):
            row = self.grams.get(gram)
            if row is not None:
                for at in range(start, end):
                    weight_at[at] += float(self.weights[row, column] * self.idf[row]) / (end - start)
        peaks = sorted((at for at in weight_at if weight_at[at] > 0), key=lambda at: -weight_at[at])
        spans: list[tuple[int, int]] = []
        for peak in peaks:
            if len(spans) == most or weight_at[peak] < _LEAST_WHY * weight_at[peaks[0]]:
                break
            if any(start <= peak < end for start, end in spans):
                continue
            least, start, end = weight_at[peak] / 2, peak, peak + 1
            while weight_at.get(start - 1, 0.0) > least:
                start -= 1
            while weight_at.get(end, 0.0) > least:
                end += 1
            spans.append((start, end))
        return spans

    def _vector(self, text: str) -> tuple[list[int], Floats]:
        counts: dict[int, int] = defaultdict(int)
        for gram, _, _ in grams_of(text):
            row = self.grams.get(gram)
            if row is not None:
                counts[row] += 1
        rows = list(counts)
        values = (1 + np.log(np.array([counts[row] for row in rows], dtype=np.float32))) * self.idf[rows]
        norm = float(np.linalg.norm(values)) or 1.0
        return rows, (values / norm).astype(np.float32)


def joint_vote(
    own: Mapping[str, float], table: Mapping[str, float], own_power: float, table_power: float
) -> list[Vote]:
    """softmax(own_power · score + table_power · log(weight of the tables' words)), best first; ties by label."""
    joint = {label: own_power * own[label] + table_power * log(_NOTHING_SAID + table.get(label, 0.0)) for label in own}
    most = max(joint.values())
    shares = {label: float(np.exp(value - most)) for label, value in joint.items()}
    total = sum(shares.values())
    return sorted((Vote(label, share / total) for label, share in shares.items()), key=lambda v: (-v.share, v.label))


def grams_of(text: str) -> Iterator[tuple[str, int, int]]:
    """Every n-gram with its place: c1: to c3: of characters, s1: to s3: of sounds, confusable ones being one."""
    text = text[:MAX_CHARS]
    sounds = [sound_key(syllable) or _SILENT for syllable in hear(text).syllables]
    for start in range(len(text)):
        for length in _LENGTHS:
            if start + length > len(text) or _SILENT in sounds[start : start + length]:
                break
            yield f"c{length}:{text[start : start + length]}", start, start + length
            yield f"s{length}:{' '.join(sounds[start : start + length])}", start, start + length
