"""Calls through a running call handler: how each ends for the caller, on disk and for the dialplan."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

import ivr.session
from ivr.events import AudioConnected, CallEnded, CallerHungUp, DraftDelivered, PromptSaid, TurnEnded
from speech.errors import SpeechError

pytestmark = pytest.mark.timeout(180)
GARBAGE = bytes((0x10, 0xFF, 0xFF)) + b"\xa5" * 64  # a frame of sound as long as no telephone sends


async def puts_through(call: Any) -> None:
    """The caller presses 0 at the greeting and is put through: the call handler works."""
    await call.told(PromptSaid, step="opening")
    call.press("0")
    await call.over()
    assert (call.done, call.outcome, call.ended) == (True, "human", "human")


async def test_zero_at_the_greeting_puts_through_to_a_human(lab: Any) -> None:
    await lab.serve()
    call = await lab.dial()
    await puts_through(call)
    assert call.said_to_caller("human_wait")
    assert not call.said_to_caller("opening")  # the key stopped it
    # By HOTLINE_DONE the dialplan believes the outcome, so it is said last.
    assert [words[2] for words in call.commands if words[0] == "SET"][-2:] == ["HOTLINE_OUTCOME", "HOTLINE_DONE"]
    assert call.asked_to_go_on


@pytest.mark.parametrize("breaks", ["garbage", "end-of-file"])
async def test_lost_sound_leaves_the_caller_to_the_dialplan_and_touches_no_other_call(lab: Any, breaks: str) -> None:
    await lab.serve()
    broken, other = await lab.dial(), await lab.dial()
    await asyncio.gather(broken.told(PromptSaid, step="opening"), other.told(PromptSaid, step="opening"))
    await asyncio.gather(broken.connected(), other.connected())
    if breaks == "garbage":
        broken.send_raw(GARBAGE)
    else:
        broken.lose_sound()
    await broken.over()
    assert not broken.done
    assert broken.outcome is None
    assert ["CHANNEL", "STATUS"] in broken.commands
    await puts_through(other)
    assert other.said_to_caller("human_wait")


async def test_who_hangs_up_in_the_middle_of_a_sentence_is_drafted(
    lab: Any, backend: Any, complaint: bytes, drafted: Callable[[Any], Any]
) -> None:
    await lab.serve()
    call = await lab.dial()
    await call.told(PromptSaid, step="opening")
    await call.say(complaint)
    call.hang_up()
    await call.told(TurnEnded)
    delivered = await call.told(DraftDelivered)
    turn = call.fact(TurnEnded)
    assert turn.ended_by == "hang_up"
    assert "垃圾" in turn.text
    assert call.fact(CallerHungUp).step == "opening"
    assert call.ended == "hung_up"
    assert not call.done
    draft = drafted(call)
    assert (draft["ended"], draft["turns"][0]["text"]) == ("hung_up", turn.text)
    assert delivered.created
    assert [str(item.draft_id) for item in (await backend.queue()).items] == [delivered.draft_id]


class BrokenVoice:
    """Raises, or never comes back until it is let go."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.asked: list[str] = []
        self.hangs = error is None
        self.go_on = threading.Event()

    def speak(self, text: str, *, speed: float = 1.0) -> bytes:
        self.asked.append(text)
        if self._error is not None:
            raise self._error
        self.go_on.wait(120)
        return b"\x01\x40" * 80000


@pytest.fixture(params=["speech-error", "unexpected", "hangs"])
def broken_voice(request: pytest.FixtureRequest) -> Iterator[BrokenVoice]:
    errors = {"speech-error": SpeechError("voice-broken", "as told"), "unexpected": RuntimeError("as told")}
    voice = BrokenVoice(errors.get(request.param))
    yield voice
    voice.go_on.set()


async def test_a_voice_that_fails_costs_its_piece_and_not_the_call(
    lab: Any, complaint: bytes, broken_voice: BrokenVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ivr.session, "RENDER_SECONDS", 0.3)
    lab.voice = broken_voice
    await lab.serve()
    call = await lab.dial()
    await call.told(PromptSaid, step="opening")
    await call.say(complaint)
    assert "垃圾" in (await call.told(TurnEnded, step="opening")).text
    await call.told(PromptSaid, step="contact")
    call.press("#")  # the number that the line signalled
    read_back = await call.told(PromptSaid, step="confirm")
    assert "方庄" in read_back.text
    assert any("方庄" in text for text in broken_voice.asked)
    await call.until(lambda: call.said_to_caller("confirm_ask"))
    assert call.said_to_caller("confirm_begin")
    call.press("1")
    await call.told(PromptSaid, step="reference")
    assert call.fact(TurnEnded, step="confirm").answer == "yes"
    if broken_voice.hangs:  # the reference number is long: one of them hears it to its end
        await call.over()
        assert (call.done, call.outcome) == (True, "completed")
        assert call.said_to_caller("goodbye")
    else:
        call.hang_up()
        await call.told(CallEnded)
    assert call.ended == "completed"


async def test_calls_from_nowhere_are_refused_and_logged_and_the_next_call_works(lab: Any, tmp_path: Path) -> None:
    await lab.serve()
    call_id = str(uuid4())
    outside = tmp_path / "elsewhere" / "2026-11-24" / call_id
    around = lab.spool / "2026-11-24" / ".." / ".." / "elsewhere" / call_id
    another = lab.spool / "2026-11-24" / str(uuid4())
    with capture_logs() as logs:
        unknown = await lab.dial(path="/other")
        refused = [await lab.dial(call_id, folder) for folder in (outside, around, another, Path("relative"))]
        no_uuid = await lab.dial("no-uuid")
        for call in (unknown, *refused, no_uuid):
            await call.over()
            assert call.commands == []
    assert [entry["path"] for entry in logs if entry["event"] == "agi_unknown_path"] == ["/other"]
    codes = [entry["code"] for entry in logs if entry["event"] == "agi_call_failed"]
    assert codes == ["call-folder-refused"] * 5
    assert not (tmp_path / "elsewhere").exists()
    assert not another.exists()
    call = await lab.dial()
    await puts_through(call)
    assert call.fact(AudioConnected) is not None
    with capture_logs() as logs:
        again = await lab.dial(call.call_id)
        await again.over()
    assert [entry.get("code") for entry in logs if entry["event"] == "agi_call_failed"] == ["call-already-handled"]
    assert again.commands == []
    assert call.ended == "human"  # and what it was is untouched
