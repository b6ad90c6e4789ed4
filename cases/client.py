"""What a producer uses to talk to the backend: deliver a draft, hand over a recording, tell of a live call.

Delivering raises, so that a spool can try again; telling of a live call never does, because a call is more than its
picture on a desk.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog
from pydantic import TypeAdapter, ValidationError

from cases import metrics
from cases.errors import CasesError
from cases.schema import ComplaintDraft, DraftReceipt, LiveKind, LiveUpdate, Recording

log = structlog.get_logger(__name__)

JSON_TIMEOUT_SECONDS = 15.0
UPLOAD_STALL_SECONDS = 30.0
UPLOAD_SLOWEST_BYTES_PER_SECOND = 50_000
_CHUNK_BYTES = 1 << 18
_LIVE = TypeAdapter(list[LiveUpdate])
# Trying again may help; anything else is our fault or the operator's to mend.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 507})


class CasesClient:
    """A connection to the backend; `async with CasesClient(url, token) as client`.

    Errors are CasesError with the backend's own code, or `case-backend-unreachable`; `recoverable` says whether
    sending the same again later may succeed.
    """

    def __init__(self, base_url: str, token: str, *, timeout_seconds: float = JSON_TIMEOUT_SECONDS) -> None:
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def deliver_draft(self, draft: ComplaintDraft) -> DraftReceipt:
        """Idempotent by draft_id: `created` False when the backend had it already."""
        headers = {"Content-Type": "application/json"}
        answer = await self._ask("POST", "/api/drafts", data=draft.model_dump_json().encode(), headers=headers)
        return _read(DraftReceipt, answer)

    async def put_recording(self, call_id: str, path: Path) -> Recording:
        """Sends a WAV file. What the backend holds afterwards: this one, or a longer one that it had."""
        try:
            sha256, size = await asyncio.to_thread(_digest, path)
        except OSError as error:
            raise CasesError(
                "recording-unreadable", f"{path.name}: {error.strerror or error}", recoverable=False
            ) from error
        headers = {"Content-Type": "audio/wav", "X-Content-SHA256": sha256, "Content-Length": str(size)}
        limits = aiohttp.ClientTimeout(
            total=UPLOAD_STALL_SECONDS + size / UPLOAD_SLOWEST_BYTES_PER_SECOND,
            sock_connect=self._timeout_seconds,
            sock_read=UPLOAD_STALL_SECONDS,
        )
        answer = await self._ask(
            "PUT", f"/api/recordings/{call_id}", data=_chunks(path, size), headers=headers, limits=limits
        )
        return _read(Recording, answer)

    async def send_live(self, updates: list[LiveUpdate]) -> None:
        """One batch. Raises like the others; `LivePoster` is what a call uses."""
        headers = {"Content-Type": "application/json"}
        await self._ask("POST", "/api/live", data=_LIVE.dump_json(updates), headers=headers)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        data: Any,
        headers: dict[str, str],
        limits: aiohttp.ClientTimeout | None = None,
    ) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._token}"})
        limits = limits or aiohttp.ClientTimeout(total=self._timeout_seconds)
        try:
            async with self._session.request(
                method, self.base_url + path, data=data, headers=headers, timeout=limits, allow_redirects=False
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise CasesError(
                "case-backend-unreachable",
                f"no answer from {self.base_url} ({type(error).__name__}: {error}); it is tried again",
                status=503,
                recoverable=True,
            ) from error
        if response.status in (200, 201, 204):
            return body
        raise _refused(response.status, body)


def _refused(status: int, body: bytes) -> CasesError:
    try:
        problem = json.loads(body)
        code, detail, errors = str(problem["code"]), str(problem.get("detail", "")), list(problem.get("errors", []))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, detail, errors = "case-backend-refused", f"status {status} without a problem document", []
    return CasesError(code, detail, status=status, recoverable=status in _TRANSIENT, errors=errors)


def _read(model: Any, body: bytes) -> Any:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise CasesError(
            "case-backend-refused", "the backend's answer cannot be read", status=502, recoverable=True
        ) from error


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


async def _chunks(path: Path, size: int) -> AsyncIterator[bytes]:
    """Exactly the bytes that were digested, even if the file grows meanwhile."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while size > 0 and (chunk := await asyncio.to_thread(file.read, min(_CHUNK_BYTES, size))):
            size -= len(chunk)
            yield chunk


class LivePoster:
    """Tells the backend of live calls, in batches, from a bounded queue. Nothing here raises into a call.

    `post` may be called from any coroutine of the loop. Overflow: the oldest partial goes first, else the oldest.
    A backend that is away costs nothing but the updates: a batch is tried once, then a pause grows up to 5 s.
    """

    QUEUE_MAX = 1000
    BATCH_MAX = 200
    BATCH_SECONDS = 0.15
    PAUSE_MAX_SECONDS = 5.0
    CLOSE_SECONDS = 2.0
    ATTEMPT_SECONDS = 3.0

    def __init__(self, client: CasesClient) -> None:
        self._client = client
        self._queue: deque[LiveUpdate] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._away_since: float | None = None
        self.dropped = 0

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="live-poster")

    async def close(self) -> None:
        """Sends what waits if the backend is there, for at most CLOSE_SECONDS."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.CLOSE_SECONDS):
                    await asyncio.shield(self._task)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def post(self, update: LiveUpdate) -> None:
        if len(self._queue) >= self.QUEUE_MAX:
            self._make_room()
        self._queue.append(update)
        self._wake.set()

    def _make_room(self) -> None:
        for index, waiting in enumerate(self._queue):
            if waiting.kind is LiveKind.PARTIAL:
                del self._queue[index]
                break
        else:
            self._queue.popleft()
        self._drop(1)

    def _drop(self, count: int) -> None:
        self.dropped += count
        metrics.CLIENT_LIVE_DROPPED.inc(count)

    async def _run(self) -> None:
        pause_seconds = 0.0
        while not (self._closing and not self._queue):
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self._closing:
                await asyncio.sleep(max(self.BATCH_SECONDS, pause_seconds))
            batch = self._take_batch()
            try:
                async with asyncio.timeout(self.ATTEMPT_SECONDS):
                    await self._client.send_live(batch)
                pause_seconds = 0.0
                self._is_back()
            except Exception as error:  # whatever it was: it must not reach a call
                self._drop(len(batch))
                self._is_away(error)
                pause_seconds = min(self.PAUSE_MAX_SECONDS, max(0.3, pause_seconds * 2))
                if self._closing:
                    self._drop(len(self._queue))
                    self._queue.clear()

    def _take_batch(self) -> list[LiveUpdate]:
        """The oldest updates; of one turn's partials in it only the last says anything."""
        batch = [self._queue.popleft() for _ in range(min(self.BATCH_MAX, len(self._queue)))]
        newest = {(u.call_id, u.turn): u.sequence for u in batch if u.kind is LiveKind.PARTIAL}
        return [u for u in batch if u.kind is not LiveKind.PARTIAL or newest[(u.call_id, u.turn)] == u.sequence]

    def _is_away(self, error: Exception) -> None:
        if self._away_since is None:  # once, not once a batch
            self._away_since = time.monotonic()
            log.warning("live_updates_lost", error=getattr(error, "code", type(error).__name__))

    def _is_back(self) -> None:
        if self._away_since is not None:
            log.info("live_updates_back", away_seconds=round(time.monotonic() - self._away_since, 1))
            self._away_since = None
