"""What a benchmark says: figures, each beside its yardstick, and curves. Pure; JSON in and out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `yardstick` is what it is held against: another measurement, or a goal in words.

    `goal` bounds the ratio when `of_ratio`, else the value; `at_most` says from which side.
    """

    name: str
    value: float | None
    unit: str
    yardstick: str = ""
    yardstick_value: float | None = None
    goal: float | None = None
    at_most: bool = True
    of_ratio: bool = False
    spread: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value over its yardstick's; None where one of them is below zero, which has no ratio."""
        if self.value is None or not self.yardstick_value or min(self.value, self.yardstick_value) < 0:
            return None
        return self.value / self.yardstick_value

    @property
    def met(self) -> bool | None:
        """None when there is no goal, or nothing was measured."""
        judged = self.ratio if self.of_ratio else self.value
        if self.goal is None or judged is None:
            return None
        return judged <= self.goal if self.at_most else judged >= self.goal


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class PartResult:
    """What one part measured. `failure`: why it measured nothing, or not all. `notes`: how it was measured."""

    part: str
    figures: tuple[Figure, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str = ""
    seconds: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        data = asdict(self)
        for told, figure in zip(data["figures"], self.figures, strict=True):
            told["ratio"], told["met"] = figure.ratio, figure.met
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PartResult:
        figures = [
            Figure(**{key: value for key, value in row.items() if key not in ("ratio", "met")})
            for row in data["figures"]
        ]
        plots = [
            Plot(
                plot["title"],
                plot["x_label"],
                plot["y_label"],
                tuple(Curve(c["label"], tuple((x, y) for x, y in c["points"])) for c in plot["curves"]),
            )
            for plot in data["plots"]
        ]
        return cls(
            data["part"],
            tuple(figures),
            tuple(plots),
            tuple(data["notes"]),
            data["failure"],
            data["seconds"],
            data["extra"],
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank: a value that was measured, never one between two. ValueError for nothing."""
    if not values:
        raise ValueError("no values, no percentile")
    if not 0 < percent <= 100:
        raise ValueError("a percentile lies above 0 and at most at 100")
    ordered = sorted(values)
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the middle two."""
    if not values:
        raise ValueError("no values, no median")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def spread_of(values: Sequence[float], digits: int = 3) -> str:
    """Lowest to highest, and of how many."""
    if not values:
        return ""
    return f"{min(values):.{digits}f}–{max(values):.{digits}f} of {len(values)}"
