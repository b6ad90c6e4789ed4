"""A caller who asked for confidentiality (保密): what operators are shown of a closed draft or a case. Pure.

Whoever works on a draft must see the number, to call back. Once the draft is closed only supervisors and admins do, and
the one who closed it while it can still be undone. The recording is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cases.fields import PHONE_PATH, FieldView, is_empty, show_category, show_place
from cases.lifecycle import MAY_TAKE_OVER, Role
from cases.schema import Asks, Caller, ComplaintDraft, Evidence, Turn, Understood, Word
from cases.views import CaseView, DraftView

HIDDEN = "保密"
CONFIDENTIAL_PATH = "caller.confidential"
CALLER_PATHS = ("caller.name", PHONE_PATH)
CASE_PATHS = ("caller.number", *CALLER_PATHS)
TEXT_PATHS = ("subject", "narrative", "request")
SECRET_MAX_CHARS = 40  # longer evidence is a story with the name in it, not the name
_DIGIT = "[0-9零〇一二两三四五六七八九幺]"
_NUMBER = re.compile(rf"{_DIGIT}(?:[ -]?{_DIGIT}){{6,}}")  # spoken or written, as long as a phone number


def sees_confidential(role: Role) -> bool:
    return role in MAY_TAKE_OVER


def is_confidential(fields: Mapping[str, Any]) -> bool:
    """By a case's fields."""
    return fields.get(CONFIDENTIAL_PATH) is True


def hide_in_case(view: CaseView) -> CaseView:
    return view.model_copy(update={"fields": hide_in_fields(view.fields)}) if is_confidential(view.fields) else view


def hide_in_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A confidential case's fields as operators see them."""
    secrets = _secrets(fields.get(path) for path in CASE_PATHS)
    hidden = {path: HIDDEN for path in CASE_PATHS if not is_empty(fields.get(path))}
    return {**fields, **{path: _hide(fields.get(path), secrets) for path in TEXT_PATHS}, **hidden}


def case_search(number: str, fields: Mapping[str, Any]) -> str:
    """What a confidential case is found by in words: nothing of its caller."""
    shown = hide_in_fields(fields)
    parts = [show_category(shown.get("category")), show_place(shown.get("place")), shown.get("reference") or ""]
    words = [number, *parts, shown.get("subject") or "", (shown.get("narrative") or "")[:500]]
    return "".join(char if char >= " " else " " for char in " ".join(words)).lower()


def hide_in_draft(view: DraftView) -> DraftView:
    """The view itself when its caller asked for nothing."""
    values = {field.path: field.value for field in view.fields}
    if not is_confidential(values):
        return view
    draft, said = view.draft, _evidence(view.draft)
    texts = [draft.turns[e.turn].text[e.start_char : e.end_char] for e in said]
    secrets = _secrets([draft.caller.number, *_values(view.fields), *(t for t in texts if len(t) <= SECRET_MAX_CHARS)])
    updates: dict[str, Any] = {path: _hide_text(getattr(draft, path), secrets) for path in TEXT_PATHS}
    updates["caller"] = _hide_caller(draft.caller)
    updates["turns"] = tuple(
        _hide_turn(turn, [e for e in said if e.turn == index], secrets) for index, turn in enumerate(draft.turns)
    )
    fields = tuple(_hide_field(field, secrets) for field in view.fields)
    # Other revisions hold the same words heard otherwise; whoever may not read these needs none of them.
    hidden = {"draft": draft.model_copy(update=updates), "fields": fields, "replaced": None, "offered": None}
    return view.model_copy(update=hidden)


def _evidence(draft: ComplaintDraft) -> list[Evidence]:
    return [*draft.caller.name.evidence, *draft.caller.callback_number.evidence]


def _values(fields: Iterable[FieldView]) -> list[Any]:
    return [
        value
        for field in fields
        if field.path in CALLER_PATHS
        for value in (field.value, field.original, *(other.value for other in field.alternatives))
    ]


def _secrets(values: Iterable[Any]) -> list[str]:
    """The longest first, so that no rest of one stays; one character alone (王) says nothing."""
    return sorted({v.strip() for v in values if isinstance(v, str) and len(v.strip()) >= 2}, key=len, reverse=True)


def _hide(value: Any, secrets: list[str]) -> Any:
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, HIDDEN)
    return _NUMBER.sub(HIDDEN, value)


def _hide_text(field: Understood[Any], secrets: list[str]) -> Understood[Any]:
    others = tuple(other.model_copy(update={"value": _hide(other.value, secrets)}) for other in field.alternatives)
    return field.model_copy(update={"value": _hide(field.value, secrets), "alternatives": others})


def _hide_caller(caller: Caller) -> Caller:
    def hidden(field: Understood[str]) -> Understood[str]:
        return field.model_copy(update={"value": field.value and HIDDEN, "alternatives": ()})

    return caller.model_copy(
        update={
            "number": caller.number and HIDDEN,
            "name": hidden(caller.name),
            "callback_number": hidden(caller.callback_number),
        }
    )


def _hide_field(field: FieldView, secrets: list[str]) -> FieldView:
    if field.path in CALLER_PATHS:
        values = {
            name: None if is_empty(v) else HIDDEN for name, v in (("value", field.value), ("original", field.original))
        }
        return field.model_copy(update={**values, "alternatives": ()})
    if field.path in TEXT_PATHS:
        others = tuple(other.model_copy(update={"value": _hide(other.value, secrets)}) for other in field.alternatives)
        hidden = {"value": _hide(field.value, secrets), "original": _hide(field.original, secrets)}
        return field.model_copy(update={**hidden, "alternatives": others})
    return field


def _hide_turn(turn: Turn, said: list[Evidence], secrets: list[str]) -> Turn:
    """Character for character, so that every evidence still points where it did."""
    contact = turn.asks is Asks.CONTACT
    spans = [(0, len(turn.text))] if contact else [(e.start_char, e.end_char) for e in said]
    spans += [match.span() for match in _NUMBER.finditer(turn.text)]
    spans += [match.span() for secret in secrets for match in re.finditer(re.escape(secret), turn.text)]
    chars = list(turn.text)
    for start, end in spans:
        chars[start:end] = "＊" * (end - start)
    text, words, at = "".join(chars), list[Word](), 0
    for word in turn.words:
        words.append(word.model_copy(update={"text": text[at : at + len(word.text)], "heard": ""}))
        at += len(word.text)
    digits = "*" * len(turn.digits) if contact or said else turn.digits
    prompt = _hide(turn.prompt, secrets)
    return turn.model_copy(update={"text": text, "words": tuple(words), "digits": digits, "prompt": prompt})
