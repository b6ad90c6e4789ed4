"""分类: level 1 by the words of the versioned table and the learned model together, levels 2 and 3 by the words.

Words are found by character and by sound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cases.drafting.classifier import Vote
from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.learned_vote import learned_spans, narrated, shared_rest
from cases.drafting.model_file import KEEPER
from cases.drafting.phrases import Found, PhraseIndex, longest_only
from cases.drafting.pinyin import hear
from cases.drafting.table_models import CategoriesTable, Level1, Level2, Level3
from cases.drafting.table_models import Words as TableWords
from cases.drafting.tables import categories_table
from cases.schema import Alternative, Asks, Category, Turn, Understood

_STRONG, _WORDS, _WEAK = 3.0, 1.2, 0.4
_PER_EXTRA_CHAR = 0.25  # a longer phrase says more
_LEAST = 1.0  # below this nothing was really said
_THIN = 0.8  # lowers the confidence of thin evidence
_MOST_SPANS = 6
_LEAST_CONFIDENCE = 0.45  # for what only the learned model understands
_LEAST_CHARS = 8  # a shorter text without a word of the table is about nothing


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
    words: Words


def _entries(table: CategoriesTable) -> list[tuple[str, _Speaks]]:
    entries: list[tuple[str, _Speaks]] = []

    def add(words: TableWords, path: _Path) -> None:
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


@dataclass(frozen=True, slots=True)
class Words:
    """What the table's words say by themselves. `share`: how much the first class outweighs the rest, 0-1."""

    level1: dict[str, float]
    scores: dict[_Path, _Score]
    share: float
    entry: Level3 | None
    spans: tuple[Span, ...]  # that speak for the first class, weightiest first


def words_of(turns: Sequence[Turn]) -> Words:
    """The words of all classes. Below `_LEAST` nothing was really said: share 0 and no entry."""
    scores = _scores(turns)
    totals: dict[str, float] = defaultdict(float)
    for path, score in scores.items():
        totals[path.level1] += score.total
    ranked = sorted(totals, key=lambda name: -totals[name])
    if not ranked or totals[ranked[0]] < _LEAST:
        return Words(dict(totals), scores, 0.0, None, ())
    best, weight = ranked[0], totals[ranked[0]]
    total = weight**2 + sum(totals[name] ** 2 for name in ranked[1:]) + _THIN * weight + 1.0
    entry = _level3_by_path().get(_deepest(best, scores))
    return Words(dict(totals), scores, min(0.96, weight**2 / total), entry, tuple(_spans_of(best, scores)))


def classify(turns: Sequence[Turn]) -> Classified:
    """The class for which the table's words and the learned model vote together. Levels 2 and 3 by the words alone.

    Open when neither words nor a longer text speak for one: half a greeting is about nothing.
    """
    words = words_of(turns)
    model = KEEPER.current().fields.get("level1")
    if model is None:
        votes = [Vote(name, 0.0) for name in sorted(words.level1, key=lambda name: -words.level1[name])]
        votes = [Vote(votes[0].label, words.share), *votes[1:]] if votes else []
        confidence = words.share
    else:
        votes = model.votes(narrated(turns), words.level1)
        confidence = model.confidence(votes)
    if not votes or not _says_enough(turns, words, confidence):
        return Classified(Understood[Category](), None, "", words)
    best = votes[0].label
    spans = _spans_of(best, words.scores) or (learned_spans(model, turns, best) if model else [])
    if not spans:
        return Classified(Understood[Category](), None, "", words)
    path = _deepest(best, words.scores)
    understood = Understood[Category](
        value=_category(path),
        confidence=round(confidence, 2),
        evidence=evidence_of(turns, spans),
        alternatives=tuple(
            Alternative[Category](value=_category(_deepest(label, words.scores)), confidence=share)
            for label, share in shared_rest(votes, confidence)
        ),
    )
    entry = _level3_by_path().get(path)
    return Classified(understood, entry, entry.short if entry else _short_of_level1()[best], words)


def _says_enough(turns: Sequence[Turn], words: Words, confidence: float) -> bool:
    if words.share > 0:
        return True
    return confidence >= _LEAST_CONFIDENCE and len(narrated(turns)) >= _LEAST_CHARS


def _category(path: _Path) -> Category:
    return Category(level1=path.level1, level2=path.level2 or None, level3=path.level3 or None)


def _spans_of(level1: str, scores: dict[_Path, _Score]) -> list[Span]:
    weighed = [pair for path, score in scores.items() if path.level1 == level1 for pair in score.spans]
    return [span for _, span in sorted(weighed, key=lambda pair: -pair[0])[:_MOST_SPANS]]


def level1_phrases() -> Iterator[tuple[str, str, str]]:
    """(level 1, entry, phrase) of the table's strong and clear words."""
    for level1 in categories_table().level1:
        nodes: list[Level1 | Level2 | Level3] = [
            level1,
            *level1.level2,
            *(level3 for level2 in level1.level2 for level3 in level2.level3),
        ]
        for node in nodes:
            for kind, phrases in (("strong", node.strong), ("words", node.words)):
                for phrase in phrases:
                    yield level1.name, f"{node.name}/{kind}", phrase


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
