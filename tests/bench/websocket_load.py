"""A load generator for any server of vosk-server's websocket protocol: streams paced at real time.

A stream connects, says its clip in messages of 0.2 s, each when it is due, then the eof, and waits for the final words;
then it begins anew with another clip. The streams' beginnings are spread over the length of a clip, so that their ends
are, too. What ends once all streams run is measured.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from bench.figures import percentile
from bench.sounds import Clip
from speech.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ

MESSAGE_BYTES = BYTES_PER_SECOND // 5
GIVE_UP_SECONDS = 5.0
CONNECT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Final:
    """The end of one clip. `after_seconds` from the eof to the final words: infinite when they never came."""

    eof_at: float
    after_seconds: float
    text: str
    lost: bool  # the server says that it left sound out


@dataclass(slots=True)
class LoadResult:
    """How one load went. `lag_seconds`: how late the generator itself sent, the worst; `problems`: what broke."""

    streams: int
    finals: list[Final] = field(default_factory=list)
    lag_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    given_up: bool = False  # too many were late already; the rest was not waited for

    def p95_seconds(self) -> float:
        return percentile([final.after_seconds for final in self.finals], 95) if self.finals else math.inf

    def passes(self, limit_seconds: float) -> bool:
        """Every clip got words, nothing was left out, and the final words came in time at the 95th percentile."""
        whole = all(final.text and not final.lost for final in self.finals if math.isfinite(final.after_seconds))
        return not self.given_up and not self.problems and whole and self.p95_seconds() <= limit_seconds


def messages_of(clip: Clip) -> list[bytes]:
    return [clip.pcm[at : at + MESSAGE_BYTES] for at in range(0, len(clip.pcm), MESSAGE_BYTES)]


class _Load:
    def __init__(self, url: str, clips: Sequence[Clip], streams: int, window_seconds: float, limit_seconds: float):
        self.url = url
        self.clips = [messages_of(clip) for clip in clips]
        self.result = LoadResult(streams)
        loop = asyncio.get_running_loop()
        self.clip_seconds = sum(clip.seconds for clip in clips) / len(clips)
        self.ramp_end = loop.time() + self.clip_seconds
        self.end = self.ramp_end + window_seconds
        self.limit_seconds = limit_seconds
        expected = streams * window_seconds / self.clip_seconds
        self._late_allowed = 1 + 1.5 * 0.05 * expected
        self._late = 0

    def over(self, now: float) -> bool:
        return now >= self.end or self.result.given_up or bool(self.result.problems)

    def note(self, final: Final) -> None:
        late = final.after_seconds > self.limit_seconds
        if final.after_seconds >= GIVE_UP_SECONDS:
            self.result.given_up = True
        if self.ramp_end <= final.eof_at <= self.end:
            self.result.finals.append(final)
            self._late += late
            self.result.given_up = self.result.given_up or self._late > self._late_allowed

    async def stream(self, http: aiohttp.ClientSession, number: int) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.clip_seconds * number / self.result.streams)
        played = number
        while not self.over(loop.time()):
            try:
                await self._play(http, self.clips[played % len(self.clips)])
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.result.problems.append(f"{type(error).__name__}: {error}")
                return
            played += self.result.streams + 1

    async def _play(self, http: aiohttp.ClientSession, messages: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            socket = await http.ws_connect(self.url, max_msg_size=0, autoping=True)
        hearing = asyncio.create_task(_hear(socket, len(messages) + 1))
        try:
            await socket.send_str(json.dumps({"config": {"sample_rate": SAMPLE_RATE_HZ}}))
            begun = loop.time()
            for number, message in enumerate(messages, 1):
                # A live caller's sound is sent when it has been said.
                due = begun + number * MESSAGE_BYTES / BYTES_PER_SECOND
                await asyncio.sleep(due - loop.time())
                self.result.lag_seconds = max(self.result.lag_seconds, loop.time() - due)
                if self.over(loop.time()) or socket.closed:
                    break
                await socket.send_bytes(message)
            else:
                await socket.send_str('{"eof" : 1}')
                await self._final(hearing, loop.time())
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            await socket.close()
        if hearing.done() and not hearing.cancelled() and hearing.exception() is not None:
            raise aiohttp.ClientError(str(hearing.exception()))

    async def _final(self, hearing: asyncio.Task[tuple[float, str, bool]], eof_at: float) -> None:
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                at, text, lost = await asyncio.shield(hearing)
        except TimeoutError:
            self.note(Final(eof_at, math.inf, "", False))
        else:
            self.note(Final(eof_at, at - eof_at, text, lost))


async def _hear(socket: aiohttp.ClientWebSocketResponse, answers: int) -> tuple[float, str, bool]:
    """Every answer to the last one, or to the server's close: when the last words came, all words, whether some were lost."""
    at, text, lost = math.nan, "", False
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        told = json.loads(message.data)
        at = asyncio.get_running_loop().time()
        text += told.get("text", "")
        lost = lost or bool(told.get("late"))
        answers -= 1
        if answers == 0:
            return at, text, lost
    raise aiohttp.ClientError(f"the server closed ({socket.close_code}) with {answers} answers to come")


async def load(
    url: str, clips: Sequence[Clip], streams: int, *, window_seconds: float, limit_seconds: float
) -> LoadResult:
    """`streams` at once until all have run for `window_seconds`; ends early once too many are late."""
    run = _Load(url, clips, streams, window_seconds, limit_seconds)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        asyncio.TaskGroup() as group,
    ):
        for number in range(streams):
            group.create_task(run.stream(http, number))
    return run.result
