"""Many real SIP callers in one process: each says its sound, presses its keys, keeps every packet that it hears.

Sound goes out every 20 ms by one clock for all callers. What a caller did and heard carries the time of the packet on
the wire (`loop.time()`), so figures need no allowance for a phone's own buffers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from bench.sip_wire import (
    FRAME_SAMPLES,
    PCMA,
    TELEPHONE_EVENT,
    Dialing,
    SipMessage,
    alaw_encode,
    alaw_rms,
    answer,
    key_payload,
    media_address,
    missing,
    parse_rtp,
    parse_sip,
    rtp,
)
from speech.audio import FRAME_BYTES

FRAME_SECONDS = 0.02
KEY_SECONDS = 0.1
LOUD_RMS = 300.0  # of 32,768: -41 dBFS; the line's noise is below 30
REPEAT_SECONDS = 0.5
SETUP_SECONDS = 20.0
_QUIET = alaw_encode(bytes(FRAME_BYTES))


@dataclass(frozen=True, slots=True)
class Script:
    """`pcm` is said from the answer on, then silence; `keys`: (seconds after the answer, digit)."""

    number: str
    pcm: bytes
    hang_up_after_seconds: float
    keys: tuple[tuple[float, str], ...] = ()


@dataclass(slots=True)
class Packet:
    at: float
    sequence: int
    payload: bytes

    @property
    def loud(self) -> bool:
        return alaw_rms(self.payload) > LOUD_RMS


@dataclass(slots=True)
class CallRecord:
    """What a caller did and heard. Times are the loop's."""

    script: Script
    call_id: str
    invited_at: float = 0.0
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: str = ""  # near | far | refused
    status: int = 0
    frames_at: list[float] = field(default_factory=list)  # when each frame of pcm was sent
    keys_down_at: list[float] = field(default_factory=list)
    keys_up_at: list[float] = field(default_factory=list)
    heard: list[Packet] = field(default_factory=list)

    @property
    def packets_missing(self) -> int:
        return missing([packet.sequence for packet in self.heard])

    def first_loud_at(self, after: float = 0.0) -> float | None:
        return next((packet.at for packet in self.heard if packet.at >= after and packet.loud), None)

    def silent_from(self, after: float, quiet_seconds: float = 0.3) -> float | None:
        """When what sounded at `after` had ended: the end of the last loud packet before so much quiet."""
        end = None
        for packet in self.heard:
            if packet.at < after - 3 * FRAME_SECONDS:
                continue
            if packet.loud:
                if end is not None and packet.at - end > quiet_seconds:
                    break
                end = packet.at + FRAME_SECONDS
        return end

    def _speech_frames(self) -> list[int]:
        frames = [self.script.pcm[at : at + FRAME_BYTES] for at in range(0, len(self.script.pcm), FRAME_BYTES)]
        return [number for number, frame in enumerate(frames) if alaw_rms(alaw_encode(frame)) > LOUD_RMS]

    @property
    def spoke_from(self) -> float | None:
        """When the first frame of the voice was sent."""
        loud = self._speech_frames()
        return self.frames_at[loud[0]] if loud and loud[0] < len(self.frames_at) else None

    @property
    def spoke_until(self) -> float | None:
        """The end of the last frame of the voice."""
        loud = self._speech_frames()
        return self.frames_at[loud[-1]] + FRAME_SECONDS if loud and loud[-1] < len(self.frames_at) else None


