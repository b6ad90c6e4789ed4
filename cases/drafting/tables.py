"""The editable tables of `data/`, read once, checked whole: every problem of every file is named at once.

They are configuration (catalogues change yearly), so each carries a `version`. What goes wrong on load is a
CasesError with the code `drafting-table-broken`; its message names the file, the place in it, and what to change.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cases.drafting.phrases import GAP
from cases.drafting.pinyin import syllable_of
from cases.errors import CasesError
from cases.schema import AppealType

BROKEN = "drafting-table-broken"

# DOMAIN.md: one list, so that desk, drafting, routing and reports agree.
LEVEL1 = (
    *("环境保护", "市容环卫", "物业管理", "供暖", "供水", "供电", "供气", "停车管理", "交通管理", "公共交通"),
    *("道路与市政设施", "违法建设", "住房保障", "市场管理", "劳动保障", "教育", "医疗卫生", "社会保障与民政"),
    *("园林绿化", "公共安全", "农村管理", "文化体育旅游", "政务服务", "其他"),
)


def _is_phrase(phrase: str) -> str:
    """A phrase is made of characters that have a sound, and at most one gap between two parts."""
    parts = phrase.split(GAP)
    if len(parts) > 2 or not all(parts):
        raise ValueError(f"{phrase!r}: at most one {GAP}, with something on both sides")
    silent = [char for char in phrase if char != GAP and not syllable_of(char)]
    if silent:
        raise ValueError(f"{phrase!r}: {''.join(silent)!r} cannot be said; write what is spoken, without spaces")
    return phrase


Phrase = Annotated[str, StringConstraints(min_length=1, max_length=24), AfterValidator(_is_phrase)]
Version = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d+$")]
Short = Annotated[str, StringConstraints(min_length=1, max_length=12)]


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(Table):
    """Words that speak for an entry: `strong` nearly alone, `words` clearly, `weak` a little."""

    strong: tuple[Phrase, ...] = ()
    words: tuple[Phrase, ...] = ()
    weak: tuple[Phrase, ...] = ()


class EmergencyKind(Table):
    kind: Literal["fire", "medical", "crime", "traffic"]
    number: Literal["119", "120", "110", "122"]
    phrases: tuple[Phrase, ...]


class NotNow(Table):
    before: tuple[Phrase, ...]
    after: tuple[Phrase, ...]
    now: tuple[Phrase, ...]
    inside: tuple[Phrase, ...]


class Emergencies(Table):
    version: Version
    kinds: tuple[EmergencyKind, ...]
    not_now: NotNow


class ThreatTable(Table):
    phrases: tuple[Phrase, ...]
    not_said_by_caller: tuple[Phrase, ...]


class PhraseList(Table):
    phrases: tuple[Phrase, ...]


class AlertsTable(Table):
    version: Version
    threat: ThreatTable
    minor: PhraseList
    repeat: PhraseList


class TypeEntry(Table):
    """`explicit`: the caller names the type (我要投诉)."""

    explicit: tuple[Phrase, ...] = ()
    strong: tuple[Phrase, ...] = ()
    words: tuple[Phrase, ...] = ()
    weak: tuple[Phrase, ...] = ()


class TypesTable(Table):
    version: Version
    complaint: TypeEntry
    report: TypeEntry
    help: TypeEntry
    suggestion: TypeEntry
    enquiry: TypeEntry
    praise: TypeEntry


class Level3(Words):
    """`short`: what an operator writes in a subject. `urgent`: nobody may wait a day for it (water, power, gas, heat).

    `usual`: the appeal type of somebody who tells this and does not say what they want.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=24)]
    short: Short
    urgent: bool = False
    usual: AppealType = AppealType.COMPLAINT


class Level2(Words):
    name: Annotated[str, StringConstraints(min_length=1, max_length=24)]
    level3: tuple[Level3, ...] = ()


class Level1(Words):
    name: str
    short: Short
    level2: tuple[Level2, ...] = ()


class CategoriesTable(Table):
    version: Version
    level1: tuple[Level1, ...]


class UrgencyTable(Table):
    """`urgent` and `emergency` phrases; `not_urgent` near them takes them back."""

    version: Version
    urgent: tuple[Phrase, ...]
    emergency: tuple[Phrase, ...]
    not_urgent: tuple[Phrase, ...]


class SpeechTable(Table):
    """How people talk: what carries nothing, what opens a wish, where a thought ends."""

    version: Version
    fillers: tuple[Phrase, ...]
    opening_fillers: tuple[Phrase, ...]
    requests: tuple[Phrase, ...]
    request_ends: tuple[Phrase, ...]


class ContactTable(Table):
    version: Version
    this_number: tuple[Phrase, ...]
    confidential: tuple[Phrase, ...]
    not_confidential: tuple[Phrase, ...]
    own_number: tuple[Phrase, ...]
    other_number: tuple[Phrase, ...]
    number_fillers: tuple[Phrase, ...]
    keys_this_number: tuple[str, ...]
    keys_confidential: tuple[str, ...]
    yes: tuple[Phrase, ...]
    refusals: tuple[Phrase, ...]
    surnames: Annotated[str, Field(min_length=100)]
    double_surnames: tuple[Phrase, ...]
    titles: tuple[Phrase, ...]
    described_surnames: dict[Phrase, Phrase]
    name_ends: tuple[Phrase, ...]


