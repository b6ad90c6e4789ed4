from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cases.schema import ComplaintDraft, Turn, draft_id_of

NARRATION = "海淀区上地街道上地西里暖气不热我姓王"


@pytest.fixture
def make_draft() -> Callable[..., ComplaintDraft]:
    """A draft of one narration; `fields` are {name: (value, confidence)}, each with the whole turn as evidence."""

    def make(fields: dict[str, tuple[Any, float]] | None = None, **more: Any) -> ComplaintDraft:
        evidence = [{"turn": 0, "start_char": 0, "end_char": len(NARRATION)}]
        values = {
            name: {"value": value, "confidence": confidence, "evidence": evidence}
            for name, (value, confidence) in (fields or {}).items()
        }
        caller = {k.removeprefix("caller."): v for k, v in values.items() if k.startswith("caller.")}
        caller["number"] = more.pop("number", "13810001234")
        return ComplaintDraft.model_validate(
            {
                "draft_id": draft_id_of("call-1"),
                "call_id": "call-1",
                "received_at": datetime(2026, 11, 24, 8, tzinfo=UTC),
                "turns": [Turn(step="narrate", asks="narration", text=NARRATION).model_dump()],
                "caller": caller,
                **{k: v for k, v in values.items() if not k.startswith("caller.")},
                **more,
            }
        )

    return make
