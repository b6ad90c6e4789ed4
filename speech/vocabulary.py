"""Pure: words and places that the recogniser never learned, put into what it heard where they sound alike.

A list's entry is compared with every stretch of the heard syllables at the costs that `confusions` learned. What
decides is how alike the sounds are for the entry's length, how sure the recogniser was of its own words there, and
whether other hearings of the same sound come nearer. A false name is worse than none: when in doubt nothing changes,
and what was heard stays beside what was put in its place (`SpokenWord.heard`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pypinyin import lazy_pinyin

from speech.confusions import SoundCosts
from speech.recognizer import SpokenWord
from speech.syllables import plain_syllable
from speech.vocabulary_search import Entry, Match, SoundSearch, whole_cost

# How far a stretch may be off, a syllable, to be weighed at all.
_NEAR_COST = 1.1
# Other hearings are worth their time where a name would be believed at so much of its cost.
_HOPED_COST = 0.5
# What names of places end in: heard well, said often, so it says little about which name it was.
_COMMON_ENDS_TOLD = (
    "家园 花园 公馆 新村 大道 名邸 雅居 广场 小区 社区 公寓 大厦 胡同 市场 中心"
    " 湾 苑 府 里 庭 郡 园 路 街 桥 巷 庄 村 城 院 门 区 镇 乡 站"
)
_COMMON_ENDS = tuple(_COMMON_ENDS_TOLD.split())
SHORTEST_SYLLABLES = 2
# Of two syllables there are too many words alike: only the very sound, where the recogniser was unsure of its own.
_SHORT_SYLLABLES = 2
_SHORT_COST = 0.1
_SHORT_CONFIDENCE = 0.85
_SURE_ENOUGH = 0.6
# Of `evidence_of`, fitted by logistic regression on sentences with and without invented names:
# `hotline evaluate vocabulary --fit` prints them anew for another model.
_WEIGHTS = (-0.7, 0.98, 0.77, -0.66, -0.62, -0.53, -1.61)
_SAME_COST = 0.3  # two names this near cannot be told apart by their sound
# A first or last syllable was rather heard as another one than not at all.
_LOST_AT_AN_END = 5.0
_SAME_MOMENT_SECONDS = 0.35


@dataclass(frozen=True, slots=True)
class Hearing:
    """Another hearing of the same sound. `behind`: how much less likely than the best one, in nats."""

    words: tuple[SpokenWord, ...]
    behind: float


class Vocabulary:
    """Immutable. An empty one changes nothing and costs nothing."""

    def __init__(self, entries: Iterable[Entry], sounds: SoundCosts) -> None:
        self.entries = tuple(entries)
        self._sounds = sounds
        self._search = SoundSearch(self.entries, sounds)

    def near(self, words: Sequence[SpokenWord]) -> list[tuple[float, float]]:
        """From when to when something of the list may have been said, so that other hearings are worth their time."""
        if not self.entries or not words:
            return []
        heard = _Heard(words)
        spans = [
            (heard.starts[match.start], heard.ends[match.end - 1])
            for match in self._matches(heard, ())
            if match.syllables > _SHORT_SYLLABLES
            and _sure(replace(match, cost=_HOPED_COST * match.cost), heard) >= _SURE_ENOUGH
        ]
        return sorted(spans)

    def snap(self, words: Sequence[SpokenWord], hearings: Sequence[Hearing] = ()) -> list[SpokenWord]:
        """The words, with the list's entries where they were said; without a hit the very same words."""
        if not self.entries or not words:
            return list(words)
        heard = _Heard(words)
        hits = [hit for match in self._matches(heard, hearings) if (hit := _judged(match, heard)) is not None]
        return heard.with_hits(_chosen(hits)) if hits else list(words)

    def weighed(
        self, words: Sequence[SpokenWord], hearings: Sequence[Hearing] = ()
    ) -> list[tuple[Match, tuple[float, ...]]]:
        """Everything that may have been said, with its evidence: to fit the weights."""
        heard = _Heard(words)
        return [(match, evidence_of(match, heard.unsure(match))) for match in self._matches(heard, hearings)]

    def _matches(self, heard: _Heard, hearings: Sequence[Hearing]) -> list[Match]:
        """The near matches of what was heard, each at its cost in the hearing that comes nearest to it."""
        matches = [one for one in self._search.matches(heard.syllables) if one.cost <= _NEAR_COST * one.syllables]
        if not matches or not hearings:
            return matches
        near = SoundSearch(dict.fromkeys(one.entry for one in matches), self._sounds)
        others: dict[Entry, list[tuple[float, float, float]]] = defaultdict(list)
        for hearing in hearings:
            other = _Heard(hearing.words)
            for one in near.matches(other.syllables):
                others[one.entry].append((one.cost + hearing.behind, other.starts[one.start], other.ends[one.end - 1]))
        return [self._in_nearest_hearing(match, heard, others[match.entry]) for match in matches]

    def _in_nearest_hearing(self, match: Match, heard: _Heard, others: Sequence[tuple[float, float, float]]) -> Match:
        """The match as the hearing has it that comes nearest to the entry; `others`: (cost, from second, to second)."""
        begun = heard.starts[match.start] - _SAME_MOMENT_SECONDS
        ended = heard.ends[match.end - 1] + _SAME_MOMENT_SECONDS
        cost, start_seconds, end_seconds = min(
            (other for other in others if other[1] < ended and other[2] > begun), default=(math.inf, 0.0, 0.0)
        )
        if cost >= match.cost:
            return match
        inside = heard.between(start_seconds, end_seconds)
        if not inside:
            return replace(match, cost=cost)
        # Times are a little off between hearings; the syllables say which ones belong to the name.
        starts = [at for at in (inside[0] - 1, inside[0], inside[0] + 1) if at >= 0]
        ends = [at for at in (inside[-1], inside[-1] + 1, inside[-1] + 2) if at <= len(heard.syllables)]
        readings = [reading for reading in match.entry.readings if len(reading) == match.syllables]
        _, start, end = min(
            (whole_cost(reading, heard.syllables[start:end], self._sounds, _LOST_AT_AN_END), start, end)
            for reading in readings
            for start in starts
            for end in ends
            if start < end
        )
        return replace(match, cost=cost, start=start, end=end)


