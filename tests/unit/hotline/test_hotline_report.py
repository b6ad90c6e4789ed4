"""Report pages: one file that needs nothing else, and says in figures what it draws."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.report import Axis, Bar, Bars, Report, Series, bar_chart, line_chart, matrix, percent, table

VOID = {"meta", "br", "line", "rect", "path", "circle", "polygon"}


class Balanced(HTMLParser):
    """Fails for a tag that is closed before those within it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def whole() -> Report:
    page = Report("How <well>?", about="Said & done", facts={"model": "a<b"})
    page.tiles([("wrong", "12.3 %", "of all")])
    page.warning("Left out", ["line 3: <none>"])
    page.section("Curve", "of things")
    curve = Series("mine", ((0.1, 0.2), (0.9, 0.8)), lows=(0.1, 0.7), highs=(0.3, 0.9), notes=("few", "many"))
    x, y = Axis("sure", low=0, high=1), Axis("right", percent=True)
    page.add(line_chart([curve, Series("other", ((0.5, 0.5),))], title="calibration", x=x, y=y, diagonal=True))
    bars = [Bars("m1", (Bar(0.5, 0.4, 0.6), None)), Bars("m2", (Bar(0.1), Bar(0.2)))]
    page.add(bar_chart(["电话", "街道"], bars, value=Axis("CER", low=0, percent=True)))
    page.add(matrix(["投诉", "咨询"], ["投诉", "咨询"], [[3, 1], [0, 2]]))
    page.add(table(["name", "figure"], [["<b>", 1.5], ["y", None]]))
    return page


def test_a_page_is_well_formed_and_needs_nothing_from_outside() -> None:
    html = whole().html()
    page = Balanced(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe"}
    assert not [value for _, attrs in page.tags for key, value in attrs.items() if key in ("src", "href")]
    assert "url(" not in html
    assert "@import" not in html


def test_what_is_handed_in_is_text_and_never_markup() -> None:
    html = whole().html()
    assert "<none>" not in html
    assert "<b>" not in html
    assert "How <well>? " in Balanced(html).text + " "


def test_a_chart_says_its_figures_in_a_table_too() -> None:
    text = Balanced(whole().html()).text
    for figure in ("20 %", "80 %", "50 % (40 % to 60 %)", "many", "12.3 %"):
        assert figure in text


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=5), st.booleans())
def test_any_points_can_be_drawn(points: list[tuple[float, float]], diagonal: bool) -> None:
    drawn = line_chart([Series("s", tuple(points))], x=Axis("x"), y=Axis("y"), diagonal=diagonal)
    Balanced(drawn)
    assert "nan" not in drawn.split("<details>")[0]


def test_nothing_to_show_is_said() -> None:
    assert "Nothing to show" in line_chart([], x=Axis("x"), y=Axis("y"))
    assert "Nothing to show" in bar_chart([], [], value=Axis("x"))


def test_a_page_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    whole().write(path)
    assert path.read_text("utf-8").endswith("</html>\n")
    with pytest.raises(OSError, match="No such file"):
        whole().write(tmp_path / "none" / "page.html")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(("share", "shown"), [(0.1234, "12.3 %"), (None, "–"), (1.0, "100.0 %")])
def test_shares_are_shown_in_percent(share: float | None, shown: str) -> None:
    assert percent(share) == shown
