"""The figures of `hotline evaluate speech` for a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from speech.evaluate.alignment_text import LEGEND


def show(figures: dict[str, Any], worst: int, out: Console) -> None:
    models, conditions = figures["models"], figures["conditions"]
    out.print(
        f"{figures['clips']} clips, {len(conditions)} line{'s' * (len(conditions) > 1)}, "
        f"{', '.join(models)} (seed {figures['plan']['seed']}). In % of the characters said:",
        highlight=False,
        markup=False,
    )
    names = [*(["model"] if len(models) > 1 else []), "condition"]
    out.print(_rates_table(names, figures["totals"], figures["calibration"]))
    for column in ("source", "speaker"):
        rows = figures[f"by_{column}"]
        if worth_a_table(rows, column):
            out.print(_rates_table([column, *names], rows))
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


def worth_a_table(rows: list[dict[str, Any]], column: str) -> bool:
    """Not for speakers of one clip each, nor for hundreds of them: the clips themselves say it."""
    names = len({row[column] for row in rows})
    return bool(rows) and names <= 25 and sum(row["clips"] for row in rows) >= 3 * len(rows)


def _rates_table(
    names: list[str], rows: list[dict[str, Any]], calibrations: list[dict[str, Any]] | None = None
) -> Table:
    """What fits eighty columns: the totals (with `calibrations`) in full, parts of them without what the totals say."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    for name in names:
        table.add_column({"condition": "line"}.get(name, name), min_width=9)
    cut = any(row["cut"] for row in rows)
    heads = ["CER (95 %)", "syll."]
    heads += ["sub/ins/del", "ECE", "right"] if calibrations else ["clips"]
    for head in (*heads, *(["cut"] if cut else []), "CPU s/s"):
        table.add_column(head, justify="right", no_wrap=True)
    for number, row in enumerate(rows):
        cells = [row[name] or "–" for name in names]
        cells += [rate_with_interval(row), _bare(row["syllable_error_rate"])]
        if calibrations:
            cells.append("/".join(_bare(row[name]) for name in ("substituted", "inserted", "deleted")))
            error = calibrations[number].get("error")
            cells += ["–" if error is None else f"{error:.2f}", str(row["all_right"])]
        else:
            cells.append(str(row["clips"]))
        cells += [str(row["cut"])] if cut else []
        table.add_row(*cells, f"{row['cpu_seconds_per_second']:.3f}")
    return table


def _bare(value: float) -> str:
    return f"{100 * value:.1f}"


def rate_with_interval(row: dict[str, Any]) -> str:
    between = row["interval"]
    rate = _bare(row["character_error_rate"])
    return rate if between is None else f"{rate} ({100 * between['low']:.0f}–{100 * between['high']:.0f})"


def share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _show_worst(clips: list[dict[str, Any]], many: bool, out: Console) -> None:
    if not clips:
        return
    out.print(f"The worst {len(clips)}: {LEGEND}", highlight=False, soft_wrap=True)
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
