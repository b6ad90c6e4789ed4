"""Pure: simple dates and times out of Mandarin as it is heard, resolved by a reference moment.

What is part of an address (二号楼三单元五零一, 27号院, 五号线) is never taken for a date: a day of the month counts only
with its month.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from speech.numerals import FIGURES, count_of


@dataclass(frozen=True, slots=True)
class TimeSaid:
    """`text[start_char:end_char]` means from `start` up to `end`, naive, in the reference's wall-clock time.

    `recurring`: 每天夜里; start and end are then its latest instance. `has_clock`: an hour was named.
    """

    start: datetime
    end: datetime
    recurring: bool
    has_clock: bool
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the day in hours (past 24: the next morning); `late`: its hours below 12 are in the afternoon."""

    start: int
    end: int
    late: bool


_PARTS = {
    "凌晨": _Part(0, 5, False), "清晨": _Part(5, 8, False), "早晨": _Part(5, 9, False), "早上": _Part(5, 9, False),
    "上午": _Part(8, 12, False), "中午": _Part(11, 13, False), "下午": _Part(12, 18, True), "傍晚": _Part(17, 19, True),
    "晚上": _Part(18, 24, True), "夜里": _Part(22, 29, True), "夜间": _Part(22, 29, True), "半夜": _Part(22, 29, True),
    "深夜": _Part(22, 29, True), "早": _Part(5, 9, False), "晚": _Part(18, 24, True),
}  # fmt: skip
_RELATIVE_DAYS = {"大前": -3, "前": -2, "昨": -1, "今": 0, "明": 1, "后": 2}
_RELATIVE_YEARS = {"前年": -2, "去年": -1, "今年": 0}
_WEEKDAYS = dict(zip("一二三四五六日天", (0, 1, 2, 3, 4, 5, 6, 6), strict=True))
_AGO_DAYS = {"天": 1, "周": 7, "个礼拜": 7, "个星期": 7, "个月": 30, "年": 365}
_LATELY_DAYS = {"这两天": 2, "这几天": 4, "最近": 14, "近期": 14, "这段时间": 30}

_N = r"(?:\d{1,3}|[零〇一二三四五六七八九十两]{1,3})"
_CALENDAR = re.compile(
    rf"(?:(?P<year>\d{{4}}|[零〇一二三四五六七八九]{{4}})年|(?P<rel_year>前年|去年|今年))?的?"
    rf"(?P<month>{_N})月份?(?:(?P<day>{_N})[日号](?![楼院门线库厅室井桥地弄棚岗座栋单]))?"
    r"|(?P<iso_year>\d{4})-(?P<iso_month>\d{1,2})-(?P<iso_day>\d{1,2})(?!\d)"
)
_DAY = re.compile(r"(?P<word>大前|前|昨|今|明|后)(?:天|日|儿个?|(?=[早晚]))")
_WEEKDAY = re.compile(r"(?P<which>上上个?|上个?|这个?|本|下个?)?(?:礼拜|星期|周)(?P<weekday>[一二三四五六日天])(?!边)")
_AGO = re.compile(rf"(?P<count>{_N}|半)(?P<unit>天|周|个礼拜|个星期|个月|年)(?:之|以)?前")
_LATELY = re.compile("|".join(_LATELY_DAYS))
_EVERY = re.compile("每天|天天|每日|每(?=晚)")
_PART = re.compile("|".join(sorted(_PARTS, key=len, reverse=True)))
_LONE_PART = re.compile("|".join(name for name in _PARTS if len(name) > 1))
_CLOCK = re.compile(
    rf"(?P<hour>{_N})点(?:钟|整)?(?!儿|[零一二三四五六七八九]\D?[万米度块倍])"
    rf"(?:(?P<half>半)|(?P<quarter>[一三])刻|(?P<minute>{_N})分)?|(?P<hour24>[01]?\d|2[0-4]):(?P<minute60>[0-5]\d)"
)


def times_said(text: str, reference: datetime) -> list[TimeSaid]:
    """Dates and times from left to right. A complaint is about the past: 三月五号, 周三, 晚上十点 are the latest ones.

    `reference`: the moment of speaking at the caller's place; its time zone is ignored.
    """
    now = reference.replace(tzinfo=None)
    found: list[TimeSaid] = []
    at = 0
    while at < len(text):
        said = _time_at(text, at, now)
        if said is not None:
            found.append(said)
        at = said.end_char if said is not None else at + 1
    return found


