"""What a turn's words and keys mean to the menu: which answer, the wish for a human, content or none. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from cases.schema import Asks
from ivr.events import TurnEnd, TurnEnded
from ivr.menu_states import Answer, Menu, MenuState
from speech.grammar import match_phrase

# A longer sentence that merely contains 人工 or 不知道 is a narration, not an answer.
SHORT_ANSWER_EXTRA_CHARS = 6
MIN_CONTENT_CHARS = 2
PUNCTUATION = "，。！？、；：,.!?;: \u3000…—"


def answer_of(menu: Menu, event: TurnEnded) -> str:
    """The name of the menu's answer that a turn gave, "" for none: what drafting reads instead of keys and phrases."""
    at = menu.states.get(event.step)
    answer = given_answer(menu, at, event) if at is not None else None
    return answer.name if answer is not None else ""


def given_answer(menu: Menu, at: MenuState, event: TurnEnded) -> Answer | None:
    """The answer of state `at` that a turn gave: by key, else by a phrase."""
    pressed = event.digits.rstrip(menu.terminator)
    if not pressed and (event.digits or (event.ended_by is TurnEnd.TERMINATOR and not event.text)):
        pressed = menu.terminator
    if pressed:
        # A press outranks what was said beside it; a wrong one is no answer even if words were heard.
        return next((answer for answer in at.answers if pressed in answer.keys), None)
    owners = {phrase: answer for answer in at.answers for phrase in answer.phrases}
    said = _said(menu, event.text, owners)
    return owners[said] if said is not None else None


def _said(menu: Menu, text: str, phrases: Iterable[str]) -> str | None:
    """Which of the phrases `text` is, polite noise aside and with little else."""
    known = list(phrases)
    # As it was said first: 就这个 is an answer, though 这个 alone is a filler.
    for said in (_strip(text, ()), _strip(text, menu.hearing.fillers)):
        fitting = [phrase for phrase in known if len(said) <= len(phrase) + SHORT_ANSWER_EXTRA_CHARS]
        match = match_phrase(said, fitting)
        if match is not None:
            return match.phrase
    return None


def wants_human(menu: Menu, at: MenuState, event: TurnEnded) -> bool:
    """Pressed (first in a digit string, since a telephone number may hold a 0 later; anywhere when none is asked),
    said as an answer, or said within a narration that the phrase cut short."""
    pressed = event.digits
    if at.max_digits and len(pressed.rstrip(menu.terminator)) > 1:
        pressed = ""  # a number with an area code begins with 0
    if any(digit in menu.human.keys for digit in pressed) or _said(menu, event.text, menu.human.phrases):
        return True
    return event.ended_by is TurnEnd.KEYWORD and match_phrase(event.text, menu.human.watch) is not None


def only_begun(menu: Menu, at: MenuState, event: TurnEnded) -> bool:
    """A watched phrase cut the narration short for nothing, or the caller only announced it (我要反映一个问题)."""
    if at.asks is not Asks.NARRATION or event.digits or not menu.hearing.go_on:
        return False
    return event.ended_by is TurnEnd.KEYWORD or len(_strip(content_of(menu, event.text), menu.hearing.openers)) < (
        MIN_CONTENT_CHARS
    )


def was_silent(menu: Menu, event: TurnEnded) -> bool:
    if event.text or event.digits.rstrip(menu.terminator):
        return False
    return event.ended_by in (TurnEnd.NO_INPUT, TurnEnd.TERMINATOR)


def content_of(menu: Menu, text: str) -> str:
    return _strip(text, menu.hearing.fillers)


def _strip(text: str, words: Iterable[str]) -> str:
    """`text` without punctuation and without `words`, longest first."""
    left = text.translate({ord(mark): None for mark in PUNCTUATION})
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    return left
