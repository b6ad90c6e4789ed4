"""Pure: error rates of many clips, how far they can be trusted, and whether confidences mean what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech.evaluate.compare import Comparison, Kind
from speech.evaluate.manifest import Clip

RESAMPLINGS = 1000
INTERVAL = 0.95
BINS = 10


@dataclass(frozen=True, slots=True)
class ClipHeard:
    """One clip under one condition by one model.

    `confidences`: (confidence, right) of every word heard; None where words and characters could not be matched.
    """

    clip: Clip
    model: str
    condition: str
    heard: str
    comparison: Comparison
    confidences: tuple[tuple[float, bool], ...] | None
    turns: int
    late: bool
    audio_seconds: float
    decoded_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the figure would lie in 95 of 100 samples of clips like these."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Of some clips together: errors over characters said, so long clips weigh more.

    `cut`: clips that the endpointing took for finished before their end. `cpu_seconds_per_second`: of sound, silence
    included. `interval`: of the character error rate; None for fewer than two clips.
    """

    clips: int
    characters: int
    errors: int
    character_error_rate: float
    interval: Interval | None
    syllable_error_rate: float
    substituted: float
    inserted: float
    deleted: float
    same_sound: float
    all_right: int
    unheard: int
    cut: int
    late: int
    audio_seconds: float
    cpu_seconds_per_second: float


def rates(heard: Sequence[ClipHeard], seed: int = 1) -> Rates:
    """ValueError without clips."""
    if not heard:
        raise ValueError("no clips")
    characters = sum(len(one.comparison.said) for one in heard)
    errors = sum(one.comparison.errors for one in heard)
    audio_seconds = sum(one.audio_seconds for one in heard)
    by_kind = Counter(step.kind for one in heard for step in one.comparison.steps)
    return Rates(
        clips=len(heard),
        characters=characters,
        errors=errors,
        character_error_rate=errors / characters,
        interval=bootstrap([(one.comparison.errors, len(one.comparison.said)) for one in heard], seed),
        syllable_error_rate=sum(one.comparison.syllable_errors for one in heard) / characters,
        substituted=(by_kind[Kind.SUBSTITUTED] + by_kind[Kind.SOUND]) / characters,
        inserted=by_kind[Kind.INSERTED] / characters,
        deleted=by_kind[Kind.DELETED] / characters,
        same_sound=by_kind[Kind.SOUND] / characters,
        all_right=sum(not one.comparison.errors for one in heard),
        unheard=sum(not one.comparison.heard for one in heard),
        cut=sum(one.turns > 1 for one in heard),
        late=sum(one.late for one in heard),
        audio_seconds=audio_seconds,
        cpu_seconds_per_second=sum(one.cpu_seconds for one in heard) / audio_seconds if audio_seconds else 0.0,
    )


def bootstrap(pairs: Sequence[tuple[int, int]], seed: int = 1) -> Interval | None:
    """The interval of Σ errors / Σ characters, clips drawn anew with replacement (Efron's percentile bootstrap)."""
    if len(pairs) < 2:
        return None
    ratios = _resampled(np.array([pairs], float), seed)[0]
    return _interval(ratios)


def difference(one: Sequence[ClipHeard], other: Sequence[ClipHeard], seed: int = 1) -> tuple[float, Interval | None]:
    """Character error rate of `one` less that of `other` on the clips that both heard: the same clips are drawn of both.

    ValueError when there are none.
    """
    others = {_key(heard): heard.comparison for heard in other}
    both = [(heard.comparison, others[_key(heard)]) for heard in one if _key(heard) in others]
    if not both:
        raise ValueError("no clips in common")
    table = np.array([[(c.errors, len(c.said)) for c in side] for side in zip(*both, strict=True)], float)
    totals = table.sum(axis=1)
    gap = float(totals[0, 0] / totals[0, 1] - totals[1, 0] / totals[1, 1])
    if len(both) < 2:
        return gap, None
    first, second = _resampled(table, seed)
    return gap, _interval(first - second)


def _key(heard: ClipHeard) -> tuple[int, str]:
    return heard.clip.line, heard.condition


def _resampled(table: np.ndarray, seed: int) -> np.ndarray:
    """sides x clips x (errors, characters) → sides x resamplings: the error rates of clips drawn anew."""
    rng = np.random.default_rng(seed)
    clips = table.shape[1]
    found = np.empty((table.shape[0], RESAMPLINGS))
    for number in range(RESAMPLINGS):
        drawn = table[:, rng.integers(clips, size=clips)].sum(axis=1)
        found[:, number] = drawn[:, 0] / drawn[:, 1]
    return found


def _interval(values: np.ndarray) -> Interval:
    low, high = np.percentile(values, [50 * (1 - INTERVAL), 50 * (1 + INTERVAL)])
    return Interval(float(low), float(high))


@dataclass(frozen=True, slots=True)
class Bin:
    """Words whose confidence lies in a tenth: how many, how sure on average, which share was right."""

    words: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """`error`: the expected calibration error, the mean distance between confidence and share right, by words.

    `left_out`: clips whose words could not be told apart (see `compare.word_rightness`).
    """

    words: int
    confidence: float
    right: float
    error: float
    bins: tuple[Bin | None, ...]
    left_out: int


def calibration(heard: Sequence[ClipHeard]) -> Calibration | None:
    """None when no words were heard."""
    pairs = [pair for one in heard for pair in one.confidences or ()]
    left_out = sum(one.confidences is None for one in heard)
    if not pairs:
        return None
    cells: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in pairs:
        cells[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    bins = tuple(
        Bin(len(cell), sum(c for c, _ in cell) / len(cell), sum(r for _, r in cell) / len(cell)) if cell else None
        for cell in cells
    )
    return Calibration(
        words=len(pairs),
        confidence=sum(c for c, _ in pairs) / len(pairs),
        right=sum(r for _, r in pairs) / len(pairs),
        error=sum(b.words * abs(b.confidence - b.right) for b in bins if b is not None) / len(pairs),
        bins=bins,
        left_out=left_out,
    )


def confusions(heard: Sequence[ClipHeard], most: int = 30) -> list[tuple[str, str, Kind, int]]:
    """(said, heard, kind, how often), the most frequent first; what is missing on a side is ""."""
    counts = Counter(
        (step.said, step.heard, step.kind)
        for one in heard
        for step in one.comparison.steps
        if step.kind is not Kind.RIGHT
    )
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(said, got, kind, count) for (said, got, kind), count in found[:most]]


def worst(heard: Sequence[ClipHeard], most: int = 20) -> list[ClipHeard]:
    """Those with the largest share of characters wrong; of equals the longer one first."""
    wrong = [one for one in heard if one.comparison.errors]
    wrong.sort(key=lambda one: (-one.comparison.error_rate, -len(one.comparison.said), one.clip.line, one.model))
    return wrong[:most]
