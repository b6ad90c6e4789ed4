"""The producers' client against the real backend, and against none, a slow one and a foreign one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from cases.client import CasesClient, LivePoster
from cases.errors import CasesError
from cases.schema import LiveUpdate


def update(sequence: int, kind: str = "partial", call_id: str = "c", turn: int = 0, text: str = "") -> LiveUpdate:
    values = {"call_id": call_id, "sequence": sequence, "at": datetime(2026, 11, 24, tzinfo=UTC), "kind": kind}
    return LiveUpdate.model_validate({**values, "turn": turn, "text": text})


@pytest.fixture
async def client(backend: Any) -> AsyncIterator[CasesClient]:
    async with CasesClient(backend.url + "/", backend.token) as client:
        yield client


async def test_a_draft_is_delivered_once(client: CasesClient, make_draft: Any) -> None:
    first, second = await client.deliver_draft(make_draft()), await client.deliver_draft(make_draft())
    assert (first.created, second.created) == (True, False)
    assert first.draft_id == make_draft().draft_id


async def test_a_recording_is_handed_over(client: CasesClient, make_wav: Any, tmp_path: Path) -> None:
    path = tmp_path / "recording.wav"
    path.write_bytes(make_wav(40.0))  # several chunks
    recording = await client.put_recording("c", path)
    assert recording.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert recording.seconds == 40.0
    assert await client.put_recording("c", path) == recording


async def test_refusals_carry_the_backends_code(
    backend: Any, client: CasesClient, make_draft: Any, tmp_path: Path
) -> None:
    (tmp_path / "x.wav").write_bytes(b"no sound")
    with pytest.raises(CasesError) as error:
        await client.put_recording("c", tmp_path / "x.wav")
    assert (error.value.code, error.value.recoverable) == ("not-a-wav", False)
    with pytest.raises(CasesError) as error:
        await client.put_recording("c", tmp_path / "missing.wav")
    assert (error.value.code, error.value.recoverable) == ("recording-unreadable", False)
    async with CasesClient(backend.url, "wrong") as stranger:
        with pytest.raises(CasesError) as error:
            await stranger.deliver_draft(make_draft())
    assert (error.value.code, error.value.recoverable) == ("producer-unknown", False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "http://no.such.host.invalid", "not a url", ""])
async def test_a_backend_that_is_not_there(url: str, make_draft: Any) -> None:
    async with CasesClient(url.format(port=unused_port()), "t") as client:
        with pytest.raises(CasesError) as error:
            await client.deliver_draft(make_draft())
    assert (error.value.code, error.value.recoverable) == ("case-backend-unreachable", True)


async def foreign(handler: Any) -> TestServer:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_a_backend_that_does_not_answer_or_is_another(make_draft: Any) -> None:
    stalled = asyncio.Event()

    async def stall(_: web.Request) -> web.Response:
        await stalled.wait()
        return web.Response()

    async def html(_: web.Request) -> web.Response:
        return web.Response(text="<h1>it works</h1>")

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://elsewhere.invalid/")

    for handler, timeout_seconds, code, recoverable in (
        (stall, 0.05, "case-backend-unreachable", True),
        (html, 5, "case-backend-refused", True),
        (redirect, 5, "case-backend-refused", False),
    ):
        server = await foreign(handler)
        async with CasesClient(str(server.make_url("")), "t", timeout_seconds=timeout_seconds) as client:
            with pytest.raises(CasesError) as error:
                await client.deliver_draft(make_draft())
        assert (error.value.code, error.value.recoverable) == (code, recoverable)
        stalled.set()
        await server.close()


async def test_live_updates_reach_the_desk(backend: Any, client: CasesClient) -> None:
    poster = LivePoster(client)
    poster.start()
    poster.post(update(0, "started"))
    for number in range(1, 20):
        poster.post(update(number, text=f"第{number}"))
    poster.post(update(20, "final", text="全部"))
    await poster.close()
    (call,) = backend.service.board.calls()
    assert call.text == "全部"
    assert poster.dropped == 0


async def test_of_many_partials_only_the_last_of_each_turn_travels() -> None:
    poster = LivePoster(CasesClient("http://x", "t"))
    for number in range(10):
        poster.post(update(number, turn=number % 2, call_id="ab"[number % 2]))
    poster.post(update(10, "final"))
    assert [u.sequence for u in poster._take_batch()] == [8, 9, 10]


async def test_overflow_drops_the_oldest_partials_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LivePoster, "QUEUE_MAX", 5)
    poster = LivePoster(CasesClient("http://x", "t"))
    poster.post(update(0, "started"))
    for number in range(1, 20):
        poster.post(update(number))
    assert [u.sequence for u in poster._queue] == [0, 16, 17, 18, 19]
    for number in range(20, 26):
        poster.post(update(number, "final"))
    assert [u.sequence for u in poster._queue] == [21, 22, 23, 24, 25]
    assert poster.dropped == 21


async def test_a_backend_that_is_away_costs_only_the_updates(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LivePoster, "PAUSE_MAX_SECONDS", 0.01)
    monkeypatch.setattr(LivePoster, "BATCH_SECONDS", 0.005)
    client = CasesClient(f"http://127.0.0.1:{unused_port()}", backend.token)
    poster = LivePoster(client)
    poster.start()
    async with asyncio.timeout(20):
        poster.post(update(0, "started"))
        for _ in iter(lambda: poster.dropped, 1):
            await asyncio.sleep(0.005)
        client.base_url = backend.url  # it is back
        number = 1
        while not backend.service.board.calls():
            poster.post(update(number, text="又来了"))
            number += 1
            await asyncio.sleep(0.005)
        await poster.close()
    await client.close()
    assert backend.service.board.calls()[0].text == "又来了"


async def test_closing_with_the_backend_away_takes_no_forever() -> None:
    client = CasesClient(f"http://127.0.0.1:{unused_port()}", "t")
    poster = LivePoster(client)
    poster.start()
    for number in range(500):
        poster.post(update(number, "final"))
    async with asyncio.timeout(20):
        await poster.close()
    assert poster.dropped == 500
    await client.close()
