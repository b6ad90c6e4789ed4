"""发生地址: district, street and community by sound, and what was said around them as it was said.

A false place is worse than none. A street is the anchor: a community alone proves little, a district's name may be a
hospital's. Every mention has a strength (0-1) by how exactly and how completely it was said; mentions that agree
support each other, and a short name that was only heard alike needs such support.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cases.drafting.detail import Anchor, Detail, find_details
from cases.drafting.evidence import Span, evidence_of, heard_confidence, turns_asked
from cases.drafting.gazetteer import Level, Mention, gazetteer
from cases.drafting.phrases import PhraseIndex, exact_floor
from cases.drafting.pinyin import Heard, hear
from cases.drafting.tables import places_table
from cases.schema import Alternative, Asks, Place, Turn, Understood

_ENOUGH = 0.5
_HINT = 0.25  # a district that was only heard alike, beside its street
_ADJACENT_CHARS = 4
_SURE = 0.97
_AMBIGUOUS = 0.55
_DETAIL_ONLY = 0.35
_DETAIL_ASKED = 0.5
_DISTRICT_ONLY = 0.7
_INSTITUTIONS = ("医院", "大学", "银行", "法院", "高速", "线")  # 天坛医院 has long been elsewhere
_UNKNOWN = "unknown"  # the menu's answer (prompts/menu.toml) for a caller who cannot say where
_NOT_THERE = ("不是", "不在", "不住")
_FROM_TO_CHARS = 12
_GOING_THERE = ("到", "去", "往", "回", "开往", "发往", "老家在", "老家是")  # where somebody was going is not the place


@dataclass(frozen=True, slots=True)
class _Said:
    """A mention in its turn with its strength."""

    turn: int
    mention: Mention
    strength: float
    locative: bool
    asked: bool  # in the answer to "where"

    @property
    def span(self) -> Span:
        return Span(self.turn, self.mention.start, self.mention.end)


@dataclass(slots=True)
class _Hypothesis:
    """A street (or, with street '', a district) and what speaks for it."""

    district: str
    street: str
    strength: float = 0.0
    said: list[_Said] = field(default_factory=list)
    community: str | None = None


@lru_cache(maxsize=1)
def _contexts() -> tuple[PhraseIndex[None], PhraseIndex[None], PhraseIndex[None]]:
    table = places_table()
    before, after, not_places = (
        PhraseIndex(((phrase, None) for phrase in phrases), floor=exact_floor)
        for phrases in (table.locative_before, table.locative_after, table.not_places)
    )
    return before, after, not_places


def place(turns: Sequence[Turn]) -> Understood[Place]:
    """The place of the matter. The answer to "where" (Asks.PLACE) overrides what was told before it."""
    told = [one for one in turns_asked(turns, Asks.NARRATION, Asks.PLACE) if one[1].answer != _UNKNOWN]
    said = [one for number, turn in told for one in _mentions(number, turn)]
    answered = [one for one in said if one.asked and one.strength >= _ENOUGH]
    if answered:
        said, told = _agreeing(said, told, answered)
    hypotheses = _hypotheses(said)
    details = [detail for number, turn in told for detail in _details_of(number, turn, said, hypotheses)]
    return _decide(turns, said, hypotheses, details)


def _agreeing(
    said: list[_Said], told: list[tuple[int, Turn]], answered: list[_Said]
) -> tuple[list[_Said], list[tuple[int, Turn]]]:
    """What agrees with the answer to "where", and the turns that do: another district or street is another place."""
    districts = {one.mention.name.district for one in answered}
    streets = {one.mention.name.street for one in answered if one.mention.name.street}

    def agrees(one: _Said) -> bool:
        name = one.mention.name
        return name.district in districts and (not name.street or not streets or name.street in streets)

    against = {one.turn for one in said if not one.asked and one.strength >= _ENOUGH and not agrees(one)}
    return (
        [one for one in said if one.asked or agrees(one)],
        [(number, turn) for number, turn in told if number not in against],
    )


def _mentions(number: int, turn: Turn) -> list[_Said]:
    heard = hear(turn.text)
    before, after, not_places = _contexts()
    accidents = not_places.find(heard)
    mentions = [
        one
        for one in _without_covered(gazetteer().find(heard))
        if not any(
            a.start <= one.start and one.end <= a.end and a.end - a.start > one.stem_end - one.start for a in accidents
        )
    ]
    ends_of_locatives = {found.end for found in before.find(heard)}
    starts_of_locatives = {found.start for found in after.find(heard)}
    asked = turn.asks is Asks.PLACE
    said = []
    for mention in mentions:
        locative = _is_located(mention, ends_of_locatives, starts_of_locatives)
        strength = _strength(mention, heard, places_table().not_here_after)
        if locative:
            strength += 0.1
        if asked:
            strength += 0.15
        elif _is_passed_through(mention, heard.text):
            strength -= 0.35
        if heard.text[: mention.start].endswith(_NOT_THERE):
            strength -= 0.6
        said.append(_Said(number, mention, min(strength, _SURE), locative, asked))
    return said


def _is_located(mention: Mention, ends_before: set[int], starts_behind: set[int]) -> bool:
    """在望京, 望京这边, or a text that opens with it. An everyday word (光明, 胜利) needs what stands before a place."""
    if mention.start in ends_before:
        return True
    if mention.name.weak and not mention.suffix:
        return False
    return mention.end in starts_behind or (mention.start == 0 and mention.likeness == 1.0)


def _is_passed_through(mention: Mention, text: str) -> bool:
    """到望京, 从通州坐车到…: where somebody travels is not where it happened."""
    if text[: mention.start].endswith(_GOING_THERE):
        return True
    onward = text[mention.end : mention.end + _FROM_TO_CHARS]
    return text[: mention.start].endswith("从") and ("到" in onward or "去" in onward)


def _without_covered(mentions: list[Mention]) -> list[Mention]:
    """Without those inside a longer, at least nearly as likely mention (朝阳 in 朝阳门)."""
    by_start: dict[int, list[Mention]] = {}
    for mention in mentions:
        by_start.setdefault(mention.start, []).append(mention)
    longest = max((mention.end - mention.start for mention in mentions), default=0)
    return [
        one
        for one in mentions
        if not any(
            one.end <= other.end
            and other.end - other.start > one.end - one.start
            and (other.likeness >= one.likeness - 0.1 or (other.suffix and not one.suffix))
            and (other.name.level is not Level.COMMUNITY or _names_another_street(other, one, mentions))
            for start in range(max(0, one.end - longest), one.start + 1)
            for other in by_start.get(start, ())
        )
    ]


def _names_another_street(community: Mention, inside: Mention, mentions: list[Mention]) -> bool:
    """望京西园二区 lies in 东湖街道, so 望京 inside it does not mean 望京街道."""
    if community.likeness < 1.0 or len(community.name.stem) <= _ADJACENT_CHARS - 1 or inside.suffix:
        return False
    streets = {
        (m.name.district, m.name.street)
        for m in mentions
        if m.name.level is Level.COMMUNITY and m.name.stem == community.name.stem and m.start == community.start
    }
    return len(streets) == 1 and inside.name.street not in ("", community.name.street)


def _strength(mention: Mention, heard: Heard, not_here: tuple[str, ...]) -> float:
    """How likely the name was meant, by itself."""
    length = len(mention.name.stem)
    exact = mention.likeness == 1.0
    same_sound = mention.likeness >= 0.75
    if mention.name.level is Level.DISTRICT:
        if mention.suffix:
            return 0.95 if exact else (0.85 if same_sound and length >= 2 else 0.5)
        if heard.text.startswith(not_here, mention.end) or (mention.name.stem[-1] == "县" and not exact):
            return 0.15
        return 0.7 if exact else (0.55 if length >= 3 and same_sound else 0.25)
    if mention.name.level is Level.COMMUNITY:
        return _community_strength(mention, exact, same_sound)
    if mention.name.level is Level.STREET and not mention.suffix and mention.name.stem + "区" == mention.name.district:
        return 0.1  # 密云 is the district; the town is 密云镇
    if exact:
        strength = 0.95 if mention.suffix else (0.84 if length >= 3 else 0.78)
        if mention.name.weak and not mention.suffix:
            strength = 0.35 if heard.text.startswith(not_here, mention.end) else 0.42
        elif mention.name.level is Level.STREET and heard.text.startswith(_INSTITUTIONS, mention.end):
            strength = 0.38
    elif same_sound:
        strength = {2: 0.68, 3: 0.82}.get(length, 0.85) if mention.suffix else {2: 0.3, 3: 0.46}.get(length, 0.66)
        if length == 2 and mention.same and not mention.suffix:
            strength = 0.42
        if mention.name.weak and not mention.suffix:
            strength = 0.2
    else:
        strength = 0.55 if mention.suffix and length >= 3 else 0.3
    if mention.name.level is Level.EVERYDAY and not mention.name.street:
        strength -= 0.05
    if mention.suffix and mention.name.street.endswith("街道") != _said_jiedao(mention, heard):
        strength -= 0.13  # 东风街道 lies in 房山, 东风地区 (东风乡) in 朝阳
    return strength


def _said_jiedao(mention: Mention, heard: Heard) -> bool:
    return heard.syllables[mention.stem_end : mention.end] == ("jie", "dao")


def _community_strength(mention: Mention, exact: bool, same_sound: bool) -> float:
    length = len(mention.name.stem)
    if mention.name.weak:
        return 0.1
    if exact:
        return min(0.2 + 0.1 * length, 0.6) + (0.1 if mention.suffix else 0.0)
    return 0.1 * length - 0.1 if same_sound else 0.1


def _hypotheses(said: list[_Said]) -> list[_Hypothesis]:
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


def _district_support(said: list[_Said]) -> dict[str, float]:
    """District → strength of the best mention of it."""
    support: dict[str, float] = {}
    for one in said:
        name = one.mention.name
        if name.level is Level.DISTRICT or (name.level is Level.EVERYDAY and not name.street):
            support[name.district] = max(support.get(name.district, 0.0), one.strength)
    return support


def _supported(one: _Said, said: list[_Said], districts: dict[str, float]) -> float:
    """A mention's strength with the district's support or contradiction."""
    district = one.mention.name.district
    strength = one.strength
    adjacent = any(
        other.turn == one.turn
        and other.mention.name.level is Level.DISTRICT
        and other.mention.name.district == district
        and (
            0 <= one.mention.start - other.mention.end <= _ADJACENT_CHARS
            or 0 <= other.mention.start - one.mention.end <= _ADJACENT_CHARS
        )
        for other in said
    )
    if adjacent:
        strength += 0.4
    elif districts.get(district, 0.0) >= _ENOUGH:
        strength += 0.25
    against = max((value for other, value in districts.items() if other != district), default=0.0)
    if against >= 0.7 and districts.get(district, 0.0) < against - 0.2:
        strength -= 0.25 if one.mention.suffix and one.mention.likeness == 1.0 else 0.45
    return min(strength, _SURE)


def _add_communities(found: dict[tuple[str, str], _Hypothesis], said: list[_Said], districts: dict[str, float]) -> None:
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
            hypothesis.strength = min(_SURE, hypothesis.strength + 0.1)
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
        if districts.get(name.district, 0.0) >= _ENOUGH:
            strength += 0.25
        elif not one.mention.suffix and not one.locative:
            strength -= 0.2
        if strength >= _ENOUGH and len(name.stem) >= 3:
            key2 = (name.district, name.street)
            hypothesis = found.setdefault(key2, _Hypothesis(*key2, community=name.community))
            hypothesis.strength = max(hypothesis.strength, min(strength, 0.75))
            hypothesis.said.append(one)


def _details_of(number: int, turn: Turn, said: list[_Said], hypotheses: list[_Hypothesis]) -> list[Detail]:
    supported = [one for h in hypotheses if h.strength >= _ENOUGH for one in h.said]
    anchors = {
        Anchor(
            one.mention.start,
            one.mention.end,
            bare=one.mention.name.level is Level.STREET and not one.mention.suffix,
            everyday=one.mention.name.level is Level.EVERYDAY,
        )
        for one in [*(one for one in said if one.strength >= _ENOUGH), *supported]
        if one.turn == number and one.mention.name.level is not Level.COMMUNITY
    }
    return find_details(
        number, turn.text, sorted(anchors, key=lambda a: (a.start, a.end)), asked=turn.asks is Asks.PLACE
    )


def _decide(
    turns: Sequence[Turn], said: list[_Said], hypotheses: list[_Hypothesis], details: list[Detail]
) -> Understood[Place]:
    districts = _district_support(said)
    likely = [h for h in hypotheses if h.strength >= _ENOUGH]
    detail = max(details, key=lambda d: d.weight, default=None)
    if detail and any(_says_it_all(one, detail) for h in likely[:1] for one in h.said):
        detail = None
    spans = [detail.span] if detail else []
    if likely:
        return _street_place(turns, said, likely, detail, spans)
    best = max(districts, key=lambda d: districts[d], default=None)
    if best is not None and districts[best] >= _ENOUGH:
        spans += [one.span for one in said if one.mention.name.district == best and one.strength >= _ENOUGH]
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


def _says_it_all(one: _Said, detail: Detail) -> bool:
    """The detail is nothing but the community that was recognised."""
    return (
        one.mention.name.level is Level.COMMUNITY
        and one.turn == detail.span.turn
        and one.mention.start <= detail.span.start
        and detail.span.end <= one.mention.end
    )


def _street_place(
    turns: Sequence[Turn], said: list[_Said], likely: list[_Hypothesis], detail: Detail | None, spans: list[Span]
) -> Understood[Place]:
    best = likely[0]
    rivals = [h for h in likely[1:] if h.strength > best.strength - 0.12]
    namesakes = [h for h in rivals if {o.span for o in h.said} & {o.span for o in best.said}]
    spans = spans + [one.span for one in best.said]
    spans += [
        one.span
        for one in said
        if one.mention.name.level in (Level.DISTRICT, Level.EVERYDAY)
        and one.mention.name.district == best.district
        and (not one.mention.name.street or one.mention.name.street == best.street)
        and one.strength >= (_HINT if one.mention.name.level is Level.DISTRICT else _ENOUGH)
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
    others = ([best] if namesakes else []) + [h for h in likely[1:] if h.strength > _ENOUGH]
    return Understood[Place](
        value=value,
        confidence=round(min(confidence, _SURE), 2),
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
