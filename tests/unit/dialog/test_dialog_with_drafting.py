"""Dialog and drafting together, as a call has them: what was said decides what is still asked."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from cases import drafting
from cases.schema import Asks, CallTranscript, ComplaintDraft, Ended, Turn, draft_id_of
from ivr.actions import Action, Ask, Finish
from ivr.dialog import CallContext, advance, answer_of, begin
from ivr.events import TurnEnd, TurnEnded
from ivr.menu_states import Menu

NOW = datetime(2026, 11, 24, 14, 35, tzinfo=UTC)
CALL = "call-1"
NOISE = "我要投诉朝阳区望京街道花家地小区楼上邻居每天晚上大声放音乐吵得老人睡不着希望尽快处理"
NO_PLACE = "我要投诉楼上邻居每天晚上大声放音乐吵得老人睡不着"


def call(
    menu: Menu, script: list[tuple[str, str]], number: str | None = "13910005678"
) -> tuple[list[str], ComplaintDraft, Action]:
    """Say or press each (text, digits) in turn, silence after the last; the states asked, the draft, the last action."""
    state, actions = begin(menu, CallContext(CALL, "10234567", number, time(9, 30)))
    asked: list[str] = []
    turns: list[Turn] = []
    lines = iter(script)
    while True:
        draft = drafting.draft(
            CallTranscript(
                call_id=CALL, draft_id=draft_id_of(CALL), received_at=NOW, caller_number=number, turns=tuple(turns)
            )
        )
        if not isinstance(ask := actions[-1], Ask):
            return asked, draft, ask
        asked.append(ask.step)
        text, digits = next(lines, ("", ""))
        by = TurnEnd.TERMINATOR if digits.endswith("#") else TurnEnd.KEY if digits else TurnEnd.SILENCE
        by = by if text or digits else TurnEnd.NO_INPUT
        event = TurnEnded(CALL, NOW, len(turns), ask.step, ask.asks, ask.prompt_text, text, (), digits, by, None, None)
        turn = Turn(
            step=ask.step,
            asks=ask.asks,
            prompt=ask.prompt_text,
            text=text,
            digits=digits,
            answer=answer_of(menu, event),
        )
        turns.append(turn)
        draft = drafting.draft(
            CallTranscript(
                call_id=CALL, draft_id=draft_id_of(CALL), received_at=NOW, caller_number=number, turns=tuple(turns)
            )
        )
        state, actions = advance(menu, state, event, draft)


def test_place_told_is_not_asked_and_this_number_is_taken_by_key(shipped_menu: Menu) -> None:
    asked, draft, last = call(shipped_menu, [(NOISE, ""), ("", "#"), ("是的", "")])
    assert asked == ["opening", "contact", "confirm"]
    assert last == Finish(Ended.COMPLETED, "goodbye")
    assert draft.caller.callback_number.value == "13910005678"
    assert draft.caller_agreed is True


@pytest.mark.parametrize(
    ("answer", "number", "confidential"),
    [
        (("可以", ""), "13910005678", None),
        (("是", ""), "13910005678", None),
        (("", "1"), "13910005678", None),
        (("保密", ""), None, True),
        (("", "*"), None, True),
        (("", "2"), None, True),
        (("", "13912345678#"), "13912345678", None),
        (("换成一三九一二三四五六七八", ""), "13912345678", None),
        (("不用保密", ""), "13910005678", None),
    ],
)
def test_contact_reaches_the_draft(
    shipped_menu: Menu, answer: tuple[str, str], number: str | None, confidential: bool | None
) -> None:
    asked, draft, _ = call(shipped_menu, [(NOISE, ""), answer, ("对", "")])
    assert asked == ["opening", "contact", "confirm"]
    assert draft.caller.callback_number.value == number
    assert (draft.caller.confidential.value or None) == confidential


def test_another_number_is_announced_then_said(shipped_menu: Menu) -> None:
    asked, draft, _ = call(shipped_menu, [(NOISE, ""), ("换一个号码", ""), ("一三九一二三四五六七八", ""), ("对", "")])
    assert asked == ["opening", "contact", "contact_other", "confirm"]
    assert draft.caller.callback_number.value == "13912345678"


def test_missing_place_is_asked_and_read_back(shipped_menu: Menu) -> None:
    asked, draft, last = call(
        shipped_menu, [(NO_PLACE, ""), ("在朝阳区望京街道", ""), ("可以", ""), ("不对", ""), (NOISE, "")]
    )
    assert asked == ["opening", "place", "contact", "confirm", "correct"]
    assert draft.place.value is not None
    assert draft.place.value.street == "望京街道"
    assert draft.caller_agreed is False
    assert last == Finish(Ended.COMPLETED, "goodbye")


def test_number_withheld(shipped_menu: Menu) -> None:
    asked, draft, _ = call(shipped_menu, [(NOISE, ""), ("", "13912345678#"), ("", "1")], number=None)
    assert asked == ["opening", "contact_no_number", "confirm"]
    assert draft.caller.callback_number.value == "13912345678"


def test_caller_who_tells_all_at_once_is_only_asked_whether_it_is_right(shipped_menu: Menu) -> None:
    asked, _, last = call(shipped_menu, [(NOISE + "我的电话是一三九一二三四五六七八", ""), ("对的", "")])
    assert asked == ["opening", "confirm"]
    assert last == Finish(Ended.COMPLETED, "goodbye")


def test_read_back_names_what_was_understood(shipped_menu: Menu) -> None:
    draft = drafting.draft(
        CallTranscript(
            call_id=CALL,
            draft_id=draft_id_of(CALL),
            received_at=NOW,
            turns=(Turn(step="opening", asks=Asks.NARRATION, text=NOISE + "我的电话是一三九一二三四五六七八"),),
        )
    )
    state, _ = begin(shipped_menu, CallContext(CALL, "10234567", "13910005678"))
    event = TurnEnded(CALL, NOW, 0, "opening", Asks.NARRATION, "", NOISE, (), "", TurnEnd.SILENCE, None, None)
    _, actions = advance(shipped_menu, state, event, draft)
    ask = actions[-1]
    assert isinstance(ask, Ask)
    assert draft.subject.value
    assert draft.subject.value in ask.prompt_text
    assert "望京街道" in ask.prompt_text


EIGHT_MILES = "我要投诉我们八里庄街道这边停水两天了没人管"


@pytest.mark.parametrize(
    ("answer", "district"),
    [
        (("", "1"), "朝阳区"),
        (("", "2"), "海淀区"),
        (("第二个", ""), "海淀区"),
        (("海淀区的八里庄", ""), "海淀区"),
        (("是朝阳区", ""), "朝阳区"),
    ],
)
def test_two_near_places_are_one_question_and_the_answer_decides(
    shipped_menu: Menu, answer: tuple[str, str], district: str
) -> None:
    asked, draft, last = call(shipped_menu, [(EIGHT_MILES, ""), answer, ("", "#"), ("是的", "")])
    assert asked == ["opening", "place_choice", "contact", "confirm"]
    assert last == Finish(Ended.COMPLETED, "goodbye")
    assert draft.place.value is not None
    assert (draft.place.value.district, draft.place.value.street) == (district, "八里庄街道")
    assert draft.place.confidence >= 0.8
    assert {evidence.turn for evidence in draft.place.evidence} == {0, 1}


def test_the_question_names_both_places_and_how_to_answer(shipped_menu: Menu) -> None:
    _, draft, _ = call(shipped_menu, [(EIGHT_MILES, ""), ("", "1")])
    assert draft.turns[1].prompt == (
        "您说的是朝阳区八里庄街道，还是海淀区八里庄街道？第一个请按1，第二个请按2，都不是请按3。"
    )


@pytest.mark.parametrize("neither", [("", "3"), ("都不是", "")])
def test_neither_is_no_place_and_the_open_question_follows(shipped_menu: Menu, neither: tuple[str, str]) -> None:
    asked, draft, _ = call(shipped_menu, [(EIGHT_MILES, ""), neither, ("丰台区方庄街道", ""), ("", "#"), ("是的", "")])
    assert asked == ["opening", "place_choice", "place", "contact", "confirm"]
    assert draft.place.value is not None
    assert (draft.place.value.district, draft.place.value.street) == ("丰台区", "方庄街道")


def test_a_doubtful_answer_to_the_open_question_is_asked_about_once(shipped_menu: Menu) -> None:
    asked, draft, _ = call(shipped_menu, [(NO_PLACE, ""), ("八里庄", ""), ("", "2"), ("", "#"), ("是的", "")])
    assert asked == ["opening", "place", "place_choice", "contact", "confirm"]
    assert draft.place.value is not None
    assert draft.place.value.district == "海淀区"


def test_three_questions_are_the_most_whatever_is_doubtful(shipped_menu: Menu) -> None:
    asked, _, _ = call(
        shipped_menu, [(EIGHT_MILES, ""), ("", "3"), ("八里庄", ""), ("", "#"), ("不对", ""), ("我说的是停电", "")]
    )
    questions = [step for step in asked if step not in ("opening", "confirm")]
    assert len(questions) <= 3
    assert questions.count("place_choice") <= 2


def test_a_place_that_is_sure_is_not_asked_about(shipped_menu: Menu) -> None:
    asked, _, _ = call(shipped_menu, [("海淀区八里庄街道停水了", ""), ("", "#"), ("是的", "")])
    assert asked == ["opening", "contact", "confirm"]
