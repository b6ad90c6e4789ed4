"""The page that a measurement leaves behind: one HTML file that opens anywhere, offline, light or dark, and prints.

    page = Report("Endpointing", about="False cut-offs against delay.", facts={"callers": "40", "seed": "1"})
    page.section("How long a caller waits", "Lower and further left is better.")
    page.add(line_chart([Series("fixed", ((0.8, 0.2), (1.2, 0.1)))], x=Axis("delay, s"), y=Axis("cut off", percent=True)))
    page.add(table(["step", "cut off"], [["narration", percent(0.031)]]))
    page.write(path)

Charts are in `hotline.report_charts`, tables in `hotline.report_tables`; all can be had here: `line_chart`, `bar_chart`,
`matrix`, `table`. Whatever is handed in as `str` is escaped; `Markup` goes in as it is. No scripts, no fonts, no links out.
Every chart carries its figures as a table that opens below it, for readers who cannot see it and for copying.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from hotline.report_charts import Axis, Bar, Bars, Series, bar_chart, line_chart
from hotline.report_style import STYLE
from hotline.report_tables import matrix, table

__all__ = [
    "Axis",
    "Bar",
    "Bars",
    "Report",
    "Series",
    "bar_chart",
    "line_chart",
    "matrix",
    "percent",
    "table",
]


def percent(share: float | None, places: int = 1) -> str:
    """0.1234 → '12.3 %'; None → '–'."""
    return "–" if share is None else f"{100 * share:.{places}f} %"


class Report:
    """Parts in order, then `html` or `write`."""

    def __init__(self, title: str, *, about: str = "", facts: Mapping[str, str] | None = None) -> None:
        """`facts`: what was measured and on what, shown at the top: model, data, machine, seed."""
        self._title = title
        self._about = about
        self._facts = dict(facts or {})
        self._parts: list[Markup] = []
        self._made_at = datetime.now(UTC)

    def section(self, heading: str, text: str = "") -> None:
        self.add(Markup("<h2>{}</h2>").format(heading))
        if text:
            self.text(text)

    def text(self, text: str) -> None:
        self.add(Markup('<p class="prose">{}</p>').format(text))

    def tiles(self, tiles: Sequence[tuple[str, str, str]]) -> None:
        """The few figures that matter, large: (name, figure, a word about it)."""
        cards = Markup("").join(
            Markup('<div class="tile"><dt>{}</dt><dd>{}</dd><p>{}</p></div>').format(*tile) for tile in tiles
        )
        self.add(Markup('<dl class="tiles">{}</dl>').format(cards))

    def warning(self, heading: str, lines: Sequence[str]) -> None:
        """What went wrong while measuring, or how far the figures can be trusted."""
        items = Markup("").join(Markup("<li>{}</li>").format(line) for line in lines)
        self.add(Markup('<aside class="warning"><h3>{}</h3><ul>{}</ul></aside>').format(heading, items))

    def add(self, part: Markup) -> None:
        self._parts.append(part)

    def html(self) -> str:
        facts = Markup("").join(
            Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(*fact)
            for fact in {**self._facts, "made": f"{self._made_at:%Y-%m-%d %H:%M} UTC"}.items()
        )
        return _PAGE.format(
            title=self._title,
            style=Markup(STYLE),
            about=Markup('<p class="prose">{}</p>').format(self._about) if self._about else "",
            facts=facts,
            parts=Markup("\n").join(self._parts),
        )

    def write(self, path: Path) -> None:
        """There whole or not at all; OSError when it cannot be written."""
        path = Path(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_text(self.html(), "utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


_PAGE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
{about}
<dl class="facts">{facts}</dl>
</header>
{parts}
</main>
</body>
</html>
""")
