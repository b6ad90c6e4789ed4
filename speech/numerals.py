"""Pure: what a Mandarin numeral is worth. 两百三十五 is 235, 一万二 is 12000, 五零一 is the figures 501."""

from __future__ import annotations

import re

FIGURES = {c: str(i) for i, c in enumerate("零一二三四五六七八九")} | {
    "〇": "0", "○": "0", "洞": "0", "幺": "1", "两": "2", "俩": "2", "仨": "3", "拐": "7",
    **{c: str(i) for i, c in enumerate("0123456789")},
    **{c: str(i) for i, c in enumerate("０１２３４５６７８９")},
}  # fmt: skip
_UNITS = {"十": 10, "百": 100, "千": 1000}

_DIGIT = "零〇一二三四五六七八九两"
# 幺, 洞 and 拐 only stand in figures read one by one, never in a count.
COUNT = re.compile(
    rf"(?:\d+(?:\.\d+)?|[{_DIGIT}十百千万亿]*[{_DIGIT}十百千])(?:[万亿](?:[{_DIGIT}十百千万]+)?)*(?:点[{_DIGIT}]+)?"
)


def count_of(numeral: str) -> int | float | None:
    """The worth of a numeral with units or a point, or of Arabic figures; None when it is none.

    Spoken shortness is understood: 一万二 is 12000, 两百三 is 230 (but 两百零三 is 203). Figures without units
    (五零一, 二零二六) are read as such: 501, 2026.
    """
    whole, point, part = numeral.partition("点")
    arabic = re.fullmatch(r"(\d+(?:\.\d+)?)([万亿]?)", whole)
    if arabic and not point:
        value = float(arabic[1]) * {"": 1, "万": 10**4, "亿": 10**8}[arabic[2]]
        return int(value) if value == int(value) else value
    worth = _whole(whole)
    if worth is None:
        return None
    if not point:
        return worth
    figures = "".join(FIGURES.get(char, "?") for char in part)
    return float(f"{worth}.{figures}") if figures.isdigit() else None


def _whole(numeral: str, after: int = 1) -> int | None:
    """`after`: the unit that stands before this numeral, which a lone last figure is a tenth of (一万二)."""
    for mark, worth in (("亿", 10**8), ("万", 10**4)):
        head, found, tail = numeral.rpartition(mark)
        if found:
            left, right = _whole(head), _whole(tail, worth) if tail else 0
            return None if left is None or right is None else left * worth + right
    return _section(numeral, after)


def _section(numeral: str, after: int) -> int | None:
    """Below 万: 千, 百, 十 and figures."""
    if not numeral:
        return None
    figures = "".join(FIGURES.get(char, "?") for char in numeral)
    if figures.isdigit() and (len(figures) > 1 or after == 1):
        return int(figures)
    worth, figure, zero = 0, "", False
    for char in numeral:
        if char in _UNITS:
            worth += int(figure or 1) * _UNITS[char]
            after, figure, zero = _UNITS[char], "", False
        elif FIGURES.get(char) == "0":
            zero = True
        elif char in FIGURES and not figure:
            figure = FIGURES[char]
        else:
            return None  # 二百三四: no one number
    if figure and not zero and after >= 100:
        return worth + int(figure) * after // 10
    return worth + int(figure or 0)
