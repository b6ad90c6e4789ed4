"""The figures of `hotline evaluate speech` for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from speech.evaluate.alignment_text import LEGEND


def show(figures: dict[str, Any], worst: int, out: Console) -> None:
    models, conditions = figures["models"], figures["conditions"]
    out.print(
        f"{figures['clips']} clips, {len(conditions)} line{'s' * (len(conditions) > 1)}, "
        f"{', '.join(models)} (seed {figures['plan']['seed']})",
        highlight=False,
        markup=False,
    )
    out.print(_rates_table(figures["totals"], figures["calibration"]))
    for column in ("source", "speaker"):
        rows = figures[f"by_{column}"]
        if rows and len({row[column] for row in rows}) <= 20:
            out.print(_rates_table(rows, None, column))
    for gap in figures["differences"]:
        between = gap["interval"]
        sure = between is not None and (between["low"] > 0 or between["high"] < 0)
        out.print(
            f"{gap['model']} against {gap['against']}, {gap['condition']}: {100 * gap['character_error_rate']:+.1f} points"
            + (f" ({100 * between['low']:+.1f} to {100 * between['high']:+.1f})" if between else "")
            + ("" if sure else ", within what chance does"),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    _show_worst(figures["worst"][:worst], len(models) > 1 or len(conditions) > 1, out)


def _rates_table(rows: list[dict[str, Any]], calibrations: list[dict[str, Any]] | None, column: str = "") -> Table:
    table = Table(*([column] if column else []), "model", "line", "clips")
    for name in ("CER (95 %)", "syllables", "sub", "ins", "del", "all right", "cut", *(["ECE"] * bool(calibrations))):
        table.add_column(name, justify="right")
    table.add_column("CPU s/s", justify="right")
    for number, row in enumerate(rows):
        cells = [row[column] or "–"] if column else []
        cells += [row["model"], row["condition"], str(row["clips"]), rate_with_interval(row)]
        cells += [share(row[name]) for name in ("syllable_error_rate", "substituted", "inserted", "deleted")]
        cells += [f"{row['all_right']}/{row['clips']}", str(row["cut"])]
        if calibrations:
            error = calibrations[number].get("error")
            cells.append("–" if error is None else f"{error:.2f}")
        table.add_row(*cells, f"{row['cpu_seconds_per_second']:.3f}")
    return table


def rate_with_interval(row: dict[str, Any]) -> str:
    between = row["interval"]
    rate = share(row["character_error_rate"])
    return rate if between is None else f"{rate} ({100 * between['low']:.1f}–{100 * between['high']:.1f})"


def share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _show_worst(clips: list[dict[str, Any]], many: bool, out: Console) -> None:
    if not clips:
        return
    out.print(f"\nThe worst {len(clips)}: {LEGEND}", highlight=False)
    for clip in clips:
        which = f", {clip['model']}, {clip['condition']}" if many else ""
        out.print(
            f"\n{clip['path']} (line {clip['line']}{which}): {clip['errors']} wrong of {len(clip['said_compared'])}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        for line in clip["alignment"]:
            out.print(line, highlight=False, markup=False, no_wrap=True)
