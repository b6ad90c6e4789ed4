"""The results as one table in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.figures import Figure, PartResult

HEAD = ("what", "measured", "yardstick", "ratio", "goal", "")


def number(value: float | None, unit: str = "") -> str:
    """Three figures that count, with the unit; a dash for nothing."""
    if value is None:
        return "—"
    size = abs(value)
    if value == int(value) and size < 1e6:
        text = str(int(value))
    elif size >= 100:
        text = f"{value:.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".strip()


def goal_of(figure: Figure) -> str:
    if figure.goal is None:
        return "—"
    sign = "≤" if figure.at_most else "≥"
    return f"{sign} {number(figure.goal)}{' ×' if figure.of_ratio else ' ' + figure.unit if figure.unit else ''}"


def row_of(figure: Figure) -> tuple[str, ...]:
    yardstick = figure.yardstick
    if figure.yardstick_value is not None:
        yardstick = f"{yardstick}: {number(figure.yardstick_value, figure.unit)}" if yardstick else ""
    measured = number(figure.value, figure.unit)
    if figure.spread:
        measured += f" ({figure.spread})"
    mark = {None: "", True: "✓", False: "✗"}[figure.met]
    ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else "—"
    return figure.name, measured, yardstick or "—", ratio, goal_of(figure), mark


def escape(cell: str) -> str:
    """A cell's text cannot end its cell or its row."""
    return " ".join(cell.replace("|", "\\|").split())


def markdown(machine: Mapping[str, str], results: Sequence[PartResult]) -> str:
    """One table, the machine above it, how each part was measured below it, what failed last."""
    lines = ["".join(f"{name}: {value}. " for name, value in machine.items()).strip(), ""]
    lines += ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for result in results:
        for figure in result.figures:
            lines.append("| " + " | ".join(escape(cell) for cell in row_of(figure)) + " |")
    notes = [(result.part, note) for result in results for note in result.notes]
    notes += [(figure.name, figure.note) for result in results for figure in result.figures if figure.note]
    if notes:
        lines += ["", *(f"- {name}: {note}" for name, note in notes)]
    failed = [result for result in results if result.failure]
    if failed:
        lines += ["", *(f"- **{result.part} failed**: {escape(result.failure)}" for result in failed)]
    return "\n".join(lines) + "\n"
