"""事发时间: when it happened, by the caller's expression, counted from when the call came, in Beijing's time.

`start` is never guessed: 好几天 and 每天夜里 keep what was said and no start. `end` None: still going on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.numerals import NUMERAL_CHARS
from cases.drafting.phrases import PhraseIndex
from cases.drafting.pinyin import hear
from cases.drafting.time_words import (
    AGO,
    CLOCK,
    DAY,
    HOURS_ONLY,
    LASTING,
    NUMERAL,
    PART,
    When,
    read_ago,
    read_day,
    read_hours,
    read_lasting,
)
from cases.schema import Alternative, AppealType, Asks, Occurred, Turn, Understood

BEIJING = ZoneInfo("Asia/Shanghai")
# 27号楼, 十号线, 三单元, 二零三室, 四十七路: numbers of addresses, masked before a date is looked for
_ADDRESS = re.compile(
    rf"{NUMERAL}+(?:号楼|号院|号线|号门|号地|号厅|号店|号桌|单元|栋|幢|层|室|路(?!上)|区|期|条|院|弄|门|楼|年级|岁|块|元|平米|平方|度|级)"
)
_MASK = "\ue0ff"
_VAGUE = re.compile(
    r"最近|近期|这[两几]天|前[两几]天|前一?阵子?|前段时间|这段时间|这阵子?|五一(?:期间|假期)|十一期间|国庆(?:节|期间)?|春节(?:期间)?|过年(?:的时候)?|"
    r"(?:已经)?(?:好几|几|两三|三四|三五|五六|好多|很多|许多)(?:个)?(?:多)?(?:小时|天|宿|礼拜|星期|周|个月|月|年)(?:了)?"
)
_RECURRING = re.compile(
    rf"(?:每天|(?<![几两三四五六七八九十多])天天|每晚|每周|每个礼拜|每个星期|每到|一到|每年|每次|隔三差五|三天两头|整天|整夜|成天|成宿|周末|节假日|经常|长期|常年|一直)(?:都|的)?(?P<part>{PART})?(?P<clock>{CLOCK})?(?:到{PART}?{CLOCK})?"
)
_JUST = re.compile(r"刚才|刚刚|方才|现在|目前|这会儿|眼下|正在")
# what the caller did about it is not when it happened
_ABOUT_THE_CALL = re.compile(
    r"^.{0,4}?(?:打过|打了|反映过|反映了|投诉过|投诉了|打电话|来电话|报修|找过|给你们|我想|我要|想问|咨询|我来|就打|就反映|我就)"
)
_STILL = re.compile(r"到现在|至今|一直|还没|还在|还是|仍然|没人管|没人修|没修|没给|没来|不来|都没|也没|又")
_DATED = 2.4
# Counted on the labelled messages (docs/drafting.md): who names one day or length names the right one, who names
# several may mean another; what is no date (每天夜里, 最近) says less.
_ONE_DATE, _ONE_VAGUE, _OF_SEVERAL = 0.92, 0.75, 0.65
_OFTEN_MISHEARD = [
    "昨天",
    "前天",
    "今天",
    "昨晚",
    "礼拜",
    "星期",
    "上周",
    "早上",
    "上午",
    "下午",
    "晚上",
    "夜里",
    "半夜",
    "凌晨",
    "中午",
    "每天",
    "天天",
    "开始",
    "以前",
    "一直",
    "刚才",
    "小时",
    "号楼",
    "单元",
    "上个月",
    "去年",
    "上个星期",
]


@lru_cache(maxsize=1)
def _index() -> PhraseIndex[None]:
    return PhraseIndex(((word, None) for word in _OFTEN_MISHEARD), floor=_nearly_written)


def _nearly_written(length: int) -> float:
    """All characters but one are the very ones, and that one is the same syllable."""
    return 1 - 0.26 / length


def occurred(turns: Sequence[Turn], received_at: datetime, appeal: AppealType | None = None) -> Understood[Occurred]:
    """The most telling time expression of the narration; others as alternatives. `received_at` is timezone-aware.

    Who asks or suggests tells no event: there only an expression with a date counts.
    """
    now = received_at.astimezone(BEIJING)
    found = [
        (when, number, turn.text[when.start_char : when.end_char])
        for number, turn in turns_asked(turns, Asks.NARRATION)
        for when in _expressions(turn.text, now)
    ]
    if appeal in (AppealType.ENQUIRY, AppealType.SUGGESTION):
        found = [one for one in found if one[0].start is not None and one[0].rank >= _DATED]
    if not found:
        return Understood[Occurred]()
    found.sort(key=lambda one: (-one[0].rank, one[1], one[0].start_char))
    best, number, said = found[0]
    others = [one for one in found[1:] if one[0].start is not None and one[0].start != best.start][:3]
    return Understood[Occurred](
        value=Occurred(start=best.start, end=best.end, said=said),
        confidence=_confidence(best, found),
        evidence=evidence_of(turns, [Span(number, best.start_char, best.end_char)]),
        alternatives=tuple(
            Alternative[Occurred](
                value=Occurred(start=when.start, end=when.end, said=words), confidence=round(when.confidence / 2, 2)
            )
            for when, _, words in others
        ),
    )


def _confidence(best: When, found: list[tuple[When, int, str]]) -> float:
    if len(found) > 1:
        return _OF_SEVERAL
    return _ONE_DATE if best.rank >= _DATED and best.start is not None else _ONE_VAGUE


def _expressions(text: str, now: datetime) -> list[When]:
    """All time expressions of a text; a text of the same length is read, so that offsets are the text's own."""
    plain = _as_meant(text)
    plain = _ADDRESS.sub(lambda m: m.group() if _is_date(plain, m) else _MASK * len(m.group()), plain)
    still = bool(_STILL.search(plain))
    found: list[When] = []
    for pattern, read in (
        (AGO, read_ago),
        (DAY, read_day),
        (LASTING, read_lasting),
        (HOURS_ONLY, read_hours),
    ):
        for match in pattern.finditer(plain):
            if _ABOUT_THE_CALL.match(plain[match.end() :]) and pattern is not LASTING:
                continue
            when = read(match, now, still)
            if when and not any(w.start_char < when.end_char and when.start_char < w.end_char for w in found):
                found.append(when)
    for pattern, rank, confidence in ((_VAGUE, 1.5, 0.6), (_RECURRING, 2.35, 0.75), (_JUST, 1.0, 0.6)):
        for match in pattern.finditer(plain):
            start = now if pattern is _JUST else None
            if rank == 1.0 and _ABOUT_THE_CALL.match(plain[match.end() :]):
                continue
            if any(w.start_char < match.end() and match.start() < w.end_char and w.rank >= rank for w in found):
                continue
            found = [w for w in found if not (w.start_char < match.end() and match.start() < w.end_char)]
            if pattern is _RECURRING and match.group() == "一直":
                continue
            found.append(When(match.start(), match.end(), start, None, rank, confidence))
    return found


def _as_meant(text: str) -> str:
    """The text with misheard time words written as they sound (作天 → 昨天), of the same length."""
    chars = list(text)
    for found in _index().find(hear(text)):
        # 早上五点 must not become 早上午点, nor 三个月 上个月
        if not found.exact and not any(char in NUMERAL_CHARS for char in text[found.start : found.end]):
            chars[found.start : found.end] = found.phrase
    return "".join(chars)


def _is_date(text: str, match: re.Match[str]) -> bool:
    """三月五号楼下: the number is a date's when a month stands before it."""
    return text[: match.start()].endswith("月") and match.group().endswith(("号楼", "号门", "号院", "号店", "号厅"))
