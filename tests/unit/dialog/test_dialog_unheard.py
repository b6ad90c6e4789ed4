"""A call that is recorded now and transcribed later: asked by keys, taken at its word, never told 没听清."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import drafting
from cases.schema import CallTranscript, Ended, Turn, draft_id_of
from ivr.actions import Action, Ask, Finish
from ivr.dialog import MAX_TURNS, CallContext, DialogState, advance, answer_of, begin
from ivr.events import TurnEnd, TurnEnded
from ivr.menu import Menu
from ivr.menu_states import MenuKind

NOW = datetime(2026, 11, 24, 14, 35, tzinfo=UTC)
CALL = "call-1"
SPOKE = ("", TurnEnd.SILENCE, True)
SILENT = ("", TurnEnd.NO_INPUT, False)
Said = tuple[str, TurnEnd, bool]  # digits, end, pending


class Unheard:
    """A call in the test's hands; what is understood is really drafted from its turns."""

    def __init__(self, menu: Menu, number: str | None = "13800001111") -> None:
        self.menu, self.number = menu, number
        self.state: DialogState
        self.turns: list[TurnEnded] = []
        self.state, self.actions = begin(menu, CallContext(CALL, "10234567", number, None, heard=False))
        self.seen: list[Action] = list(self.actions)

    def said(self, digits: str, by: TurnEnd, pending: bool) -> Unheard:
        ask = self.actions[-1]
        assert isinstance(ask, Ask)
        event = TurnEnded(CALL, NOW, len(self.turns), ask.step, ask.asks, "", "", (), digits, by, 0, 1, pending=pending)
        answer = answer_of(self.menu, event)
        self.turns.append(event)
        turns = tuple(
            Turn(
                step=t.step,
                asks=t.asks,
                digits=t.digits,
                answer=answer_of(self.menu, t),
                final=False,
                pending=t.pending,
            )
            for t in self.turns
        )
        assert turns[-1].answer == answer
        transcript = CallTranscript(
            call_id=CALL, draft_id=draft_id_of(CALL), received_at=NOW, caller_number=self.number, turns=turns
        )
        self.state, self.actions = advance(self.menu, self.state, event, drafting.draft(transcript))
        self.seen += self.actions
        return self

    @property
    def steps(self) -> list[str]:
        return [action.step for action in self.seen if isinstance(action, Ask)]

    @property
    def prompts(self) -> set[str | None]:
        return {piece.name for action in self.seen if not isinstance(action, Finish) for piece in action.pieces}  # type: ignore[union-attr]


def test_a_caller_who_is_not_heard_is_asked_on_and_told_the_number(shipped_menu: Menu) -> None:
    call = Unheard(shipped_menu)
    assert "opening_unheard" in call.prompts
    call.said(*SPOKE).said(*SPOKE).said("#", TurnEnd.TERMINATOR, False)
    assert call.steps == ["opening", "place", "contact"]
    assert "contact_unheard" in call.prompts
    assert call.state.ended is Ended.COMPLETED
    assert "reference_is" in call.prompts
    assert not {name for name in call.prompts if name and ("unclear" in name or "again" in name)} - {"reference_again"}


def test_keys_count_as_in_any_call(shipped_menu: Menu) -> None:
    call = Unheard(shipped_menu).said(*SPOKE).said(*SPOKE)
    call.said("13712345678#", TurnEnd.TERMINATOR, True)
    assert call.state.ended is Ended.COMPLETED
    assert Unheard(shipped_menu).said("0", TurnEnd.KEY, True).state.ended is Ended.HUMAN
    other = Unheard(shipped_menu, number=None).said(*SPOKE).said(*SPOKE)
    assert other.steps[-1] == "contact_no_number"


def test_the_hash_key_after_a_story_ends_it(shipped_menu: Menu) -> None:
    assert Unheard(shipped_menu).said("#", TurnEnd.TERMINATOR, True).steps == ["opening", "place"]


def test_who_says_nothing_is_asked_again_and_put_through(shipped_menu: Menu) -> None:
    call = Unheard(shipped_menu).said(*SILENT)
    assert call.steps == ["opening", "opening"]
    assert "opening_silent" in call.prompts
    assert call.said(*SILENT).state.ended is Ended.HUMAN


def test_a_menu_without_other_words_for_it_says_the_usual(shipped_menu: Menu) -> None:
    told = shipped_menu.states["place"]
    assert told.kind is MenuKind.ASK
    assert not told.unheard_say
    assert "place" in Unheard(shipped_menu).said(*SPOKE).prompts


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "1", "2", "#", "*", "9", "13712345678#"]),
            st.sampled_from([TurnEnd.SILENCE, TurnEnd.NO_INPUT, TurnEnd.MAXIMUM, TurnEnd.TERMINATOR, TurnEnd.KEY]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["13800001111", None]),
)
def test_whatever_is_done_the_call_ends(shipped_menu: Menu, events: list[Said], number: str | None) -> None:
    call = Unheard(shipped_menu, number)
    for turn in range(MAX_TURNS + 1):
        if call.state.ended is not None:
            return
        call.said(*events[turn % len(events)])
    pytest.fail("no end")
