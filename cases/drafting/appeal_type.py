"""工单类型: complaint, report, help, suggestion, enquiry or praise, by the words that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.category import Classified
from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.phrases import PhraseIndex, longest_only
from cases.drafting.pinyin import hear
from cases.drafting.tables import types_table
from cases.schema import Alternative, AppealType, Asks, Turn, Understood

_WEIGHTS = {"explicit": 8.0, "strong": 3.0, "words": 1.0, "weak": 0.3}
_OPENING_CHARS = 40  # what people say first is what they want
_OPENING_BONUS = 1.3
_USUAL_WEIGHT = 2.2
_CALIBRATION = 1.15  # on tests/data/complaints_dev.tsv shares from 0.7 on were always right
_ENOUGH = 1.2  # halves the confidence of thin evidence


@dataclass(frozen=True, slots=True)
class _Speaks:
    type: AppealType
    weight: float


@lru_cache(maxsize=1)
def _index() -> PhraseIndex[_Speaks]:
    table = types_table()
    entries = []
    for kind in AppealType:
        entry = getattr(table, kind.name.lower())
        for name, weight in _WEIGHTS.items():
            entries += [(phrase, _Speaks(kind, weight)) for phrase in getattr(entry, name)]
    return PhraseIndex(entries)


def appeal_type(turns: Sequence[Turn], classified: Classified | None = None) -> Understood[AppealType]:
    """The type with the most weight of words; what the caller says in so many words (我要投诉) outweighs the rest.

    What is told leans towards its usual type (停水 → 求助): the words of the category are then the evidence.
    """
    weight: dict[AppealType, float] = dict.fromkeys(AppealType, 0.0)
    spans: dict[AppealType, list[tuple[float, Span]]] = {kind: [] for kind in AppealType}
    for number, turn in turns_asked(turns, Asks.NARRATION):
        said: set[tuple[AppealType, str]] = set()
        for found in longest_only(_index().find(hear(turn.text))):
            speaks = found.payload
            if (speaks.type, found.phrase) in said:
                continue
            said.add((speaks.type, found.phrase))
            bonus = _OPENING_BONUS if found.start < _OPENING_CHARS else 1.0
            weight[speaks.type] += speaks.weight * found.likeness * bonus
            spans[speaks.type].append((speaks.weight, Span(number, found.start, found.end)))
    if classified and classified.category.evidence:
        usual = classified.entry.usual if classified.entry else AppealType.COMPLAINT
        weight[usual] += _USUAL_WEIGHT * classified.category.confidence
        spans[usual] += [(0.5, Span(e.turn, e.start_char, e.end_char)) for e in classified.category.evidence[:2]]
    ranked = sorted((kind for kind in AppealType if weight[kind] > 0), key=lambda kind: -weight[kind])
    if not ranked:
        return Understood[AppealType]()
    best, rest = ranked[0], ranked[1:]
    total = weight[best] + sum(weight[kind] for kind in rest[:2]) + _ENOUGH
    strongest = sorted(spans[best], key=lambda pair: -pair[0])[:4]
    return Understood[AppealType](
        value=best,
        confidence=round(min(0.97, _CALIBRATION * weight[best] / total), 2),
        evidence=evidence_of(turns, (span for _, span in strongest)),
        alternatives=tuple(
            Alternative[AppealType](value=kind, confidence=round(weight[kind] / total, 2)) for kind in rest[:3]
        ),
    )
