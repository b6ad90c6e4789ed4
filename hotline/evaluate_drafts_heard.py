"""Pure: what a recogniser heard of labelled messages: beside their text, or in a file of its own."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cases.drafting.labelled import Labelled, LineProblem, read_labelled
from hotline.evaluate_files import without_halves

HEARD = "heard"
_TEXT_COLUMNS = ("text", "transcript")


@dataclass(slots=True)
class HeardTexts:
    """`columns[name][line]`: what was heard of the message on that line, "" for nothing at all."""

    columns: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    problems: list[LineProblem] = field(default_factory=list)


def read_messages(lines: Iterable[str]) -> tuple[list[Labelled], dict[int, str], list[LineProblem]]:
    """Labelled messages, and what was heard of them where a line has `heard` beside `text`."""
    heard: dict[int, str] = {}
    plain: list[str] = []
    lines, wrong = without_halves(lines)
    for number, line in enumerate(lines, 1):
        data = _object(line)
        if data is not None and HEARD in data:
            said = data.pop(HEARD)
            if isinstance(said, str):
                heard[number] = said
                line = json.dumps(data, ensure_ascii=False)
            else:
                wrong.append(LineProblem(number, "heard is no text: write what the recogniser made of the message"))
                line = ""  # told once, left out
        plain.append(line)
    messages, problems = read_labelled(plain)
    if wrong and not messages:
        problems = [problem for problem in problems if problem.line]
    return messages, heard, sorted([*problems, *wrong], key=lambda problem: problem.line)


def read_heard(lines: Sequence[str], messages: Sequence[Labelled]) -> HeardTexts:
    """TSV with named columns, or JSON lines: `heard`, and `text` (or `transcript`, or `line`) to say of which message.

    Where there are `model` and `condition` beside it (`hotline evaluate speech --transcripts`), each pair of them is a
    column of its own.
    """
    found = HeardTexts()
    rows = _json_rows(lines, found) if _begins_with_object(lines) else _tsv_rows(lines, found)
    by_text: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        by_text[_key(message.text)].append(message.line)
    known = {message.line for message in messages}
    for number, row in rows:
        said = row.get(HEARD)
        if not isinstance(said, str):
            found.problems.append(
                LineProblem(number, "heard is no text: write what the recogniser made of the message")
            )
            continue
        name = ", ".join(str(row[part]) for part in ("model", "condition") if row.get(part)) or HEARD
        text = next((row[part] for part in _TEXT_COLUMNS if isinstance(row.get(part), str)), None)
        places = by_text.get(_key(text), []) if text is not None else [_line_number(row.get("line"))]
        if not places or not known.issuperset(places):
            found.problems.append(
                LineProblem(number, "belongs to no message: write its text, or its line, as in the file")
            )
            continue
        for place in places:
            found.columns[name][place] = said
    if not found.columns and not found.problems:
        found.problems.append(LineProblem(0, "nothing heard in it: write the columns text and heard"))
    found.problems.sort(key=lambda problem: problem.line)
    return found


def _json_rows(lines: Sequence[str], found: HeardTexts) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    lines, halves = without_halves(lines)
    found.problems += halves
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _object(line)
        if row is None:
            found.problems.append(LineProblem(number, 'not a JSON object: write {"text": "…", "heard": "…"}'))
        else:
            rows.append((number, row))
    return rows


def _tsv_rows(lines: Sequence[str], found: HeardTexts) -> list[tuple[int, dict[str, Any]]]:
    rows: list[tuple[int, dict[str, Any]]] = []
    columns: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.rstrip("\r").split("\t")]
        if columns is None:
            columns = [cell.casefold() for cell in cells]
            if HEARD not in columns or not {*_TEXT_COLUMNS, "line"}.intersection(columns):
                message = (
                    "the first line names the columns: heard, and text (or transcript, or line); tabs between them"
                )
                found.problems.append(LineProblem(number, message))
                return []
            continue
        cells += [""] * (len(columns) - len(cells))  # a spreadsheet leaves empty cells at the end out
        if len(cells) != len(columns):
            message = f"{len(cells)} cells where the first line names {len(columns)}: one tab between cells"
            found.problems.append(LineProblem(number, message))
            continue
        rows.append((number, dict(zip(columns, cells, strict=True))))
    return rows


def _begins_with_object(lines: Sequence[str]) -> bool:
    return next((line.strip() for line in lines if line.strip()), "").startswith("{")


def _object(line: str) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _line_number(value: object) -> int:
    try:
        return int(value) if isinstance(value, int | str) else -1
    except ValueError:
        return -1


def _key(text: str) -> str:
    """Marks and spaces are no difference: who speaks a message does not speak them."""
    return "".join(char for char in text if char.isalnum())
