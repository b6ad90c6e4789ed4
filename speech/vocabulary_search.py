"""Pure: where in a row of heard syllables a list's entries may have been said, at what cost.

All entries of one length are compared at once (a weighted edit distance, Sellers 1980, its start free, over numpy rows).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speech.confusions import BARRIER, BARRIER_COST, SoundCosts

Reading = tuple[str, ...]
# How far a stretch may be off, a syllable, to be thought of at all.
_FARTHEST_COST = 1.4


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list. `readings`: the ways it is said. `district` and `street` are empty for what is no place."""

    written: str
    readings: tuple[Reading, ...]
    district: str = ""
    street: str = ""
    line: int = 0

    @property
    def is_place(self) -> bool:
        return bool(self.district)


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that may have been said at syllables `[start, end)` of what was heard."""

    entry: Entry
    start: int
    end: int
    cost: float
    syllables: int


@dataclass(frozen=True, slots=True)
class _Group:
    """All readings of one length, for comparing them at once."""

    entries: tuple[Entry, ...]
    said: NDArray[np.int32]  # (entries, syllables)


class SoundSearch:
    """Immutable."""

    def __init__(self, entries: Iterable[Entry], sounds: SoundCosts) -> None:
        self._sounds = sounds
        by_length: dict[int, list[tuple[Entry, Reading]]] = defaultdict(list)
        for entry in entries:
            for reading in entry.readings:
                by_length[len(reading)].append((entry, reading))
        self._groups = [
            _Group(
                tuple(entry for entry, _ in rows),
                np.array([[sounds.number_of(s) for s in reading] for _, reading in rows], np.int32),
            )
            for _, rows in sorted(by_length.items(), reverse=True)
        ]

    def matches(self, heard: Sequence[str]) -> list[Match]:
        """The entries that sound somewhat like a stretch of these syllables ('' for what is none), the best stretch each."""
        numbers = np.array([self._sounds.number_of(s) for s in heard], np.int32)
        if not len(numbers) or (numbers == BARRIER).all():
            return []
        found: list[Match] = []
        for group in self._groups:
            found += self._in_group(group, numbers)
        return found

    def _in_group(self, group: _Group, heard: NDArray[np.int32]) -> list[Match]:
        cost, start = _stretches(group.said, heard, self._sounds)
        length = group.said.shape[1]
        near = np.argwhere(cost[:, 1:] <= _FARTHEST_COST * length)
        best: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
        for row, column in near:
            best[int(row)].append((float(cost[row, column + 1]), int(start[row, column + 1]), int(column) + 1))
        found = []
        for row, stretches in best.items():
            taken: list[tuple[int, int]] = []
            for value, begin, end in sorted(stretches):
                if end > begin and all(end <= a or begin >= b for a, b in taken):
                    taken.append((begin, end))
                    found.append(Match(group.entries[row], begin, end, value, length))
        return found


def _stretches(
    said: NDArray[np.int32], heard: NDArray[np.int32], sounds: SoundCosts
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """For every entry and every end in the heard syllables: the cheapest stretch that ends there, and its start."""
    rows, length = said.shape
    columns = len(heard) + 1
    cost = np.zeros((rows, columns), np.float32)
    start = np.broadcast_to(np.arange(columns, dtype=np.int32), (rows, columns))
    # What is no syllable lies in no name.
    made_up_cost = np.where(heard == BARRIER, BARRIER_COST, sounds.made_up).astype(np.float32)
    for at in range(length):
        lost = cost + np.float32(sounds.lost)
        heard_as = sounds.costs[said[:, at]][:, heard]
        through = np.full_like(cost, np.inf)
        through[:, 1:] = cost[:, :-1] + heard_as
        moved = np.zeros_like(start)
        moved[:, 1:] = start[:, :-1]
        now = np.minimum(lost, through)
        begun = np.where(through <= lost, moved, start)
        if at < length - 1:  # a syllable made up inside the entry
            made_up = now[:, :-1] + made_up_cost
            better = made_up < now[:, 1:]
            now[:, 1:] = np.where(better, made_up, now[:, 1:])
            begun[:, 1:] = np.where(better, begun[:, :-1], begun[:, 1:])
        cost, start = now, begun
    return cost, start


def whole_cost(said: Sequence[str], heard: Sequence[str], sounds: SoundCosts, lost: float) -> float:
    """The cost of all that was said against all that was heard, in nats: an edit distance with both ends fixed.

    `lost`: of a syllable that was not heard.
    """
    row = [sounds.made_up * at for at in range(len(heard) + 1)]
    for syllable in said:
        costs = sounds.costs[sounds.number_of(syllable)]
        above, row = row, [row[0] + lost]
        for at, got in enumerate(heard):
            row.append(
                min(
                    above[at] + float(costs[sounds.number_of(got)]),
                    above[at + 1] + lost,
                    row[at] + sounds.made_up,
                )
            )
    return row[-1]
