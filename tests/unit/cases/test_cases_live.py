"""Live calls in memory and the fan-out: what a slow desk loses and what it never does."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from cases import live
from cases.live import Event, Fanout, LiveBoard
from cases.schema import LIVE_FIELDS_MAX, LiveUpdate

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def update(sequence: int, kind: str, call_id: str = "c1", **more: Any) -> LiveUpdate:
    return LiveUpdate.model_validate({"call_id": call_id, "sequence": sequence, "at": NOW, "kind": kind, **more})


def test_a_call_is_learnt_step_by_step() -> None:
    board = LiveBoard()
    assert board.apply(update(0, "started", caller_number="138"), NOW)
    assert board.apply(update(1, "prompt", step="narrate", text="请说"), NOW)
    assert board.apply(update(2, "partial", text="暖气"), NOW)
    assert board.apply(update(4, "fields", fields={"place": "上地"}), NOW)
    assert not board.apply(update(3, "partial", text="旧的"), NOW)
    assert board.apply(update(5, "alert", text="threat"), NOW)
    assert board.apply(update(6, "ended"), NOW)
    (call,) = board.calls()
    assert (call.caller_number, call.step, call.prompt, call.text) == ("138", "narrate", "请说", "暖气")
    assert (call.fields, call.alerts, call.ended) == ({"place": "上地"}, ["threat"], True)


def test_a_lost_start_is_repaired_by_the_next_update() -> None:
    board = LiveBoard()
    board.apply(update(7, "partial", text="暖"), NOW)
    assert board.calls()[0].started_at == NOW


def test_a_delivered_call_goes_and_does_not_come_back() -> None:
    board = LiveBoard()
    board.apply(update(0, "started"), NOW)
    assert board.deliver("c1")
    assert not board.apply(update(1, "partial", text="迟"), NOW)
    assert board.calls() == []
    assert not board.deliver("c2")  # a draft without a live row
    assert not board.apply(update(0, "started", call_id="c2"), NOW)


def test_a_quiet_call_is_forgotten() -> None:
    board = LiveBoard()
    board.apply(update(0, "started"), NOW)
    board.apply(update(0, "started", call_id="c2"), NOW + timedelta(seconds=60))
    assert board.expire(NOW + timedelta(seconds=119)) == []
    assert board.expire(NOW + timedelta(seconds=120)) == ["c1"]
    assert [call.call_id for call in board.calls()] == ["c2"]


def test_the_board_is_bounded() -> None:
    board = LiveBoard()
    for number in range(live.MAX_LIVE_CALLS + 5):
        board.apply(update(0, "started", call_id=f"c{number}"), NOW)
        board.deliver(f"d{number}")
    assert len(board.calls()) == live.MAX_LIVE_CALLS
    assert "c0" not in {call.call_id for call in board.calls()}
    assert len(board._delivered) == live.MAX_DELIVERED


async def drain(fanout_subscriber: live.Subscriber) -> list[Event]:
    events = []
    while (event := await fanout_subscriber.next(0.0)) is not None:
        events.append(event)
    return events


async def test_a_slow_desk_loses_partials_first_and_no_change() -> None:
    fanout = Fanout()
    with fanout.subscribe("s") as slow:
        fanout.live(update(0, "final", text="第一"))
        for number in range(live.LIVE_MAX + 50):
            fanout.live(update(number + 1, "partial", text=str(number)))
        fanout.change("draft", "1")
        events = await drain(slow)
    assert events[0] == Event("draft", "1")  # changes go before live updates
    assert len(events) == live.LIVE_MAX + 1
    assert '"第一"' in events[1].data  # the final stayed, the oldest partials went


async def test_changes_that_overflow_become_one_resync() -> None:
    fanout = Fanout()
    with fanout.subscribe("s") as slow:
        for number in range(live.CHANGES_MAX + 100):
            fanout.change("draft", str(number))
        assert [event.name for event in await drain(slow)] == ["resync"]
        fanout.change("draft", "after")
        assert [event.data for event in await drain(slow)] == ["after"]


async def test_only_its_own_session_ends() -> None:
    fanout = Fanout()
    with fanout.subscribe("a") as one, fanout.subscribe("b") as other:
        fanout.close_session("a")
        assert one.closed
        assert not other.closed
        assert await one.next(5.0) is None
    fanout.change("draft", "nobody listens")


def test_alerts_are_of_known_kinds_and_once() -> None:
    board = LiveBoard()
    board.apply(update(0, "started"), NOW)
    for number in range(40):
        board.apply(update(1 + 2 * number, "alert", text="emergency"), NOW)
        assert not board.apply(update(2 + 2 * number, "alert", text=f"an alert that is none {number}"), NOW)
    assert board.calls()[0].alerts == ["emergency"]


def test_what_a_live_update_shows_is_cut_and_never_refused() -> None:
    fields = {f"{n}" + "f" * 100: "v" * 1000 for n in range(40)}
    cut = update(0, "fields", step="s" * 100, caller_number="1" * 100, fields=fields)
    assert (len(cut.step), len(cut.caller_number or "")) == (64, 32)
    assert len(cut.fields) == LIVE_FIELDS_MAX
    assert {(len(name), len(shown)) for name, shown in cut.fields.items()} == {(64, 300)}


async def test_a_session_has_so_many_streams_and_the_oldest_goes() -> None:
    fanout = Fanout()
    with ExitStack() as stack:
        other = stack.enter_context(fanout.subscribe("other"))
        mine = [stack.enter_context(fanout.subscribe("s")) for _ in range(live.STREAMS_PER_SESSION + 2)]
        assert [s.closed for s in mine] == ["too-many"] * 2 + [""] * live.STREAMS_PER_SESSION
        assert not other.closed
