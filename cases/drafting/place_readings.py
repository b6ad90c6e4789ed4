"""The places that a call may mean: every street that was mentioned, with what speaks for it. place.py decides among them.

A street is the anchor: a community alone proves little, a district's name may be a hospital's. Mentions that agree
support each other, and a weak one needs such support.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cases.drafting.evidence import Span, turns_asked
from cases.drafting.gazetteer import Level
from cases.drafting.place_choice import ANSWERS, Chosen, Street
from cases.drafting.place_mentions import ADJACENT_CHARS, ENOUGH, SURE, Said, mentions_of
from cases.schema import Asks, Turn

NEAR = 0.12  # readings so near in strength rival each other
_NO_PLACE_SAID = ("unknown", *ANSWERS)  # the menu's answers (prompts/menu.toml) in which no place is said


@dataclass(slots=True)
class Hypothesis:
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


def readings(
    turns: Sequence[Turn], answer: Chosen | None
) -> tuple[list[Said], list[tuple[int, Turn]], list[Hypothesis]]:
    """The mentions that count, the turns that tell of the place, and the streets they may mean, strongest first."""
    told = [one for one in turns_asked(turns, Asks.NARRATION, Asks.PLACE) if one[1].answer not in _NO_PLACE_SAID]
    said = [one for number, turn in told for one in mentions_of(number, turn)]
    if answer is not None:
        refused = [street for street in answer.offered if street != answer.place]
        said = [one for one in said if (one.mention.name.district, one.mention.name.street) not in refused]
    if answer is not None and answer.place is not None:
        district, street = answer.place
        said = [
            one for one in said if one.mention.name.district == district and one.mention.name.street in ("", street)
        ]
        picked = next((h for h in _hypotheses(said) if h.street == street), Hypothesis(district, street))
        picked.strength = SURE
        return said, told, [picked]
    answered = [one for one in said if one.asked and one.strength >= ENOUGH]
    if answered:
        said, told = _agreeing(said, told, answered)
    return said, told, _hypotheses(said)


def near_readings(turns: Sequence[Turn]) -> tuple[Street, Street] | None:
    """Two places that were both likely meant and nearly equally so, the likelier first: worth one question.

    None when there are none, when a third is as near, or when the caller was asked already.
    """
    if any(turn.asks is Asks.PLACE and turn.answer in ANSWERS for turn in turns):
        return None
    _, _, hypotheses = readings(turns, None)
    near = [h for h in hypotheses if h.strength >= ENOUGH and h.strength > hypotheses[0].strength - NEAR]
    if len(near) != 2:
        return None
    return (near[0].district, near[0].street), (near[1].district, near[1].street)


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


def _hypotheses(said: list[Said]) -> list[Hypothesis]:
    """Every street that was mentioned (or is the street of a mentioned community), strongest first."""
    districts = district_support(said)
    found: dict[tuple[str, str], Hypothesis] = {}
    for one in said:
        name = one.mention.name
        if name.level is Level.DISTRICT or not name.street:
            continue
        if name.level is Level.COMMUNITY:
            continue
        key = (name.district, name.street)
        hypothesis = found.setdefault(key, Hypothesis(*key))
        hypothesis.strength = max(hypothesis.strength, _supported(one, said, districts))
        hypothesis.said.append(one)
    _add_communities(found, said, districts)
    return sorted(found.values(), key=lambda h: (-h.strength, min(one.span for one in h.said)))


def district_support(said: list[Said]) -> dict[str, float]:
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


def _add_communities(found: dict[tuple[str, str], Hypothesis], said: list[Said], districts: dict[str, float]) -> None:
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
            hypothesis = found.setdefault(key2, Hypothesis(*key2, community=name.community))
            hypothesis.strength = max(hypothesis.strength, min(strength, 0.75))
            hypothesis.said.append(one)