class EverydayPlace(Table):
    """A place name of everyday speech and where it lies. `street` empty: the district alone is sure."""

    said: tuple[Phrase, ...] = Field(min_length=1)
    district: str
    street: str = ""


class PlacesTable(Table):
    """`weak_streets`: street names that are everyday words too: alone they prove nothing."""

    version: Version
    districts: dict[str, tuple[Phrase, ...]]
    street_aliases: dict[str, tuple[Phrase, ...]]
    weak_streets: tuple[Phrase, ...]
    weak_communities: tuple[Phrase, ...]
    locative_before: tuple[Phrase, ...]
    locative_after: tuple[Phrase, ...]
    not_here_after: tuple[Phrase, ...]
    not_places: tuple[Phrase, ...]
    unknown_answers: tuple[Phrase, ...]
    detail_ends: tuple[Phrase, ...]
    detail_stops: tuple[Phrase, ...]
    everyday: tuple[EverydayPlace, ...]


class Division(Table):
    """One community of the gazetteer, with official names."""

    community: str
    street: str
    district: str


T = TypeVar("T", bound=Table)


def data_folder() -> Traversable:
    return resources.files("cases.drafting") / "data"


def read_table(model: type[T], name: str, folder: Traversable | None = None) -> T:
    """One TOML table. Raises CasesError `drafting-table-broken` with all its problems."""
    file = (folder or data_folder()) / name
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CasesError(BROKEN, f"{name}: {error}") from error
    try:
        table = model.model_validate(raw)
    except ValidationError as error:
        problems = [f"{name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise CasesError(BROKEN, "; ".join(problems)) from error
    problems = [f"{name}: {problem}" for problem in _cross_problems(table)]
    if problems:
        raise CasesError(BROKEN, "; ".join(problems))
    return table


def _cross_problems(table: Table) -> Iterator[str]:
    if isinstance(table, CategoriesTable):
        yield from _category_problems(table)
    if isinstance(table, Emergencies):
        number_of = {"fire": "119", "medical": "120", "crime": "110", "traffic": "122"}
        for kind in table.kinds:
            if number_of[kind.kind] != kind.number:
                yield f"{kind.kind} is {number_of[kind.kind]}, not {kind.number}"
        for missing in sorted(set(number_of) - {kind.kind for kind in table.kinds}):
            yield f"no phrases for {missing}"


def _category_problems(table: CategoriesTable) -> Iterator[str]:
    names = [level1.name for level1 in table.level1]
    for name in LEVEL1:
        if names.count(name) != 1:
            yield f"level 1 {name!r} stands {names.count(name)} times, not once"
    for name in sorted(set(names) - set(LEVEL1)):
        yield f"{name!r} is no level 1 category; those are {'、'.join(LEVEL1)}"
    for level1 in table.level1:
        for level2 in level1.level2:
            if [other.name for other in level1.level2].count(level2.name) > 1:
                yield f"{level1.name}/{level2.name} stands twice"
            for level3 in level2.level3:
                path = f"{level1.name}/{level2.name}/{level3.name}"
                if [other.name for other in level2.level3].count(level3.name) > 1:
                    yield f"{path} stands twice"
                if not (level3.strong or level3.words or level3.weak):
                    yield f"{path} has no words that speak for it"


def read_divisions(folder: Traversable | None = None) -> tuple[Division, ...]:
    """The gazetteer: every community with its street and district. Raises CasesError `drafting-table-broken`."""
    name = "beijing-divisions.tsv"
    try:
        lines = ((folder or data_folder()) / name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError(BROKEN, f"{name}: {error}") from error
    problems = []
    divisions = []
    for number, row in enumerate(csv.DictReader(lines, delimiter="\t"), start=2):
        values = [row.get(column) or "" for column in ("community", "street", "district")]
        if all(values):
            divisions.append(Division.model_construct(community=values[0], street=values[1], district=values[2]))
        else:
            problems.append(f"{name}: line {number}: community, street and district are needed")
    if not divisions and not problems:
        problems.append(f"{name}: no line")
    if problems:
        raise CasesError(BROKEN, "; ".join(problems[:50]))
    return tuple(divisions)


@lru_cache(maxsize=1)
def emergencies() -> Emergencies:
    return read_table(Emergencies, "emergencies.toml")


@lru_cache(maxsize=1)
def alerts_table() -> AlertsTable:
    return read_table(AlertsTable, "alerts.toml")


@lru_cache(maxsize=1)
def types_table() -> TypesTable:
    return read_table(TypesTable, "appeal_types.toml")


@lru_cache(maxsize=1)
def categories_table() -> CategoriesTable:
    return read_table(CategoriesTable, "categories.toml")


@lru_cache(maxsize=1)
def urgency_table() -> UrgencyTable:
    return read_table(UrgencyTable, "urgency.toml")


@lru_cache(maxsize=1)
def speech_table() -> SpeechTable:
    return read_table(SpeechTable, "speech.toml")


@lru_cache(maxsize=1)
def contact_table() -> ContactTable:
    return read_table(ContactTable, "contact.toml")


@lru_cache(maxsize=1)
def places_table() -> PlacesTable:
    return read_table(PlacesTable, "places.toml")
