"""What digits mean for the end of a listening turn."""

from __future__ import annotations

import pytest

from cases.schema import Asks
from ivr.actions import Ask
from ivr.events import TurnEnd
from ivr.listen import DIGITS_MAX, INTER_DIGIT_SECONDS, KeyPad

HUMAN = frozenset("0")


def ask(asks: Asks = Asks.NARRATION, keys: frozenset[str] = HUMAN, max_digits: int = 0) -> Ask:
    return Ask(step="step", asks=asks, pieces=(), keys=keys, max_digits=max_digits)


STORY = ask()
PLACE = ask(Asks.PLACE)
YES_NO = ask(Asks.CONFIRMATION, frozenset("012"))
NUMBER = ask(Asks.CONTACT, frozenset("*"), max_digits=12)
SHORT_NUMBER = ask(Asks.CONTACT, frozenset("*"), max_digits=3)

# question, digits, what each but the last means (nothing), what the last means, digits kept
PRESSES = {
    "the terminator ends a story": (STORY, "#", TurnEnd.TERMINATOR),
    "0 is for a human at once": (STORY, "0", TurnEnd.KEY),
    "a stray digit in a story is no answer": (STORY, "5", None),
    "nor two of them": (STORY, "57", None),
    "0 behind a stray digit is one more of them": (STORY, "50", None),
    "the terminator ends the story behind a stray digit": (STORY, "5#", TurnEnd.TERMINATOR),
    "a stray digit while a place is told": (PLACE, "7", None),
    "0 while a place is told": (PLACE, "0", TurnEnd.KEY),
    "a key that answers": (YES_NO, "1", TurnEnd.KEY),
    "to a question a wrong key is an answer too": (YES_NO, "9", TurnEnd.KEY),
    "a number goes on": (NUMBER, "1391000123", None),
    "a number may begin with 0": (NUMBER, "0", None),
    "and hold more of them": (NUMBER, "01062", None),
    "a number ends with the terminator": (NUMBER, "13910001234#", TurnEnd.TERMINATOR),
    "and when it is long enough": (NUMBER, "010628812345", TurnEnd.KEY),
    "the terminator alone": (NUMBER, "#", TurnEnd.TERMINATOR),
    "a key that no number begins with": (NUMBER, "*", TurnEnd.KEY),
    "the same key within a number is part of it": (NUMBER, "1*", None),
    "the terminator before the length": (SHORT_NUMBER, "12#", TurnEnd.TERMINATOR),
}


@pytest.mark.parametrize(("question", "digits", "means"), PRESSES.values(), ids=PRESSES.keys())
def test_a_press(question: Ask, digits: str, means: TurnEnd | None) -> None:
    keypad = KeyPad(question)
    meant = [keypad.press(digit, float(at)) for at, digit in enumerate(digits)]
    assert meant == [None] * (len(digits) - 1) + [means]
    assert keypad.digits == digits


@pytest.mark.parametrize("digits", ["0", "13910001234"])
def test_a_number_ends_when_the_caller_stops_pressing(digits: str) -> None:
    keypad = KeyPad(NUMBER)
    for at, digit in enumerate(digits):
        assert keypad.tick(float(at)) is None
        keypad.press(digit, float(at))
    last = float(len(digits) - 1)
    assert keypad.collecting
    assert keypad.tick(last + INTER_DIGIT_SECONDS - 0.01) is None
    assert keypad.tick(last + INTER_DIGIT_SECONDS) is TurnEnd.KEY


def test_each_digit_gives_new_time_for_the_next() -> None:
    keypad = KeyPad(NUMBER)
    keypad.press("1", 0.0)
    keypad.press("3", INTER_DIGIT_SECONDS - 0.1)
    assert keypad.tick(INTER_DIGIT_SECONDS + 1) is None
    assert keypad.tick(2 * INTER_DIGIT_SECONDS) is TurnEnd.KEY


def test_time_ends_no_number_that_was_not_begun() -> None:
    keypad = KeyPad(NUMBER)
    assert not keypad.collecting
    assert keypad.tick(1000.0) is None


@pytest.mark.parametrize("question", [STORY, PLACE])
def test_a_stray_digit_neither_collects_nor_ends_with_time(question: Ask) -> None:
    keypad = KeyPad(question)
    keypad.press("5", 0.0)
    assert not keypad.collecting
    assert keypad.tick(1000.0) is None


def test_a_key_held_down_fills_no_memory() -> None:
    keypad = KeyPad(STORY)
    for at in range(10 * DIGITS_MAX):
        assert keypad.press("5", float(at)) is None
    assert len(keypad.digits) == DIGITS_MAX
    assert keypad.press("#", 1000.0) is TurnEnd.TERMINATOR
