"""Calls of people who pause: not cut off, asked 还有吗 when in doubt, and answered soon when they are done."""

from __future__ import annotations

from typing import Any

import pytest

from ivr.events import MoreAsked, NothingMoreSaid, PromptSaid, TurnEnded
from speech.voice import Voice

pytestmark = pytest.mark.timeout(180)
BASE_SECONDS = 1.5  # of the opening, prompts/menu.toml
ANSWER_SECONDS = 0.5  # of the read-back's yes or no


def silence(seconds: float) -> bytes:
    return bytes(320 * round(seconds * 50))


async def test_a_slow_caller_is_asked_for_more_and_their_no_is_no_part_of_the_story(
    lab: Any, voice: Voice, backend: Any
) -> None:
    await lab.serve()
    call = await lab.dial()
    await call.told(PromptSaid, step="opening")
    slow = [
        voice.speak(text, speed=1.3) for text in ("我要反映", "丰台区方庄街道", "小区门口的垃圾桶", "三天没人清理了")
    ]
    # The first pauses teach, the last is longer than anybody not yet known would be given.
    sound = b"".join(part + silence(pause) for part, pause in zip(slow, (1.2, 1.3, 1.9, 0.1), strict=True))
    await call.say(sound)
    assert call.fact(TurnEnded) is None, "cut off in a pause"
    asked = await call.told(MoreAsked)
    assert asked.silence_seconds > BASE_SECONDS
    await call.until(lambda: call.said_to_caller("anything_else"))
    await call.say(voice.speak("没有了", speed=1.1))
    turn = await call.told(TurnEnded, step="opening")
    assert "方庄" in turn.text
    assert "垃圾" in turn.text
    assert "没有" not in turn.text.replace("没有人", "")
    said = call.fact(NothingMoreSaid)
    assert said.from_seconds > turn.words[-1].end_seconds
    assert turn.text == "".join(word.text for word in turn.words)
    call.press("0")
    await call.over()


async def test_a_quick_yes_waits_no_longer_than_the_menu_says(lab: Any, voice: Voice, complaint: bytes) -> None:
    await lab.serve()
    call = await lab.dial()
    await call.told(PromptSaid, step="opening")
    await call.say(complaint)
    await call.told(PromptSaid, step="contact")
    assert call.fact(TurnEnded, step="opening").silence_seconds <= BASE_SECONDS
    assert call.fact(MoreAsked) is None, "who told a whole story in one go is not asked"
    call.press("#")
    await call.told(PromptSaid, step="confirm")
    await call.say(voice.speak("没错", speed=1.1))
    confirmed = await call.told(TurnEnded, step="confirm")
    assert confirmed.answer == "yes"
    assert confirmed.silence_seconds <= ANSWER_SECONDS
    call.hang_up()
