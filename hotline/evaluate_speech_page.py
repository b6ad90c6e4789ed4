"""The page of `hotline evaluate speech`."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from hotline.evaluate_speech_show import rate_with_interval, share, worth_a_table
from hotline.report import Axis, Bar, Bars, Report, Series, bar_chart, line_chart, percent, table


def page_of(figures: dict[str, Any]) -> Report:
    page = Report(
        "How well does the hotline hear?",
        about="Clips with known words, sent down telephone lines and heard exactly as a call hears. The character error "
        "rate counts characters that are wrong, missing or too many, over characters said; the syllable error rate "
        "forgives characters of the same sound. Whiskers show where the figure would lie in 95 of 100 such samples.",
        facts={
            "manifest": figures["plan"]["manifest"],
            "clips": str(figures["clips"]),
            "models": ", ".join(figures["models"]),
            "seed": str(figures["plan"]["seed"]),
            "listed words": "as in a call" if figures["plan"]["lists"] else "left out",
        },
    )
    if figures["problems"]:
        page.warning(f"Lines left out: {len(figures['problems'])}", [_told(one) for one in figures["problems"]])
    if figures["notes"]:
        page.warning("Of note", [_told(one) for one in figures["notes"]])
    page.tiles(_tiles(figures))
    _rates(page, figures)
    _calibration(page, figures)
    _confusions(page, figures)
    _worst(page, figures)
    return page


def _told(problem: dict[str, Any]) -> str:
    where = f"line {problem['line']}: " if problem["line"] else ""
    return where + (f"{problem['path']}: " if problem["path"] else "") + problem["message"]


def _tiles(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    row = min(figures["totals"], key=lambda row: row["character_error_rate"])
    which = f"{row['model']}, {row['condition']}"
    return [
        ("characters wrong", share(row["character_error_rate"]), f"at best: {which}"),
        ("syllables wrong", share(row["syllable_error_rate"]), "tones and characters aside"),
        ("clips all right", f"{row['all_right']} / {row['clips']}", which),
        ("CPU", f"{row['cpu_seconds_per_second']:.3f} s", "a second of sound, silence included"),
    ]


def _rates(page: Report, figures: dict[str, Any]) -> None:
    page.section("Error rates by line", "Shorter is better.")
    conditions = [condition["name"] for condition in figures["conditions"]]
    page.add(_bars(figures["totals"], "condition", conditions, figures["models"]))
    head = ["model", "line", "clips", "characters", "CER % (95 of 100)", "syllables", "substituted", "of the same sound",
            "inserted", "deleted", "all right", "nothing heard", "cut", "late", "CPU s/s"]  # fmt: skip
    page.add(table(head, [_cells(row) for row in figures["totals"]]))
    page.text(
        "Cut: the endpointing took the caller for finished before the clip was over. Late: sound was left out because "
        "the recogniser could not keep up."
    )
    if figures["differences"]:
        page.section("Model against model", "On the same clips; below nothing is better than the first model.")
        rows = [
            [gap["model"], gap["against"], gap["condition"], _points(gap["character_error_rate"]), _between(gap)]
            for gap in figures["differences"]
        ]
        page.add(table(["model", "against", "line", "CER, points", "95 %"], rows))
    for column in ("source", "speaker"):
        rows = figures[f"by_{column}"]
        if not worth_a_table(rows, column):
            continue
        page.section(f"By {column}")
        names = list(dict.fromkeys(row[column] for row in rows))
        for condition in conditions:
            own = [row for row in rows if row["condition"] == condition]
            page.add(_bars(own, column, names, figures["models"], title=condition))
        page.add(table([column, *head], [[row[column] or "–", *_cells(row)] for row in rows]))


def _bars(rows: list[dict[str, Any]], column: str, names: list[str], models: list[str], title: str = "") -> Markup:
    def bar(model: str, name: str) -> Bar | None:
        row = next((row for row in rows if row["model"] == model and row[column] == name), None)
        if row is None:
            return None
        between = row["interval"] or {"low": None, "high": None}
        return Bar(row["character_error_rate"], between["low"], between["high"])

    series = [Bars(model, tuple(bar(model, name) for name in names)) for model in models]
    axis = Axis("character error rate", low=0, percent=True)
    return bar_chart([name or "–" for name in names], series, title=title, value=axis)


def _cells(row: dict[str, Any]) -> list[Any]:
    rates = ("syllable_error_rate", "substituted", "same_sound", "inserted", "deleted")
    return [
        row["model"],
        row["condition"],
        row["clips"],
        row["characters"],
        rate_with_interval(row),
        *(percent(row[name]) for name in rates),
        row["all_right"],
        row["unheard"],
        row["cut"],
        row["late"],
        f"{row['cpu_seconds_per_second']:.3f}",
    ]


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _between(gap: dict[str, Any]) -> str:
    between = gap["interval"]
    return "–" if between is None else f"{_points(between['low'])} to {_points(between['high'])}"


def _calibration(page: Report, figures: dict[str, Any]) -> None:
    page.section(
        "Do confidences mean what they say?",
        "Words heard, by how sure the recogniser was of them, and which share of them was right. On the dotted line a "
        "word with confidence 0.8 is right 8 times in 10; below it the recogniser is too sure of itself.",
    )
    curves = [
        Series(
            f"{one['model']}, {one['condition']}",
            tuple((cell["confidence"], cell["right"]) for cell in one["bins"] if cell),
            notes=tuple(f"{cell['words']} words" for cell in one["bins"] if cell),
        )
        for one in figures["calibration"]
        if one["words"]
    ]
    x, y = Axis("confidence", low=0, high=1), Axis("words right", low=0, high=1, percent=True)
    page.add(line_chart(curves, x=x, y=y, diagonal=True))
    rows = [
        [one["model"], one["condition"], one["words"], f"{one['confidence']:.2f}", percent(one["right"]),
         f"{one['error']:.3f}", one["left_out"]]
        for one in figures["calibration"]
        if one["words"]
    ]  # fmt: skip
    head = ["model", "line", "words", "mean confidence", "right", "expected calibration error", "clips left out"]
    page.add(table(head, rows))


def _confusions(page: Report, figures: dict[str, Any]) -> None:
    page.section("What is taken for what", "Over all lines; – stands for nothing said, or nothing heard.")
    for model, found in figures["confusions"].items():
        if len(figures["confusions"]) > 1:
            page.add(Markup("<h3>{}</h3>").format(model))
        rows = [[c["said"] or "–", c["heard"] or "–", c["kind"], c["count"]] for c in found[:20]]
        page.add(table(["said", "heard", "kind", "times"], rows))


def _worst(page: Report, figures: dict[str, Any]) -> None:
    page.section(
        "The worst clips", "Above what was said, below what was heard; yellow: another character of the same sound."
    )
    for clip in figures["worst"]:
        columns = Markup("").join(
            Markup('<span class="{}"><b>{}</b><i>{}</i></span>').format(
                {"right": "", "sound": "sound"}.get(step["kind"], "wrong"),
                step["said"] or "\u3000",
                step["heard"] or "\u3000",
            )
            for step in clip["steps"]
        )
        page.add(
            Markup('<p class="clip">{} · {} · {} · {} wrong of {}</p><div class="aligned">{}</div>').format(
                clip["path"], clip["model"], clip["condition"], clip["errors"], len(clip["said_compared"]), columns
            )
        )
    if not figures["worst"]:
        page.text("None: every character of every clip was right.")
