"""Beijing's 16 districts, their streets and communities, and everyday names, found in a text by sound.

Names are held as stems: 仁和地区 is said as 仁和, 仁和镇, 仁和地区 or 仁和街道, so the suffix is looked for behind a hit.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from importlib.resources.abc import Traversable

from cases.drafting.phrases import Found, PhraseIndex, exact_floor
from cases.drafting.pinyin import Heard
from cases.drafting.table_models import Division, PlacesTable
from cases.drafting.tables import BROKEN, places_table, read_divisions
from cases.errors import CasesError

_STREET_SUFFIX = re.compile(r"(?:街道|地区|(?:回|满)族乡|镇|乡)$")
_COMMUNITY_SUFFIX = re.compile(
    r"(?:社区居民委员会|社区居委会|居民委员会|村民委员会|村委会|居委会|社区服务中心|社区生活区|生活区|社区|虚拟社区|虚拟生活区)$"
)
_VILLAGE = re.compile(r"(?:村民委员会|村委会)$")
# by sound: 望京接到 is 望京街道; one syllable proves nothing by sound
_SUFFIXES_BY_SOUND = (("jie", "dao"), ("di", "qu"))
_SUFFIXES_WRITTEN = ("镇政府", "乡政府", "镇", "乡")
_COMMUNITY_WRITTEN = ("社区", "小区", "村", "家园", "居委会", "新区", "嘉园")
_SHORTEST_STEM = 2
_FLOOR = {1: 1.0, 2: 0.75}  # what a short name needs at least; place.py asks for support below certainty


class Level(StrEnum):
    DISTRICT = "district"
    STREET = "street"
    COMMUNITY = "community"
    EVERYDAY = "everyday"


@dataclass(frozen=True, slots=True)
class Name:
    """One name and what it stands for. `street` '' when only the district is sure. `weak`: an everyday word too."""

    level: Level
    stem: str
    district: str
    street: str = ""
    community: str = ""
    weak: bool = False


@dataclass(frozen=True, slots=True)
class ListedPlace:
    """A place of a city's own list (`prompts/places.tsv`). `street` '' when only its district is known."""

    written: str
    district: str
    street: str = ""


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in the text at `[start, end)`, its suffix included. `suffix`: 街道/镇/区/社区 was said behind it."""

    name: Name
    start: int
    end: int
    stem_end: int
    likeness: float
    same: int
    suffix: bool


def street_stem(street: str) -> str:
    """望京街道 → 望京; what would leave one character stays whole (张镇)."""
    stem = _STREET_SUFFIX.sub("", street)
    return stem if len(stem) >= _SHORTEST_STEM else street


def community_stem(community: str) -> str:
    """南湖东园社区居委会 → 南湖东园; a village of one character keeps its 村."""
    stem = _COMMUNITY_SUFFIX.sub("", community)
    if _VILLAGE.search(community) and stem.endswith("村") and len(stem) > _SHORTEST_STEM:
        stem = stem[:-1]
    return stem


class Gazetteer:
    """Immutable; built once. Raises CasesError `drafting-table-broken` when an everyday name points nowhere."""

    def __init__(self, divisions: tuple[Division, ...], table: PlacesTable) -> None:
        self._streets = {(d.district, d.street) for d in divisions}
        self._districts = {d.district for d in divisions}
        problems = list(self._problems(table))
        if problems:
            raise CasesError(BROKEN, "; ".join(problems))
        names = [
            *self._district_names(table),
            *self._street_names(table),
            *_community_names(divisions, table),
            *_everyday_names(table),
        ]
        self._index: PhraseIndex[Name] = PhraseIndex(
            ((name.stem, name) for name in names), floor=lambda length: _FLOOR.get(length, 0.66)
        )
        self.districts_of_street = _districts_by_stem(names)
        self._listed: PhraseIndex[Name] | None = None

    def find(self, heard: Heard) -> list[Mention]:
        """All mentions, overlapping ones too; sorted by start, the longer first."""
        found = self._index.find(heard)
        if self._listed is not None:
            found = sorted([*found, *self._listed.find(heard)], key=lambda f: (f.start, -f.end, f.phrase))
        return [_mention(one, heard) for one in found]

    def with_listed(self, places: Iterable[ListedPlace]) -> Gazetteer:
        """The same with a city's own places, known only by their very characters: the recogniser's side matched sounds.

        One that lies nowhere (`where_problem`) is left out.
        """
        names = [
            (place.written, Name(Level.EVERYDAY, place.written, place.district, place.street))
            for place in places
            if not self.where_problem(place.district, place.street)
        ]
        changed = copy(self)
        changed._listed = PhraseIndex(names, floor=exact_floor) if names else None
        return changed

    def where_problem(self, district: str, street: str = "") -> str:
        """What is wrong with a district and its street, and what to write; '' when they exist."""
        if district not in self._districts:
            return f"no district is called {district!r}{_nearest(district, self._districts)}"
        if street and (district, street) not in self._streets:
            others = [name for name, other in self._streets if other == street]
            if others:
                return f"{street} lies in {'、'.join(sorted(others))}, not in {district}"
            within = [name for where, name in self._streets if where == district]
            return f"{district} has no street called {street!r}{_nearest(street, within)}"
        return ""

    def _problems(self, table: PlacesTable) -> Iterator[str]:
        for district in table.districts:
            if district not in self._districts:
                yield f"places.toml: districts: no district is called {district!r}"
        for key in table.street_aliases:
            if tuple(key.split("/")) not in self._streets:
                yield f"places.toml: street_aliases: no street {key!r} (district/street)"
        for place in table.everyday:
            if place.district not in self._districts:
                yield f"places.toml: {place.said[0]}: no district is called {place.district!r}"
            elif place.street and (place.district, place.street) not in self._streets:
                yield f"places.toml: {place.said[0]}: {place.district} has no {place.street!r}"

    def _district_names(self, table: PlacesTable) -> Iterator[Name]:
        for district in sorted(self._districts):
            for stem in (district.removesuffix("区"), *table.districts.get(district, ())):
                yield Name(Level.DISTRICT, stem, district)

    def _street_names(self, table: PlacesTable) -> Iterator[Name]:
        weak = set(table.weak_streets)
        for district, street in sorted(self._streets):
            stem = street_stem(street)
            for said in (stem, *table.street_aliases.get(f"{district}/{street}", ())):
                yield Name(Level.STREET, said, district, street, weak=said in weak)


def _community_names(divisions: tuple[Division, ...], table: PlacesTable) -> Iterator[Name]:
    weak = set(table.weak_communities)
    for division in divisions:
        stem = community_stem(division.community)
        if len(stem) >= _SHORTEST_STEM:
            yield Name(Level.COMMUNITY, stem, division.district, division.street, division.community, weak=stem in weak)


def _everyday_names(table: PlacesTable) -> Iterator[Name]:
    for place in table.everyday:
        for said in place.said:
            yield Name(Level.EVERYDAY, said, place.district, place.street)


def _districts_by_stem(names: list[Name]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if name.level is Level.STREET:
            found[name.stem].add(name.district)
    return {stem: frozenset(districts) for stem, districts in found.items()}


def _mention(found: Found[Name], heard: Heard) -> Mention:
    length = _suffix_length(found.payload, found.end, heard)
    return Mention(
        found.payload, found.start, found.end + length, found.end, found.likeness, found.same, suffix=length > 0
    )


def _suffix_length(name: Name, end: int, heard: Heard) -> int:
    if name.level is Level.DISTRICT:
        said_qu = end < len(heard.text) and heard.syllables[end] == "qu" and heard.text[end] not in "去取曲趣娶"
        return 1 if said_qu and name.stem[-1:] not in "区县心" else 0
    if name.level is Level.STREET:
        if heard.syllables[end : end + 2] in _SUFFIXES_BY_SOUND:
            return 2
        written = (suffix for suffix in _SUFFIXES_WRITTEN if heard.text.startswith(suffix, end))
        return len(next(written, ""))
    if name.level is Level.COMMUNITY:
        written = (suffix for suffix in _COMMUNITY_WRITTEN if heard.text.startswith(suffix, end))
        return len(next(written, ""))
    return 0


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    return f"; is it {near[0]!r}?" if near else ""


_in_use: Gazetteer | None = None


def gazetteer() -> Gazetteer:
    """The gazetteer that drafts are made with now."""
    return _in_use or _shipped()


def use_listed_places(places: Iterable[ListedPlace]) -> None:
    """From the next draft on these places are known beside the shipped ones; any thread. None listed: the shipped ones alone."""
    global _in_use
    listed = tuple(places)
    _in_use = _shipped().with_listed(listed) if listed else None


@lru_cache(maxsize=1)
def _shipped() -> Gazetteer:
    return load_gazetteer()


def load_gazetteer(folder: Traversable | None = None, table: PlacesTable | None = None) -> Gazetteer:
    """The gazetteer of a data folder (default: the one that is shipped)."""
    return Gazetteer(read_divisions(folder), table or places_table())
