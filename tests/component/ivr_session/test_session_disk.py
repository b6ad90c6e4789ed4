"""A disk that takes nothing more: no caller is dropped or told nothing, and nothing leaks."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from uuid import UUID, uuid4

import pytest

import ivr.session
from ivr.audiosocket_wire import KIND_UUID, encode_frame
from ivr.errors import CallError
from ivr.events import CallEnded, Fact, PromptSaid
from ivr.journal import Journal

pytestmark = pytest.mark.timeout(180)
CALLS = 30


def full() -> CallError:
    return CallError("disk-full", "as told")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class JournalThatDoesNotOpen:
    def __init__(self, _folder: object) -> None:
        raise full()


async def is_expected(port: int, call_id: str) -> bool:
    """Whether a call waits for its sound: one that comes for nobody is closed, without a frame."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(encode_frame(KIND_UUID, UUID(call_id).bytes))
    try:
        return await asyncio.wait_for(reader.read(1), 60) != b""
    except ConnectionError:
        return False
    finally:
        writer.close()


@pytest.mark.parametrize("fails", ["journal", "sound", "first-fact"])
async def test_calls_that_cannot_be_kept_are_left_to_the_dialplan_and_leave_nothing_open(
    lab: Any, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    await lab.serve()

    async def call() -> Any:
        call_id = str(uuid4())
        if fails == "sound":  # the journal opens, the file beside it does not
            (lab.spool / "2026-11-24" / call_id / "heard.wav").mkdir(parents=True)
        call = await lab.dial(call_id)
        await call.over()
        return call

    async def record(_journal: Journal, _fact: Fact) -> None:
        raise full()

    with monkeypatch.context() as broken:
        if fails == "journal":
            broken.setattr(ivr.session, "Journal", JournalThatDoesNotOpen)
        elif fails == "first-fact":
            broken.setattr(Journal, "record", record)
        await call()  # what is opened once is open now
        before = descriptors()
        failed = [await call() for _ in range(CALLS)]
        await failed[0].until(lambda: descriptors() <= before + CALLS // 3)
    for one in failed:
        assert not one.done
        assert not any(words[0] == "EXEC" for words in one.commands)
    for one in failed[:3]:
        assert not await is_expected(lab.sound_port, one.call_id)
    good = await lab.dial()
    await good.told(PromptSaid, step="opening")
    good.press("0")
    await good.over()
    assert (good.done, good.outcome) == (True, "human")


def fill_disk(monkeypatch: pytest.MonkeyPatch, call_id: str, after_facts: int) -> None:
    """The journal of that call takes so many facts and no more."""
    kept: list[Fact] = []
    record = Journal.record

    async def recorded(journal: Journal, fact: Fact) -> None:
        if journal.path.parent.name == call_id:
            if len(kept) >= after_facts:
                raise full()
            kept.append(fact)
        await record(journal, fact)

    monkeypatch.setattr(Journal, "record", recorded)


# Which fact is the first that fails: AudioConnected, the first PromptSaid, PromptStopped, KeyPressed, TurnEnded.
@pytest.mark.parametrize("after_facts", [1, 2, 3, 4, 5])
async def test_when_the_disk_fills_in_mid_call_the_caller_hears_the_apology(
    lab: Any, monkeypatch: pytest.MonkeyPatch, after_facts: int
) -> None:
    await lab.serve()
    call_id = str(uuid4())
    fill_disk(monkeypatch, call_id, after_facts)
    other = await lab.dial()
    call = await lab.dial(call_id)
    await call.connected()
    if after_facts > 2:
        await call.told(PromptSaid)
        call.press("0")
    await call.over()
    assert call.said_to_caller("apology")
    assert not call.said_to_caller("human_wait")  # the dialog did not go on with what was not kept
    assert (call.done, call.outcome) == (True, "failed")
    assert len(call.facts) == after_facts
    assert call.fact(CallEnded) is None
    await other.told(PromptSaid, step="opening")
    other.press("0")
    await other.over()
    assert (other.done, other.outcome) == (True, "human")


async def test_who_could_not_hear_the_apology_to_its_end_is_left_to_the_dialplans_own(
    lab: Any, monkeypatch: pytest.MonkeyPatch, sound_of: Any
) -> None:
    await lab.serve()
    call_id = str(uuid4())
    fill_disk(monkeypatch, call_id, 1)
    call = await lab.dial(call_id)
    beginning = sound_of("apology")[:8000]
    await call.until(lambda: beginning in call.heard)
    call.lose_sound()
    await call.over()
    assert not call.said_to_caller("apology")
    assert not call.done
    assert call.outcome is None
