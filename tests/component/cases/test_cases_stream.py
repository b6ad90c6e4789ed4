"""The stream of a desk: another's take is seen at once, a session's end too, and nothing holds up a shutdown."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from cases.schema import draft_id_of

ID = draft_id_of("call-1")


class Stream:
    """What a browser's EventSource would hear."""

    def __init__(self, response: Any) -> None:
        self.response = response

    async def next(self) -> tuple[str, Any]:
        name, data = "message", []
        async with asyncio.timeout(20):
            while line := (await self.response.content.readline()).decode().rstrip("\r\n"):
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif not field:  # a comment: the heartbeat
                    name = "ping"
        if not data:
            return await self._ended_or_next(name)
        return name, json.loads("\n".join(data))

    async def _ended_or_next(self, name: str) -> tuple[str, Any]:
        if self.response.content.at_eof():
            return "end", None
        assert name == "ping" or name == "message"
        return await self.next()

    async def until(self, *names: str) -> tuple[str, Any]:
        while True:
            event = await self.next()
            if event[0] in names or event[0] == "end":
                return event


async def listen(desk: Any) -> Stream:
    response = await desk.client.get("/api/stream")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    stream = Stream(response)
    assert (await stream.next())[0] == "hello"
    return stream


async def test_what_another_does_is_seen_at_once(backend: Any, make_draft: Any, make_wav: Any) -> None:
    desk, other = await backend.log_in(), await backend.log_in("zhao")
    stream = await listen(desk)
    await backend.deliver(make_draft())
    name, added = await stream.next()
    assert (name, added["change"], added["waiting"], added["urgent"]) == ("queue", "added", 1, 0)
    assert added["item"]["subject"] == "上地西里暖气不热"
    await stream.until("draft")

    await other.step(ID, "take", 1)
    name, changed = await stream.next()
    assert (name, changed["change"], changed["item"]["taken_by"], changed["waiting"]) == ("queue", "changed", "zhao", 0)
    _, draft = await stream.next()
    assert (draft["status"], draft["version"], draft["taken_by_name"]) == ("taken", 2, "zhao 的名字")

    await other.edit(ID, 2, subject="改了")
    assert (await stream.next())[1]["item"]["subject"] == "改了"
    assert (await stream.next())[1]["edits_count"] == 1
    await other.edit(ID, 2, request="行里不显示")  # no row changes, only the draft
    name, draft = await stream.next()
    assert (name, draft["edits_count"]) == ("draft", 2)

    await backend.put_recording("call-1", make_wav())
    assert (await stream.next())[1]["item"]["has_recording"] is True
    assert (await stream.next())[1]["has_recording"] is True

    await other.step(ID, "confirm", 2)
    name, removed = await stream.next()
    assert (name, removed["change"], removed["item"]) == ("queue", "removed", None)
    assert (await stream.next())[1]["status"] == "confirmed"


async def test_a_live_call_is_heard_and_goes_with_its_draft(backend: Any, make_draft: Any) -> None:
    stream = await listen(await backend.log_in())
    update = {
        "call_id": "call-1",
        "sequence": 1,
        "at": "2026-11-24T08:00:00Z",
        "kind": "partial",
        "text": "暖\r\n气\u2028",
    }
    await backend.produce("POST", "/api/live", [update])
    name, heard = await stream.next()
    assert (name, heard["text"]) == ("live", "暖\r\n气\u2028")
    await backend.deliver(make_draft())
    assert await stream.next() == ("live-gone", {"call_id": "call-1"})
    assert (await stream.next())[0] == "queue"


async def test_a_quiet_live_call_goes(backend: Any) -> None:
    stream = await listen(await backend.log_in())
    update = {"call_id": "c", "sequence": 1, "at": "2026-11-24T08:00:00Z", "kind": "started"}
    await backend.produce("POST", "/api/live", [update])
    backend.clock.go_on(seconds=121)
    await backend.service.sweep()
    assert await stream.until("live-gone") == ("live-gone", {"call_id": "c"})


async def test_logging_out_ends_the_streams_of_that_session_only(backend: Any, make_draft: Any) -> None:
    desk, other = await backend.log_in(), await backend.log_in("zhao")
    stream, others = await listen(desk), await listen(other)
    assert (await desk.ask("DELETE", "/api/session")).status == 204
    assert (await stream.next())[0] == "session-over"
    assert (await stream.next())[0] == "end"
    await backend.deliver(make_draft())
    assert (await others.next())[0] == "queue"


async def test_a_session_that_expires_ends_its_stream(backend: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("cases.web.api_stream.CHECK_SESSION_SECONDS", 0.05)
    stream = await listen(await backend.log_in())
    backend.clock.go_on(hours=12)
    assert (await stream.until("session-over"))[0] == "session-over"
    assert (await stream.next())[0] == "end"


async def test_a_user_disabled_by_another_process_loses_his_stream(backend: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("cases.web.api_stream.CHECK_SESSION_SECONDS", 0.05)
    stream = await listen(await backend.log_in())
    await backend.service.accounts.disable_user("li")
    assert (await stream.until("session-over"))[0] == "session-over"


async def test_a_disabled_user_loses_his_stream_on_a_busy_desk_too(backend: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("cases.web.api_stream.CHECK_SESSION_SECONDS", 0.2)
    stream = await listen(await backend.log_in())

    async def feed() -> None:
        while True:
            backend.service.fanout.change("draft", "{}")
            await asyncio.sleep(0.005)

    feeder = asyncio.create_task(feed())
    try:
        await backend.service.accounts.disable_user("li")
        async with asyncio.timeout(20):
            assert (await stream.until("session-over"))[0] == "session-over"
    finally:
        feeder.cancel()


async def test_the_ninth_stream_of_a_session_closes_its_first(backend: Any) -> None:
    desk = await backend.log_in()
    first, *_others = [await listen(desk) for _ in range(9)]
    assert (await first.next())[0] == "too-many"
    assert (await first.next())[0] == "end"
    assert (await desk.get("/api/session")).status == 200


async def test_a_desk_that_goes_away_is_forgotten(backend: Any, make_draft: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("cases.web.api_stream.PING_SECONDS", 0.02)
    stream = await listen(await backend.log_in())
    assert len(backend.service.fanout._subscribers) == 1
    stream.response.close()
    async with asyncio.timeout(20):
        while backend.service.fanout._subscribers:
            backend.service.fanout.change("draft", "{}")
            await asyncio.sleep(0.02)


async def test_open_streams_do_not_hold_up_a_shutdown(backend: Any) -> None:
    stream = await listen(await backend.log_in())
    async with asyncio.timeout(20):
        await backend.server.close()
    assert await stream.until("session-over") == ("end", None)  # the process ends, the session does not
