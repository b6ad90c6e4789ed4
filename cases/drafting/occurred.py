"""事发时间: when it happened, by the caller's expression, counted from when the call came, in Beijing's time.

`start` is never guessed: 好几天 and 每天夜里 keep what was said and no start. `end` None: still going on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.numerals import NUMERAL_CHARS, number_of
from cases.drafting.phrases import PhraseIndex
from cases.drafting.pinyin import hear
from cases.schema import Alternative, AppealType, Asks, Occurred, Turn, Understood

BEIJING = ZoneInfo("Asia/Shanghai")

_N = "[0-9零〇一二两三四五六七八九十百]"
# 27号楼, 十号线, 三单元, 二零三室, 四十七路: numbers of addresses, masked before a date is looked for
_ADDRESS = re.compile(
    rf"{_N}+(?:号楼|号院|号线|号门|号地|号厅|号店|号桌|单元|栋|幢|层|室|路(?!上)|区|期|条|院|弄|门|楼|年级|岁|块|元|平米|平方|度|级)"
)
_MASK = "\ue0ff"
_PART = "(?:今早|凌晨|清晨|大清早|一大早|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|夜间|半夜|深夜|大半夜|白天|晚|夜|早)"
_CLOCK = rf"{_N}+点(?:钟)?(?:半|{_N}+分|{_N}+(?=[^\d零一二三四五六七八九十]|$))?(?:多|左右)?"
_SINCE = "(?:开始|起|以来|到现在|至今|到今天|就)"
_DAY = re.compile(
    rf"""(?P<since>从|自从|打)?
    (?:
      (?P<day>大前天|前天|前儿|昨天|昨儿个|昨儿|昨日|昨(?=晚|夜)|前(?=晚)|今天|今儿个|今儿|今日|今(?=早|晚|晨)|当天)
     |(?P<weeks>上上个?|上个?|这个?|本)(?:礼拜|星期|周)(?P<weekday>[一二三四五六日天])?(?!末)
     |(?<!下)(?<!下个)(?<!每)(?<!每个)(?:礼拜|星期|周)(?P<bare_weekday>[一二三四五六日天])(?![天个])
     |(?P<months>上上个?|上个?|这个?|本)月(?:(?P<month_day>{_N}+)[号日])?(?P<month_part>初|中旬|底|份)?
     |(?:(?P<year>前年|去年|今年|{_N}{{4}}年))?(?P<month>{_N}+)月(?:(?P<date>{_N}+)[号日]|份|(?P<part_of_month>初|中旬|底))?
     |(?P<only_year>前年|去年|今年)(?P<year_part>年初|年底|春天|夏天|秋天|冬天|上半年|下半年)?
    )
    (?P<part>的?{_PART})?(?P<clock>{_CLOCK})?(?P<ongoing>{_SINCE})?""",
    re.VERBOSE,
)
_AGO = re.compile(
    rf"(?P<since>从|自从)?(?P<about>大概|差不多|将近|快)?(?P<number>{_N}+|半)(?P<more>多|来)?(?:个)?(?P<half>半)?(?P<more2>多)?"
    rf"(?P<unit>分钟|小时|钟头|天|礼拜|星期|周|月|年)(?:多)?(?:以前|之前|前)(?P<ongoing>{_SINCE})?"
)
_LASTING = re.compile(
    rf"(?P<told>(?<=停了)|(?<=坏了)|(?<=欠了)|(?<=排了)|(?<=等了)|(?<=拖了)|(?<=漏了)|(?<=响了)|(?<=闹了)|(?<=都)|(?<=已经)|(?<=快)|(?<=将近)|(?<=[没停坏欠])|(?<=停[水电气暖]))?"
    rf"(?P<number>{_N}+|半)(?P<more>多|来)?个?(?P<half>半)?(?P<more2>多)?(?P<unit>小时|钟头|天|礼拜|星期|周|月|年)(?P<more3>多)?"
    r"(?P<after>了|以来|到现在|(?=没|都|也|不|还|一直))?"
)
_VAGUE = re.compile(
    r"最近|近期|这[两几]天|前[两几]天|前一?阵子?|前段时间|这段时间|这阵子?|五一(?:期间|假期)|十一期间|国庆(?:节|期间)?|春节(?:期间)?|过年(?:的时候)?|"
    r"(?:已经)?(?:好几|几|两三|三四|三五|五六|好多|很多|许多)(?:个)?(?:多)?(?:小时|天|宿|礼拜|星期|周|个月|月|年)(?:了)?"
)
_RECURRING = re.compile(
    rf"(?:每天|天天|每晚|每周|每个礼拜|每个星期|每到|一到|每年|每次|隔三差五|三天两头|整天|整夜|成天|成宿|周末|节假日|经常|长期|常年|一直)(?:都|的)?(?P<part>{_PART})?(?P<clock>{_CLOCK})?(?:到{_PART}?{_CLOCK})?"
)
_JUST = re.compile(r"刚才|刚刚|方才|现在|目前|这会儿|眼下|正在")
_HOURS_ONLY = re.compile(rf"(?P<since>从)?(?P<part>{_PART})(?P<clock>{_CLOCK})?(?P<ongoing>{_SINCE}|到现在)?")
# what the caller did about it is not when it happened
_ABOUT_THE_CALL = re.compile(
    r"^.{0,4}?(?:打过|打了|反映过|反映了|投诉过|投诉了|打电话|来电话|报修|找过|给你们|我想|我要|想问|咨询|我来|就打|就反映|我就)"
)
_STILL = re.compile(r"到现在|至今|一直|还没|还在|还是|仍然|没人管|没人修|没修|没给|没来|不来|都没|也没|又")

_DATED = 2.4

_DAYS = {"大前天": 3, "前天": 2, "前儿": 2, "前": 2, "昨天": 1, "昨儿个": 1, "昨儿": 1, "昨日": 1, "昨": 1}
_PART_HOURS = {
    **dict.fromkeys(("凌晨",), (0, 5)),
    **dict.fromkeys(("清晨", "大清早", "一大早", "早上", "早晨", "早", "今早"), (5, 9)),
    **dict.fromkeys(("上午",), (8, 12)),
    **dict.fromkeys(("中午",), (11, 14)),
    **dict.fromkeys(("下午",), (12, 18)),
    **dict.fromkeys(("傍晚",), (17, 20)),
    **dict.fromkeys(("晚上", "晚"), (18, 24)),
    **dict.fromkeys(("夜里", "夜间", "半夜", "深夜", "大半夜", "夜"), (22, 30)),
    **dict.fromkeys(("白天",), (6, 18)),
}
_AFTERNOON = {"下午", "傍晚", "晚上", "晚"}
_NIGHT = {"夜里", "夜间", "半夜", "深夜", "大半夜", "夜"}
_WEEKDAYS = {char: number for number, char in enumerate("一二三四五六")} | {"日": 6, "天": 6}
_UNIT_DAYS = {"天": 1, "礼拜": 7, "星期": 7, "周": 7}
# first month, number of months
_YEAR_PARTS = {
    **{"年初": (1, 3), "年底": (11, 2), "春天": (3, 3), "夏天": (6, 3), "秋天": (9, 3), "冬天": (11, 5)},
    **{"上半年": (1, 6), "下半年": (7, 6)},
}
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


@dataclass(frozen=True, slots=True)
class _When:
    start_char: int
    end_char: int
    start: datetime | None
    end: datetime | None
    rank: float
    confidence: float


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
        confidence=best.confidence,
        evidence=evidence_of(turns, [Span(number, best.start_char, best.end_char)]),
        alternatives=tuple(
            Alternative[Occurred](
                value=Occurred(start=when.start, end=when.end, said=words), confidence=round(when.confidence / 2, 2)
            )
            for when, _, words in others
        ),
    )


def _expressions(text: str, now: datetime) -> list[_When]:
    """All time expressions of a text; a text of the same length is read, so that offsets are the text's own."""
    plain = _as_meant(text)
    plain = _ADDRESS.sub(lambda m: m.group() if _is_date(plain, m) else _MASK * len(m.group()), plain)
    still = bool(_STILL.search(plain))
    found: list[_When] = []
    for pattern, read in (
        (_AGO, _read_ago),
        (_DAY, _read_day),
        (_LASTING, _read_lasting),
        (_HOURS_ONLY, _read_hours),
    ):
        for match in pattern.finditer(plain):
            if _ABOUT_THE_CALL.match(plain[match.end() :]) and pattern is not _LASTING:
                continue
            when = read(match, now, still)
            if when and not any(w.start_char < when.end_char and when.start_char < w.end_char for w in found):
                found.append(when)
    for pattern, rank, confidence in ((_VAGUE, 1.5, 0.6), (_RECURRING, 2.5, 0.75), (_JUST, 1.0, 0.6)):
        for match in pattern.finditer(plain):
            start = now if pattern is _JUST else None
            if rank == 1.0 and _ABOUT_THE_CALL.match(plain[match.end() :]):
                continue
            if any(w.start_char < match.end() and match.start() < w.end_char and w.rank >= rank for w in found):
                continue
            found = [w for w in found if not (w.start_char < match.end() and match.start() < w.end_char)]
            if pattern is _RECURRING and match.group() == "一直":
                continue
            found.append(_When(match.start(), match.end(), start, None, rank, confidence))
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


