"""Names of places as they were said, each with its strength (0-1): how exactly, how completely, in what context.

A short name that was only heard alike, or that is an everyday word, stays weak by itself: place.py lets mentions that
agree support each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.evidence import Span
from cases.drafting.gazetteer import Level, Mention, gazetteer
from cases.drafting.phrases import PhraseIndex, exact_floor
from cases.drafting.pinyin import Heard, hear, syllable_of
from cases.drafting.tables import places_table
from cases.schema import Asks, Turn

ENOUGH = 0.5
ADJACENT_CHARS = 4
SURE = 0.97
_INSTITUTIONS = ("医院", "大学", "银行", "法院", "高速", "线")  # 天坛医院 has long been elsewhere
_NOT_THERE = ("不是", "不在", "不住")
_FROM_TO_CHARS = 12
_GOING_THERE = ("到", "去", "往", "回", "开往", "发往", "老家在", "老家是")  # where somebody was going is not the place


@dataclass(frozen=True, slots=True)
class Said:
    """A mention in its turn with its strength."""

    turn: int
    mention: Mention
    strength: float
    locative: bool
    asked: bool  # in the answer to "where"

    @property
    def span(self) -> Span:
        return Span(self.turn, self.mention.start, self.mention.end)


@lru_cache(maxsize=1)
def _contexts() -> tuple[PhraseIndex[None], PhraseIndex[None], PhraseIndex[None]]:
    table = places_table()
    before, after, not_places = (
        PhraseIndex(((phrase, None) for phrase in phrases), floor=exact_floor)
        for phrases in (table.locative_before, table.locative_after, table.not_places)
    )
    return before, after, not_places


def mentions_of(number: int, turn: Turn) -> list[Said]:
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
        said.append(Said(number, mention, min(strength, SURE), locative, asked))
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
    if community.likeness < 1.0 or len(community.name.stem) <= ADJACENT_CHARS - 1 or inside.suffix:
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
    alike = mention.likeness >= 0.75  # of two characters one may be the very one and the other only confusable
    if mention.name.level is Level.DISTRICT:
        if mention.suffix:
            return 0.95 if exact else (0.85 if alike and length >= 2 else 0.5)
        if _followed_by(heard, mention.end, not_here) or (mention.name.stem[-1] == "县" and not exact):
            return 0.15
        return 0.7 if exact else (0.55 if length >= 3 and alike else 0.25)
    if mention.name.level is Level.COMMUNITY:
        return _community_strength(mention, exact, alike)
    if mention.name.level is Level.STREET and not mention.suffix and mention.name.stem + "区" == mention.name.district:
        return 0.1  # 密云 is the district; the town is 密云镇
    if exact:
        strength = 0.95 if mention.suffix else (0.84 if length >= 3 else 0.78)
        if mention.name.weak and not mention.suffix:
            strength = 0.35 if _followed_by(heard, mention.end, not_here) else 0.42
        elif mention.name.level is Level.STREET and _followed_by(heard, mention.end, _INSTITUTIONS):
            strength = 0.38
    elif alike:
        strength = {2: 0.68, 3: 0.82}.get(length, 0.85) if mention.suffix else {2: 0.3, 3: 0.46}.get(length, 0.66)
        if length == 2 and mention.same and not mention.suffix:
            strength = 0.42
        if mention.name.weak and not mention.suffix:
            strength = 0.2
    else:
        strength = 0.55 if mention.suffix and length >= 3 else 0.3
    if mention.name.level is Level.EVERYDAY:
        # a recogniser knows these names too and hears 枣营 for 噪音
        strength -= 0.3 if length == 2 and mention.name.stem not in gazetteer().districts_of_street else 0.05
    if mention.suffix and mention.name.street.endswith("街道") != _said_jiedao(mention, heard):
        strength -= 0.13  # 东风街道 lies in 房山, 东风地区 (东风乡) in 朝阳
    return strength


def _followed_by(heard: Heard, at: int, phrases: tuple[str, ...]) -> bool:
    """One of these stands there; two characters and more also by sound (朝阳医苑)."""
    return heard.text.startswith(phrases, at) or any(
        len(phrase) > 1
        and len(heard.syllables) >= at + len(phrase)
        and all(heard.syllables[at + i] == syllable_of(char) for i, char in enumerate(phrase))
        for phrase in phrases
    )


def _said_jiedao(mention: Mention, heard: Heard) -> bool:
    return heard.syllables[mention.stem_end : mention.end] == ("jie", "dao")


def _community_strength(mention: Mention, exact: bool, alike: bool) -> float:
    length = len(mention.name.stem)
    if mention.name.weak:
        return 0.1
    if exact:
        return min(0.2 + 0.1 * length, 0.6) + (0.1 if mention.suffix else 0.0)
    return 0.1 * length - 0.1 if alike else 0.1
