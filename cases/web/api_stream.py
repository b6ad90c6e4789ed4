"""The desk's stream of server-sent events.

`hello` first; then `queue` (QueueChange), `draft` (DraftChange), `live` (LiveUpdate), `live-gone` {call_id}, `resync`
(changes were lost: read GET /api/queue again), `session-over` (the last event: log in), `too-many` (the last event: the
same session has opened so many streams that this, its oldest, is closed; stay away until somebody looks). A desk that reconnects reads
the queue again; there is no replay.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from cases.accounts import Session
from cases.live import Subscriber
from cases.service import CasesService
from cases.web.auth import Lets, session_of
from cases.web.keys import SERVICE
from cases.web.openapi import Route

PING_SECONDS = 15.0
SEND_TIMEOUT_SECONDS = 30.0
CHECK_SESSION_SECONDS = 20.0  # a user may be disabled from the command line, by another process


async def stream(request: web.Request) -> web.StreamResponse:
    service, session = request.app[SERVICE], session_of(request)
    with service.fanout.subscribe(session.key) as subscriber:
        async with sse_response(request, ping_interval=PING_SECONDS, send_timeout=SEND_TIMEOUT_SECONDS) as response:
            # A desk that goes away in the middle of an event is nothing to report.
            with contextlib.suppress(ConnectionResetError, TimeoutError):
                await response.send(json.dumps({"at": service.clock().isoformat()}), event="hello", retry=2000)
                await _pump(service, session, subscriber, response)
    return response


async def _pump(service: CasesService, session: Session, subscriber: Subscriber, response: EventSourceResponse) -> None:
    loop = asyncio.get_running_loop()
    check_at_seconds = loop.time() + CHECK_SESSION_SECONDS
    while response.is_connected() and not service.closing:
        expires_in_seconds = (session.expires_at - service.clock()).total_seconds()
        wait_seconds = min(check_at_seconds - loop.time(), expires_in_seconds)
        if wait_seconds <= 0:  # asked by the time, not by a pause: a busy desk has no pauses
            if await _is_over(service, session):
                await response.send("{}", event="session-over")
                return
            check_at_seconds = loop.time() + CHECK_SESSION_SECONDS
            continue
        event = await subscriber.next(wait_seconds)
        if event is not None:
            await response.send(event.data, event=event.name)
        elif subscriber.closed:
            if not service.closing:
                await response.send("{}", event=subscriber.closed)
            return


async def _is_over(service: CasesService, session: Session) -> bool:
    with contextlib.suppress(Exception):  # a database that is away ends no session
        return await service.accounts.session_by_key(session.key, now=service.clock()) is None
    return service.clock() >= session.expires_at


ROUTES = (
    Route("GET", "/api/stream", stream, "Server-sent events of the desk", Lets.SESSION, {200: "text/event-stream"}),
)
