"""发生地址: district, street and community by sound, and what was said around them as it was said.

A false place is worse than none. A street is the anchor: a community alone proves little, a district's name may be a
hospital's. Mentions that agree support each other, and a weak one needs such support.
"""

from __future__ import annotations

from collections.abc import Sequence

from cases.drafting.detail import Anchor, Detail, find_details
from cases.drafting.evidence import Span, evidence_of, heard_confidence
from cases.drafting.gazetteer import Level
from cases.drafting.place_choice import Chosen, chosen
from cases.drafting.place_mentions import ENOUGH, SURE, Said
from cases.drafting.place_readings import NEAR, Hypothesis, district_support, readings
from cases.schema import Alternative, Asks, Place, Turn, Understood

_HINT = 0.25  # a district that was only heard alike, beside its street
_AMBIGUOUS = 0.55
_DETAIL_ONLY = 0.35
_DETAIL_ASKED = 0.5
_DISTRICT_ONLY = 0.7


def place(turns: Sequence[Turn]) -> Understood[Place]:
    """The place of the matter. The answer to "where" (Asks.PLACE) overrides what was told before it."""
    answer = chosen(turns)
    said, told, hypotheses = readings(turns, answer)
    details = [detail for number, turn in told for detail in _details_of(number, turn, said, hypotheses)]
    return _decide(turns, said, hypotheses, details, answer)


def _details_of(number: int, turn: Turn, said: list[Said], hypotheses: list[Hypothesis]) -> list[Detail]:
    supported = [one for h in hypotheses[:1] if h.strength >= ENOUGH for one in h.evident()]
    anchors = {
        Anchor(
            one.mention.start,
            one.mention.end,
            bare=one.mention.name.level is Level.STREET and not one.mention.suffix,
            everyday=one.mention.name.level is Level.EVERYDAY,
        )
        for one in [*(one for one in said if one.strength >= ENOUGH), *supported]
        if one.turn == number and one.mention.name.level is not Level.COMMUNITY
    }
    return find_details(
        number, turn.text, sorted(anchors, key=lambda a: (a.start, a.end)), asked=turn.asks is Asks.PLACE
    )


def _decide(
    turns: Sequence[Turn],
    said: list[Said],
    hypotheses: list[Hypothesis],
    details: list[Detail],
    answer: Chosen | None,
) -> Understood[Place]:
    districts = district_support(said)
    likely = [h for h in hypotheses if h.strength >= ENOUGH]
    detail = max(details, key=lambda d: d.weight, default=None)
    if detail and any(_says_it_all(one, detail) for h in likely[:1] for one in h.said):
        detail = None
    spans = [detail.span] if detail else []
    if answer is not None and answer.place is not None:
        spans.append(answer.span)
    if likely:
        return _street_place(turns, said, likely, detail, spans)
    best = max(districts, key=lambda d: districts[d], default=None)
    if best is not None and districts[best] >= ENOUGH:
        spans += [one.span for one in said if one.mention.name.district == best and one.strength >= ENOUGH]
        confidence = min(districts[best], _DISTRICT_ONLY) * heard_confidence(turns, spans)
        return Understood[Place](
            value=Place(district=best, detail=detail.text if detail else None),
            confidence=round(confidence, 2),
            evidence=evidence_of(turns, spans),
            alternatives=_alternatives(hypotheses[:3], detail),
        )
    if detail:
        confidence = _DETAIL_ASKED if detail.asked else _DETAIL_ONLY
        return Understood[Place](
            value=Place(detail=detail.text),
            confidence=confidence,
            evidence=evidence_of(turns, spans),
            alternatives=_alternatives(hypotheses[:3], detail),
        )
    return Understood[Place]()


def _says_it_all(one: Said, detail: Detail) -> bool:
    """The detail is nothing but the community that was recognised."""
    return (
        one.mention.name.level is Level.COMMUNITY
        and one.turn == detail.span.turn
        and one.mention.start <= detail.span.start
        and detail.span.end <= one.mention.end
    )


def _street_place(
    turns: Sequence[Turn], said: list[Said], likely: list[Hypothesis], detail: Detail | None, spans: list[Span]
) -> Understood[Place]:
    best = likely[0]
    rivals = [h for h in likely[1:] if h.strength > best.strength - NEAR]
    namesakes = [h for h in rivals if {o.span for o in h.said} & {o.span for o in best.said}]
    spans = spans + [one.span for one in best.evident()]
    spans += [
        one.span
        for one in said
        if one.mention.name.level in (Level.DISTRICT, Level.EVERYDAY)
        and one.mention.name.district == best.district
        and (not one.mention.name.street or one.mention.name.street == best.street)
        and one.strength >= (_HINT if one.mention.name.level is Level.DISTRICT else ENOUGH)
    ]
    district: str | None = best.district
    street: str | None = best.street
    confidence = best.strength * heard_confidence(turns, spans)
    if namesakes:
        district = best.district if all(h.district == best.district for h in namesakes) else None
        street = best.street if all(h.street == best.street for h in namesakes) else None
        confidence = min(confidence, _AMBIGUOUS)
    elif rivals:
        confidence *= 0.75
    value = Place(
        district=district,
        street=street,
        community=best.community if not namesakes else None,
        detail=detail.text if detail else None,
    )
    if not any((value.district, value.street, value.detail)):
        return Understood[Place](alternatives=_alternatives([best, *namesakes], detail))
    others = ([best] if namesakes else []) + [h for h in likely[1:] if h.strength > ENOUGH]
    return Understood[Place](
        value=value,
        confidence=round(min(confidence, SURE), 2),
        evidence=evidence_of(turns, spans),
        alternatives=_alternatives(others[:4], detail),
    )


def _alternatives(hypotheses: list[Hypothesis], detail: Detail | None) -> tuple[Alternative[Place], ...]:
    return tuple(
        Alternative[Place](
            value=Place(
                district=h.district, street=h.street, community=h.community, detail=detail.text if detail else None
            ),
            confidence=round(max(0.0, min(h.strength, _AMBIGUOUS)), 2),
        )
        for h in hypotheses
    )