@dataclass(frozen=True, slots=True)
class _Hit:
    """A match that is believed. `sure`: how likely it was said, 0 to 1."""

    match: Match
    sure: float


def evidence_of(match: Match, unsure: float) -> tuple[float, ...]:
    """What speaks for and against a match, for `_WEIGHTS`. `unsure`: how little the recogniser believed its own words."""
    common = next((len(end) for end in _COMMON_ENDS if match.entry.written.endswith(end)), 0)
    own = match.syllables - common
    unheard = max(0, match.syllables - (match.end - match.start))
    return 1.0, float(own), float(common), match.cost, match.cost / match.syllables, unsure, float(unheard)


def _judged(match: Match, heard: _Heard) -> _Hit | None:
    """How likely the entry was said there; None when it is not likely enough."""
    unsure = heard.unsure(match)
    if match.syllables <= _SHORT_SYLLABLES and (match.cost > _SHORT_COST or unsure < 1.0 - _SHORT_CONFIDENCE):
        same = heard.text[match.start : match.end] == match.entry.written
        return _Hit(match, 1.0 - unsure) if same else None
    sure = _sure(match, heard)
    return _Hit(match, sure) if sure >= _SURE_ENOUGH else None


def _sure(match: Match, heard: _Heard) -> float:
    odds = sum(weight * value for weight, value in zip(_WEIGHTS, evidence_of(match, heard.unsure(match)), strict=True))
    return 1.0 / (1.0 + math.exp(-odds))


def _chosen(hits: list[_Hit]) -> list[_Hit]:
    """Without overlaps, the likeliest first; where two places cannot be told apart by sound, neither."""
    chosen: list[_Hit] = []
    taken: list[_Hit] = []
    for hit in sorted(hits, key=lambda h: (-h.sure, h.match.start, h.match.entry.line)):
        if any(_overlap(hit, other) for other in taken):
            continue
        taken.append(hit)
        if not any(_overlap(hit, other) and _rivals(hit, other) for other in hits):
            chosen.append(hit)
    return sorted(chosen, key=lambda h: h.match.start)


def _overlap(one: _Hit, other: _Hit) -> bool:
    return one.match.start < other.match.end and other.match.start < one.match.end


def _rivals(one: _Hit, other: _Hit) -> bool:
    a, b = one.match, other.match
    return (
        a.entry.written != b.entry.written
        and (a.start, a.end) == (b.start, b.end)
        and abs(a.cost - b.cost) < _SAME_COST
        and (a.entry.is_place or b.entry.is_place)
        and (a.entry.district, a.entry.street) != (b.entry.district, b.entry.street)
    )


class _Heard:
    """What was heard, taken apart into characters: a Chinese character is a syllable."""

    def __init__(self, words: Sequence[SpokenWord]) -> None:
        self.words = tuple(words)
        self.text = "".join(word.text for word in words)
        self.syllables: list[str] = []
        self.confidences: list[float] = []
        self.starts: list[float] = []
        self.ends: list[float] = []
        for word in words:
            length = len(word.text)
            step = (word.end_seconds - word.start_seconds) / max(1, length)
            self.syllables += word_syllables(word.text)
            self.confidences += [word.confidence] * length
            self.starts += [word.start_seconds + step * at for at in range(length)]
            self.ends += [word.start_seconds + step * (at + 1) for at in range(length)]

    def between(self, start_seconds: float, end_seconds: float) -> list[int]:
        """The characters whose middle lies there."""
        middles = ((a + b) / 2 for a, b in zip(self.starts, self.ends, strict=True))
        return [number for number, at in enumerate(middles) if start_seconds <= at <= end_seconds]

    def unsure(self, match: Match) -> float:
        """1 minus the mean confidence where the match lies."""
        confidences = self.confidences[match.start : match.end]
        return 1.0 - sum(confidences) / len(confidences)

    def with_hits(self, hits: Sequence[_Hit]) -> list[SpokenWord]:
        """The words with the hits in their places; a word that a hit cuts is kept in parts."""
        told: list[SpokenWord] = []
        at = 0
        for hit in hits:
            match = hit.match
            if self.text[match.start : match.end] == match.entry.written:
                continue
            told += self._between(at, match.start)
            told.append(
                SpokenWord(
                    match.entry.written,
                    self.starts[match.start],
                    self.ends[match.end - 1],
                    round(hit.sure, 3),
                    self.text[match.start : match.end],
                )
            )
            at = match.end
        return told + self._between(at, len(self.text))

    def _between(self, start: int, end: int) -> list[SpokenWord]:
        told = []
        begin = 0
        for word in self.words:
            first, last = max(start, begin), min(end, begin + len(word.text))
            if first < last:
                whole = last - first == len(word.text)
                told.append(
                    word
                    if whole
                    else SpokenWord(self.text[first:last], self.starts[first], self.ends[last - 1], word.confidence)
                )
            begin += len(word.text)
        return told


@lru_cache(maxsize=65536)
def word_syllables(word: str) -> tuple[str, ...]:
    """One syllable a character, as the word is read; '' for what is no Chinese character."""
    alone = tuple(plain_syllable(char) for char in word)
    if len(word) < 2 or not all(alone):
        return alone
    together = tuple(lazy_pinyin(word))
    return together if len(together) == len(word) else alone
