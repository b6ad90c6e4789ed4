"""The AudioSocket server over real connections. The clock is ours where time is measured."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from ivr.audiosocket import (
    AudioConnection,
    AudioFrame,
    AudioSocketServer,
    DtmfFrame,
    ErrorFrame,
    HangUp,
    HangUpCause,
    HeardEvent,
)
from ivr.audiosocket_wire import KIND_DTMF, KIND_ERROR, KIND_HANG_UP, KIND_SOUND, KIND_UUID, encode_frame
from ivr.errors import CallError
from ivr.playout import FRAME_BYTES, SILENCE_FRAME
from ivr.recorder import HeardRecorder

WAIT_SECONDS = 20.0
pytestmark = pytest.mark.timeout(60)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Peer:
    """Asterisk's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, kind: int, payload: bytes = b"") -> None:
        self.writer.write(encode_frame(kind, payload))
        await self.writer.drain()

    async def frame(self) -> tuple[int, bytes] | None:
        """The next frame; None at the end."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                head = await self.reader.readexactly(3)
                return head[0], await self.reader.readexactly(int.from_bytes(head[1:], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def until_closed(self) -> list[int]:
        kinds = []
        while (frame := await self.frame()) is not None:
            kinds.append(frame[0])
            if frame[0] == KIND_HANG_UP:
                self.writer.close()  # as Asterisk does
        return kinds


class Lab:
    def __init__(self) -> None:
        self.servers: list[AudioSocketServer] = []
        self.peers: list[Peer] = []

    async def serve(self, **options: object) -> AudioSocketServer:
        server = AudioSocketServer("127.0.0.1", 0, **options)  # type: ignore[arg-type]
        await server.start()
        self.servers.append(server)
        return server

    async def dial(self, server: AudioSocketServer, call_id: str | None = None) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", server.port))
        self.peers.append(peer)
        if call_id:
            await peer.send(KIND_UUID, UUID(call_id).bytes)
        return peer

    async def call(
        self, server: AudioSocketServer, taps: tuple[Callable[[AudioFrame], None], ...] = ()
    ) -> tuple[AudioConnection, Peer]:
        call_id = str(uuid4())
        rendezvous = server.expect(call_id, taps)
        peer = await self.dial(server, call_id)
        return await rendezvous.connection(WAIT_SECONDS), peer


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    lab = Lab()
    yield lab
    for peer in lab.peers:
        peer.writer.close()
    for server in lab.servers:
        await server.stop()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not reached():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def heard(connection: AudioConnection, count: int) -> list[HeardEvent]:
    events = []
    for _ in range(count):
        event = await connection.receive(WAIT_SECONDS)
        assert event is not None
        events.append(event)
    return events


async def to_the_end(connection: AudioConnection) -> list[HeardEvent]:
    events = await heard(connection, 1)
    while not isinstance(events[-1], HangUp):
        events += await heard(connection, 1)
    return events


def tone(sample: int, frames: float = 1) -> bytes:
    return sample.to_bytes(2, "little") * int(160 * frames)


async def test_a_call_is_heard_with_its_times(lab: Lab) -> None:
    clock = Clock()
    connection, peer = await lab.call(await lab.serve(clock=clock))
    clock.now += 0.02
    await peer.send(KIND_SOUND, tone(1))
    assert await heard(connection, 1) == [AudioFrame(tone(1), 0)]
    clock.now += 0.02
    await peer.send(KIND_DTMF, b"5")
    assert await heard(connection, 1) == [DtmfFrame("5", pytest.approx(0.04, abs=0.001))]
    clock.now += 0.5
    await peer.send(KIND_SOUND, tone(2))
    (frame,) = await heard(connection, 1)
    assert isinstance(frame, AudioFrame)
    assert frame.at_seconds == pytest.approx(0.52, abs=0.001)
    await peer.send(KIND_ERROR, b"\x04")
    assert await heard(connection, 1) == [ErrorFrame(4, pytest.approx(0.54, abs=0.001))]
    peer.writer.close()
    assert await heard(connection, 2) == [HangUp(HangUpCause.CALLER, pytest.approx(0.54, abs=0.001))] * 2


async def test_other_sizes_are_cut_into_20_ms(lab: Lab) -> None:
    clock = Clock()
    connection, peer = await lab.call(await lab.serve(clock=clock))
    clock.now += 0.1
    await peer.send(KIND_SOUND, tone(1, 2.5))
    await peer.send(KIND_SOUND, tone(1, 0.25))
    await peer.send(KIND_DTMF, b"1")
    frames = await heard(connection, 3)
    assert [len(frame.pcm) for frame in frames[:2] if isinstance(frame, AudioFrame)] == [FRAME_BYTES, FRAME_BYTES]
    assert isinstance(frames[2], DtmfFrame)
    clock.now += 1
    await peer.send(KIND_SOUND, tone(2, 1))
    rest, frame = await heard(connection, 2)
    assert isinstance(rest, AudioFrame)
    assert isinstance(frame, AudioFrame)
    assert rest.pcm == tone(1, 0.75)
    assert rest.start_sample + len(rest.pcm) // 2 <= frame.start_sample


async def test_the_last_event_is_the_hang_up_and_stays(lab: Lab) -> None:
    connection, peer = await lab.call(await lab.serve())
    await peer.send(KIND_SOUND, tone(1))
    await peer.send(KIND_HANG_UP)
    events = await to_the_end(connection)
    assert [type(event) for event in events] == [AudioFrame, HangUp]
    assert connection.hang_up is not None
    assert connection.hang_up.cause is HangUpCause.PEER
    assert await connection.receive() == connection.hang_up
    assert await peer.until_closed() is not None


async def test_waiting_in_vain_gives_none(lab: Lab) -> None:
    connection, _peer = await lab.call(await lab.serve())
    assert await connection.receive(0.01) is None


async def test_a_prompt_is_said_then_silence_keeps_the_line_alive(lab: Lab) -> None:
    connection, peer = await lab.call(await lab.serve())
    playback = connection.play(tone(7, 10))
    assert await playback.finished() is True
    assert connection.stop() == 0.0
    frames = [await peer.frame() for _ in range(30)]
    said = [frame[1] for frame in frames if frame is not None and frame[1] != SILENCE_FRAME]
    assert b"".join(said) == tone(7, 10)
    assert frames[-1] == (KIND_SOUND, SILENCE_FRAME)


async def test_a_prompt_is_cut_off_at_once(lab: Lab) -> None:
    connection, peer = await lab.call(await lab.serve())
    playback = connection.play(tone(7, 500))
    while await peer.frame() == (KIND_SOUND, SILENCE_FRAME):
        pass
    said_ms = connection.stop()
    assert 0 < said_ms < 10_000
    assert await playback.finished() is False
    assert playback.played_ms == said_ms
    while await peer.frame() != (KIND_SOUND, SILENCE_FRAME):
        pass


async def test_closing_lets_asterisk_go_on(lab: Lab) -> None:
    server = await lab.serve()
    connection, peer = await lab.call(server)
    playback = connection.play(tone(7, 50))
    connection.close()
    connection.close()
    assert (await peer.until_closed())[-1] == KIND_HANG_UP
    assert await playback.finished() is False
    assert await heard(connection, 1) == [connection.hang_up]
    assert connection.play(tone(1)).over
    assert connection.stop() == 0.0


async def test_what_comes_after_our_close_is_not_heard_and_a_peer_that_stays_is_cut_off(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ivr import audiosocket

    monkeypatch.setattr(audiosocket, "CLOSING_SECONDS", 0.1)
    server = await lab.serve()
    connection, peer = await lab.call(server)
    connection.close()
    await peer.send(KIND_DTMF, b"1")
    await peer.send(KIND_SOUND, tone(1))
    await until(lambda: server.live == 0)
    assert await to_the_end(connection) == [connection.hang_up]


@pytest.mark.parametrize(
    "wire",
    [
        encode_frame(KIND_SOUND, bytes(320)),
        encode_frame(KIND_UUID, bytes(15)),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 70000,
        encode_frame(KIND_UUID, uuid4().bytes),
    ],
    ids=["sound-first", "short-uuid", "http", "garbage", "unknown-uuid"],
)
async def test_a_stranger_is_sent_away_and_nobody_notices(lab: Lab, wire: bytes) -> None:
    server = await lab.serve()
    connection, peer = await lab.call(server)
    with capture_logs() as logs:
        stranger = await lab.dial(server)
        stranger.writer.write(wire)
        assert await stranger.until_closed() == []
    assert "audiosocket_refused" in [entry["event"] for entry in logs]
    await peer.send(KIND_SOUND, tone(3))
    (frame,) = await heard(connection, 1)
    assert isinstance(frame, AudioFrame)
    assert frame.pcm == tone(3)
    assert server.live == 1


async def test_a_uuid_is_good_for_one_connection(lab: Lab) -> None:
    server = await lab.serve()
    connection, peer = await lab.call(server)
    second = await lab.dial(server, connection.call_id)
    assert await second.until_closed() == []
    await peer.send(KIND_SOUND, tone(3))
    assert await heard(connection, 1)
    with pytest.raises(CallError, match="call-id-refused"):
        server.expect(connection.call_id)


async def test_one_call_cannot_be_expected_twice_and_must_have_a_uuid(lab: Lab) -> None:
    server = await lab.serve()
    call_id = str(uuid4())
    server.expect(call_id)
    for wrong in (call_id, call_id.upper(), "12345", ""):
        with pytest.raises(CallError, match="call-id-refused"):
            server.expect(wrong)


async def test_sound_that_never_comes_is_an_error_and_too_late_is_refused(lab: Lab) -> None:
    server = await lab.serve()
    call_id = str(uuid4())
    with pytest.raises(CallError, match="audio-not-connected"):
        await server.expect(call_id).connection(0.01)
    assert await (await lab.dial(server, call_id)).until_closed() == []


async def test_a_session_that_died_before_its_sound_came_leaves_no_open_line(lab: Lab) -> None:
    server = await lab.serve()
    call_id = str(uuid4())
    rendezvous = server.expect(call_id)
    peer = await lab.dial(server, call_id)
    assert await peer.frame() == (KIND_SOUND, SILENCE_FRAME)
    rendezvous.cancel()
    assert (await peer.until_closed())[-1] == KIND_HANG_UP


async def test_who_does_not_say_a_uuid_is_sent_away(lab: Lab) -> None:
    server = await lab.serve(identify_seconds=0.05)
    silent = await lab.dial(server)
    silent.writer.write(b"\x01\x00")
    assert await silent.until_closed() == []


async def test_nameless_connections_are_limited(lab: Lab) -> None:
    server = await lab.serve(unidentified_max=3, identify_seconds=WAIT_SECONDS)
    nameless = [await lab.dial(server) for _ in range(3)]
    await until(lambda: len(server._unidentified) == 3)
    assert await (await lab.dial(server)).until_closed() == []
    nameless[0].writer.close()
    await until(lambda: len(server._unidentified) < 3)
    connection, _peer = await lab.call(server)
    assert connection.hang_up is None


@pytest.mark.parametrize(
    "wire",
    [b"\x10\xff\xff", encode_frame(KIND_DTMF, b"\n"), encode_frame(KIND_UUID, bytes(16))],
    ids=["big", "digit", "uuid"],
)
async def test_a_peer_that_breaks_the_protocol_ends_its_own_call(lab: Lab, wire: bytes) -> None:
    server = await lab.serve()
    (broken, broken_peer), (other, other_peer) = await lab.call(server), await lab.call(server)
    with capture_logs() as logs:
        broken_peer.writer.write(encode_frame(KIND_SOUND, tone(1)) + wire)
        frame, end = await heard(broken, 2)
    assert isinstance(frame, AudioFrame)
    assert isinstance(end, HangUp)
    assert end.cause is HangUpCause.BROKEN
    assert [entry["call_id"] for entry in logs if entry["event"] == "audiosocket_peer_broken"] == [broken.call_id]
    await other_peer.send(KIND_DTMF, b"1")
    assert isinstance((await heard(other, 1))[0], DtmfFrame)


async def test_a_peer_that_takes_nothing_holds_up_nobody_and_is_given_up(lab: Lab) -> None:
    """Its prompt waits; after 10 s by the clock it counts as dead."""
    clock = Clock()
    server = await lab.serve(clock=clock)
    (deaf, deaf_peer), (other, other_peer) = await lab.call(server), await lab.call(server)
    deaf_peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    deaf_said = deaf.play(tone(7, 30_000))
    # enough ticks to fill both ends' buffers of a connection that nobody reads
    wire = next(wire for wire, connection in server._wires.items() if connection is deaf)
    assert wire.transport is not None
    wire.transport.write(encode_frame(KIND_SOUND, SILENCE_FRAME) * 40_000)
    assert not wire.writable
    other_said = other.play(tone(8, 3))
    for _ in range(5):
        clock.now += 0.02
        deaf.tick(writable=wire.writable)
        other.tick(writable=True)
    assert await other_said.finished() is True
    assert not deaf_said.over
    with capture_logs() as logs:
        clock.now += AudioConnection.BLOCKED_MAX_SECONDS + 1
        deaf.tick(writable=wire.writable)
    assert deaf.hang_up is not None
    assert deaf.hang_up.cause is HangUpCause.BROKEN
    assert "audiosocket_peer_blocked" in [entry["event"] for entry in logs]
    assert other.hang_up is None
    while await other_peer.frame() != (KIND_SOUND, tone(8)):
        pass


async def test_a_session_that_hangs_loses_old_sound_but_no_digit_and_the_tap_has_all(lab: Lab) -> None:
    tapped: list[AudioFrame] = []
    connection, peer = await lab.call(await lab.serve(), (tapped.append,))
    most = AudioConnection.QUEUE_MAX_FRAMES
    await peer.send(KIND_DTMF, b"7")
    for n in range(most + 100):
        peer.writer.write(encode_frame(KIND_SOUND, tone(n)))
    peer.writer.close()
    await until(lambda: connection.hang_up is not None)
    assert connection.late
    assert [frame.pcm for frame in tapped] == [tone(n) for n in range(most + 100)]
    events = await to_the_end(connection)
    assert isinstance(events[0], DtmfFrame)
    assert [event.pcm for event in events if isinstance(event, AudioFrame)] == [tone(n) for n in range(100, most + 100)]
    assert isinstance(events[-1], HangUp)


async def test_a_tap_that_fails_is_taken_off_and_the_call_goes_on(lab: Lab) -> None:
    def broken(_frame: AudioFrame) -> None:
        raise OSError("a bug")

    tapped: list[AudioFrame] = []
    connection, peer = await lab.call(await lab.serve(), (broken, tapped.append))
    with capture_logs() as logs:
        await peer.send(KIND_SOUND, tone(1))
        await peer.send(KIND_SOUND, tone(2))
        await heard(connection, 2)
    assert len(tapped) == 2
    assert [entry["event"] for entry in logs].count("audio_tap_failed") == 1


async def test_stopping_lets_every_call_go_on_in_the_dialplan() -> None:
    lab = Lab()
    server = await lab.serve()
    calls = [await lab.call(server) for _ in range(3)]
    nameless, waiting = await lab.dial(server), server.expect(str(uuid4()))
    await until(lambda: bool(server._unidentified))
    ends, _ = await asyncio.gather(asyncio.gather(*(peer.until_closed() for _c, peer in calls)), server.stop())
    assert [kinds[-1] for kinds in ends] == [KIND_HANG_UP] * 3
    for connection, _peer in calls:
        assert connection.hang_up is not None
    assert await nameless.until_closed() == []
    assert waiting.arrived.cancelled()


async def test_fifty_calls_at_once_each_hear_and_say_their_own(lab: Lab) -> None:
    server = await lab.serve()
    calls = [await lab.call(server) for _ in range(50)]
    said = [connection.play(tone(n + 1, 5)) for n, (connection, _peer) in enumerate(calls)]

    async def one(n: int, connection: AudioConnection, peer: Peer) -> None:
        for _ in range(5):
            await peer.send(KIND_SOUND, tone(n + 1))
        frames = await heard(connection, 5)
        assert {frame.pcm for frame in frames if isinstance(frame, AudioFrame)} == {tone(n + 1)}
        assert await said[n].finished() is True
        got = b""
        while len(got) < 5 * FRAME_BYTES:
            frame = await peer.frame()
            assert frame is not None
            got += frame[1] if frame[1] != SILENCE_FRAME else b""
        assert got == tone(n + 1, 5)

    await asyncio.gather(*(one(n, *call) for n, call in enumerate(calls)))


# heard.wav


def samples(path: Path) -> list[int]:
    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 8000)
        data = wav.readframes(wav.getnframes())
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]


async def test_the_file_of_a_call_is_by_the_clock(lab: Lab, tmp_path: Path) -> None:
    clock = Clock()
    recorder = HeardRecorder(tmp_path / "heard.wav")
    connection, peer = await lab.call(await lab.serve(clock=clock), (recorder,))
    for pause, sample in ((0.02, 1), (0.02, 2), (0.52, 3), (0.02, 4)):
        clock.now += pause
        await peer.send(KIND_SOUND, tone(sample))
        await heard(connection, 1)
    assert recorder.seconds == pytest.approx(0.58, abs=0.001)
    recorder.close()
    recorder.close()
    got = samples(tmp_path / "heard.wav")
    assert got[:320] == [1] * 160 + [2] * 160
    assert set(got[320:4319]) == {0}
    assert got[-320:] == [3] * 160 + [4] * 160


def test_a_killed_recorder_leaves_everything_it_heard(tmp_path: Path) -> None:
    from speech.audio import read_telephone, repair_wav

    recorder = HeardRecorder(tmp_path / "heard.wav")
    for n in range(50):
        recorder.write(AudioFrame(tone(100 + n), n * 160))
    # not closed: as a kill -9 would leave it
    assert len(read_telephone(tmp_path / "heard.wav")) == 50 * FRAME_BYTES
    assert repair_wav(tmp_path / "heard.wav")
    assert len(samples(tmp_path / "heard.wav")) == 50 * 160
    recorder.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full disk")
def test_a_full_disk_at_the_start_has_a_code(tmp_path: Path) -> None:
    (tmp_path / "heard.wav").symlink_to("/dev/full")
    with pytest.raises(CallError, match="disk-full"):
        HeardRecorder(tmp_path / "heard.wav")


def test_a_disk_that_fills_up_is_told_once_and_the_call_goes_on(tmp_path: Path) -> None:
    """A file size limit stands for the full disk: it fails in the same call, for this process only."""
    import resource
    import signal

    recorder = HeardRecorder(tmp_path / "heard.wav")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (44 + 320 * 2 + 100, before[1]))
        with capture_logs() as logs:
            for n in range(10):
                recorder.write(AudioFrame(tone(5), n * 160))
            recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert recorder.failed is not None
    assert recorder.failed.code == "disk-full"
    assert [entry["event"] for entry in logs] == ["heard_recording_failed"]
    assert samples(tmp_path / "heard.wav") == [5] * 320  # header repaired over what was kept


def test_a_mad_clock_makes_no_endless_file(tmp_path: Path) -> None:
    recorder = HeardRecorder(tmp_path / "heard.wav")
    recorder.write(AudioFrame(tone(1), 2**33))
    recorder.close()
    assert (tmp_path / "heard.wav").stat().st_size == 44
