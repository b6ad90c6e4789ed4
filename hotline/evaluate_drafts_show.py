"""The figures of `hotline evaluate drafts` for a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

WHOLE = {
    "untouched": "needs no touch",
    "the_four": "type, level 1, district, street all right",
    "false_places": "a false place",
    "places_out_of_nothing": "a place where none was said",
}


def show(figures: dict[str, Any], worst: int, out: Console) -> None:
    readings = figures["readings"]
    out.print(f"{figures['messages']} messages of {figures['plan']['file']}. In % of the messages:", highlight=False)
    rights = _table("field", readings, "always the same")
    for field in figures["fields"]:
        base = figures["baseline"][field]
        rights.add_row(field, *(with_interval(_of(r, field, "right")) for r in readings), f"{100 * base['share']:.0f}")
    rights.add_section()
    for key, label in WHOLE.items():
        if any(reading[key] for reading in readings):
            rights.add_row(label, *(with_interval(reading[key]) for reading in readings), "")
    out.print(rights)
    out.print(f"Shown as sure (from {figures['plan']['sure_from']:g}), and right when sure, in %:", highlight=False)
    sures = _table("field", readings)
    for field in figures["fields"]:
        sures.add_row(field, *(sure_cell(reading, field) for reading in readings))
    out.print(sures)
    for reading in readings:
        if reading["character_error_rate"] is not None:
            rate = 100 * reading["character_error_rate"]
            out.print(
                f"{reading['name']}: {reading['messages']} messages heard, {rate:.1f} % of the characters wrong",
                highlight=False,
                markup=False,
            )
    for note in figures["notes"]:
        out.print(f"note {note}", highlight=False, markup=False, soft_wrap=True)
    _show_worst(figures["worst"], worst, out)


def _table(first: str, readings: list[dict[str, Any]], *last: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column(first)
    for name in [reading["name"] for reading in readings] + list(last):
        table.add_column(name, justify="right")
    return table


def _of(reading: dict[str, Any], field: str, key: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = reading["fields"].get(field, {}).get(key)
    return found


def with_interval(share: dict[str, Any] | None) -> str:
    if share is None:
        return "–"
    return f"{100 * share['share']:.1f} ({100 * share['low']:.0f}–{100 * share['high']:.0f})"


def sure_cell(reading: dict[str, Any], field: str) -> str:
    sure, right = _of(reading, field, "sure"), _of(reading, field, "right_when_sure")
    return "–" if sure is None else f"{100 * sure['share']:.0f} → {with_interval(right)}"


def told(row: dict[str, Any]) -> list[str]:
    """What is wrong with a draft: field, right answer, drafted answer and how sure."""
    lines = []
    for name in row["wrong"]:
        got = row["drafted"][name]
        right = " | ".join(answer or "empty" for answer in row["labels"][name])
        lines.append(f"{name}: {right} ≠ {got['value'] or 'empty'} ({got['confidence']:.2f})")
    return lines


def _show_worst(rows: list[dict[str, Any]], most: int, out: Console) -> None:
    """Of each form of the messages the worst, as many as asked for in all."""
    forms = list(dict.fromkeys(row["reading"] for row in rows))
    each = -(-most // len(forms)) if forms else 0
    for form in forms:
        for row in [row for row in rows if row["reading"] == form][:each]:
            out.print(f"line {row['line']}, {form}: {row['text'][:70]}", highlight=False, markup=False, soft_wrap=True)
            for line in told(row):
                out.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)
