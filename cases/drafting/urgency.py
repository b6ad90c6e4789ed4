"""紧急程度: routine unless words show danger to life and property now, or that water, power, gas or heat is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from cases.drafting.category import Classified
from cases.drafting.emergency import hears_emergency
from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.phrases import PhraseIndex, exact_floor, longest_only
from cases.drafting.pinyin import hear
from cases.drafting.tables import urgency_table
from cases.schema import Alternative, AppealType, Asks, Turn, Understood, Urgency

_CALM_TYPES = (AppealType.ENQUIRY, AppealType.SUGGESTION, AppealType.PRAISE)

_DENIED = re.compile(r"(?:(?<!有)没有?|(?<!是)不是)$")
_EITHER_OR = re.compile(r"不是.{1,10}?就是")  # 不是停水就是停电 says both


@lru_cache(maxsize=1)
def _indexes() -> tuple[PhraseIndex[Urgency], PhraseIndex[None]]:
    table = urgency_table()
    entries = [(phrase, Urgency.EMERGENCY) for phrase in table.emergency]
    entries += [(phrase, Urgency.URGENT) for phrase in table.urgent]
    return PhraseIndex(entries), PhraseIndex(((phrase, None) for phrase in table.not_urgent), floor=exact_floor)


def urgency(
    turns: Sequence[Turn], appeal: AppealType | None, classified: Classified | None = None
) -> Understood[Urgency]:
    """Empty reads as routine: nothing urgent was said. Enquiries, suggestions and praise are urgent only in danger.

    A category that may not wait (停气) is urgent too; its words are the evidence.
    """
    spans: dict[Urgency, list[Span]] = {Urgency.EMERGENCY: [], Urgency.URGENT: []}
    told_now = False
    calm = appeal in _CALM_TYPES
    for number, turn in turns_asked(turns, Asks.NARRATION):
        emergency = hears_emergency(turn.text)
        if emergency:
            told_now = True
            spans[Urgency.EMERGENCY].append(Span(number, emergency.start_char, emergency.end_char))
        heard = hear(turn.text)
        index, takes_back = _indexes()
        calm = calm or bool(takes_back.find(heard))
        for found in longest_only(index.find(heard)):
            if not _is_denied(turn.text, found.start):
                spans[found.payload].append(Span(number, found.start, found.end))
    if classified and classified.entry and classified.entry.urgent and not spans[Urgency.URGENT]:
        spans[Urgency.URGENT] = [Span(e.turn, e.start_char, e.end_char) for e in classified.category.evidence]
        if any(_is_denied(turns[span.turn].text, span.start) for span in spans[Urgency.URGENT]):
            spans[Urgency.URGENT] = []
    if calm and not told_now:
        return Understood[Urgency]()
    for level in (Urgency.EMERGENCY, Urgency.URGENT):
        if spans[level]:
            confidence = 0.9 if told_now else min(0.88, 0.7 + 0.08 * len(set(spans[level])))
            other = Urgency.URGENT if level is Urgency.EMERGENCY else Urgency.ROUTINE
            return Understood[Urgency](
                value=level,
                confidence=round(confidence, 2),
                evidence=evidence_of(turns, spans[level]),
                alternatives=(Alternative[Urgency](value=other, confidence=round((1 - confidence) / 2, 2)),),
            )
    return Understood[Urgency]()


def _is_denied(text: str, start: int) -> bool:
    """没有停水 and 不是停水 deny it; 有没有停水, 是不是停水 and 不是停水就是停电 do not."""
    denied = _DENIED.search(text[:start])
    return denied is not None and not _EITHER_OR.match(text, denied.start())
