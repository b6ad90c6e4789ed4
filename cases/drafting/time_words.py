"""Time expressions of spoken Mandarin (昨天夜里十一点半, 上礼拜三, 半个月前, 三天了): their patterns and what they mean.

Every reader takes a match and the moment of the call (in Beijing's time) and returns the span, or None when the
expression cannot mean one (三月三十二号).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cases.drafting.numerals import number_of

NUMERAL = "[0-9零〇一二两三四五六七八九十百]"
PART = "(?:今早|凌晨|清晨|大清早|一大早|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|夜间|半夜|深夜|大半夜|白天|晚|夜|早)"
CLOCK = rf"{NUMERAL}+点(?:钟)?(?:半|{NUMERAL}+分|{NUMERAL}+(?=[^\d零一二三四五六七八九十]|$))?(?:多|左右)?"
_SINCE = "(?:开始|起|以来|到现在|至今|到今天|就)"
DAY = re.compile(
    rf"""(?P<since>从|自从|打)?
    (?:
      (?P<day>大前天|前天|前儿|昨天|昨儿个|昨儿|昨日|昨(?=晚|夜)|前(?=晚)|今天|今儿个|今儿|今日|今(?=早|晚|晨)|当天)
     |(?P<weeks>上上个?|上个?|这个?|本)(?:礼拜|星期|周)(?P<weekday>[一二三四五六日天])?(?!末)
     |(?<!下)(?<!下个)(?<!每)(?<!每个)(?:礼拜|星期|周)(?P<bare_weekday>[一二三四五六日天])(?![天个])
     |(?P<months>上上个?|上个?|这个?|本)月(?:(?P<month_day>{NUMERAL}+)[号日])?(?P<month_part>初|中旬|底|份)?
     |(?:(?P<year>前年|去年|今年|{NUMERAL}{{4}}年))?(?P<month>{NUMERAL}+)月(?:(?P<date>{NUMERAL}+)[号日]|份|(?P<part_of_month>初|中旬|底))?
     |(?P<only_year>前年|去年|今年)(?P<year_part>年初|年底|春天|夏天|秋天|冬天|上半年|下半年)?
    )
    (?P<part>的?{PART})?(?P<clock>{CLOCK})?(?P<ongoing>{_SINCE})?""",
    re.VERBOSE,
)
AGO = re.compile(
    rf"(?P<since>从|自从)?(?P<about>大概|差不多|将近|快)?(?P<number>{NUMERAL}+|半)(?P<more>多|来)?(?:个)?(?P<half>半)?(?P<more2>多)?"
    rf"(?P<unit>分钟|小时|钟头|天|礼拜|星期|周|月|年)(?:多)?(?:以前|之前|前)(?P<ongoing>{_SINCE})?"
)
LASTING = re.compile(
    rf"(?P<told>(?<=停了)|(?<=干了)|(?<=买了)|(?<=等着)|(?<=欠我)|(?<=欠我们)|(?<=欠了)|(?<=修了)|(?<=坏了)|(?<=欠了)|(?<=排了)|(?<=等了)|(?<=拖了)|(?<=漏了)|(?<=响了)|(?<=闹了)|(?<=都)|(?<=已经)|(?<=快)|(?<=将近)|(?<=[没停坏欠])|(?<=停[水电气暖]))?"
    rf"(?P<number>{NUMERAL}+|半)(?P<more>多|来)?个?(?P<half>半)?(?P<more2>多)?(?P<unit>小时|钟头|天|礼拜|星期|周|月|年)(?P<more3>多)?"
    r"(?P<after>了|以来|到现在|(?=没|都|也|不|还|一直))?"
)
HOURS_ONLY = re.compile(rf"(?P<since>从)?(?P<part>{PART})(?P<clock>{CLOCK})?(?P<ongoing>{_SINCE}|到现在)?")
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


@dataclass(frozen=True, slots=True)
class When:
    start_char: int
    end_char: int
    start: datetime | None
    end: datetime | None
    rank: float
    confidence: float


def read_day(match: re.Match[str], now: datetime, still: bool) -> When | None:
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
    return When(match.start(), match.end(), start, None if open_end else end, rank + (0.5 if since else 0.0), 0.85)


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
    match = re.match(rf"({NUMERAL}+)点(?:钟)?(半|{NUMERAL}+)?", clock)
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


def read_ago(match: re.Match[str], now: datetime, still: bool) -> When | None:
    start = _length(match, now)
    if start is None:
        return None
    since = bool(match["since"] or match["ongoing"])
    end = None if since or still else min(now, start + timedelta(days=1))
    return When(match.start(), match.end(), start, end, 2.6 + (0.5 if since else 0), 0.8)


def read_lasting(match: re.Match[str], now: datetime, still: bool) -> When | None:
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
    return When(match.start(), match.end(), start, None, 2.4, 0.78)


def read_hours(match: re.Match[str], now: datetime, still: bool) -> When | None:
    """夜里十一点 without a day: what was said is kept; 从早上到现在 is today."""
    if len(match["part"]) < 2 and not match["clock"]:
        return None
    hours = _hours(match["part"], match["clock"])
    since = bool(match["since"] and (match["ongoing"] or match.string.startswith("到现在", match.end())))
    if hours and since:
        start = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hours[0])
        if start <= now:
            return When(match.start(), match.end(), start, None, 2.9, 0.8)
    return When(match.start(), match.end(), None, None, 1.3, 0.5)
