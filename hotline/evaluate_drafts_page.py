"""The page of `hotline evaluate drafts`."""

from __future__ import annotations

from typing import Any

from hotline.evaluate_drafts_show import WHOLE, sure_cell, told, with_interval
from hotline.report import Axis, Bar, Bars, Report, Series, bar_chart, line_chart, matrix, percent, table

_MOST_WORST = 150
_MOST_CLASSES = 30


def page_of(figures: dict[str, Any]) -> Report:
    plan, readings, fields = figures["plan"], figures["readings"], figures["fields"]
    page = Report(
        "How right are the drafts?",
        about="Messages with known answers, drafted as a call would be, and compared field by field. Figures in "
        "parentheses, and whiskers, show where the share would lie in 95 of 100 such samples.",
        facts={"file": plan["file"], "messages": str(figures["messages"]), "seed": str(plan["seed"]),
               "sure from": f"{plan['sure_from']:g}"},
    )  # fmt: skip
    if figures["problems"]:
        page.warning(f"Lines left out: {len(figures['problems'])}", figures["problems"])
    if figures["notes"]:
        page.warning("Of note", figures["notes"])
    first = readings[0]
    page.tiles(
        [
            (
                WHOLE[key],
                percent(first[key] and first[key]["share"]),
                f"{first[key]['right']} of {first[key]['judged']}",
            )
            for key in WHOLE
            if first[key]
        ]
    )
    page.section("Right, by field", "“Always the same” is what the most frequent answer alone would get.")
    page.add(
        bar_chart(
            fields,
            [Bars(reading["name"], tuple(_bar(reading, field, "right") for field in fields)) for reading in readings],
            value=Axis("messages right", low=0, high=1, percent=True),
        )
    )
    head = ["", *(f"{reading['name']}, %" for reading in readings)]
    rows = [
        [field, *(with_interval((reading["fields"].get(field) or {}).get("right")) for reading in readings),
         f"{100 * figures['baseline'][field]['share']:.1f} ({figures['baseline'][field]['answer'] or 'empty'})"]
        for field in fields
    ]  # fmt: skip
    page.add(table([*head, "always the same"], rows))
    page.add(table(head, [[label, *(with_interval(r[key]) for r in readings)] for key, label in WHOLE.items()]))
    _readings(page, readings)
    _sure(page, readings, fields)
    _confusions(page, first)
    page.section(f"The worst drafts (at most {_MOST_WORST})")
    page.add(
        table(
            ["line", "form", "message", "right ≠ drafted (confidence)"],
            [
                [row["line"], row["reading"], row["text"], "; ".join(told(row))]
                for row in figures["worst"][:_MOST_WORST]
            ],
        )
    )
    return page


def _bar(reading: dict[str, Any], field: str, key: str) -> Bar | None:
    share = (reading["fields"].get(field) or {}).get(key)
    return None if share is None else Bar(share["share"], share["low"], share["high"])


def _readings(page: Report, readings: list[dict[str, Any]]) -> None:
    rows = [
        [
            reading["name"],
            reading["messages"],
            reading["draws"],
            percent(reading["character_error_rate"]),
            "–"
            if reading["draws"] == 1 or not reading["untouched"]
            else f"{percent(reading['untouched']['least'])} to {percent(reading['untouched']['most'])}",
        ]
        for reading in readings
    ]
    page.add(table(["form", "messages", "draws", "characters misheard", "no touch, least to most of the draws"], rows))


def _sure(page: Report, readings: list[dict[str, Any]], fields: list[str]) -> None:
    page.section(
        "Does sure mean sure?",
        "Filled fields by confidence, and which share of them was right. On the dotted line a field with confidence 0.8 "
        "is right 8 times in 10.",
    )
    for reading in readings:
        curves = [
            Series(
                field,
                tuple((cell["confidence"], cell["right"]) for cell in found["bins"] if cell),
                notes=tuple(f"{cell['fields']} fields" for cell in found["bins"] if cell),
            )
            for field, found in reading["fields"].items()
            if any(found["bins"])
        ]
        x, y = Axis("confidence", low=0, high=1), Axis("right", low=0, high=1, percent=True)
        page.add(line_chart(curves, title=reading["name"], x=x, y=y, diagonal=True))
    rows = [
        [field, *(cell for reading in readings for cell in (sure_cell(reading, field), _error(reading, field)))]
        for field in fields
    ]
    head = [name for r in readings for name in (f"{r['name']}: % sure → right when sure", "calibration error")]
    page.add(table(["", *head], rows))


def _error(reading: dict[str, Any], field: str) -> str:
    error = (reading["fields"].get(field) or {}).get("calibration_error")
    return "–" if error is None else f"{error:.3f}"


def _confusions(page: Report, reading: dict[str, Any]) -> None:
    page.section("What is taken for what", f"Of the messages as {reading['name']}; – is an empty field.")
    for field, found in reading["matrices"].items():
        if found is None or len(found["columns"]) < 2:
            continue
        rows, columns, counts = found["rows"], found["columns"], found["counts"]
        if len(columns) > _MOST_CLASSES:
            continue
        page.add(matrix(rows, columns, counts, title=field, column_label="drafted"))
    for field in ("district", "street", "occurred"):
        pairs = (reading["fields"].get(field) or {}).get("confusions")
        if pairs:
            rows = [[pair["right"] or "–", pair["drafted"] or "–", pair["count"]] for pair in pairs[:15]]
            page.text(f"{field}: right, drafted, how often")
            page.add(table(["right", "drafted", "times"], rows))