def _read_day(match: re.Match[str], now: datetime, still: bool) -> _When | None:
    span = _day_span(match, now)
    if span is None:
        return None
    start, end = span
    if match["only_year"] == "今年" and not match["year_part"]:
        return None
    rank = 3.0 if match["day"] or match["date"] or match["weekday"] or match["month_day"] else 2.2
    if match["only_year"] and not match["year_part"]:
        rank = 1.2
    part, clock = (match["part"] or "").removeprefix("的"), match["clock"]
    if part or clock:
        hours = _hours(part, clock)
        if hours and (match["day"] or match["weekday"] or match["date"] or match["bare_weekday"] or match["month_day"]):
            day = start
            start, end = day + timedelta(hours=hours[0]), day + timedelta(hours=hours[1])
            rank += 0.4
    if start > now:
        return None
    since = bool(match["since"] or match["ongoing"])
    open_end = since or end > now
    if still and not since and match["day"]:
        open_end = True
    return _When(match.start(), match.end(), start, None if open_end else end, rank + (0.5 if since else 0.0), 0.85)


def _day_span(match: re.Match[str], now: datetime) -> tuple[datetime, datetime] | None:
    """The days that the expression names: first moment and first moment after."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    one = timedelta(days=1)
    if match["day"]:
        start = today - _DAYS.get(match["day"], 0) * one
        return start, start + one
    if match["weeks"]:
        back = {"上上": 2, "上": 1}.get(match["weeks"].removesuffix("个"), 0)
        monday = today - (today.weekday() + 7 * back) * one
        if match["weekday"]:
            start = monday + _WEEKDAYS[match["weekday"]] * one
            return start, start + one
        return monday, monday + 7 * one
    if match["bare_weekday"]:
        start = today - ((today.weekday() - _WEEKDAYS[match["bare_weekday"]]) % 7) * one
        return start, start + one
    if match["months"]:
        back = {"上上": 2, "上": 1}.get(match["months"].removesuffix("个"), 0)
        return _month_span(_months_back(today.replace(day=1), back), match["month_day"], match["month_part"])
    if match["month"]:
        return _named_month(match, today)
    year = {"前年": today.year - 2, "去年": today.year - 1}.get(match["only_year"], today.year)
    first_month, months = _YEAR_PARTS.get(match["year_part"] or "", (1, 12))
    first = today.replace(year=year, month=first_month, day=1)
    return first, _months_back(first, -months)


def _named_month(match: re.Match[str], today: datetime) -> tuple[datetime, datetime] | None:
    month = number_of(match["month"])
    if month is None or not 1 <= month <= 12:
        return None
    said = match["year"] or ""
    year = {"前年": today.year - 2, "去年": today.year - 1, "今年": today.year}.get(said)
    if year is None and said:
        number = number_of(said.removesuffix("年"))
        year = int(number) if number and 2000 <= number <= today.year else None
    if year is None:
        year = today.year if month <= today.month else today.year - 1
    return _month_span(today.replace(year=year, month=int(month), day=1), match["date"], match["part_of_month"])


def _month_span(first: datetime, said_day: str | None, part: str | None) -> tuple[datetime, datetime] | None:
    following = _months_back(first, -1)
    if said_day:
        day = number_of(said_day)
        if day is None or not 1 <= day <= (following - first).days:
            return None
        start = first + timedelta(days=int(day) - 1)
        return start, start + timedelta(days=1)
    if part == "初":
        return first, first + timedelta(days=10)
    if part == "中旬":
        return first + timedelta(days=10), first + timedelta(days=20)
    if part == "底":
        return first + timedelta(days=20), following
    return first, following


def _months_back(moment: datetime, months: int) -> datetime:
    """The same day so many months ago, or that month's last day."""
    index = moment.year * 12 + moment.month - 1 - months
    year, month = divmod(index, 12)
    for day in (moment.day, 30, 29, 28):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def _hours(part: str, clock: str | None) -> tuple[float, float] | None:
    """Hours after the day's midnight; 24 and more lie in the following night."""
    if not clock:
        return _PART_HOURS.get(part)
    match = re.match(rf"({_N}+)点(?:钟)?(半|{_N}+)?", clock)
    hour = number_of(match[1]) if match else None
    if match is None or hour is None or hour > 24:
        return None
    minutes = number_of(match[2]) if match[2] else 0
    hour += 0.5 if match[2] == "半" else (minutes or 0) / 60
    if (part in _AFTERNOON and hour < 12) or (part in _NIGHT and 6 <= hour < 12):
        hour += 12
    elif part in _NIGHT and hour < 6:
        hour += 24
    elif part == "中午" and hour < 3:
        hour += 12
    return hour, hour + 1


