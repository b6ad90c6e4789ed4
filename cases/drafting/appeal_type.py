"""工单类型: complaint, report, help, suggestion, enquiry or praise, by the words that show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.category import Classified, Words, words_of
from cases.drafting.classifier import Vote
from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.learned_vote import learned_spans, narrated, shared_rest
from cases.drafting.model_file import KEEPER
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


_LEAST_CONFIDENCE, _LEAST_CHARS = 0.75, 8  # for what only the learned model understands


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


Spans = dict[AppealType, list[tuple[float, Span]]]


def type_weights(turns: Sequence[Turn], words: Words) -> dict[AppealType, float]:
    """Type → weight of the words that show it."""
    return _weighed(turns, words)[0]


def _weighed(turns: Sequence[Turn], words: Words) -> tuple[dict[AppealType, float], Spans]:
    """What is told leans towards its usual type (停水 → 求助): the words of the category are then the evidence."""
    weight: dict[AppealType, float] = dict.fromkeys(AppealType, 0.0)
    spans: Spans = {kind: [] for kind in AppealType}
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
    if words.share > 0:
        usual = words.entry.usual if words.entry else AppealType.COMPLAINT
        weight[usual] += _USUAL_WEIGHT * words.share
        spans[usual] += [(0.5, span) for span in words.spans[:2]]
    return weight, spans


def appeal_type(turns: Sequence[Turn], classified: Classified | None = None) -> Understood[AppealType]:
    """The type for which words and the learned model vote together; what the caller says in so many words (我要投诉)
    outweighs the rest. Nothing said that shows a type, nor what it is about: empty.
    """
    words = classified.words if classified else words_of(turns)
    weight, spans = _weighed(turns, words)
    told = sum(weight.values()) > 0 or bool(classified and classified.category.evidence)
    model = KEEPER.current().fields.get("appeal_type")
    if model is None:
        votes, confidence = _votes_of_words(weight)
    else:
        votes = model.votes(narrated(turns), {str(kind): value for kind, value in weight.items()})
        confidence = model.confidence(votes)
    if not told and (model is None or confidence < _LEAST_CONFIDENCE or len(narrated(turns)) < _LEAST_CHARS):
        return Understood[AppealType]()
    best = AppealType(votes[0].label)
    shown = [span for _, span in sorted(spans[best], key=lambda pair: -pair[0])[:4]]
    shown = shown or (learned_spans(model, turns, best) if model else [])
    if not shown and classified:
        shown = [Span(e.turn, e.start_char, e.end_char) for e in classified.category.evidence[:2]]
    if not shown:
        return Understood[AppealType]()
    return Understood[AppealType](
        value=best,
        confidence=round(confidence, 2),
        evidence=evidence_of(turns, shown),
        alternatives=tuple(
            Alternative[AppealType](value=AppealType(label), confidence=share)
            for label, share in shared_rest(votes, confidence)
        ),
    )


def _votes_of_words(weight: dict[AppealType, float]) -> tuple[list[Vote], float]:
    """Without a model: the words alone."""
    ranked = sorted((kind for kind in AppealType if weight[kind] > 0), key=lambda kind: -weight[kind])
    total = sum(weight[kind] for kind in ranked[:3]) + _ENOUGH
    votes = [Vote(str(kind), weight[kind] / total) for kind in ranked] or [Vote(str(AppealType.COMPLAINT), 0.0)]
    return votes, min(0.97, _CALIBRATION * votes[0].share)


def type_phrases() -> Iterator[tuple[str, str, str]]:
    """(type, entry, phrase) of the table's words, the weak ones left out."""
    for kind in AppealType:
        entry = getattr(types_table(), kind.name.lower())
        for name in ("explicit", "strong", "words"):
            for phrase in getattr(entry, name):
                yield str(kind), name, phrase
