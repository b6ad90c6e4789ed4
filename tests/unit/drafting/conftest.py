"""How the drafting tests say what was heard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cases.schema import Asks, CallTranscript, Turn, draft_id_of

RECEIVED_AT = datetime(2026, 11, 24, 22, 30, tzinfo=ZoneInfo("Asia/Shanghai"))  # a Tuesday


@pytest.fixture
def told() -> Callable[..., tuple[Turn, ...]]:
    """Turns of narration; a text that begins with ? answers "where", with @ answers "whom to ring back"."""

    def make(*texts: str) -> tuple[Turn, ...]:
        asked = {"?": Asks.PLACE, "@": Asks.CONTACT}
        return tuple(Turn(step="s", asks=asked.get(text[:1], Asks.NARRATION), text=text.lstrip("?@")) for text in texts)

    return make


@pytest.fixture
def call(told: Callable[..., tuple[Turn, ...]]) -> Callable[..., CallTranscript]:
    def make(*texts: str, caller_number: str | None = "13700001111") -> CallTranscript:
        return CallTranscript(
            call_id="call-1",
            draft_id=draft_id_of("call-1"),
            received_at=RECEIVED_AT,
            caller_number=caller_number,
            turns=told(*texts),
        )

    return make


@pytest.fixture
def received_at() -> datetime:
    return RECEIVED_AT
