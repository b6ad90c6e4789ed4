"""The results as one self-contained page: the table, the plots, how it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.figures import PartResult
from bench.table import HEAD, row_of
from hotline.report import Axis, Report, Series, line_chart, table

ABOUT = (
    "What this machine carries, and how long a caller waits; each figure beside its yardstick. `make bench` makes it."
)
TITLES = {
    "calls": "How long a caller waits",
    "pipeline": "CPU of the ear",
    "streams": "Live streams on one core",
    "audio": "Calls at once",
    "overload": "More callers than can be heard",
    "drafting": "Drafting",
}


def page(machine: Mapping[str, str], results: Sequence[PartResult]) -> str:
    report = Report("make bench", about=ABOUT, facts={key: value for key, value in machine.items() if key != "note"})
    failed = [f"{result.part}: {result.failure}" for result in results if result.failure]
    if failed:
        report.warning("Not everything was measured", failed)
    if "note" in machine:
        report.warning("Not a quiet machine", [f"{machine['others']}: these figures are for trying only"])
    report.section("All figures")
    report.add(table(HEAD, [row_of(figure) for result in results for figure in result.figures]))
    for result in results:
        report.section(TITLES.get(result.part, result.part))
        for plot in result.plots:
            lines = [Series(curve.label, curve.points) for curve in plot.curves if curve.points]
            if lines:
                report.add(line_chart(lines, title=plot.title, x=Axis(plot.x_label), y=Axis(plot.y_label)))
        notes = [*result.notes, *(f"{figure.name}: {figure.note}" for figure in result.figures if figure.note)]
        for note in notes:
            report.text(note)
    return report.html()
