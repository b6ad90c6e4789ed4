from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.numerals import count_of
from speech.spoken import count_in_words, digits_in_words, spoken_form
from speech.syllables import split_syllable


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026年3月5日晚上10:30，室温14度", "二零二六年三月五日晚上十点三十分，室温十四度"),
        ("2026-03-05", "二零二六年三月五日"),
        ("电话13801385678。", "电话幺三八，零幺三八，五六七八"),
        ("010-65321234", "零幺零，六五三二幺二三四"),
        ("请拨打12345或119、110", "请拨打幺二三四五或幺幺九、幺幺零"),
        ("2个人，22户，200元，2楼", "两个人，二十二户，两百元，二楼"),
        ("3号楼2单元501室", "三号楼二单元五零幺室"),
        ("98.5%的住户", "百分之九十八点五的住户"),
        ("1/3", "三分之一"),
        ("-2℃", "零下二度"),
        ("14~16度", "十四到十六度"),
        ("1,234,567元", "一百二十三万四千五百六十七元"),
        ("受理编号：1000234", "受理编号，幺零零零二三四"),
        ("地铁10号线", "地铁十号线"),
        ("20万", "二十万"),
        ("3:00", "三点整"),
        ("A座", "诶座"),
        ("１３８号", "一百三十八号"),
        ("二〇二六年", "二零二六年"),
        ("谢谢！！再见……", "谢谢。再见"),
        ("(括号)“引号”", "括号引号"),
        ("", ""),
        ("!?", ""),
        ("🙂", ""),
    ],
)
def test_written_text_is_read_as_people_read_it(written: str, said: str) -> None:
    assert spoken_form(written) == said


@given(st.integers(0, 10**16 - 1))
def test_counts_said_are_understood_again(number: int) -> None:
    words = count_in_words(str(number))
    assert count_of(words) == number
    assert re.fullmatch("[零一二三四五六七八九十百千万亿兆两]+", words)


@given(st.text(alphabet="0123456789", min_size=1, max_size=30))
def test_figures_are_read_one_by_one(figures: str) -> None:
    assert len(digits_in_words(figures)) == len(digits_in_words(figures, telephone=True)) == len(figures)


@given(st.text(max_size=60) | st.text(alphabet="0123456789年月日号:-/.,%度个零十万亿元座A ", max_size=30))
def test_any_text_becomes_characters_and_pauses(text: str) -> None:
    said = spoken_form(text)
    assert re.fullmatch("[\u4e00-\u9fa5、，；。]*", said)
    assert said == spoken_form(said), "what is said is said as it stands"


@pytest.mark.parametrize(
    ("syllable", "parts"),
    [("zhong", ("zh", "ong")), ("wen", ("", "uen")), ("yi", ("", "i")), ("zi", ("z", "ii")), ("shi", ("sh", "iii")),
     ("jiu", ("j", "iou")), ("ju", ("j", "v")), ("lüe", ("l", "ve")), ("er", ("", "er")), ("ng", ("", "en"))],
)  # fmt: skip
def test_syllables_are_taken_apart(syllable: str, parts: tuple[str, str]) -> None:
    assert split_syllable(syllable) == parts