class _Caller:
    """One call, driven by `Callers`."""

    def __init__(self, script: Script, target: tuple[str, int], local: tuple[str, int]) -> None:
        name = f"{random.getrandbits(64):016x}"
        self.dialing = Dialing(script.number, f"bench-{name}@{local[0]}", name, target, local)
        self.record = CallRecord(script, self.dialing.call_id)
        self.over = asyncio.Event()
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.setblocking(False)
        self.line.bind((local[0], 0))
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        self.far_sound: tuple[str, int] | None = None
        self.to = f"<{self.dialing.uri}>"
        self.contact = self.dialing.uri
        self.hanging_up = False
        sound = alaw_encode(script.pcm)
        self._frames = [sound[at : at + FRAME_SAMPLES] for at in range(0, len(sound), FRAME_SAMPLES)]
        self._sent = 0
        self._sequence = random.getrandbits(15)
        self._timestamp = random.getrandbits(31)
        self._source = random.getrandbits(32)
        self._keys = list(script.keys)
        self._key: tuple[str, int, int] | None = None  # digit, its timestamp, packets sent

    def tick(self, now: float) -> None:
        """The next 20 ms: of the sound, or of the key that is down."""
        if self.far_sound is None or self.record.answered_at is None or self.over.is_set():
            return
        self._timestamp += FRAME_SAMPLES
        if self._key is None and self._keys and now - self.record.answered_at >= self._keys[0][0]:
            self._key = (self._keys.pop(0)[1], self._timestamp, 0)
            self.record.keys_down_at.append(now)
        if self._key is not None:
            self._press(now, *self._key)
            return
        frame = self._frames[self._sent] if self._sent < len(self._frames) else _QUIET
        if self._sent < len(self._frames):
            self._sent += 1
            self.record.frames_at.append(now)
        self._send(PCMA, self._timestamp, frame.ljust(FRAME_SAMPLES, _QUIET[:1]), marker=self._sent == 1)

    def _press(self, now: float, digit: str, since: int, sent: int) -> None:
        """A key's packets: one each 20 ms, its end three times."""
        end = (sent + 1) * FRAME_SECONDS >= KEY_SECONDS
        payload = key_payload(digit, (sent + 1) * FRAME_SAMPLES, end=end)
        for _ in range(3 if end else 1):
            self._send(TELEPHONE_EVENT, since, payload, marker=sent == 0)
        self._key = None if end else (digit, since, sent + 1)
        if end:
            self.record.keys_up_at.append(now)

    def _send(self, kind: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        assert self.far_sound is not None
        self._sequence += 1
        packet = rtp(kind, self._sequence, timestamp, self._source, payload, marker=marker)
        with contextlib.suppress(OSError):  # a full socket buffer: the far side sees a lost packet
            self.line.sendto(packet, self.far_sound)

    def hear(self, now: float) -> None:
        while True:
            try:
                data = self.line.recv(2048)
            except (BlockingIOError, ConnectionError):
                return
            packet = parse_rtp(data)
            if packet is not None and packet.kind == PCMA:
                self.record.heard.append(Packet(now, packet.sequence, packet.payload))


class Callers(asyncio.DatagramProtocol):
    """`async with Callers(("127.0.0.1", sip_port)) as callers: records = await callers.call(scripts, per_second=10)`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._calls: dict[str, _Caller] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._clock: asyncio.Task[None] | None = None
        self.lag_seconds = 0.0  # how late the clock was, the worst

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self._target[0], 0))
        self._transport = transport
        self._clock = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    @property
    def _local(self) -> tuple[str, int]:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    async def call(self, scripts: Sequence[Script], *, per_second: float) -> list[CallRecord]:
        """All of them, begun at this rate; returns when all have ended."""
        begun = asyncio.get_running_loop().time()
        running = []
        for number, script in enumerate(scripts):
            await asyncio.sleep(max(0.0, begun + number / per_second - asyncio.get_running_loop().time()))
            running.append(asyncio.create_task(self.one(script)))
        return list(await asyncio.gather(*running))

    async def one(self, script: Script) -> CallRecord:
        """One call from INVITE to its end. A refused call, or none in 20 s, is told in its record."""
        loop = asyncio.get_running_loop()
        caller = _Caller(script, self._target, self._local)
        self._calls[caller.dialing.call_id] = caller
        loop.add_reader(caller.line, lambda: caller.hear(loop.time()))
        record = caller.record
        try:
            record.invited_at = loop.time()
            await self._until(caller, lambda: record.status > 0, caller.dialing.invite(caller.line.getsockname()[1]))
            await self._until(caller, lambda: record.answered_at is not None, None)
            if record.answered_at is None:
                record.ended_by = record.ended_by or "refused"
                return record
            try:
                async with asyncio.timeout(script.hang_up_after_seconds):
                    await caller.over.wait()
            except TimeoutError:
                caller.hanging_up = True
                bye = caller.dialing.request("BYE", caller.contact, 2, f"{caller.dialing.tag}b", caller.to)
                await self._until(caller, caller.over.is_set, bye)
                record.ended_by, record.ended_at = "near", loop.time()
        finally:
            loop.remove_reader(caller.line)
            caller.line.close()
            caller.over.set()
            del self._calls[caller.dialing.call_id]
        return record

    async def _until(self, caller: _Caller, holds, message: bytes | None) -> None:  # type: ignore[no-untyped-def]
        """Say `message` again until it holds, or the call is over, or time is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETUP_SECONDS
        say_at = loop.time()
        while not holds() and not caller.over.is_set() and loop.time() < deadline:
            if message is not None and loop.time() >= say_at and self._transport is not None:
                self._transport.sendto(message, self._target)
                say_at = loop.time() + REPEAT_SECONDS
            await asyncio.sleep(0.01)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse_sip(data)
        caller = self._calls.get(message.call_id) if message is not None else None
        if message is None or self._transport is None:
            return
        if not message.status:
            if message.method != "ACK":
                self._transport.sendto(answer(message, "200 OK" if caller else "481 No such call"), addr)
            if caller is not None and message.method == "BYE":
                caller.record.ended_by, caller.record.ended_at = "far", asyncio.get_running_loop().time()
                caller.over.set()
        elif caller is not None:
            self._answered(caller, message)

    def _answered(self, caller: _Caller, message: SipMessage) -> None:
        assert self._transport is not None
        record = caller.record
        if message.method == "BYE":
            caller.over.set()
            return
        if message.method != "INVITE":
            return
        record.status = message.status
        if message.status < 200:
            return
        caller.to = message.headers.get("to", caller.to)
        dialing = caller.dialing
        if message.status < 300:
            caller.contact = message.contact or dialing.uri
            ack = dialing.request("ACK", caller.contact, 1, f"{dialing.tag}a", caller.to)
            caller.far_sound = media_address(message.body)
            if record.answered_at is None:
                record.answered_at = asyncio.get_running_loop().time()
        else:
            ack = dialing.request("ACK", dialing.uri, 1, f"{dialing.tag}i", caller.to)
            record.ended_by = "refused"
            caller.over.set()
        self._transport.sendto(ack, self._target)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            now = loop.time()
            self.lag_seconds = max(self.lag_seconds, now - due)
            for caller in list(self._calls.values()):
                caller.tick(now)
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