def _length(match: re.Match[str], now: datetime) -> datetime | None:
    """The moment so long before now."""
    number = number_of(match["number"])
    if number is None:
        return None
    number += 0.5 if match["half"] else 0
    unit = match["unit"]
    try:
        if unit == "分钟":
            return now - timedelta(minutes=number)
        if unit in ("小时", "钟头"):
            return now - timedelta(hours=number)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if unit in _UNIT_DAYS:
            return today - timedelta(days=round(number * _UNIT_DAYS[unit]))
        if number > 600:
            return None
        months = number * (12 if unit == "年" else 1)
        return _months_back(today, int(months)) - timedelta(days=15 if months % 1 else 0)
    except (ValueError, OverflowError):
        return None


def _read_ago(match: re.Match[str], now: datetime, still: bool) -> _When | None:
    start = _length(match, now)
    if start is None:
        return None
    since = bool(match["since"] or match["ongoing"])
    end = None if since or still else min(now, start + timedelta(days=1))
    return _When(match.start(), match.end(), start, end, 2.6 + (0.5 if since else 0), 0.8)


def _read_lasting(match: re.Match[str], now: datetime, still: bool) -> _When | None:
    if match["after"] is None and match["told"] is None:
        return None
    if match["unit"] == "月" and "个" not in match.group() and match["number"] != "半":
        return None  # 三月 is March
    before = match.string[: match.start()]
    if before.endswith(("每", "第", "过", "再", "头", "隔", "差", "还有", "还要", "只要", "最多", "剩", "近", "·")):
        return None
    start = _length(match, now)
    if start is None:
        return None
    return _When(match.start(), match.end(), start, None, 2.4, 0.78)


def _read_hours(match: re.Match[str], now: datetime, still: bool) -> _When | None:
    """夜里十一点 without a day: what was said is kept; 从早上到现在 is today."""
    if len(match["part"]) < 2 and not match["clock"]:
        return None
    hours = _hours(match["part"], match["clock"])
    since = bool(match["since"] and (match["ongoing"] or match.string.startswith("到现在", match.end())))
    if hours and since:
        start = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hours[0])
        if start <= now:
            return _When(match.start(), match.end(), start, None, 2.9, 0.8)
    return _When(match.start(), match.end(), None, None, 1.3, 0.5)
