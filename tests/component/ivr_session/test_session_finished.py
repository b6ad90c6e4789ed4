"""Calls of people who are done: answered soon, and not asked 还有吗."""

from __future__ import annotations

from typing import Any

import pytest

from ivr.events import MoreAsked, PromptSaid, TurnEnded
from speech.voice import Voice

pytestmark = pytest.mark.timeout(180)
BASE_SECONDS = 1.5  # of the opening, prompts/menu.toml
ANSWER_SECONDS = 0.5  # of the read-back's yes or no


async def test_a_quick_yes_waits_no_longer_than_the_menu_says(lab: Any, voice: Voice, complaint: bytes) -> None:
    yes = voice.speak("没错", speed=1.1)
    await lab.serve()
    call = await lab.dial()
    await call.told(PromptSaid, step="opening")
    await call.say(complaint)
    await call.told(PromptSaid, step="contact")
    assert call.fact(TurnEnded, step="opening").silence_seconds <= BASE_SECONDS
    assert call.fact(MoreAsked) is None, "who told a whole story in one go is not asked"
    call.press("#")
    await call.told(PromptSaid, step="confirm")
    await call.say(yes)
    confirmed = await call.told(TurnEnded, step="confirm")
    assert confirmed.answer == "yes"
    assert confirmed.silence_seconds <= ANSWER_SECONDS
    call.hang_up()
