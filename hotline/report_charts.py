"""Pure: charts as inline SVG, for `hotline.report`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from hotline.report_tables import caption, table

_WIDTH, _HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 18, 14, 46
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "1 4", "12 4", "5 2 1 2 1 2")
_COLOURS = 7
_FIGURE_WIDTH = 46  # beside a bar
_LARGEST = 1e15  # what is larger lies outside of a drawing


@dataclass(frozen=True, slots=True)
class Axis:
    """`low`, `high`: where the axis ends (None: where the data do). `percent`: figures are shares, shown in %."""

    label: str
    low: float | None = None
    high: float | None = None
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Points joined by a line in their order. `lows`, `highs`: y of a band around them. `notes`: a word per point, shown
    when it is pointed at."""

    name: str
    points: tuple[tuple[float, float], ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """`low`, `high`: the ends of a whisker (a confidence interval)."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """One series of a bar chart: a bar for each name of the chart (None: nothing to show)."""

    name: str
    bars: tuple[Bar | None, ...]


def line_chart(series: Sequence[Series], *, title: str = "", x: Axis, y: Axis, diagonal: bool = False) -> Markup:
    """`diagonal`: a dotted line where y = x, what a calibrated forecast would show."""
    points = [point for one in series for point in one.points if all(map(math.isfinite, point))]
    if not points:
        return _nothing(title)
    bounds = [value for one in series for value in (*one.lows, *one.highs) if math.isfinite(value)]
    x_ticks = _ticks(x, [point[0] for point in points])
    y_ticks = _ticks(y, [*(point[1] for point in points), *bounds])
    plot = _Plot(x_ticks, y_ticks)
    parts = [plot.grid(x, y)]
    if diagonal:
        low, high = max(x_ticks[0], y_ticks[0]), min(x_ticks[-1], y_ticks[-1])
        parts.append(_path([(plot.x(low), plot.y(low)), (plot.x(high), plot.y(high))], 'class="ideal"'))
    for number, one in enumerate(series):
        parts.append(_drawn(plot, one, number, x, y))
    rows = [
        [one.name, _figure(px, x), _figure(py, y), *([one.notes[at]] if at < len(one.notes) else [""])]
        for one in series
        for at, (px, py) in enumerate(one.points)
    ]
    head = ["series", x.label, y.label, ""]
    return _figure_of(title, series, _svg("".join(parts), title or y.label), table(head, rows), lines=True)


def bar_chart(names: Sequence[str], series: Sequence[Bars], *, title: str = "", value: Axis) -> Markup:
    """Lying bars, grouped by name."""
    every = [bar for one in series for bar in one.bars if bar is not None and math.isfinite(bar.value)]
    if not names or not every:
        return _nothing(title)
    low_axis = Axis(value.label, 0.0 if value.low is None else value.low, value.high, value.percent)
    ticks = _ticks(low_axis, [end for bar in every for end in (bar.value, bar.high or bar.value)])
    thick, gap = 15, 12
    left = min(260, 24 + max(_text_width(name) for name in names))
    group = thick * len(series) + gap
    height = _TOP + group * len(names) + _BOTTOM
    plot = _Plot(ticks, (0.0, 1.0), left=left, height=height, right=_RIGHT + _FIGURE_WIDTH)
    parts = [plot.value_grid(value)]
    for row, name in enumerate(names):
        top = _TOP + gap / 2 + row * group
        middle = top + thick * len(series) / 2 + 4
        parts.append(
            Markup('<text class="name" x="{}" y="{}" text-anchor="end">{}</text>').format(left - 8, middle, name)
        )
        for number, one in enumerate(series):
            bar = one.bars[row] if row < len(one.bars) else None
            if bar is not None and math.isfinite(bar.value):
                parts.append(_lying(plot, bar, number, top + number * thick, thick - 2, name, one.name, value))
    rows = [
        [name, *(_bar_figure(one.bars[row] if row < len(one.bars) else None, value) for one in series)]
        for row, name in enumerate(names)
    ]
    drawing = _svg(Markup("").join(parts), title or value.label, height)
    return _figure_of(title, series, drawing, table(["", *(one.name for one in series)], rows))


class _Plot:
    """Where values lie on the drawing."""

    def __init__(
        self,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        *,
        left: int = _LEFT,
        height: int = _HEIGHT,
        right: int = _RIGHT,
    ) -> None:
        self.left, self.height, self.right = left, height, right
        self.x_ticks, self.y_ticks = x_ticks, y_ticks

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return round(self.left + (value - low) / (high - low) * (_WIDTH - self.left - self.right), 1)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return round(self.height - _BOTTOM - (value - low) / (high - low) * (self.height - _TOP - _BOTTOM), 1)

    def grid(self, x: Axis, y: Axis) -> Markup:
        lines = Markup("")
        for tick in self.y_ticks:
            at = self.y(tick)
            lines += Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                self.left, _WIDTH - self.right, at, at
            )
            lines += Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
                self.left - 8, at + 4, _figure(tick, y)
            )
        middle = (_TOP + self.height - _BOTTOM) / 2
        name = Markup('<text x="{0}" y="{1}" text-anchor="middle" transform="rotate(-90 {0} {1})">{2}</text>')
        return lines + self.value_grid(x) + name.format(14, middle, y.label)

    def value_grid(self, x: Axis) -> Markup:
        bottom = self.height - _BOTTOM
        lines = Markup("")
        for tick in self.x_ticks:
            at = self.x(tick)
            lines += Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(at, at, _TOP, bottom)
            lines += Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                at, bottom + 18, _figure(tick, x)
            )
        lines += Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            self.left, _WIDTH - self.right, bottom, bottom
        )
        middle = (self.left + _WIDTH - self.right) / 2
        return lines + Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            middle, self.height - 8, x.label
        )


def _drawn(plot: _Plot, one: Series, number: int, x: Axis, y: Axis) -> Markup:
    colour = f"var(--s{number % _COLOURS})"
    parts = Markup("")
    finite = [(at, px, py) for at, (px, py) in enumerate(one.points) if math.isfinite(px) and math.isfinite(py)]
    if len(one.lows) == len(one.highs) == len(one.points) and len(finite) > 1:
        band = [(plot.x(px), plot.y(one.highs[at])) for at, px, _ in finite]
        band += [(plot.x(px), plot.y(one.lows[at])) for at, px, _ in reversed(finite)]
        outline = " ".join(f"{bx},{by}" for bx, by in band)
        parts += Markup('<polygon points="{}" fill="{}" fill-opacity=".13" stroke="none"/>').format(outline, colour)
    elif len(one.lows) == len(one.highs) == len(one.points):
        for at, px, _ in finite:
            ends = [(plot.x(px), plot.y(one.lows[at])), (plot.x(px), plot.y(one.highs[at]))]
            parts += _path(ends, f'fill="none" stroke="{colour}"')
    line = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{_DASHES[number % len(_DASHES)]}"'
    parts += _path([(plot.x(px), plot.y(py)) for _, px, py in finite], line)
    for at, px, py in finite:
        note = f"{one.name}: {_figure(px, x)}, {_figure(py, y)}" + (
            f" · {one.notes[at]}" if at < len(one.notes) else ""
        )
        parts += Markup('<g fill="{}">{}<title>{}</title></g>').format(
            colour, _mark(number, plot.x(px), plot.y(py)), note
        )
    return parts


def _lying(plot: _Plot, bar: Bar, number: int, top: float, thick: float, name: str, series: str, axis: Axis) -> Markup:
    colour = f"var(--s{number % _COLOURS})"
    start = plot.x(max(plot.x_ticks[0], 0.0))
    end = plot.x(bar.value)
    note = f"{name}, {series}: {_bar_figure(bar, axis)}"
    part = Markup('<g><rect x="{}" y="{}" width="{}" height="{}" rx="2" fill="{}" fill-opacity=".85"/>').format(
        min(start, end), top, max(1.0, abs(end - start)), thick, colour
    )
    label_at = end
    if bar.low is not None and bar.high is not None:
        low, high, middle = plot.x(bar.low), plot.x(bar.high), top + thick / 2
        label_at = max(end, high)
        part += Markup(
            '<path d="M{0} {2}H{1}M{0} {3}V{4}M{1} {3}V{4}" stroke="var(--ink)" stroke-width="1.2" fill="none"/>'
        ).format(low, high, middle, middle - 4, middle + 4)
    part += Markup('<text x="{}" y="{}">{}</text>').format(label_at + 6, top + thick - 2, _figure(bar.value, axis))
    return part + Markup("<title>{}</title></g>").format(note)


def _mark(number: int, x: float, y: float) -> Markup:
    shapes = (
        '<circle cx="{x}" cy="{y}" r="4"/>',
        '<rect x="{a}" y="{b}" width="7" height="7"/>',
        '<path d="M{x} {b}l4.5 8h-9z"/>',
        '<path d="M{x} {b}l4 4-4 4-4-4z"/>',
        '<path d="M{x} {d}l4.5-8h-9z"/>',
        '<path d="M{a} {b}l7 7M{a} {d}l7-7" stroke="currentColor"/>',
        '<path d="M{x} {b}v7M{a} {y}h7" stroke="currentColor"/>',
    )
    return Markup(
        shapes[number % len(shapes)].format(x=x, y=y, a=round(x - 3.5, 1), b=round(y - 3.5, 1), d=round(y + 3.5, 1))
    )


def _path(points: Sequence[tuple[float, float]], attributes: str) -> Markup:
    if len(points) < 2:
        return Markup("")
    return Markup('<path d="M{}" {}/>').format(" L".join(f"{x} {y}" for x, y in points), Markup(attributes))


def _svg(content: str, name: str, height: int = _HEIGHT) -> Markup:
    return Markup('<div class="scroll"><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg></div>').format(
        _WIDTH, height, name, Markup(content)
    )


def _figure_of(
    title: str, series: Sequence[Series | Bars], drawing: Markup, figures: Markup, *, lines: bool = False
) -> Markup:
    legend = Markup("")
    if len(series) > 1:
        for number, one in enumerate(series):
            colour = f"var(--s{number % _COLOURS})"
            dash = _DASHES[number % len(_DASHES)]
            swatch = (
                Markup(
                    '<path d="M0 7H28" stroke="{}" stroke-width="2" stroke-dasharray="{}"/><g fill="{}">{}</g>'
                ).format(colour, dash, colour, _mark(number, 14, 7))
                if lines
                else Markup('<rect x="7" width="14" height="14" rx="2" fill="{}"/>').format(colour)
            )
            legend += Markup('<li><svg viewBox="0 0 28 14" aria-hidden="true">{}</svg>{}</li>').format(swatch, one.name)
        legend = Markup('<ul class="legend">{}</ul>').format(legend)
    return Markup("<figure>{}{}{}<details><summary>figures</summary>{}</details></figure>").format(
        caption(title), legend, drawing, figures
    )


def _nothing(title: str) -> Markup:
    return Markup('<figure>{}<p class="prose">Nothing to show.</p></figure>').format(caption(title))


def _figure(value: float, axis: Axis) -> str:
    if axis.percent:
        return f"{round(100 * value, 1):g} %"
    return f"{value:.4g}"


def _bar_figure(bar: Bar | None, axis: Axis) -> str:
    if bar is None:
        return "–"
    between = (
        f" ({_figure(bar.low, axis)} to {_figure(bar.high, axis)})"
        if bar.low is not None and bar.high is not None
        else ""
    )
    return _figure(bar.value, axis) + between


def _ticks(axis: Axis, values: Sequence[float]) -> list[float]:
    """Four to eight round figures that enclose the values (or end where the axis says)."""
    low = axis.low if axis.low is not None else max(-_LARGEST, min(values))
    high = axis.high if axis.high is not None else min(_LARGEST, max(values))
    if high - low <= max(1e-12, 1e-9 * max(abs(low), abs(high))):  # one figure, or none that can be told apart
        around = max(abs(low) * 0.1, 0.5 if abs(low) < 1e-9 else 0.0)
        low, high = low - (0.0 if axis.low is not None else around), low + around
    raw = (high - low) / 5
    scale = 10 ** math.floor(math.log10(raw))
    step = next(factor * scale for factor in (1, 2, 2.5, 5, 10) if factor * scale >= raw * 0.999)
    first = low if axis.low is not None else math.floor(low / step + 1e-9) * step
    last = max(1, math.ceil((high - first) / step - 1e-6))
    ticks = [float(f"{first + number * step:.12g}") for number in range(last + 1)]
    if axis.high is not None and ticks[-1] > axis.high:
        ticks[-1] = axis.high
    return [a for a, b in pairwise([*ticks, math.inf]) if b - a > step * 0.3]


def _text_width(text: str) -> int:
    """About, at 12 px: Chinese is twice as wide."""
    return round(sum(12 if ord(char) > 0x2E7F else 6.6 for char in text))