def _time_at(text: str, at: int, now: datetime) -> TimeSaid | None:
    day, days, recurring, end = _day_at(text, at, now)
    part = (_PART if day is not None or recurring else _LONE_PART).match(text, _skip_de(text, end))
    if part:
        end = part.end()
    clock = _CLOCK.match(text, _skip_de(text, end)) if day is not None or recurring or part else None
    if clock:
        end = clock.end()
    if end == at:
        return None
    exact_day = day is not None
    midnight = day or now.replace(hour=0, minute=0, second=0, microsecond=0)
    span = _PARTS[part[0]] if part else None
    hours = _clock_hours(clock, span) if clock else None
    if hours is not None:
        start, length = midnight + timedelta(minutes=hours[0]), timedelta(minutes=hours[1])
    elif span is not None:
        start, length = midnight + timedelta(hours=span.start), timedelta(hours=span.end - span.start)
    elif day is not None:
        start, length = midnight, timedelta(days=days)
    else:
        start, length = midnight - timedelta(days=1), timedelta(days=1)
    if not exact_day and start > now:
        start -= timedelta(days=1)
    return TimeSaid(start, start + length, recurring, hours is not None, at, end)


def _skip_de(text: str, at: int) -> int:
    return at + 1 if text[at : at + 1] == "的" else at


def _clock_hours(clock: re.Match[str], part: _Part | None) -> tuple[int, int] | None:
    """Minutes after the day's midnight, and how long what was said lasts; None for no time of day (25 o'clock)."""
    if clock["hour24"]:
        return int(clock["hour24"]) * 60 + int(clock["minute60"]), 1
    hour = count_of(clock["hour"])
    if not isinstance(hour, int) or hour > 24:
        return None
    minute, length = 0, 60
    if clock["half"]:
        minute, length = 30, 30
    elif clock["quarter"]:
        minute, length = 15 * int(FIGURES[clock["quarter"]]), 15
    elif clock["minute"]:
        said = count_of(clock["minute"])
        if not isinstance(said, int) or said > 59:
            return None
        minute, length = said, 1
    if part is not None and part.end > 24 and hour <= 5:
        hour += 24  # 夜里两点 is the night that begins that day
    elif part is not None and part.late and (hour < 12 or (hour == 12 and part.start >= 18)):
        hour += 12
    return hour * 60 + minute, length


def _day_at(text: str, at: int, now: datetime) -> tuple[datetime | None, int, bool, int]:
    """The midnight that a day begins with, how many days are meant, whether every day is, and where the words end."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if match := _CALENDAR.match(text, at):
        resolved = _calendar(match, midnight)
        if resolved is not None:
            return *resolved, False, match.end()
    if (match := _DAY.match(text, at)) and not text.startswith("前日子", at):
        return midnight + timedelta(days=_RELATIVE_DAYS[match["word"]]), 1, False, match.end()
    if match := _WEEKDAY.match(text, at):
        return _weekday(match, midnight), 1, False, match.end()
    if match := _AGO.match(text, at):
        unit = _AGO_DAYS[match["unit"]]
        count = 0.5 if match["count"] == "半" else count_of(match["count"])
        if count is not None and count * unit < 36500:
            return midnight - timedelta(days=round(count * unit)), 1, False, match.end()
    if match := _LATELY.match(text, at):
        days = _LATELY_DAYS[match[0]]
        return midnight - timedelta(days=days - 1), days, False, match.end()
    if match := _EVERY.match(text, at):
        return None, 1, True, match.end()
    return None, 1, False, at


def _calendar(match: re.Match[str], midnight: datetime) -> tuple[datetime, int] | None:
    """A date or a whole month; None when there is no such day. Without a year, the latest one that has begun."""
    year_said = match["iso_year"] or match["year"]
    month, day = (count_of(match[n]) if match[n] else None for n in ("month", "day"))
    if match["iso_year"]:
        month, day = int(match["iso_month"]), int(match["iso_day"])
    year = midnight.year + _RELATIVE_YEARS.get(match["rel_year"] or "", 0)
    if year_said:
        year = int("".join(FIGURES[char] for char in year_said))
    if not isinstance(month, int) or not (day is None or isinstance(day, int)):
        return None
    try:
        start = datetime(year, month, day or 1)
        if start > midnight and not year_said and not match["rel_year"]:
            start = start.replace(year=year - 1)
        after = start + timedelta(days=1) if day else (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    except (ValueError, OverflowError):
        return None
    return start, (after - start).days


def _weekday(match: re.Match[str], midnight: datetime) -> datetime:
    monday = midnight - timedelta(days=midnight.weekday())
    which = match["which"] or ""
    day = monday + timedelta(days=_WEEKDAYS[match["weekday"]])
    if which.startswith("上"):
        return day - timedelta(weeks=which.count("上"))
    if which.startswith("下"):
        return day + timedelta(weeks=1)
    # 周三 alone is the latest Wednesday, today counted in.
    return day - timedelta(weeks=1) if not which and day > midnight else day
