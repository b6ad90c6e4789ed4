"""分类: levels 1 to 3 by weighted words of the versioned table, by character and by sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.phrases import Found, PhraseIndex, longest_only
from cases.drafting.pinyin import hear
from cases.drafting.table_models import CategoriesTable, Level3, Words
from cases.drafting.tables import categories_table
from cases.schema import Alternative, Asks, Category, Turn, Understood

_STRONG, _WORDS, _WEAK = 3.0, 1.2, 0.4
_PER_EXTRA_CHAR = 0.25  # a longer phrase says more
_LEAST = 1.0  # below this nothing was really said
_THIN = 0.8  # lowers the confidence of thin evidence
_MOST_ALTERNATIVES = 4
_MOST_SPANS = 6


@dataclass(frozen=True, slots=True)
class _Path:
    """A node of the table: level 2 and 3 are '' above their level."""

    level1: str
    level2: str = ""
    level3: str = ""


@dataclass(frozen=True, slots=True)
class _Speaks:
    path: _Path
    weight: float


@dataclass(slots=True)
class _Score:
    total: float = 0.0
    spans: list[tuple[float, Span]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Classified:
    """The field, and the level-3 entry of the table (None when level 3 is open) for subject, urgency and type."""

    category: Understood[Category]
    entry: Level3 | None
    short: str


def _entries(table: CategoriesTable) -> list[tuple[str, _Speaks]]:
    entries: list[tuple[str, _Speaks]] = []

    def add(words: Words, path: _Path) -> None:
        for phrases, weight in ((words.strong, _STRONG), (words.words, _WORDS), (words.weak, _WEAK)):
            entries.extend((phrase, _Speaks(path, weight)) for phrase in phrases)

    for level1 in table.level1:
        add(level1, _Path(level1.name))
        for level2 in level1.level2:
            add(level2, _Path(level1.name, level2.name))
            for level3 in level2.level3:
                add(level3, _Path(level1.name, level2.name, level3.name))
    return entries


@lru_cache(maxsize=1)
def _index() -> PhraseIndex[_Speaks]:
    return PhraseIndex(_entries(categories_table()))


@lru_cache(maxsize=1)
def _level3_by_path() -> dict[_Path, Level3]:
    return {
        _Path(level1.name, level2.name, level3.name): level3
        for level1 in categories_table().level1
        for level2 in level1.level2
        for level3 in level2.level3
    }


@lru_cache(maxsize=1)
def _short_of_level1() -> dict[str, str]:
    return {level1.name: level1.short for level1 in categories_table().level1}


def classify(turns: Sequence[Turn]) -> Classified:
    """The class whose words weigh most. Levels 2 and 3 are left open when nothing speaks for one of them."""
    scores = _scores(turns)
    level1_totals: dict[str, float] = defaultdict(float)
    for path, score in scores.items():
        level1_totals[path.level1] += score.total
    ranked = sorted(level1_totals, key=lambda name: -level1_totals[name])
    if not ranked or level1_totals[ranked[0]] < _LEAST:
        return Classified(Understood[Category](), None, "")
    best, weight = ranked[0], level1_totals[ranked[0]]
    rest = sum(level1_totals[name] ** 2 for name in ranked[1:])
    total = weight**2 + rest + _THIN * weight + 1.0
    path = _deepest(best, scores)
    spans = sorted(
        (span for p, score in scores.items() if p.level1 == best for span in score.spans), key=lambda pair: -pair[0]
    )
    value = Category(level1=best, level2=path.level2 or None, level3=path.level3 or None)
    alternatives = [
        (_deepest(name, scores), min(0.5, level1_totals[name] ** 2 / total)) for name in ranked[1:_MOST_ALTERNATIVES]
    ]
    understood = Understood[Category](
        value=value,
        confidence=round(min(0.96, weight**2 / total), 2),
        evidence=evidence_of(turns, (span for _, span in spans[:_MOST_SPANS])),
        alternatives=tuple(
            Alternative[Category](
                value=Category(level1=p.level1, level2=p.level2 or None, level3=p.level3 or None),
                confidence=round(share, 2),
            )
            for p, share in alternatives
        ),
    )
    entry = _level3_by_path().get(path)
    return Classified(understood, entry, entry.short if entry else _short_of_level1()[best])


def _scores(turns: Sequence[Turn]) -> dict[_Path, _Score]:
    scores: dict[_Path, _Score] = defaultdict(_Score)
    for number, turn in turns_asked(turns, Asks.NARRATION):
        said: set[tuple[_Path, str]] = set()
        for found in _fitting(longest_only(_index().find(hear(turn.text)))):
            path = found.payload.path
            if (path, found.phrase) in said:
                continue
            said.add((path, found.phrase))
            length = sum(1 for char in found.phrase if char != "…")
            weight = found.payload.weight * found.likeness**2 * (1 + _PER_EXTRA_CHAR * max(0, length - 2))
            score = scores[path]
            score.total += weight
            score.spans.append((weight, Span(number, found.start, found.end)))
    return scores


def _fitting(found: list[Found[_Speaks]]) -> list[Found[_Speaks]]:
    """Without the same words counted twice for one level-1 class (暖气 beside 暖气…不热): the weightier stays."""
    kept: list[Found[_Speaks]] = []
    for one in sorted(found, key=lambda f: (-(f.end - f.start), -f.payload.weight)):
        inside = any(
            other.payload.path.level1 == one.payload.path.level1 and other.start <= one.start and one.end <= other.end
            for other in kept
        )
        if not inside:
            kept.append(one)
    return kept


def _deepest(level1: str, scores: dict[_Path, _Score]) -> _Path:
    """The best level 3 of the best level 2 under a level 1, as deep as words speak for one."""
    by_level2: dict[str, float] = defaultdict(float)
    by_level3: dict[_Path, float] = {}
    for path, score in scores.items():
        if path.level1 == level1 and path.level2:
            by_level2[path.level2] += score.total
            if path.level3:
                by_level3[path] = by_level3.get(path, 0.0) + score.total
    if not by_level2:
        return _Path(level1)
    if by_level3:
        return max(by_level3, key=lambda p: by_level3[p] + 0.5 * by_level2[p.level2])
    return _Path(level1, max(by_level2, key=lambda name: by_level2[name]))
