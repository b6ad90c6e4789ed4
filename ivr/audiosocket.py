"""AudioSocket: the caller's sound and digits in, our prompts out, over one TCP connection a call (asyncio).

The wire is in audiosocket_wire.py, the clocks in playout.py. A caller's hang-up is end of file. Frames pause while a
digit is pressed and when the phone sends nothing in silence, and Asterisk gives up after 2 s in which neither side
sends: so a frame is sent every 20 ms for the whole of the call, prompt or silence, and time runs on the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import structlog

from ivr.audiosocket_wire import (
    KIND_HANG_UP,
    KIND_SOUND,
    AudioSocketParser,
    Digit,
    Identified,
    PeerError,
    PeerHungUp,
    Sound,
    Violation,
    WireEvent,
    encode_frame,
)
from ivr.errors import CallError
from ivr.metrics import (
    AUDIO_BROKEN,
    AUDIO_EVENTS_DROPPED,
    AUDIO_GAP_SECONDS,
    AUDIO_LIVE,
    AUDIO_REFUSED,
    PLAYOUT_LATE_FRAMES,
)
from ivr.playout import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE_HZ, Playback, Playout, Timeline

log = structlog.get_logger(__name__)

# Asterisk closes at once on 0x00; a peer that does not is cut off after this.
CLOSING_SECONDS = 2.0


# what a call hears


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """20 ms of the caller (320 bytes; the last before a gap or the end may be shorter).

    `at_seconds` is where its first sample lies on the call's clock (0 = connection), which is also its place in
    heard.wav: `start_sample` / 8000. Gaps between frames are silence nobody sent.
    """

    pcm: bytes
    start_sample: int

    @property
    def at_seconds(self) -> float:
        return self.start_sample / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class DtmfFrame:
    digit: str
    at_seconds: float


class HangUpCause(StrEnum):
    CALLER = "caller"  # end of file: the caller left (or Asterisk died)
    PEER = "peer"  # Asterisk sent 0x00
    BROKEN = "broken"  # the peer broke the protocol, or took no sound for too long
    SELF = "self"  # we closed


@dataclass(frozen=True, slots=True)
class HangUp:
    cause: HangUpCause
    at_seconds: float


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """Asterisk reported an error (0xff); a HangUp follows when it closes."""

    code: int | None
    at_seconds: float


HeardEvent = AudioFrame | DtmfFrame | HangUp | ErrorFrame


# the edge

Tap = Callable[[AudioFrame], None]


class AudioConnection:
    """One call's sound. Used on the event loop that serves it.

    Hearing: `await receive(timeout)`; the last event is HangUp, always. The queue holds 30 s; past that (the session hangs) the oldest sound is dropped and counted and `late` is set, while taps
    (the recorder) have had every frame. Digits and HangUp are never dropped.
    Saying: `play`, `stop`; silence is sent whenever nothing plays.
    """

    QUEUE_MAX_FRAMES = 1500
    BLOCKED_MAX_SECONDS = 10.0

    def __init__(
        self,
        transport: asyncio.Transport,
        call_id: str,
        taps: Sequence[Tap] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.call_id = call_id
        self.started_at = datetime.now(UTC)
        self.late = False
        self._transport = transport
        self._clock = clock
        self._started_seconds = clock()
        self._taps = list(taps)
        self._timeline = Timeline()
        self._rest = b""
        self._events: deque[HeardEvent] = deque()
        self._queued_frames = 0
        self._arrived = asyncio.Event()
        self._playout = Playout()
        self._blocked_since_seconds: float | None = None
        self._hang_up: HangUp | None = None

    @property
    def now_seconds(self) -> float:
        """The call's clock: seconds since the connection said its uuid (= second 0 of heard.wav)."""
        return self._clock() - self._started_seconds

    @property
    def hang_up(self) -> HangUp | None:
        return self._hang_up

    # hearing

    async def receive(self, timeout_seconds: float | None = None) -> HeardEvent | None:
        """The next event; None when none came in time. After HangUp: HangUp again, at once."""
        if not self._events and self._hang_up is None:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self._arrived.wait()
        if self._events:
            event = self._events.popleft()
            self._queued_frames -= isinstance(event, AudioFrame)
            return event
        return self._hang_up

    # saying

    def play(self, pcm: bytes) -> Playback:
        """Queue 8 kHz s16le mono. After a hang-up it ends at once, unsaid."""
        if self._hang_up:
            playback = Playback(pcm)
            playback.end(False)
            return playback
        return self._playout.play(pcm)

    def stop(self) -> float:
        """Silence from the next frame on; → ms said since the last silence."""
        return self._playout.stop()

    def close(self) -> None:
        """Ask Asterisk to go on (0x00); the AGI command returns result 0. Twice does no harm.

        Asterisk closes then. We do not close first: frames of it that are still on their way would be answered by a
        reset, and a reset can overtake the 0x00.
        """
        if self._hang_up:
            return
        self._transport.write(encode_frame(KIND_HANG_UP))
        self._over(HangUpCause.SELF)
        asyncio.get_running_loop().call_later(CLOSING_SECONDS, self._transport.abort)

    # called by the server

    def heard(self, events: Sequence[WireEvent]) -> None:
        """Everything of one read. After the end nothing is heard any more."""
        if self._hang_up:
            return
        sound = b""
        for event in events:
            if isinstance(event, Sound):
                sound += event.pcm
                continue
            self._hear_sound(sound)
            sound = b""
            if isinstance(event, Digit):
                self._put(DtmfFrame(event.digit, self.now_seconds))
            elif isinstance(event, PeerError):
                log.warning("audiosocket_peer_error", call_id=self.call_id, code=event.code)
                self._put(ErrorFrame(event.code, self.now_seconds))
            elif isinstance(event, PeerHungUp):
                self.lost(HangUpCause.PEER)
            elif isinstance(event, Violation):
                AUDIO_BROKEN.inc()
                log.warning("audiosocket_peer_broken", call_id=self.call_id, reason=event.reason)
                self.lost(HangUpCause.BROKEN)
        self._hear_sound(sound)

    def _hear_sound(self, sound: bytes) -> None:
        if not sound or self._hang_up:
            return
        before = self._timeline.next_sample
        start = self._timeline.place(len(sound) // 2, self.now_seconds)
        if start > before:
            AUDIO_GAP_SECONDS.inc((start - before) / SAMPLE_RATE_HZ)
            self._flush_rest(before)
        first = start - len(self._rest) // 2
        sound = self._rest + sound
        whole = len(sound) - len(sound) % FRAME_BYTES
        for offset in range(0, whole, FRAME_BYTES):
            self._put_frame(AudioFrame(sound[offset : offset + FRAME_BYTES], first + offset // 2))
        self._rest = sound[whole:]

    def _flush_rest(self, end_sample: int) -> None:
        """Half a frame that waited for its other half, before a gap or the end."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._put_frame(AudioFrame(rest, end_sample - len(rest) // 2))

    def _put_frame(self, frame: AudioFrame) -> None:
        for tap in tuple(self._taps):
            try:
                tap(frame)
            except Exception:
                log.exception("audio_tap_failed", call_id=self.call_id)
                self._taps.remove(tap)
        if self._queued_frames >= self.QUEUE_MAX_FRAMES:
            for index, event in enumerate(self._events):
                if isinstance(event, AudioFrame):
                    del self._events[index]
                    self._queued_frames -= 1
                    break
            AUDIO_EVENTS_DROPPED.inc()
            if not self.late:
                log.warning("listening_late", call_id=self.call_id, at_seconds=round(frame.at_seconds, 2))
            self.late = True
        self._queued_frames += 1
        self._put(frame)

    def _put(self, event: HeardEvent) -> None:
        self._events.append(event)
        self._arrived.set()

    def lost(self, cause: HangUpCause) -> None:
        """The connection is over (once; later causes are ignored)."""
        if self._hang_up is None:
            self._flush_rest(self._timeline.next_sample)
            self._transport.close()
            self._over(cause)

    def _over(self, cause: HangUpCause) -> None:
        self._hang_up = HangUp(cause, self.now_seconds)
        self._playout.stop()
        self._put(self._hang_up)

    def tick(self, *, writable: bool) -> None:
        """Send what is due; every 20 ms or so."""
        if self._hang_up:
            return
        now_seconds = self._clock()
        if not writable:
            # Overflow policy of the way out: nothing is sent, prompts wait; after 10 s the peer counts as dead.
            if self._blocked_since_seconds is None:
                self._blocked_since_seconds = now_seconds
            elif now_seconds - self._blocked_since_seconds > self.BLOCKED_MAX_SECONDS:
                log.warning("audiosocket_peer_blocked", call_id=self.call_id)
                self.lost(HangUpCause.BROKEN)
                self._transport.abort()
            self._playout.hold(now_seconds)
            return
        self._blocked_since_seconds = None
        late_before = self._playout.late_frames
        frames = self._playout.due(now_seconds)
        if self._playout.late_frames > late_before:
            PLAYOUT_LATE_FRAMES.inc(self._playout.late_frames - late_before)
        if frames:
            self._transport.write(b"".join(encode_frame(KIND_SOUND, frame) for frame in frames))


class Rendezvous:
    """A call that waits for its sound. `await connection()`, or `cancel()`; after either the uuid is unknown again."""

    def __init__(self, server: AudioSocketServer, call_id: str, taps: Sequence[Tap]) -> None:
        self.call_id = call_id
        self.taps = tuple(taps)
        self.arrived: asyncio.Future[AudioConnection] = asyncio.get_running_loop().create_future()
        self._server = server
        self._taken = False

    async def connection(self, timeout_seconds: float = 5.0) -> AudioConnection:
        """CallError `audio-not-connected` when Asterisk did not come in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                connection = await asyncio.shield(self.arrived)
            self._taken = True
            return connection
        except TimeoutError:
            raise CallError("audio-not-connected", "Asterisk did not connect the call's sound in time") from None
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Nobody waits any more: a connection that comes now is refused; one that came and was not taken is closed."""
        self._server.forget(self)
        if not self.arrived.done():
            self.arrived.cancel()
        elif not self._taken and not self.arrived.cancelled():
            self.arrived.result().close()


class _Wire(asyncio.Protocol):
    """One TCP connection, whoever it is."""

    def __init__(self, server: AudioSocketServer) -> None:
        self._server = server
        self._parser = AudioSocketParser()
        self.transport: asyncio.Transport | None = None
        self.connection: AudioConnection | None = None
        self.writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=50 * (FRAME_BYTES + 3))  # a second of sound; past it we hold
        self._server.wire_opened(self)

    def data_received(self, data: bytes) -> None:
        events = self._parser.feed(data)
        if self.connection is None and events:
            first, *events = events
            if not isinstance(first, Identified):
                self._server.refuse(self, "violation")
                return
            self.connection = self._server.wire_identified(self, first.call_id)
        if self.connection is not None:
            self.connection.heard(events)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.wire_closed(self)
        if self.connection is not None:
            self.connection.lost(HangUpCause.CALLER)


class AudioSocketServer:
    """Accepts AudioSocket connections and brings them to the calls that `expect` them.

    A connection with an unknown or already used uuid, without a uuid within `identify_seconds`, or past
    `unidentified_max` such connections is closed and counted; no call notices.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        identify_seconds: float = 2.0,
        unidentified_max: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._port = host, port
        self._identify_seconds = identify_seconds
        self._unidentified_max = unidentified_max
        self._clock = clock
        self._expected: dict[str, Rendezvous] = {}
        self._unidentified: dict[_Wire, asyncio.TimerHandle] = {}
        self._wires: dict[_Wire, AudioConnection] = {}
        self._all_gone = asyncio.Event()  # no connection of a call is open
        self._all_gone.set()
        self._server: asyncio.Server | None = None
        self._pacer: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The real port (when 0 was asked for), after `start`."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else self._port

    @property
    def live(self) -> int:
        return len(self._wires)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Wire(self), self._host, self._port, backlog=1024)
        self._pacer = loop.create_task(self._pace(), name="audiosocket-pacer")
        log.info("audiosocket_listening", host=self._host, port=self.port)

    async def stop(self) -> None:
        """Closes every connection (Asterisk goes on with the dialplan)."""
        if self._server:
            self._server.close()
        for connection in list(self._wires.values()):
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._all_gone.wait()
        for wire in list(self._unidentified):
            self.refuse(wire, "stopping")
        for rendezvous in list(self._expected.values()):
            rendezvous.cancel()
        if self._pacer:
            self._pacer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pacer

    def expect(self, call_id: str, taps: Sequence[Tap] = ()) -> Rendezvous:
        """From now on the connection with this uuid is wanted, once. Taps get every frame before anybody else.

        CallError `call-id-refused` when it is no UUID or such a call is waiting or talking already.
        """
        try:
            key = str(UUID(call_id))
        except ValueError:
            raise CallError("call-id-refused", "a call id must be a UUID") from None
        if key in self._expected or any(connection.call_id == key for connection in self._wires.values()):
            raise CallError("call-id-refused", "this call has its sound already")
        rendezvous = Rendezvous(self, key, taps)
        self._expected[key] = rendezvous
        return rendezvous

    # called by Rendezvous and _Wire

    def forget(self, rendezvous: Rendezvous) -> None:
        if self._expected.get(rendezvous.call_id) is rendezvous:
            del self._expected[rendezvous.call_id]

    def wire_opened(self, wire: _Wire) -> None:
        if len(self._unidentified) >= self._unidentified_max:
            self.refuse(wire, "too_many")
            return
        loop = asyncio.get_running_loop()
        self._unidentified[wire] = loop.call_later(self._identify_seconds, self.refuse, wire, "silent")

    def wire_identified(self, wire: _Wire, call_id: str) -> AudioConnection | None:
        rendezvous = self._expected.pop(call_id, None)
        if rendezvous is None or rendezvous.arrived.done():
            self.refuse(wire, "unknown_uuid")
            return None
        self._identified(wire)
        assert wire.transport is not None
        connection = AudioConnection(wire.transport, call_id, rendezvous.taps, self._clock)
        self._wires[wire] = connection
        self._all_gone.clear()
        AUDIO_LIVE.set(len(self._wires))
        rendezvous.arrived.set_result(connection)
        return connection

    def refuse(self, wire: _Wire, reason: str) -> None:
        AUDIO_REFUSED.labels(reason).inc()
        log.warning("audiosocket_refused", reason=reason)
        self._identified(wire)
        if wire.transport:
            wire.transport.abort()

    def wire_closed(self, wire: _Wire) -> None:
        self._identified(wire)
        self._wires.pop(wire, None)
        if not self._wires:
            self._all_gone.set()
        AUDIO_LIVE.set(len(self._wires))

    def _identified(self, wire: _Wire) -> None:
        if timer := self._unidentified.pop(wire, None):
            timer.cancel()

    async def _pace(self) -> None:
        """One clock for all calls: 200 timers of their own would cost more than the sound."""
        loop = asyncio.get_running_loop()
        next_seconds = loop.time()
        while True:
            for wire, connection in list(self._wires.items()):
                try:
                    connection.tick(writable=wire.writable)
                except Exception:
                    log.exception("audiosocket_tick_failed", call_id=connection.call_id)
                    connection.lost(HangUpCause.BROKEN)
            next_seconds = max(next_seconds + FRAME_SECONDS, loop.time() - FRAME_SECONDS)
            await asyncio.sleep(max(0.0, next_seconds - loop.time()))
