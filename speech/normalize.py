"""Pure: numbers, telephone figures and dates out of Mandarin as it is heard, each with its place in the text.

Dates and times are in `said_times`, and to be had here too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from speech.numerals import COUNT, FIGURES, count_of
from speech.said_times import TimeSaid, times_said
from speech.syllables import plain_syllable

__all__ = ["FiguresSaid", "NumberSaid", "TimeSaid", "figures_said", "numbers", "telephone_number", "times_said"]

_MEASURES = ("单元", "号楼", "小时", "分钟", "点钟", "平米", "平方米", "星期", "礼拜", "公里", "年", "月", "日", "号", "天", "度",
             "楼", "层", "户", "家", "个", "次", "元", "块", "米", "岁", "人", "位", "辆", "栋", "室", "点", "分", "路", "周", "条")  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumberSaid:
    """`text[start_char:end_char]` is the numeral without its measure word `unit` ('' when none is known)."""

    value: int | float
    unit: str
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class FiguresSaid:
    """Figures read one by one, as of a telephone number."""

    figures: str
    start_char: int
    end_char: int


# Words of Chinese that only look like a number (一下, 万一, 十分 for "very"), parts of 百分之, and "three or four" of
# something, which is no number.
_NO_NUMBER = re.compile(
    "一(?:下|些|直|样|般|起|定|切|共|会儿|点儿|旦|再|向|律|边|味|时)|万一|统一|唯一|第一时间|十分(?!钟)|千万(?=别|不|要)"
    "|(?:星期|礼拜|周)[一二三四五六]|百分之|几分之|(?<![零一二三四五六七八九])"
    "(?:一两|两三|三四|三五|四五|五六|六七|七八|八九)(?=[个天次年月十百千万])"
)


def numbers(text: str) -> list[NumberSaid]:
    """Every number, from left to right."""
    blocked = {at for match in _NO_NUMBER.finditer(text) for at in range(*match.span())}
    found = []
    for match in COUNT.finditer(text):
        if blocked.intersection(range(*match.span())):
            continue
        value = count_of(match[0])
        if value is None:
            continue
        rest = text[match.end() :]
        unit = next((unit for unit in sorted(_MEASURES, key=len, reverse=True) if rest.startswith(unit)), "")
        found.append(NumberSaid(value, unit, match.start(), match.end()))
    return found


_TIMES_OVER = {"两个": 2, "俩": 2, "三个": 3, "仨": 3, "四个": 4, "2个": 2, "3个": 3, "4个": 4}
_BETWEEN_FIGURES = re.compile(r"[\s,，、。.\-—_]|嗯|啊|呃|额|然后|那个|是")
# How figures sound; a recogniser that writes 要 for 幺 or 把 for 八 is understood within a number.
_BY_SOUND = {"yao": "1", "yi": "1", "er": "2", "san": "3", "si": "4", "wu": "5", "liu": "6", "qi": "7", "ba": "8",
             "jiu": "9", "ling": "0", "dong": "0", "guai": "7", "liang": "2"}  # fmt: skip


def figures_said(text: str, *, at_least: int = 3, by_sound: bool = True) -> list[FiguresSaid]:
    """Runs of figures said one by one, from left to right: 幺三八零幺…, 1 3 8, 三个八 (888), hesitations between.

    `by_sound`: take homophones (要, 衣, 把) for figures where they stand among at least as many true figures.
    Runs with fewer than `at_least` figures are left out. Counts (两百三十五, 十四) are no such runs.
    """
    runs: list[FiguresSaid] = []
    at = 0
    while at < len(text):
        run = _run_from(text, at, by_sound)
        if run is None:
            at += 1
            continue
        if len(run.figures) >= at_least:
            runs.append(run)
        at = max(run.end_char, at + 1)
    return runs


def _run_from(text: str, start: int, by_sound: bool) -> FiguresSaid | None:
    """The run that begins at `start` with a true figure, or with a homophone before two true ones."""
    figures, at, end = "", start, start
    sure = guessed = 0
    while at < len(text):
        times = next((word for word in _TIMES_OVER if text.startswith(word, at)), None)
        if times is not None and text[at + len(times) : at + len(times) + 1] in FIGURES and text[at + len(times)]:
            figures += FIGURES[text[at + len(times)]] * _TIMES_OVER[times]
            at += len(times) + 1
            sure, end = sure + 1, at
            continue
        char = text[at]
        if char in FIGURES:
            figures, at, sure = figures + FIGURES[char], at + 1, sure + 1
            end = at
        elif by_sound and (figure := _BY_SOUND.get(plain_syllable(char))) and _figures_near(text, at):
            figures, at, guessed = figures + figure, at + 1, guessed + 1
            end = at
        elif figures and (gap := _BETWEEN_FIGURES.match(text, at)):
            at = gap.end()
        else:
            break
    follows = text[end : end + 1]
    if not figures or guessed > sure or (follows in ("十", "百", "千", "万") and len(figures) < 7):
        return None
    return FiguresSaid(figures, start, end)


def _figures_near(text: str, at: int) -> bool:
    """Whether true figures stand on a homophone's either side, or two of them on one."""
    before, after = text[max(0, at - 2) : at], text[at + 1 : at + 3]
    left, right = [c in FIGURES for c in before], [c in FIGURES for c in after]
    return (left[-1:] == [True] and right[:1] == [True]) or left == [True, True] or right == [True, True]


def telephone_number(text: str) -> FiguresSaid | None:
    """A Chinese telephone number said in the text: mobile (11 figures) or land line (8, or with its area code).

    The figures may come with the country code, which is left off. None when no run of figures makes a number:
    ask again, and let the caller press the keys.
    """
    for run in figures_said(text, at_least=7):
        figures = re.sub(r"^(?:0086|86)(?=1[3-9]\d{9}$)", "", run.figures)
        if re.fullmatch(r"1[3-9]\d{9}|0(?:10|2\d)[2-9]\d{7}|0[3-9]\d{2}[2-9]\d{6,7}|[2-9]\d{7}", figures):
            return FiguresSaid(figures, run.start_char, run.end_char)
    return None
