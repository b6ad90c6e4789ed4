"""The call handler ends while people talk to it: the dialplan goes on with them, and what they said comes through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ivr.events import CallerHungUp, DraftDelivered, DraftReady, PromptSaid, TurnEnded

pytestmark = pytest.mark.timeout(180)
# Its limits are 2 + 3 + 2 s however many calls there are; this is for slow machines.
STOP_SECONDS = 40.0


@pytest.mark.parametrize("asterisk", ["goes-on", "does-not-answer"])
async def test_stopping_hands_the_callers_over_and_the_next_start_delivers_each_once(
    lab: Any, backend: Any, complaint: bytes, drafted: Callable[[Any], Any], asterisk: str
) -> None:
    cases_url, lab.cases_url = lab.cases_url, "http://127.0.0.1:9"
    server = await lab.serve()
    calls = [await lab.dial(polite=asterisk == "goes-on") for _ in range(2)]
    await asyncio.gather(*(call.told(PromptSaid, step="opening") for call in calls))
    await asyncio.gather(*(call.say(complaint) for call in calls))
    await asyncio.gather(*(call.told(PromptSaid, step="contact") for call in calls))

    async with asyncio.timeout(STOP_SECONDS):
        await lab.stop(server)
    for call in calls:
        assert call.asked_to_go_on
        assert call.ended == "interrupted"
        assert call.fact(CallerHungUp) is None
        assert not call.done
        assert call.outcome is None
        assert call.fact(DraftDelivered) is None
        if asterisk == "goes-on":
            await call.over()

    lab.cases_url = cases_url
    await lab.serve()
    for call in calls:
        delivered = await call.told(DraftDelivered)
        assert delivered.created
        assert "垃圾" in call.fact(TurnEnded, step="opening").text
        assert drafted(call)["ended"] == "interrupted"
    # Rounds of recovery go on; a second delivery would show by now.
    await asyncio.sleep(1.5)
    for call in calls:
        assert sum(isinstance(fact, DraftReady) for fact in call.facts) == 1
        assert sum(isinstance(fact, DraftDelivered) for fact in call.facts) == 1
    assert len((await backend.queue()).items) == 2
