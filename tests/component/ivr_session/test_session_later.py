"""Calls past what the recogniser can hear: asked by keys, recorded, and transcribed when there is room."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr.events import (
    CallHeardAgain,
    DraftDelivered,
    Hearing,
    HearingPostponed,
    PromptSaid,
    TranscriptPartial,
    TurnEnded,
)
from ivr.second_pass import Ears
from speech.admission import Limits
from speech.later_ear import EngineEar
from speech.models import BUNDLED_DIR
from speech.vosk_engine import VoskEngine

pytestmark = pytest.mark.timeout(300)


class Room:
    there = True

    def __call__(self) -> bool:
        return self.there


async def test_who_is_not_heard_live_gets_their_words_when_there_is_room_after_a_restart_too(
    lab: Any, backend: Any, complaint: bytes
) -> None:
    small = VoskEngine(BUNDLED_DIR, workers=1, limits=Limits(calls_max=1))
    room = Room()
    room.there = False
    lab.door, lab.ears = small, Ears(EngineEar(lab.engine, "bundled", room))
    server = await lab.serve()
    first = await lab.dial()
    await first.told(PromptSaid, step="opening")
    second = await lab.dial()
    await second.told(PromptSaid, step="opening")
    assert first.fact(HearingPostponed) is None
    assert second.fact(HearingPostponed).calls == 1
    await asyncio.gather(first.say(complaint), second.say(complaint))
    heard, waiting = [await call.told(TurnEnded, step="opening") for call in (first, second)]
    assert "垃圾" in heard.text
    assert (waiting.text, waiting.pending) == ("", True)
    assert second.fact(TranscriptPartial) is None
    first.hang_up()
    second.hang_up()
    for call in (first, second):
        await call.told(DraftDelivered, revision=0)
    assert {item.call_id: item.pending for item in (await backend.queue()).items} == {
        first.call_id: False,
        second.call_id: True,
    }
    third = await lab.dial()
    await third.told(PromptSaid, step="opening")
    assert third.fact(HearingPostponed) is None, "there is room for one again"
    third.hang_up()
    await third.over()

    await lab.stop(server)
    assert second.fact(CallHeardAgain) is None
    room.there = True
    await lab.serve()
    again = await second.told(CallHeardAgain, hearing=Hearing.LATE)
    assert (again.revision, again.error) == (1, "")
    delivered = await second.told(DraftDelivered, revision=1)
    assert not delivered.created
    found = {item.call_id: item for item in (await backend.queue()).items}
    assert not found[second.call_id].pending
    assert found[second.call_id].revision == 1
    assert "方庄" in found[second.call_id].place
    # Rounds of recovery go on; what was sent twice would show by now.
    await asyncio.sleep(1.5)
    for call, revisions in ((first, [0]), (second, [0, 1])):
        assert [fact.revision for fact in call.facts if isinstance(fact, DraftDelivered)] == revisions
