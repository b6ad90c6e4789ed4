"""紧急程度: routine unless words show danger to life and property now, or that water, power, gas or heat is missing.

An emergency is a matter of words alone: too rare and too grave to be learned. Between urgent and routine the words and
the learned model vote together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.category import Classified, Words
from cases.drafting.emergency import hears_emergency
from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.learned_vote import learned_spans, narrated
from cases.drafting.model_file import KEEPER
from cases.drafting.phrases import PhraseIndex, exact_floor, longest_only
from cases.drafting.pinyin import hear
from cases.drafting.tables import urgency_table
from cases.schema import Alternative, AppealType, Asks, Turn, Understood, Urgency

_CALM_TYPES = (AppealType.ENQUIRY, AppealType.SUGGESTION, AppealType.PRAISE)
# Too few labelled messages are emergencies to count on: never shown as sure, a human looks.
_EMERGENCY_CONFIDENCE = 0.7
_BY_WORDS_CONFIDENCE = 0.6  # without a model
_MOST_SPANS = 6

_DENIED = re.compile(r"(?:(?<!有)没有?|(?<!是)不是)$")
_EITHER_OR = re.compile(r"不是.{1,10}?就是")  # 不是停水就是停电 says both


@lru_cache(maxsize=1)
def _indexes() -> tuple[PhraseIndex[Urgency], PhraseIndex[None]]:
    table = urgency_table()
    entries = [(phrase, Urgency.EMERGENCY) for phrase in table.emergency]
    entries += [(phrase, Urgency.URGENT) for phrase in table.urgent]
    return PhraseIndex(entries), PhraseIndex(((phrase, None) for phrase in table.not_urgent), floor=exact_floor)


@dataclass(frozen=True, slots=True)
class _Told:
    """`happening`: an emergency told as happening now. `calm`: words that take urgency back, or deny it (没有停水)."""

    emergency: list[Span]
    urgent: list[Span]
    happening: bool
    calm: bool


def _told(turns: Sequence[Turn], words: Words) -> _Told:
    emergency: list[Span] = []
    urgent: list[Span] = []
    happening = calm = denied = False
    index, takes_back = _indexes()
    for number, turn in turns_asked(turns, Asks.NARRATION):
        now = hears_emergency(turn.text)
        if now:
            happening = True
            emergency.append(Span(number, now.start_char, now.end_char))
        heard = hear(turn.text)
        calm = calm or bool(takes_back.find(heard))
        for found in longest_only(index.find(heard)):
            if _is_denied(turn.text, found.start):
                denied = True
            else:
                where = emergency if found.payload is Urgency.EMERGENCY else urgent
                where.append(Span(number, found.start, found.end))
    # A category that may not wait (停气) is urgent too; its words are the evidence.
    if words.entry and words.entry.urgent and not urgent:
        urgent = list(words.spans)
        if any(_is_denied(turns[span.turn].text, span.start) for span in urgent):
            urgent, denied = [], True
    return _Told(emergency, urgent, happening, calm or (denied and not urgent and not emergency))


def urgency_weights(turns: Sequence[Turn], words: Words) -> dict[str, float]:
    """routine and urgent → weight of the words that speak for it."""
    told = _told(turns, words)
    category = 1.0 if words.entry and words.entry.urgent else 0.0
    urgent = len(set(told.urgent)) + 2 * len(set(told.emergency)) + category
    return {str(Urgency.URGENT): float(urgent), str(Urgency.ROUTINE): 2.0 if told.calm else 0.0}


def urgency(
    turns: Sequence[Turn], appeal: AppealType | None, classified: Classified | None = None
) -> Understood[Urgency]:
    """Empty reads as routine: nothing urgent was said. Enquiries, suggestions and praise are urgent only in danger."""
    words = classified.words if classified else Words({}, {}, 0.0, None, ())
    told = _told(turns, words)
    if (told.calm or appeal in _CALM_TYPES) and not told.happening:
        return Understood[Urgency]()
    if told.emergency:
        return _understood(turns, Urgency.EMERGENCY, _EMERGENCY_CONFIDENCE, Urgency.URGENT, told.emergency)
    model = KEEPER.current().fields.get("urgency")
    if model is None:
        if not told.urgent:
            return Understood[Urgency]()
        return _understood(turns, Urgency.URGENT, _BY_WORDS_CONFIDENCE, Urgency.ROUTINE, told.urgent)
    votes = model.votes(narrated(turns), urgency_weights(turns, words))
    if votes[0].label != Urgency.URGENT:
        return Understood[Urgency]()
    spans = told.urgent or learned_spans(model, turns, Urgency.URGENT)
    return (
        _understood(turns, Urgency.URGENT, model.confidence(votes), Urgency.ROUTINE, spans) if spans else Understood()
    )


def _understood(
    turns: Sequence[Turn], level: Urgency, confidence: float, other: Urgency, spans: Sequence[Span]
) -> Understood[Urgency]:
    return Understood[Urgency](
        value=level,
        confidence=round(confidence, 2),
        evidence=evidence_of(turns, list(dict.fromkeys(spans))[:_MOST_SPANS]),
        alternatives=(Alternative[Urgency](value=other, confidence=round(1 - confidence, 2)),),
    )


def urgency_phrases() -> Iterator[tuple[str, str, str]]:
    """(urgent or routine, entry, phrase) of the table."""
    table = urgency_table()
    for phrase in (*table.urgent, *table.emergency):
        yield str(Urgency.URGENT), "urgent", phrase
    for phrase in table.not_urgent:
        yield str(Urgency.ROUTINE), "not_urgent", phrase


def _is_denied(text: str, start: int) -> bool:
    """没有停水 and 不是停水 deny it; 有没有停水, 是不是停水 and 不是停水就是停电 do not."""
    denied = _DENIED.search(text[:start])
    return denied is not None and not _EITHER_OR.match(text, denied.start())
