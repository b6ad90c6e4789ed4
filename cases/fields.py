"""A draft's fields as the desk edits them: paths, types, how sure each is, and the short words of a queue row. Pure.

A field's path is its name in ComplaintDraft, `caller.` before the caller's. An edit is the whole new value of one path,
kept as typed; null empties the field. Edits lie beside the producer's draft and never change it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StrictBool, StringConstraints, TypeAdapter, ValidationError, model_validator

from cases.errors import CasesError
from cases.schema import (
    CALLER_FIELDS,
    SUBJECT_MAX_CHARS,
    UNDERSTOOD_FIELDS,
    AlertKind,
    AppealType,
    Category,
    ComplaintDraft,
    Ended,
    Occurred,
    Place,
    Understood,
    Urgency,
    Wire,
)

FIELD_PATHS = (*UNDERSTOOD_FIELDS, *(f"caller.{name}" for name in CALLER_FIELDS))
REQUIRED_PATHS = ("appeal_type", "category", "subject", "narrative")
SURE_FROM = 0.8
PENDING_WORDS = "待转写 not transcribed"  # what the queue calls it: typed into the search it lists them
PHONE_PATH = "caller.callback_number"
# Landlines with area code and extension, mobiles, service numbers (95xxx), +86…; spaces and hyphens as people write them.
_PHONE = re.compile(r"\+?\d(?:[ -]?\d){4,14}(?:\s*(?:[xX#*-]|转)\s*\d{1,6})?")
_NOT_PHONE = re.compile(r"[^0-9+ ()*#xX转-]")

Short = Annotated[str, StringConstraints(max_length=200)]


class EditedPlace(Wire):
    """发生地址 as typed; the keys of cases.schema.Place."""

    district: Short | None = None
    street: Short | None = None
    community: Short | None = None
    detail: Short | None = None


class EditedOccurred(Wire):
    """事发时间 as typed; the keys of cases.schema.Occurred."""

    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    said: Short = ""

    @model_validator(mode="after")
    def _in_order(self) -> EditedOccurred:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("end lies before start")
        return self


class EditedCategory(Wire):
    level1: Short
    level2: Short | None = None
    level3: Short | None = None


_EDIT_TYPES: dict[str, TypeAdapter[Any]] = {
    "appeal_type": TypeAdapter(AppealType),
    "category": TypeAdapter(EditedCategory),
    "place": TypeAdapter(EditedPlace),
    "occurred": TypeAdapter(EditedOccurred),
    "subject": TypeAdapter(Annotated[str, StringConstraints(max_length=SUBJECT_MAX_CHARS)]),
    "narrative": TypeAdapter(Annotated[str, StringConstraints(max_length=10_000)]),
    "request": TypeAdapter(Annotated[str, StringConstraints(max_length=2_000)]),
    "urgency": TypeAdapter(Urgency),
    "caller.name": TypeAdapter(Annotated[str, StringConstraints(max_length=64)]),
    "caller.callback_number": TypeAdapter(Annotated[str, StringConstraints(max_length=32)]),
    "caller.confidential": TypeAdapter(StrictBool),
}


class Sureness(StrEnum):
    SURE = "sure"
    CHECK = "check"
    EMPTY = "empty"


class EvidenceView(Wire):
    """As cases.schema.Evidence: `turns[turn].text[start_char:end_char]`, seconds of the recording or null."""

    turn: int
    start_char: int
    end_char: int
    start_seconds: float | None = None
    end_seconds: float | None = None


class AlternativeView(Wire):
    value: Any
    confidence: float


class FieldView(Wire):
    """One field of a draft. `value` is what counts now (the edit, if there is one), `original` the machine's.

    Values: text; an AppealType or Urgency word; true or false (caller.confidential); the objects Category, Place
    and Occurred of the draft's schema.
    """

    path: str
    value: Any = None
    original: Any = None
    edited: bool = False
    sureness: Sureness
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[EvidenceView, ...] = ()
    alternatives: tuple[AlternativeView, ...] = ()
    required: bool = False


def understood(draft: ComplaintDraft, path: str) -> Understood[Any]:
    """The draft's own field behind a path of FIELD_PATHS."""
    found = getattr(draft.caller, path.removeprefix("caller.")) if path.startswith("caller.") else getattr(draft, path)
    assert isinstance(found, Understood)
    return found


