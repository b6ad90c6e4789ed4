"""Pure: numbers, telephone figures and dates out of Mandarin as it is heard, each with its place in the text.

Dates and times are in `said_times`, and to be had here too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from speech.numerals import COUNT, FIGURES, count_of
from speech.said_times import TimeSaid, times_said
from speech.syllables import plain_syllable, split_syllable

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


@dataclass(frozen=True, slots=True)
class _Figure:
    """`sure`: a figure as it is written, not a homophone."""

    figures: str
    start_char: int
    end_char: int
    sure: bool


def figures_said(text: str, *, at_least: int = 3) -> list[FiguresSaid]:
    """Runs of figures said one by one, from left to right: 幺三八零幺…, 1 3 8, 三个八 (888), hesitations between.

    Homophones (要, 衣, 把) count where true figures stand around them, and never outnumber them. Runs with fewer than
    `at_least` figures are left out. Counts (两百三十五, 十四) are no such runs.
    """
    return [said for run in _runs(text) if len((said := _said(run)).figures) >= at_least]


def telephone_number(text: str) -> FiguresSaid | None:
    """A Chinese telephone number said in the text: mobile (11 figures) or land line (8, or with its area code).

    A country code is left off; a homophone at the end that makes the number too long is no part of it; a mobile's
    leading 1 may have been misheard (你三九…). None when no run of figures makes a number: ask again, and let the
    caller press the keys.
    """
    for run in _runs(text):
        while True:
            said = _said(run)
            figures = re.sub(r"^(?:0086|86)(?=1[3-9]\d{9}$)", "", said.figures)
            if _TELEPHONE.fullmatch(figures):
                return FiguresSaid(figures, said.start_char, said.end_char)
            before = said.start_char - 1
            if re.fullmatch(r"[3-9]\d{9}", figures) and before >= 0 and _like_one(text[before]):
                return FiguresSaid("1" + figures, before, said.end_char)
            if len(run) < 2 or run[-1].sure:
                break
            run = run[:-1]
    return None


_TELEPHONE = re.compile(r"1[3-9]\d{9}|0(?:10|2\d)[2-9]\d{7}|0[3-9]\d{2}[2-9]\d{6,7}|[2-9]\d{7}")


def _like_one(char: str) -> bool:
    """Whether it may be 一 or 幺 misheard: the same vowel."""
    return split_syllable(plain_syllable(char))[1] in ("i", "iao", "ao") if plain_syllable(char) else False


def _said(run: list[_Figure]) -> FiguresSaid:
    return FiguresSaid("".join(figure.figures for figure in run), run[0].start_char, run[-1].end_char)


def _runs(text: str) -> list[list[_Figure]]:
    runs = []
    at = 0
    while at < len(text):
        run = _run_from(text, at)
        follows = text[run[-1].end_char :][:1] if run else ""
        a_count = follows in _UNITS_OF_COUNTS and bool(follows) and len(run) < 7
        if run and not a_count:
            runs.append(run)
        at = max(run[-1].end_char if run else 0, at + 1)
    return runs


_UNITS_OF_COUNTS = "十百千万"


def _run_from(text: str, start: int) -> list[_Figure]:
    """The figures that begin at `start`, up to the first thing that is neither figure nor hesitation."""
    run: list[_Figure] = []
    at = start
    while at < len(text):
        times = next((word for word in _TIMES_OVER if text.startswith(word, at)), "")
        repeated = text[at + len(times) : at + len(times) + 1]
        guessed = sum(not figure.sure for figure in run)
        if times and repeated in FIGURES:
            end = at + len(times) + 1
            run.append(_Figure(FIGURES[repeated] * _TIMES_OVER[times], at, end, True))
        elif text[at] in FIGURES:
            end = at + 1
            run.append(_Figure(FIGURES[text[at]], at, end, True))
        elif (
            (figure := _BY_SOUND.get(plain_syllable(text[at])))
            and guessed < max(1, len(run) / 2)
            and (_figures_near(text, at) or len(run) >= 4)
        ):
            end = at + 1
            run.append(_Figure(figure, at, end, False))
        elif run and (gap := _BETWEEN_FIGURES.match(text, at)):
            end = gap.end()
        else:
            break
        at = end
    return run


def _figures_near(text: str, at: int) -> bool:
    """Whether true figures stand on a homophone's either side, or two of them on one."""
    before, after = text[max(0, at - 2) : at], text[at + 1 : at + 3]
    left, right = [c in FIGURES for c in before], [c in FIGURES for c in after]
    return (left[-1:] == [True] and right[:1] == [True]) or left == [True, True] or right == [True, True]
