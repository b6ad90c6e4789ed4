"""When it happened, counted from Tuesday 24 November 2026, 22:30 in Beijing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from cases.drafting.numerals import number_of
from cases.drafting.occurred import BEIJING, occurred
from cases.schema import AppealType, Turn

Told = Callable[..., tuple[Turn, ...]]

# said, the caller's expression, start, end (None: still going on, or not known)
WHEN = [
    ("昨天停水了", "昨天", "2026-11-23 00:00", "2026-11-24 00:00"),
    ("昨天夜里十一点半楼上砸墙", "昨天夜里十一点半", "2026-11-23 23:30", "2026-11-24 00:30"),
    ("前天下午三点有人来闹", "前天下午三点", "2026-11-22 15:00", "2026-11-22 16:00"),
    ("今天早上开始停电", "今天早上开始", "2026-11-24 05:00", None),
    ("大前天", "大前天", "2026-11-21 00:00", "2026-11-22 00:00"),
    ("上礼拜三开始的", "上礼拜三开始", "2026-11-18 00:00", None),
    ("周六上午装修", "周六上午", "2026-11-21 08:00", "2026-11-21 12:00"),
    ("这个礼拜一", "这个礼拜一", "2026-11-23 00:00", "2026-11-24 00:00"),
    ("上个星期物业换了人", "上个星期", "2026-11-16 00:00", "2026-11-23 00:00"),
    ("这个月的工资没发", "这个月", "2026-11-01 00:00", None),
    ("三月五号交的钱", "三月五号", "2026-03-05 00:00", "2026-03-06 00:00"),
    ("十二月五号交的钱", "十二月五号", "2025-12-05 00:00", "2025-12-06 00:00"),
    ("二零二五年十月一号办的卡", "二零二五年十月一号", "2025-10-01 00:00", "2025-10-02 00:00"),
    ("从上个月二十号开始就没水", "从上个月二十号开始", "2026-10-20 00:00", None),
    ("半个月前坏的", "半个月前", "2026-11-09 00:00", "2026-11-10 00:00"),
    ("两个小时前", "两个小时前", "2026-11-24 20:30", "2026-11-24 22:30"),
    ("已经三天没水了", "三天", "2026-11-21 00:00", None),
    ("坏了一个多月了", "一个多月了", "2026-10-24 00:00", None),
    ("拖欠半年工资", "半年", "2026-05-24 00:00", None),
    ("停水三个小时", "三个小时", "2026-11-24 19:30", None),
    ("去年冬天暖气就不热", "去年冬天", "2025-11-01 00:00", "2026-04-01 00:00"),
    ("从早上到现在没电", "从早上到现在", "2026-11-24 05:00", None),
    ("每天夜里十一点装修", "每天夜里十一点", None, None),
    ("天天早上六点跳广场舞", "天天早上六点", None, None),
    ("三天两头停电", "三天两头", None, None),
    ("好几天了没人管", "好几天了", None, None),
    ("最近老停水", "最近", None, None),
    ("作天晚上停电", "作天晚上", "2026-11-23 18:00", "2026-11-24 00:00"),
    ("三号楼二单元五零一漏水两天了", "两天了", "2026-11-22 00:00", None),
    ("三月三十一号到现在", "三月三十一号到现在", "2026-03-31 00:00", None),
]


@pytest.mark.parametrize(("text", "said", "start", "end"), WHEN)
def test_when(told: Told, received_at: datetime, text: str, said: str, start: str | None, end: str | None) -> None:
    found = occurred(told(text), received_at)
    assert found.value is not None
    assert found.value.said == said

    def moment(value: datetime | None) -> str | None:
        return value.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M") if value else None

    assert (moment(found.value.start), moment(found.value.end)) == (start, end)
    assert text[found.evidence[0].start_char : found.evidence[0].end_char] == said


NEVER = [
    "27号楼三单元停水",
    "二十七号楼停水",
    "十号线太挤",
    "二百四十七路公交车",
    "三零五室漏水",
    "我今年六十岁",
    "孩子上一年级",
    "上周投诉过",
    "我昨天打过电话反映过",
    "下周三开始停水",
    "三月三十二号",
    "一直漏水",
    "",
]


@pytest.mark.parametrize("text", NEVER)
def test_addresses_ages_and_earlier_calls_are_no_time(told: Told, received_at: datetime, text: str) -> None:
    assert occurred(told(text), received_at).value is None


def test_an_enquiry_tells_no_event(told: Told, received_at: datetime) -> None:
    assert occurred(told("请问周末上班吗"), received_at, AppealType.ENQUIRY).value is None


def test_nothing_starts_in_the_future(told: Told, received_at: datetime) -> None:
    found = occurred(told("今天夜里十一点五十要施工"), received_at)
    assert found.value is None or found.value.start is None


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("十一", 11),
        ("二十五", 25),
        ("一百零八", 108),
        ("二百四十七", 247),
        ("半", 0.5),
        ("两", 2),
        ("二六", 26),
        ("", None),
        ("你", None),
        ("十十", None),
    ],
)
def test_numerals(said: str, value: float | None) -> None:
    assert number_of(said) == value


@pytest.mark.xfail(strict=True, reason="a holiday has no date here")
def test_miss_holiday(told: Told, received_at: datetime) -> None:
    found = occurred(told("国庆节那天停电"), received_at)
    assert found.value is not None
    assert found.value.start is not None


@pytest.mark.xfail(strict=True, reason="a bare day of the month needs its month")
def test_miss_bare_day(told: Told, received_at: datetime) -> None:
    assert occurred(told("二十号那天停的水"), received_at).value is not None
