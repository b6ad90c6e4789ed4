"""Many phrases found at once in a text, by sound and by character (Aho-Corasick over sound classes).

A phrase may hold one gap, written `…`: both parts in this order, at most MAX_GAP_CHARS apart (欠…工资).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import ahocorasick

from cases.drafting.pinyin import Heard, class_readings, likeness

GAP = "…"
MAX_GAP_CHARS = 6
_NEARLY = 0.13  # one character of two heard, not written

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Found(Generic[P]):
    """A phrase at `[start, end)` of the text. `likeness` 0-1; `same` characters are the very ones of the phrase."""

    start: int
    end: int
    phrase: str
    payload: P
    likeness: float
    same: int

    @property
    def exact(self) -> bool:
        return self.likeness == 1.0


def usual_floor(length: int) -> float:
    """The least likeness of a phrase of so many characters: a short one must nearly be written so.

    1: the very character. 2: one the very character, the other the same syllable. 3: all the same syllables.
    4 and more: some syllables only confusable.
    """
    return {1: 1.0, 2: 0.87, 3: 0.75}.get(length, 0.66)


def exact_floor(length: int) -> float:
    """Only the very characters."""
    return 1.0


def long_by_sound_floor(length: int) -> float:
    """The very characters below 3 syllables; the same syllables from 3 on: for what must not be heard wrongly."""
    return 1.0 if length < 3 else 0.75


class PhraseIndex(Generic[P]):
    """Immutable after construction. `floor(length)`: the least likeness accepted."""

    def __init__(self, entries: Iterable[tuple[str, P]], *, floor: Callable[[int], float] = usual_floor) -> None:
        self._floor = floor
        self._automaton = ahocorasick.Automaton()
        self._gapped: list[tuple[str, str, str, P]] = []
        whole: dict[str, list[P]] = defaultdict(list)
        parts: set[str] = set()
        for phrase, payload in entries:
            first, gap, second = phrase.partition(GAP)
            if gap:
                self._gapped.append((phrase, first, second, payload))
                parts |= {first, second}
            else:
                whole[phrase].append(payload)
        self._whole = dict(whole)
        self._parts = parts
        by_sound: dict[str, list[str]] = defaultdict(list)
        for phrase in dict.fromkeys([*whole, *sorted(parts)]):
            for classes in class_readings(phrase):
                by_sound[classes].append(phrase)
        for classes, phrases in by_sound.items():
            self._automaton.add_word(classes, tuple(phrases))
        if by_sound:
            self._automaton.make_automaton()
        self._empty = not by_sound

    def find(self, heard: Heard) -> list[Found[P]]:
        """Every phrase in the text, overlapping ones too, by start and then the longer first."""
        if self._empty:
            return []
        found: dict[tuple[int, str, int], Found[P]] = {}
        parts: dict[str, list[tuple[int, int, float, int]]] = defaultdict(list)
        for last, phrases in self._automaton.iter(heard.classes):
            for phrase in phrases:
                start = last + 1 - len(phrase)
                how, same = likeness(phrase, heard, start)
                if how < self._floor(len(phrase)):
                    continue
                for number, payload in enumerate(self._whole.get(phrase, ())):
                    found[start, phrase, number] = Found(start, last + 1, phrase, payload, how, same)
                if phrase in self._parts:
                    parts[phrase].append((start, last + 1, how, same))
        result = list(found.values())
        for phrase, first, second, payload in self._gapped:
            result += _join(phrase, parts.get(first, ()), parts.get(second, ()), payload)
        result.sort(key=lambda f: (f.start, -f.end, f.phrase))
        return result


def _join(
    phrase: str,
    firsts: Iterable[tuple[int, int, float, int]],
    seconds: Iterable[tuple[int, int, float, int]],
    payload: P,
) -> list[Found[P]]:
    joined = []
    for start, end, how, same in firsts:
        near = [s for s in seconds if 0 <= s[0] - end <= MAX_GAP_CHARS]
        if near:
            start2, end2, how2, same2 = min(near)
            first, second = end - start, end2 - start2
            joined.append(
                Found(start, end2, phrase, payload, (how * first + how2 * second) / (first + second), same + same2)
            )
    return joined


def longest_only(found: list[Found[P]]) -> list[Found[P]]:
    """Without those inside a longer one that is as alike (通道 in 消防通道), or heard where another is written (漏税, 漏水)."""
    by_start: dict[int, list[Found[P]]] = defaultdict(list)
    for one in found:
        if GAP not in one.phrase:
            by_start[one.start].append(one)
    longest = max((one.end - one.start for one in found), default=0)
    kept: list[Found[P]] = []
    for one in found:
        length = one.end - one.start
        inside = any(
            other.end >= one.end
            and (other.end - start > length or other.likeness > one.likeness)
            and other.likeness >= one.likeness - _NEARLY
            for start in range(max(0, one.end - longest), one.start + 1)
            for other in by_start.get(start, ())
        )
        if not inside:
            kept.append(one)
    return kept
