"""Pure: what was heard beside what was said, character by character and syllable by syllable.

Both are compared as spoken (`speech.spoken`): figures as words, marks left out. The error rates are Levenshtein's: the
fewest substitutions, insertions and deletions that make one of the other, over the number of characters said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pypinyin import lazy_pinyin

from speech.recognizer import SpokenWord
from speech.spoken import spoken_form
from speech.syllables import plain_syllable, split_syllable

# One figure, two ways to say it: 138 is 幺三八 or 一三八, 2 people are 两个人, number 2 is 二号.
_EITHER_WAY = str.maketrans("幺两", "一二")
_EDIT = 1 << 20  # one edit outweighs every nicety


class Kind(StrEnum):
    RIGHT = "right"
    SOUND = "sound"  # another character of the same toneless sound
    SUBSTITUTED = "substituted"
    DELETED = "deleted"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Step:
    """One column of an alignment: a character said, a character heard, or both. `heard_at`: its place in what was heard."""

    kind: Kind
    said: str
    heard: str
    heard_at: int = -1


@dataclass(frozen=True, slots=True)
class Comparison:
    """`syllable_errors`: the fewest edits when characters of the same toneless sound count as the same."""

    said: str
    heard: str
    steps: tuple[Step, ...]
    substituted: int
    inserted: int
    deleted: int
    syllable_errors: int

    @property
    def errors(self) -> int:
        return self.substituted + self.inserted + self.deleted

    @property
    def error_rate(self) -> float:
        """Characters wrong over characters said; above 1 when more was heard than said."""
        return self.errors / max(1, len(self.said))


def comparable(text: str) -> str:
    """Only what is said: figures as words, no marks, no spaces."""
    return re.sub("[、，；。]", "", spoken_form(text))


def has_figures(text: str) -> bool:
    """Whether figures are written in it, which can be said in more ways than one."""
    return any(char.isdigit() and char.isascii() for char in unicodedata.normalize("NFKC", text))


def compare(transcript: str, heard: str) -> Comparison:
    """What was written beside what was heard. Where figures are written, 一 and 幺, 二 and 两 are the same."""
    said, got = comparable(transcript), comparable(heard)
    if has_figures(transcript):
        said, got = said.translate(_EITHER_WAY), got.translate(_EITHER_WAY)
    said_sounds, heard_sounds = _sounds(said), _sounds(got)

    def character(i: int, j: int) -> int:
        if said[i] == got[j]:
            return 0
        return _EDIT + _unlike(said_sounds[i], heard_sounds[j])

    def syllable(i: int, j: int) -> int:
        return 0 if said[i] == got[j] or said_sounds[i] == heard_sounds[j] else _EDIT

    steps = _aligned(said, got, said_sounds, heard_sounds, _path(len(said), len(got), character))
    counts = {kind: sum(step.kind is kind for step in steps) for kind in Kind}
    return Comparison(
        said,
        got,
        steps,
        substituted=counts[Kind.SUBSTITUTED] + counts[Kind.SOUND],
        inserted=counts[Kind.INSERTED],
        deleted=counts[Kind.DELETED],
        syllable_errors=_edits(len(said), len(got), syllable),
    )


def word_rightness(comparison: Comparison, words: Sequence[SpokenWord]) -> list[tuple[float, bool]] | None:
    """(confidence, all of its characters right) of every word heard; None where the words cannot be told apart.

    That is so when a recogniser writes figures whose spoken form depends on their neighbours.
    """
    pieces = [comparable(word.text) for word in words]
    if len("".join(pieces)) != len(comparison.heard) or (
        "".join(pieces).translate(_EITHER_WAY) != comparison.heard.translate(_EITHER_WAY)
    ):
        return None
    right = [False] * len(comparison.heard)
    for step in comparison.steps:
        if step.kind is Kind.RIGHT:
            right[step.heard_at] = True
    found = []
    at = 0
    for word, piece in zip(words, pieces, strict=True):
        if piece:
            found.append((word.confidence, all(right[at : at + len(piece)])))
        at += len(piece)
    return found


def _sounds(text: str) -> list[str]:
    """A toneless syllable a character, read in its context (长 in 长大 is zhang)."""
    read = lazy_pinyin(text, errors="default")
    return read if len(read) == len(text) else [plain_syllable(char) for char in text]


@lru_cache(maxsize=65536)
def _unlike(one: str, other: str) -> int:
    """0 the same sound, 1 alike in its beginning or its end, 2 neither: what stands under what in an alignment."""
    if one == other:
        return 0
    (initial, final), (other_initial, other_final) = split_syllable(one), split_syllable(other)
    return 1 if initial == other_initial or final == other_final else 2


def _edits(said: int, heard: int, cost: Callable[[int, int], int]) -> int:
    row = list(range(0, (heard + 1) * _EDIT, _EDIT))
    for i in range(said):
        before, row = row, [row[0] + _EDIT]
        for j in range(heard):
            row.append(min(before[j] + cost(i, j), before[j + 1] + _EDIT, row[j] + _EDIT))
    return row[-1] // _EDIT


def _path(said: int, heard: int, cost: Callable[[int, int], int]) -> list[bytearray]:
    """For each pair of prefixes how it is best reached: 0 both a character further, 1 one said, 2 one heard."""
    ways = [bytearray(b"\2") * (heard + 1)]
    row = list(range(0, (heard + 1) * _EDIT, _EDIT))
    for i in range(said):
        before, row = row, [row[0] + _EDIT]
        way = bytearray(b"\1")
        for j in range(heard):
            best, chosen = before[j] + cost(i, j), 0
            if before[j + 1] + _EDIT < best:
                best, chosen = before[j + 1] + _EDIT, 1
            if row[j] + _EDIT < best:
                best, chosen = row[j] + _EDIT, 2
            row.append(best)
            way.append(chosen)
        ways.append(way)
    return ways


def _aligned(
    said: str, heard: str, said_sounds: list[str], heard_sounds: list[str], ways: list[bytearray]
) -> tuple[Step, ...]:
    steps: list[Step] = []
    i, j = len(said), len(heard)
    while i or j:
        way = ways[i][j] if i and j else 1 if i else 2
        if way == 0:
            i, j = i - 1, j - 1
            kind = (
                Kind.RIGHT
                if said[i] == heard[j]
                else Kind.SOUND
                if said_sounds[i] == heard_sounds[j]
                else Kind.SUBSTITUTED
            )
            steps.append(Step(kind, said[i], heard[j], j))
        elif way == 1:
            i -= 1
            steps.append(Step(Kind.DELETED, said[i], ""))
        else:
            j -= 1
            steps.append(Step(Kind.INSERTED, "", heard[j], j))
    return tuple(reversed(steps))
