"""The shape of the editable tables of `data/`, as pydantic models. tables.py reads and checks them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from cases.drafting.phrases import GAP
from cases.drafting.pinyin import syllable_of
from cases.schema import AppealType

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
