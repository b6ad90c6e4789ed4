"""The real backend on a free port, with a clock that tests can move and operators who are logged in."""

from __future__ import annotations

import hashlib
import io
import json
import os
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from cases.schema import ComplaintDraft, Turn, draft_id_of
from cases.service import CasesService
from cases.settings import CasesSettings
from cases.web.app import make_app

PASSWORD = "correct horse"
NARRATION = "海淀区上地街道上地西里暖气不热"
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@dataclass
class Clock:
    """Real time and what a test adds."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def go_on(self, **amount: float) -> None:
        self.ahead += timedelta(**amount)


@dataclass
class Answer:
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.body
        return str(self.body["code"])


async def _answer(response: Any) -> Answer:
    raw = await response.read()
    is_json = "json" in response.headers.get("Content-Type", "")
    return Answer(response.status, response.headers, json.loads(raw) if is_json else raw)


@dataclass
class Desk:
    """A logged-in browser."""

    client: TestClient[Any, Any]
    csrf: str
    name: str

    async def get(self, path: str, **more: Any) -> Answer:
        async with self.client.get(path, **more) as response:
            return await _answer(response)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        headers = {"X-CSRF-Token": self.csrf, **headers}
        async with self.client.request(method, path, json=body, headers=headers) as response:
            return await _answer(response)

    async def step(self, draft_id: UUID | str, action: str, version: int, **more: Any) -> Answer:
        return await self.ask("POST", f"/api/drafts/{draft_id}/{action}", {"version": version, **more})

    async def edit(self, draft_id: UUID | str, version: int, **edits: Any) -> Answer:
        edits = {path.replace("__", "."): value for path, value in edits.items()}
        return await self.ask("PATCH", f"/api/drafts/{draft_id}", {"version": version, "edits": edits})

    async def draft(self, draft_id: UUID | str) -> Any:
        answer = await self.get(f"/api/drafts/{draft_id}")
        assert answer.status == 200, answer.body
        return answer.body


@dataclass
class Backend:
    server: TestServer
    service: CasesService
    clock: Clock
    token: str
    clients: list[TestClient[Any, Any]] = field(default_factory=list)

    def client(self) -> TestClient[Any, Any]:
        client: TestClient[Any, Any] = TestClient(self.server)
        self.clients.append(client)
        return client

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def add_user(self, name: str, role: str = "operator") -> None:
        await self.service.accounts.add_user(name, PASSWORD, role, f"{name} 的名字", now=self.clock())

    async def log_in(self, name: str = "li", role: str = "operator") -> Desk:
        """Logs in; makes the user first if there is none."""
        if name not in {user.name for user in await self.service.accounts.users()}:
            await self.add_user(name, role)
        client = self.client()
        async with client.post("/api/session", json={"username": name, "password": PASSWORD}) as response:
            answer = await _answer(response)
        assert answer.status == 200, answer.body
        return Desk(client, answer.body["csrf"], name)

    async def produce(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            more["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client().request(method, path, headers=headers, **more) as response:
            return await _answer(response)

    async def deliver(self, draft: ComplaintDraft) -> Answer:
        return await self.produce("POST", "/api/drafts", draft.model_dump_json().encode())

    async def put_recording(self, call_id: str, content: bytes, **headers: str) -> Answer:
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {"Content-Type": "audio/wav", "X-Content-SHA256": sha256, **headers}
        return await self.produce("PUT", f"/api/recordings/{call_id}", content, headers=headers)


StartBackend = Callable[..., Awaitable[Backend]]


@pytest.fixture
async def database_url() -> AsyncIterator[str]:
    """Empty (SQLite in the state folder), or a fresh database on the server that HOTLINE_TEST_POSTGRESQL names."""
    server = os.environ.get("HOTLINE_TEST_POSTGRESQL", "")
    if not server:
        yield ""
        return
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    name = f"hotline_test_{uuid4().hex[:12]}"
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    await engine.dispose()


@pytest.fixture
async def start_backend(tmp_path: Path, database_url: str) -> AsyncIterator[StartBackend]:
    """Starts a backend with these settings; `state_dir` may be that of another one."""
    running: list[Backend] = []

    async def start(state_dir: Path | None = None, **settings: Any) -> Backend:
        given = CasesSettings(
            **{"port": 0, "producer_token": "producers-secret", "database_url": database_url, **settings}
        )
        state_dir = state_dir or tmp_path / "state"
        clock = Clock()
        service = CasesService(given, state_dir, clock, QUICK_HASHER)
        server = TestServer(make_app(given, state_dir, service))
        await server.start_server()
        backend = Backend(server, service, clock, "producers-secret")
        running.append(backend)
        return backend

    yield start
    for backend in running:
        for client in backend.clients:
            await client.session.close()
        await backend.server.close()


@pytest.fixture
async def backend(start_backend: StartBackend) -> Backend:
    return await start_backend()


@pytest.fixture
def make_draft() -> Callable[..., ComplaintDraft]:
    """A good draft of one narration. `fields`: {name: (value, confidence)} over the good ones."""

    def make(call_id: str = "call-1", fields: dict[str, Any] | None = None, **more: Any) -> ComplaintDraft:
        evidence = [{"turn": 0, "start_char": 0, "end_char": len(NARRATION)}]
        good: dict[str, Any] = {
            "appeal_type": ("求助", 0.9),
            "category": ({"level1": "供暖"}, 0.9),
            "place": ({"district": "海淀区", "street": "上地街道"}, 0.7),
            "subject": ("上地西里暖气不热", 0.85),
            "narrative": (NARRATION, 0.95),
            **(fields or {}),
        }
        values = {
            name: {"value": value, "confidence": confidence, "evidence": evidence}
            for name, (value, confidence) in good.items()
        }
        caller = {k.removeprefix("caller."): v for k, v in values.items() if k.startswith("caller.")}
        return ComplaintDraft.model_validate(
            {
                "draft_id": draft_id_of(call_id),
                "call_id": call_id,
                "received_at": datetime(2026, 11, 24, 8, tzinfo=UTC),
                "turns": [Turn(step="narrate", asks="narration", text=NARRATION).model_dump()],
                "caller": {"number": "13810001234", **caller},
                **{k: v for k, v in values.items() if not k.startswith("caller.")},
                **more,
            }
        )

    return make


@pytest.fixture
def make_wav() -> Callable[..., bytes]:
    def make(seconds: float = 1.0, value: int = 0) -> bytes:
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(value.to_bytes(2, "little", signed=True) * int(8000 * seconds))
        return out.getvalue()

    return make
