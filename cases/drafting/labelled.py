"""Labelled messages, one JSON object a line: what a city knows to be right of what its citizens said.

    {"text": "楼下烧烤店的油烟…", "appeal_type": ["投诉", "举报"], "level1": "环境保护", "district": "朝阳区", "street": ""}

Beside `text` any of appeal_type, level1, district, street, urgency, alerts, occurred. A list means that any of them is
right; "" or null that the field must stay empty; what is left out is not judged. `alerts`: the kinds joined by + in any
order, "none" for none. `occurred`: the caller's words for the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.table_models import LEVEL1
from cases.drafting.tables import read_divisions
from cases.schema import AlertKind, AppealType, Urgency

FIELDS = ("appeal_type", "level1", "district", "street", "urgency", "alerts", "occurred")
NO_ALERTS = "none"
MAX_TEXT_CHARS = 4000
_SAME_STREET = ("地区", "镇", "乡")


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with a line (0: with the file) and what to do about it. The line is left out."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class Labelled:
    """One message. `labels[field]`: every answer that is right, "" standing for none."""

    line: int
    text: str
    labels: dict[str, tuple[str, ...]]

    def is_right(self, field: str, value: str) -> bool:
        """Streets are compared without their kind: the statistics' 地区 is 镇 or 乡 in speech. Times by their words."""
        allowed = self.labels[field]
        if field == "street":
            return street_key(value) in {street_key(one) for one in allowed}
        if field == "occurred":
            return any(one == value or (one and value and (one in value or value in one)) for one in allowed)
        return value in allowed


def street_key(street: str) -> str:
    """仁和地区 and 仁和镇 are one street, 东风街道 is another."""
    return next((street.removesuffix(end) for end in _SAME_STREET if street.endswith(end)), street)


@lru_cache(maxsize=1)
def _known_places() -> tuple[tuple[str, ...], frozenset[str]]:
    """The districts, and the keys of all streets."""
    divisions = read_divisions()
    return tuple(sorted({d.district for d in divisions})), frozenset(street_key(d.street) for d in divisions)


def read_labelled(lines: Iterable[str]) -> tuple[list[Labelled], list[LineProblem]]:
    """All messages that can be used and everything that is wrong with the others. Never raises for what is written."""
    found: list[Labelled] = []
    problems: list[LineProblem] = []
    for number, line in enumerate(lines, 1):
        line = line.removeprefix("\ufeff") if number == 1 else line
        if not line.strip():
            continue
        one = _read(number, line)
        if isinstance(one, Labelled):
            found.append(one)
        else:
            problems += [LineProblem(number, message) for message in one]
    if not found and not problems:
        problems.append(LineProblem(0, 'no messages: write one JSON object a line, such as {"text": "…"}'))
    return found, problems


def _read(number: int, line: str) -> Labelled | list[str]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deep")
        return [f'not JSON ({reason}): write one object a line, such as {{"text": "…"}}']
    if not isinstance(data, dict):
        return ["not an object: write {…} with text and labels"]
    text = data.get("text")
    if not isinstance(text, str) or not text.strip():
        return ["no text: what the citizen said belongs in text"]
    if len(text) > MAX_TEXT_CHARS:
        return [f"text has {len(text)} characters: {MAX_TEXT_CHARS} are read, cut it or split it"]
    messages = []
    unknown = [key for key in data if key not in ("text", *FIELDS)]
    if unknown:
        messages.append(f"unknown field {', '.join(unknown)}: known are text, {', '.join(FIELDS)}")
    labels: dict[str, tuple[str, ...]] = {}
    for field in FIELDS:
        if field in data:
            values, wrong = _values(field, data[field])
            messages += wrong
            labels[field] = values
    return messages or Labelled(number, text, labels)


def _values(field: str, said: object) -> tuple[tuple[str, ...], list[str]]:
    given = said if isinstance(said, list) else [said]
    if not given:
        return (), [f"{field} is an empty list: write the answers that are right, or leave the field out"]
    values: list[str] = []
    wrong: list[str] = []
    for one in given:
        value = "" if one is None else one
        if not isinstance(value, str):
            wrong.append(f"{field}: {json.dumps(one, ensure_ascii=False)} is no text")
            continue
        if field == "alerts":
            value = "+".join(sorted(filter(None, value.split("+")))) or NO_ALERTS
        problem = _wrong_value(field, value)
        if problem:
            wrong.append(problem)
        values.append(value)
    return tuple(dict.fromkeys(values)), wrong


def _wrong_value(field: str, value: str) -> str:
    known: tuple[str, ...]
    match field:
        case "appeal_type":
            known = tuple(AppealType)
        case "level1":
            known = LEVEL1
        case "urgency":
            known = tuple(Urgency)
        case "district":
            known = _known_places()[0]
        case "street":
            if not value or street_key(value) in _known_places()[1]:
                return ""
            return f"street {value!r} is in no district: write its official name, as 望京街道 or 仁和地区"
        case "alerts":
            kinds = {str(kind) for kind in AlertKind}
            bad = [kind for kind in value.split("+") if kind not in kinds and value != NO_ALERTS]
            return (
                f"alerts {'+'.join(bad)!r} unknown: write {', '.join(sorted(kinds))}, joined by +, or none"
                if bad
                else ""
            )
        case _:
            return ""
    if not value or value in known:
        return ""
    return f"{field} {value!r} is unknown: write one of {', '.join(known)}"
