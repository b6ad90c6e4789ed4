from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.normalize import figures_said, numbers, telephone_number, times_said
from speech.numerals import count_of
from speech.spoken import digits_in_words

WEDNESDAY = datetime(2026, 3, 11, 20, 0)


@pytest.mark.parametrize(
    ("numeral", "value"),
    [("两百三十五", 235), ("一万二", 12000), ("十四", 14), ("两百三", 230), ("两百零三", 203), ("三千五", 3500),
     ("一千零一十", 1010), ("三亿五千万", 350_000_000), ("一万亿", 10**12), ("三点五", 3.5), ("1.5万", 15000),
     ("二零二六", 2026), ("五零一", 501), ("百", 100), ("十二万三千四百五十六", 123456), ("二百三四", None), ("", None)],
)  # fmt: skip
def test_numerals(numeral: str, value: float | None) -> None:
    assert count_of(numeral) == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("室温只有十四度", [(14, "度", "十四")]),
        ("押金一万二", [(12000, "", "一万二")]),
        ("三楼有两百三十五户", [(3, "楼", "三"), (235, "户", "两百三十五")]),
        ("一直等了三个小时一下也没停", [(3, "个", "三")]),
        ("花了1.5万元", [(15000, "元", "1.5万")]),
        ("百分之三十", [(30, "", "三十")]),
        ("三四个月", []),
        ("万一十分难受千万别来统一处理", []),
        ("星期三", []),
        ("", []),
    ],
)
def test_numbers_in_sentences(text: str, found: list[tuple[float, str, str]]) -> None:
    assert [(n.value, n.unit, text[n.start_char : n.end_char]) for n in numbers(text)] == found


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("幺三八零幺三八五六七八", "13801385678"),
        ("我的电话是一三九一零五六七八九零", "13910567890"),
        ("1 3 8 嗯零零一二 三四五六", "13800123456"),
        ("138-0013-8000", "13800138000"),
        ("要三八零要三八五六七八", "13801385678"),  # 幺 written 要
        ("一三八零一三八五六七把", "13801385678"),  # 八 written 把
        ("幺三九三个八五六七八九", "13988856789"),
        ("零幺零六五三二一二三四", "01065321234"),
        ("八五六二三三一四", "85623314"),
        ("八六幺三八零零幺三八零零零", "13800138000"),
        ("三个人电话一三八零零一三八零零零谢谢", "13800138000"),
        ("你三九一零五六七八九领", "13910567890"),  # 一 written 你, 零 written 领
        ("八五六二三三意思", "85623314"),
        ("幺三八零幺三八五六七八以后打这个", "13801385678"),
        ("一三八零零一三", None),
        ("二号楼三单元五零一", None),
        ("两百三十五户", None),
        ("没有电话", None),
        ("", None),
    ],
)
def test_telephone_numbers(text: str, number: str | None) -> None:
    said = telephone_number(text)
    assert (said.figures if said else None) == number


def test_short_figures_are_figures_but_no_telephone() -> None:
    (room,) = figures_said("三单元五零一室")
    assert room.figures == "501"
    assert figures_said("两百三十五") == []
    assert figures_said("一下子要把它拿来") == []


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.booleans())
def test_every_mobile_number_said_is_understood(number: str, telephone: bool) -> None:
    said = "我的电话是" + digits_in_words(number, telephone=telephone) + "谢谢"
    found = telephone_number(said)
    assert found is not None
    assert found.figures == number
    assert said[found.start_char : found.end_char] == digits_in_words(number, telephone=telephone)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("上礼拜三", "2026-03-04T00:00", "2026-03-05T00:00"),
        ("上上周二", "2026-02-24T00:00", "2026-02-25T00:00"),
        ("周日", "2026-03-08T00:00", "2026-03-09T00:00"),
        ("昨天晚上十点半", "2026-03-10T22:30", "2026-03-10T23:00"),
        ("前天", "2026-03-09T00:00", "2026-03-10T00:00"),
        ("今天早上", "2026-03-11T05:00", "2026-03-11T09:00"),
        ("三月五号", "2026-03-05T00:00", "2026-03-06T00:00"),
        ("2026年3月5日", "2026-03-05T00:00", "2026-03-06T00:00"),
        ("十二月三十一号", "2025-12-31T00:00", "2026-01-01T00:00"),
        ("二零二五年十月", "2025-10-01T00:00", "2025-11-01T00:00"),
        ("这两天", "2026-03-10T00:00", "2026-03-12T00:00"),
        ("每天夜里", "2026-03-10T22:00", "2026-03-11T05:00"),
        ("昨天夜里两点", "2026-03-11T02:00", "2026-03-11T03:00"),
        ("下午三点一刻", "2026-03-11T15:15", "2026-03-11T15:30"),
        ("半个月前", "2026-02-24T00:00", "2026-02-25T00:00"),
    ],
)
def test_times(text: str, start: str, end: str) -> None:
    (said,) = times_said(f"嗯{text}，", WEDNESDAY)
    assert (said.start, said.end) == (datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert f"嗯{text}，"[said.start_char : said.end_char] == text
    assert said.recurring == text.startswith("每")
    assert said.has_clock == ("点" in text)


@pytest.mark.parametrize(
    "text",
    [
        "二号楼三单元五零一",
        "27号院",
        "地铁五号线三号口",
        "二月三十号",
        "周围",
        "周一边",
        "一点儿",
        "四点五度",
        "13号楼",
        "一三九一零",
        "",
    ],
)
def test_addresses_and_other_figures_are_no_times(text: str) -> None:
    assert times_said(text, WEDNESDAY) == []


_SCRAPS = st.lists(
    st.sampled_from(list("零一二三四五六七八九十百千万亿两半点分刻号日月年周天前昨今明早晚上下午夜里个每去这的幺要把")),
    max_size=20,
).map("".join)


@given(_SCRAPS | st.text(max_size=30), st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))
def test_any_text_gives_spans_in_order_and_times_that_last(text: str, now: datetime) -> None:
    ends = 0
    for said in times_said(text, now):
        assert ends <= said.start_char < said.end_char <= len(text)
        assert said.start < said.end <= said.start + timedelta(days=366)
        ends = said.end_char
    ends = 0
    for number in numbers(text):
        assert ends <= number.start_char < number.end_char <= len(text)
        ends = number.end_char
    for run in figures_said(text, at_least=1):
        assert run.figures.isdigit()
        assert 0 <= run.start_char < run.end_char <= len(text)
    telephone_number(text)