def is_empty(value: Any) -> bool:
    """Nothing, blank text, or an object with nothing in it."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, dict):
        return all(is_empty(part) for part in value.values())
    return value is None


def sureness(value: Any, confidence: float, edited: bool) -> Sureness:
    if is_empty(value):
        return Sureness.EMPTY
    return Sureness.SURE if edited or confidence >= SURE_FROM else Sureness.CHECK


def view_fields(draft: ComplaintDraft, edits: Mapping[str, Any]) -> tuple[FieldView, ...]:
    """Every field in the order of FIELD_PATHS."""
    return tuple(_view(draft, edits, path) for path in FIELD_PATHS)


def _view(draft: ComplaintDraft, edits: Mapping[str, Any], path: str) -> FieldView:
    machine = understood(draft, path).model_dump(mode="json")
    edited = path in edits
    value = edits[path] if edited else machine["value"]
    return FieldView(
        path=path,
        value=value,
        original=machine["value"],
        edited=edited,
        sureness=sureness(value, machine["confidence"], edited),
        confidence=machine["confidence"],
        evidence=tuple(EvidenceView(**item) for item in machine["evidence"]),
        alternatives=tuple(AlternativeView(**item) for item in machine["alternatives"]),
        required=path in REQUIRED_PATHS,
    )


def values_of(draft: ComplaintDraft, edits: Mapping[str, Any]) -> dict[str, Any]:
    """path -> the value that counts, as JSON."""
    return {view.path: view.value for view in view_fields(draft, edits)}


def check_edits(edits: Mapping[str, Any], category_exists: Callable[[Category], bool]) -> dict[str, Any]:
    """The edits as they will be kept (JSON), or CasesError `edits-invalid` that names every faulty field at once.

    A call-back number may be half typed here (only its characters are looked at): `check_ready` asks for a whole one.
    """
    kept: dict[str, Any] = {}
    errors: list[dict[str, Any]] = []
    for path, value in edits.items():
        adapter = _EDIT_TYPES.get(path)
        if adapter is None:
            errors.append({"field": path[:80], "code": "unknown-field", "message": f"one of {', '.join(FIELD_PATHS)}"})
        elif value is None:
            kept[path] = None
        else:
            try:
                checked = adapter.validate_python(value)
            except ValidationError as error:
                errors += [_fault(path, item) for item in error.errors(include_url=False, include_input=False)]
                continue
            if fault := _meaning(path, checked, category_exists):
                errors.append({"field": path, **fault})
            kept[path] = adapter.dump_python(checked, mode="json")
    if errors:
        raise CasesError("edits-invalid", "these fields cannot be kept as typed", status=422, errors=errors)
    return kept


def _fault(path: str, item: Any) -> dict[str, Any]:
    return {"field": ".".join([path, *map(str, item["loc"])]), "code": item["type"], "message": item["msg"]}


def _meaning(path: str, value: Any, category_exists: Callable[[Category], bool]) -> dict[str, str] | None:
    """What a type cannot say."""
    if path == "category" and not category_exists(Category.model_validate(value.model_dump())):
        return {"code": "unknown-category", "message": "not in the table of categories (GET /api/categories)"}
    if path == PHONE_PATH and _NOT_PHONE.search(value):
        return {"code": "phone-number", "message": "a phone number has digits, spaces, hyphens and an extension"}
    return None


def check_ready(values: Mapping[str, Any]) -> None:
    """May this be confirmed? CasesError `fields-missing` (or `fields-invalid`) names every field that stands against."""
    missing = [path for path in REQUIRED_PATHS if is_empty(values.get(path))]
    if missing:
        errors = [{"field": path, "code": "required", "message": "must not be empty"} for path in missing]
        raise CasesError("fields-missing", f"fill in first: {', '.join(missing)}", status=422, errors=errors)
    phone = values.get(PHONE_PATH)
    if not is_empty(phone) and not _PHONE.fullmatch(str(phone).strip()):
        fault = {"field": PHONE_PATH, "code": "phone-number", "message": "not a whole phone number"}
        raise CasesError("fields-invalid", "the call-back number is not a phone number", status=422, errors=[fault])


@dataclass(frozen=True, slots=True)
class RowSummary:
    """What the queue shows of a draft and sorts by. `search` is lower-case text that `q` is looked for in."""

    rank: int
    subject: str
    category: str
    place: str
    urgency: str
    alerts: list[str]
    unsure: int
    pending: bool
    search: str


def summarise(draft: ComplaintDraft, edits: Mapping[str, Any]) -> RowSummary:
    views = {view.path: view for view in view_fields(draft, edits)}
    values = {path: view.value for path, view in views.items()}
    category = show_category(values["category"])
    place = show_place(values["place"])
    urgency = values["urgency"] or Urgency.ROUTINE.value
    subject = _plain(values["subject"] or "")
    narrative = _plain(values["narrative"] or "")
    alerts = sorted({alert.kind.value for alert in draft.alerts})
    phones = [draft.caller.number, values[PHONE_PATH], understood(draft, PHONE_PATH).value]
    digits = [re.sub(r"\D", "", phone) for phone in phones if phone]
    pending = any(turn.pending for turn in draft.turns)
    words = [subject, category, place, draft.reference, values["caller.name"] or "", narrative[:500], *digits]
    words += [PENDING_WORDS] if pending else []
    return RowSummary(
        rank=_rank(draft, alerts, urgency),
        subject=(subject or narrative)[:SUBJECT_MAX_CHARS],
        category=category[:256],
        place=place[:512],
        urgency=urgency,
        alerts=alerts,
        unsure=sum(view.sureness is Sureness.CHECK for view in views.values()),
        pending=pending,
        search=_plain("\n".join(words)).lower(),
    )


def _rank(draft: ComplaintDraft, alerts: list[str], urgency: str) -> int:
    if draft.ended is Ended.EMERGENCY or {AlertKind.THREAT.value, AlertKind.EMERGENCY.value} & set(alerts):
        return 0
    return {Urgency.EMERGENCY.value: 1, Urgency.URGENT.value: 2}.get(urgency, 3)


URGENT_RANKS = 2  # ranks up to this one count as urgent


def show_category(value: Mapping[str, Any] | None) -> str:
    """供暖 › 温度不达标."""
    parts = [value.get(key) for key in Category.model_fields] if value else []
    return _plain(" › ".join(part for part in parts if part))


def show_place(value: Mapping[str, Any] | None) -> str:
    parts = [value.get(key) for key in Place.model_fields] if value else []
    return _plain(" ".join(part for part in parts if part))


def _plain(text: str) -> str:
    """Without control characters: PostgreSQL refuses NUL, and a row is one line."""
    return "".join(char if char >= " " else " " for char in text)


def case_fields(draft: ComplaintDraft, values: Mapping[str, Any], received_at: datetime) -> dict[str, Any]:
    """What a case holds: the confirmed fields and what was known without asking. Empty reads as it is, never guessed."""
    return {
        **values,
        "urgency": values.get("urgency") or Urgency.ROUTINE.value,
        "caller.number": draft.caller.number,
        "channel": draft.channel.value,
        "reference": draft.reference,
        "received_at": received_at.isoformat(),
        "alerts": sorted({alert.kind.value for alert in draft.alerts}),
    }


def case_keys(number: str, fields: Mapping[str, Any]) -> dict[str, bool]:
    """What a case is found by at once -> whether that is its caller's own (a phone)."""
    phones = [re.sub(r"\D", "", fields.get(path) or "") for path in ("caller.number", PHONE_PATH)]
    own = {phone[:64]: True for phone in phones if phone}
    return own | {key[:64]: False for key in (number.lower(), fields.get("reference") or "") if key}


# The schema is the contract: an edited object must have exactly its keys.
for _edited, _wire in ((EditedPlace, Place), (EditedOccurred, Occurred), (EditedCategory, Category)):
    assert set(_edited.model_fields) == set(_wire.model_fields), _edited
