"""What sounds or reads like an answer and is none: others' numbers, numbers taken back, chance places and names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cases.drafting import draft
from cases.drafting.caller_name import caller_name
from cases.drafting.contact import callback_number, confidential
from cases.drafting.place import place
from cases.schema import Asks, CallTranscript, Turn, Word

Told = Callable[..., tuple[Turn, ...]]
WRONG, RIGHT = "幺三八零零幺三八零零零", "幺三九零零零零幺二三四"


@pytest.mark.parametrize(
    ("before", "sure"),
    [
        ("物业经理的电话是", False),
        ("我邻居的手机号", False),
        ("老板手机号", False),
        ("电话是", True),
        ("我的电话是", True),
    ],
)
def test_whose_number(told: Told, before: str, sure: bool) -> None:
    assert (callback_number(told(before + WRONG), None).confidence > 0.4) is sure


def _heard(text: str, confidence: float, worse_from: int = 99) -> Turn:
    words = tuple(
        Word(text=c, start_seconds=i, end_seconds=i + 0.5, confidence=0.6 if i >= worse_from else confidence)
        for i, c in enumerate(text)
    )
    return Turn(step="c", asks=Asks.CONTACT, text=text, words=words)


@pytest.mark.parametrize(
    "turns",
    [
        (_heard(WRONG + "不对是" + RIGHT, 1.0, 11),),
        (_heard(WRONG, 1.0), _heard(RIGHT, 0.6)),
        (Turn(step="c", asks=Asks.CONTACT, digits="13800138000"), _heard(RIGHT, 0.7)),
    ],
)
def test_the_later_number_corrects(turns: tuple[Turn, ...]) -> None:
    assert callback_number(turns, None).value == "13900001234"


def test_the_last_word_on_confidentiality_counts() -> None:
    key = Turn(step="c", asks=Asks.CONTACT, digits="2", answer="confidential")
    said = Turn(step="c", asks=Asks.CONTACT, text="不用保密")
    assert confidential((key, said)).value is False
    assert confidential((said, key)).value is True


@pytest.mark.parametrize(
    ("text", "false"),
    [
        ("朝阳区望京街道停水希望尽快处理", "望尽"),
        ("小关街道这个小管道堵了", "小管"),
        ("天桥街道天天敲墙", "天敲"),
        ("方庄街道房装修太吵", "房装"),
        ("上地街道上低层漏水", "上低"),
        ("清河街道清核账目", "清核"),
    ],
)
def test_no_chance_place_is_evidence(told: Told, text: str, false: str) -> None:
    found = place(told(text))
    assert found.value is not None
    assert found.value.street
    assert all(text[e.start_char : e.end_char] != false for e in found.evidence)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("我叫白云路的物业来", None),
        ("我叫安保过来", None),
        ("我叫高空作业的人", None),
        ("我叫李建国来反映停水", "李建国"),
    ],
)
def test_who_was_called_over_is_no_name(told: Told, text: str, name: str | None) -> None:
    assert caller_name(told(text)).value == name


@pytest.mark.parametrize(
    ("text", "level"),
    [("没有停水就是水压小", None), ("不是停水", None), ("不是停水就是停电", "urgent"), ("停水了", "urgent")],
)
def test_what_is_denied_is_not_urgent(call: Callable[..., CallTranscript], text: str, level: str | None) -> None:
    assert draft(call(text)).urgency.value == level
