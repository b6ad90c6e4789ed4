"""Whom to ring back, who it is, and what stays unknown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cases.drafting.caller_name import caller_name
from cases.drafting.contact import callback_number, confidential
from cases.schema import Asks, Turn, Word

Told = Callable[..., tuple[Turn, ...]]
LINE = "13700001111"

# @ answers "whom to ring back"
NUMBERS = [
    ("@幺三八零零幺三八零零零", "13800138000", True),
    ("@一三八零零一三八零零零", "13800138000", True),
    ("@13800138000", "13800138000", True),
    ("@腰三八零零幺三八零零零", "13800138000", True),
    ("@嗯幺三八那个零零幺三然后八零零零", "13800138000", True),
    ("@我的电话是幺三八零零幺三八零零零谢谢", "13800138000", True),
    ("@幺三八零零幺不对是幺三九零零零零幺二三四", "13900001234", True),
    ("@幺三八零零幺三八零零零不对应该是幺三九零零零零幺二三四", "13900001234", True),
    ("@八六幺三八零零幺三八零零零", "13800138000", True),
    ("@零幺零六八四五幺二三四", "01068451234", True),
    ("@六八四五幺二三四", "68451234", True),
    ("@我叫李建国电话幺三八零零幺三八零零零要保密", "13800138000", True),
    ("@幺三八零零幺三八零零", "1380013800", False),
    ("@就用这个号吧", LINE, True),
    ("@可以", LINE, True),
    ("@行就这个号", LINE, True),
    ("@现在打的这个手机", LINE, True),
    ("@不要打这个电话打幺三九零零零零幺二三四", "13900001234", True),
    ("我的电话是幺三八零零幺三八零零零", "13800138000", True),
    ("就打这个电话联系我就行", LINE, False),
]


@pytest.mark.parametrize(("text", "number", "sure"), NUMBERS)
def test_numbers(told: Told, text: str, number: str, sure: bool) -> None:
    found = callback_number(told(text), LINE)
    assert found.value == number
    assert (found.confidence >= 0.8) is sure


@pytest.mark.parametrize(
    "text",
    [
        "@保密",
        "@不知道",
        "@三号楼",
        "老板电话是幺三八零零幺三八零零零",
        "打他们客服电话四零零八二三八二三没人接",
        "这个电话打不通",
        "订单号幺二三四五六七",
        "",
    ],
)
def test_no_number(told: Told, text: str) -> None:
    assert callback_number(told(text), LINE).value is None


def test_this_number_needs_a_number_on_the_line(told: Told) -> None:
    assert callback_number(told("@就用这个号"), None).value is None


@pytest.mark.parametrize(
    ("digits", "number", "secret"),
    [
        ("13800138000", "13800138000", None),
        ("13800138000#", "13800138000", None),
        ("#", LINE, None),
        ("1", LINE, None),
        ("*", None, True),
        ("2", None, True),
        ("12", None, None),
        ("1380013", "1380013", None),
    ],
)
def test_pressed(digits: str, number: str | None, secret: bool | None) -> None:
    turns = (Turn(step="contact", asks=Asks.CONTACT, digits=digits),)
    found = callback_number(turns, LINE)
    assert found.value == number
    assert confidential(turns).value is secret
    for evidence in (*found.evidence, *confidential(turns).evidence):
        assert (evidence.start_char, evidence.end_char) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "number", "secret"), [("same", LINE, None), ("confidential", None, True), ("", None, None)]
)
def test_what_the_menu_took_the_answer_for(answer: str, number: str | None, secret: bool | None) -> None:
    turns = (Turn(step="contact", asks=Asks.CONTACT, text="中", answer=answer),)
    assert callback_number(turns, LINE).value == number
    assert confidential(turns).value is secret


def test_badly_heard_digits_are_less_sure() -> None:
    words = tuple(
        Word(text=c, start_seconds=i, end_seconds=i + 0.5, confidence=0.5)
        for i, c in enumerate("幺三八零零幺三八零零零")
    )
    turns = (Turn(step="contact", asks=Asks.CONTACT, text="幺三八零零幺三八零零零", words=words),)
    found = callback_number(turns, None)
    assert found.value == "13800138000"
    assert found.confidence < 0.8
    assert (found.evidence[0].start_seconds, found.evidence[0].end_seconds) == (0, 10.5)


SECRET = [
    ("@要求保密", True),
    ("@匿名", True),
    ("@不用保密就打这个电话", False),
    ("@不需要保密", False),
    ("@可以公开", False),
    ("@别告诉他们是我说的", True),
    ("@不想透露", True),
    ("请给我保密", True),
    ("能不能匿名举报", True),
    ("我实名举报", False),
    ("@幺三八零零幺三八零零零", None),
    ("楼上太吵", None),
]


@pytest.mark.parametrize(("text", "value"), SECRET)
def test_confidential(told: Told, text: str, value: bool | None) -> None:
    assert confidential(told(text)).value is value


NAMES = [
    ("我姓王", "王"),
    ("我叫李建国家住海淀", "李建国"),
    ("免贵姓陈", "陈"),
    ("我是张女士", "张女士"),
    ("我叫王芳住在望京", "王芳"),
    ("我叫欧阳明明电话是", "欧阳明明"),
    ("我姓张弓长张", "张"),
    ("我姓王叫王建国", "王建国"),
    ("我是望京的", None),
    ("我叫他来修他不来", None),
    ("他姓王", None),
    ("物业经理姓刘", None),
    ("我是住户", None),
    ("我叫物业来修", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "name"), NAMES)
def test_names(told: Told, text: str, name: str | None) -> None:
    found = caller_name(told(text))
    assert found.value == name
    assert found.confidence <= 0.85  # a sound does not tell its characters


@pytest.mark.xfail(strict=True, reason="pairs and groups of digits are not read (三个八, 双六)")
def test_miss_grouped_digits(told: Told) -> None:
    assert callback_number(told("@幺三八零零幺三三个八双六"), None).value == "13800138886" + "6"


@pytest.mark.xfail(strict=True, reason="a surname that was heard as another word is not found (我信王)")
def test_miss_misheard_introduction(told: Told) -> None:
    assert caller_name(told("我信王")).value == "王"
