"""发生地址: district, street and community by sound, and what was said around them as it was said.

A false place is worse than none. A street is the anchor: a community alone proves little, a district's name may be a
hospital's. Mentions that agree support each other, and a weak one needs such support.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cases.drafting.detail import Anchor, Detail, find_details
from cases.drafting.evidence import Span, evidence_of, heard_confidence, turns_asked
from cases.drafting.gazetteer import Level
from cases.drafting.place_mentions import ADJACENT_CHARS, ENOUGH, SURE, Said, mentions_of
from cases.schema import Alternative, Asks, Place, Turn, Understood

_HINT = 0.25  # a district that was only heard alike, beside its street
_AMBIGUOUS = 0.55
_DETAIL_ONLY = 0.35
_DETAIL_ASKED = 0.5
_DISTRICT_ONLY = 0.7
_UNKNOWN = "unknown"  # the menu's answer (prompts/menu.toml) for a caller who cannot say where


@dataclass(slots=True)
class _Hypothesis:
    """A street (or, with street '', a district) and what speaks for it."""

    district: str
    street: str
    strength: float = 0.0
    said: list[Said] = field(default_factory=list)
    community: str | None = None

    def evident(self) -> list[Said]:
        """What may be shown as evidence: no chance likeness (望尽 in 希望尽快) beside a mention that is enough."""
        least = min(ENOUGH, max((one.strength for one in self.said), default=0.0))
        return [one for one in self.said if one.strength >= least or one.mention.name.level is Level.COMMUNITY]


def place(turns: Sequence[Turn]) -> Understood[Place]:
    """The place of the matter. The answer to "where" (Asks.PLACE) overrides what was told before it."""
    told = [one for one in turns_asked(turns, Asks.NARRATION, Asks.PLACE) if one[1].answer != _UNKNOWN]
    said = [one for number, turn in told for one in mentions_of(number, turn)]
    answered = [one for one in said if one.asked and one.strength >= ENOUGH]
    if answered:
        said, told = _agreeing(said, told, answered)
    hypotheses = _hypotheses(said)
    details = [detail for number, turn in told for detail in _details_of(number, turn, said, hypotheses)]
    return _decide(turns, said, hypotheses, details)


def _agreeing(
    said: list[Said], told: list[tuple[int, Turn]], answered: list[Said]
) -> tuple[list[Said], list[tuple[int, Turn]]]:
    """What agrees with the answer to "where", and the turns that do: another district or street is another place."""
    districts = {one.mention.name.district for one in answered}
    streets = {one.mention.name.street for one in answered if one.mention.name.street}

    def agrees(one: Said) -> bool:
        name = one.mention.name
        return name.district in districts and (not name.street or not streets or name.street in streets)

    against = {one.turn for one in said if not one.asked and one.strength >= ENOUGH and not agrees(one)}
    return (
        [one for one in said if one.asked or agrees(one)],
        [(number, turn) for number, turn in told if number not in against],
    )


def _hypotheses(said: list[Said]) -> list[_Hypothesis]:
    """Every street that was mentioned (or is the street of a mentioned community), strongest first."""
    districts = _district_support(said)
    found: dict[tuple[str, str], _Hypothesis] = {}
    for one in said:
        name = one.mention.name
        if name.level is Level.DISTRICT or not name.street:
            continue
        if name.level is Level.COMMUNITY:
            continue
        key = (name.district, name.street)
        hypothesis = found.setdefault(key, _Hypothesis(*key))
        hypothesis.strength = max(hypothesis.strength, _supported(one, said, districts))
        hypothesis.said.append(one)
    _add_communities(found, said, districts)
    return sorted(found.values(), key=lambda h: (-h.strength, min(one.span for one in h.said)))


def _district_support(said: list[Said]) -> dict[str, float]:
    """District → strength of the best mention of it."""
    support: dict[str, float] = {}
    for one in said:
        name = one.mention.name
        if name.level is Level.DISTRICT or (name.level is Level.EVERYDAY and not name.street):
            support[name.district] = max(support.get(name.district, 0.0), one.strength)
    return support


def _supported(one: Said, said: list[Said], districts: dict[str, float]) -> float:
    """A mention's strength with the district's support or contradiction."""
    district = one.mention.name.district
    strength = one.strength
    adjacent = any(
        other.turn == one.turn
        and other.mention.name.level is Level.DISTRICT
        and other.mention.name.district == district
        and (
            0 <= one.mention.start - other.mention.end <= ADJACENT_CHARS
            or 0 <= other.mention.start - one.mention.end <= ADJACENT_CHARS
        )
        for other in said
    )
    if adjacent:
        strength += 0.4
    elif districts.get(district, 0.0) >= ENOUGH:
        strength += 0.25
    against = max((value for other, value in districts.items() if other != district), default=0.0)
    if against >= 0.7 and districts.get(district, 0.0) < against - 0.2:
        strength -= 0.25 if one.mention.suffix and one.mention.likeness == 1.0 else 0.45
    return min(strength, SURE)


def _add_communities(found: dict[tuple[str, str], _Hypothesis], said: list[Said], districts: dict[str, float]) -> None:
    """Communities name themselves beside their street; a long and unique one may even name the street."""
    streets = {one.span for one in said if one.mention.name.level in (Level.STREET, Level.EVERYDAY)}
    streets |= {Span(one.turn, one.mention.start, one.mention.stem_end) for one in said if one.span in streets}
    communities = [
        one
        for one in said
        if one.mention.name.level is Level.COMMUNITY
        # 六里桥 is the street, unless 六里桥社区 was said
        and (one.mention.suffix or one.span not in streets)
        and not (one.mention.suffix and one.span in streets)
    ]
    for one in sorted(communities, key=lambda o: (-o.strength, -len(o.mention.name.stem))):
        name = one.mention.name
        hypothesis = found.get((name.district, name.street))
        if hypothesis is not None and hypothesis.community is None and (one.strength >= 0.35 or one.mention.suffix):
            hypothesis.community = name.community
            hypothesis.strength = min(SURE, hypothesis.strength + 0.1)
            hypothesis.said.append(one)
    anchors = {street for _, street in found}
    namesakes: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for one in communities:
        if not districts or one.mention.name.district in districts:
            key = (one.turn, one.mention.start)
            namesakes.setdefault(key, set()).add((one.mention.name.district, one.mention.name.street))
    for one in communities:
        name = one.mention.name
        if name.street in anchors or len(namesakes.get((one.turn, one.mention.start), ())) != 1:
            continue
        strength = one.strength
        if districts.get(name.district, 0.0) >= ENOUGH:
            strength += 0.25
        elif not one.mention.suffix and not one.locative:
            strength -= 0.2
        if strength >= ENOUGH and len(name.stem) >= 3:
            key2 = (name.district, name.street)
            hypothesis = found.setdefault(key2, _Hypothesis(*key2, community=name.community))
            hypothesis.strength = max(hypothesis.strength, min(strength, 0.75))
            hypothesis.said.append(one)


def _details_of(number: int, turn: Turn, said: list[Said], hypotheses: list[_Hypothesis]) -> list[Detail]:
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
    turns: Sequence[Turn], said: list[Said], hypotheses: list[_Hypothesis], details: list[Detail]
) -> Understood[Place]:
    districts = _district_support(said)
    likely = [h for h in hypotheses if h.strength >= ENOUGH]
    detail = max(details, key=lambda d: d.weight, default=None)
    if detail and any(_says_it_all(one, detail) for h in likely[:1] for one in h.said):
        detail = None
    spans = [detail.span] if detail else []
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
    turns: Sequence[Turn], said: list[Said], likely: list[_Hypothesis], detail: Detail | None, spans: list[Span]
) -> Understood[Place]:
    best = likely[0]
    rivals = [h for h in likely[1:] if h.strength > best.strength - 0.12]
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


def _alternatives(hypotheses: list[_Hypothesis], detail: Detail | None) -> tuple[Alternative[Place], ...]:
    return tuple(
        Alternative[Place](
            value=Place(
                district=h.district, street=h.street, community=h.community, detail=detail.text if detail else None
            ),
            confidence=round(max(0.0, min(h.strength, _AMBIGUOUS)), 2),
        )
        for h in hypotheses
    )
