"""A backend that is small but real: HTTP, counts what it is given, can be away or refuse."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cases.schema import ComplaintDraft

TOKEN = "a-producer-token"


class TinyBackend:
    """`drafts`: the highest revision by draft id (its first body); `posts`: how often each came, `revisions`: of which
    revision they were; `recordings`: last sound by call id."""

    token = TOKEN

    def __init__(self) -> None:
        self.drafts: dict[str, ComplaintDraft] = {}
        self.posts: Counter[str] = Counter()
        self.revisions: list[int] = []
        self.order: list[str] = []
        self.recordings: dict[str, bytes] = {}
        self.answers: list[int] = []  # statuses to answer with before working again
        self.away = False
        self.server: TestServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return str(self.server.make_url("")).rstrip("/")

    async def start(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/api/drafts", self._draft)
        app.router.add_put("/api/recordings/{call_id}", self._recording)
        self.server = TestServer(app)
        await self.server.start_server()

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.close()

    def _trouble(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _problem(401, "session-over")
        if self.away:
            return _problem(503, "database-away")
        if self.answers and (status := self.answers.pop(0)) != 200:
            return _problem(status, "as-told")
        return None

    async def _draft(self, request: web.Request) -> web.Response:
        body = await request.read()
        if (trouble := self._trouble(request)) is not None:
            return trouble
        draft = ComplaintDraft.model_validate_json(body)
        key = str(draft.draft_id)
        created = key not in self.drafts
        if created or draft.revision > self.drafts[key].revision:
            self.drafts[key] = draft
        self.posts[key] += 1
        self.revisions.append(draft.revision)
        self.order.append(draft.call_id)
        answer = {"draft_id": key, "created": created, "status": "waiting"}
        return web.json_response(answer, status=201 if created else 200)

    async def _recording(self, request: web.Request) -> web.Response:
        body = await request.read()
        if (trouble := self._trouble(request)) is not None:
            return trouble
        digest = hashlib.sha256(body).hexdigest()
        assert request.headers["X-Content-SHA256"] == digest
        call_id = request.match_info["call_id"]
        self.recordings[call_id] = body
        return web.json_response(
            {"uri": f"/api/recordings/{call_id}", "seconds": (len(body) - 44) / 16000, "sha256": digest}
        )


def _problem(status: int, code: str) -> web.Response:
    body: dict[str, Any] = {"title": code, "status": status, "code": code}
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json")


@pytest.fixture
async def backend() -> AsyncIterator[TinyBackend]:
    backend = TinyBackend()
    await backend.start()
    yield backend
    await backend.stop()
