"""The wire against a real Asterisk and a real phone: escaping, sound both ways, digits, hang-ups, refusals."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hotline.asterisk import AsteriskServer, Surroundings, on_free_ports
from hotline.phone import CallReport, CallScript, HangUp, Press, Speak, Step, place_call
from ivr.agi import CHANNEL_UP, AgiCall, AgiReply, AgiServer, CallerGone
from ivr.audiosocket import AudioConnection, AudioFrame, AudioSocketServer, DtmfFrame, HangUpCause
from ivr.errors import CallError
from ivr.recorder import HeardRecorder

pytestmark = pytest.mark.timeout(120)
RATE_HZ = 8000
WAIT_SECONDS = 40.0
PROMPT_HZ, VOICE_HZ = 700, 310


def tone(hz: float, seconds: float) -> bytes:
    return (9000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype("<i2").tobytes()


def heard_at(path: Path, hz: float) -> tuple[float, float]:
    """When a tone begins in a file and for how long it sounds, in seconds, by 20 ms frames."""
    samples, _rate = soundfile.read(path, dtype="int16")
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(float)
    power = np.abs(np.fft.rfft(frames * np.hanning(160), axis=1)) ** 2
    at = round(hz / 50)
    is_tone = (power[:, at - 1 : at + 2].sum(axis=1) > 0.6 * power.sum(axis=1)) & ((frames**2).mean(axis=1) > 200**2)
    assert is_tone.any(), f"{hz} Hz is not in {path.name}"
    return float(np.argmax(is_tone)) * 0.02, float(is_tone.sum()) * 0.02


async def written(path: Path, seconds: float) -> None:
    """Asterisk writes a recording's last second some time after the call."""
    async with asyncio.timeout(WAIT_SECONDS):
        while path.stat().st_size < 44 + 2 * RATE_HZ * seconds:  # noqa: ASYNC110, ASYNC240 - another process writes
            await asyncio.sleep(0.1)


Handler = Callable[[AgiCall], Any]


class Lab:
    """One Asterisk, one AGI server whose handler a test chooses, one AudioSocket server a test."""

    def __init__(self, asterisk: AsteriskServer, agi: AgiServer) -> None:
        self.asterisk, self.agi = asterisk, agi
        self.handler: Handler | None = None
        self.results: queue.Queue[Any] = queue.Queue()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.sound: AudioSocketServer | None = None

    def handle(self, call: AgiCall) -> None:
        assert self.handler is not None
        try:
            self.results.put(self.handler(call))
        except Exception as error:
            self.results.put(error)
            raise

    def talk(self, call: AgiCall, session: Callable[[AudioConnection], Any], taps: tuple[Any, ...] = ()) -> Any:
        """The AudioSocket part of a call: → (the session's result, what EXEC answered)."""
        assert self.loop is not None
        assert self.sound is not None
        sound = self.sound

        async def expect() -> Any:
            return sound.expect(call.argument(1), taps)

        async def converse(rendezvous: Any) -> Any:
            return await session(await rendezvous.connection(WAIT_SECONDS))

        rendezvous = asyncio.run_coroutine_threadsafe(expect(), self.loop).result(WAIT_SECONDS)
        conversation = asyncio.run_coroutine_threadsafe(converse(rendezvous), self.loop)
        reply = call.exec("AudioSocket", call.argument(1), f"127.0.0.1:{sound.port}")
        return conversation.result(WAIT_SECONDS), reply

    async def dial(self, steps: list[Step], heard: Path | None = None) -> tuple[CallReport, Any]:
        report = await place_call(
            CallScript(self.asterisk.sip_uri, steps, heard=heard, listen_silence_seconds=0.4, patience_seconds=10)
        )
        return report, await asyncio.to_thread(self.results.get, timeout=WAIT_SECONDS)


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    state = tmp_path_factory.mktemp("wire")
    prompts = state / "prompts" / "zh"
    prompts.mkdir(parents=True)
    for name in ("fallback_apology", "queue_busy", "leave_message", "goodbye", "human_wait"):
        soundfile.write(prompts / f"{name}.wav", np.zeros(800, np.int16), RATE_HZ, subtype="PCM_16")
    labs: list[Lab] = []
    agi = AgiServer("127.0.0.1", 0, {"/call": lambda call: labs[0].handle(call)})
    agi.start()
    around = Surroundings(state / "spool", prompts.parent, "127.0.0.1", agi.port)
    with AsteriskServer(
        on_free_ports(queue_seconds=1, first_word_seconds=20), state_dir=state, around=around
    ) as server:
        labs.append(Lab(server, agi))
        yield labs[0]
    agi.stop(1)


@pytest.fixture
async def lab(wired: Lab) -> AsyncIterator[Lab]:
    wired.loop, wired.sound = asyncio.get_running_loop(), AudioSocketServer("127.0.0.1", 0)
    await wired.sound.start()
    yield wired
    await wired.sound.stop()


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.frombuffer(tone(VOICE_HZ, 1.0), "<i2"), RATE_HZ, subtype="PCM_16")
    return path


def done(call: AgiCall, outcome: str = "completed") -> None:
    call.set_variable("HOTLINE_OUTCOME", outcome)
    call.set_variable("HOTLINE_DONE", "1")


async def test_values_are_read_back_by_asterisk_as_they_were_set(lab: Lab) -> None:
    values = [
        'she said "hi"',
        "back\\slash \\n \\\\",
        "a, b; c | ${EXTEN} $[1+1] 'x'",
        "楼上；半夜装修",
        " blanks  ",
        "\\",
        '"',
        "x" * 1000,
    ]

    def handler(call: AgiCall) -> list[str | None]:
        read = []
        for value in values:
            assert call.set_variable("HOTLINE_TRY", value)
            read.append(call.get_variable("HOTLINE_TRY"))
        with pytest.raises(CallError, match="agi-value-refused"):
            call.set_variable("HOTLINE_TRY", 'x\nSET VARIABLE HOTLINE_DONE "hacked"')
        assert call.get_variable("HOTLINE_DONE") is None
        assert call.get_variable("HOTLINE_NEVER_SET") is None
        assert call.channel_status() == CHANNEL_UP
        done(call)
        return read

    lab.handler = handler
    report, read = await lab.dial([])
    assert read == values
    assert (report.answered, report.hung_up_by) == (True, "far")


async def test_an_unknown_command_or_application_is_told_and_the_call_goes_on(lab: Lab) -> None:
    def handler(call: AgiCall) -> list[Any]:
        with pytest.raises(CallError, match="agi-command-refused"):
            call._ask("NO SUCH COMMAND")
        with pytest.raises(CallError, match="agi-command-refused"):
            call._ask("SET VARIABLE", "lonely")  # answered with a usage text of many lines
        unknown = call.exec("NoSuchApplication", "x")
        status = call.channel_status()
        done(call)
        return [unknown, status]

    lab.handler = handler
    _report, (unknown, status) = await lab.dial([])
    assert unknown == AgiReply(200, "-2")
    assert status == CHANNEL_UP


async def test_a_conversation_both_ways_with_digits(lab: Lab, tmp_path: Path, voice: Path) -> None:
    """The prompt is heard whole; what is said lies at its place in heard.wav, the digit's pause included; then the
    AGI script goes on with the caller still there."""
    recorder = HeardRecorder(tmp_path / "heard.wav")
    started: list[datetime] = []

    async def session(line: AudioConnection) -> list[Any]:
        started.append(datetime.now(UTC))
        said = await line.play(tone(PROMPT_HZ, 1.5)).finished()
        digits = []
        frames = 0
        while len(digits) < 2:
            event = await line.receive(WAIT_SECONDS)
            if isinstance(event, DtmfFrame):
                digits.append((event.digit, event.at_seconds))
            elif isinstance(event, AudioFrame):
                frames += 1
            else:
                break
        end_seconds = line.now_seconds
        line.close()
        return [said, digits, frames, end_seconds]

    def handler(call: AgiCall) -> Any:
        talked = lab.talk(call, session, (recorder,))
        status = call.channel_status()
        epoch_ms, folder = call.argument(3), Path(call.argument(2))
        done(call)
        return (*talked, status, epoch_ms, folder)

    lab.handler = handler
    steps: list[Step] = [
        Speak(voice),
        Press("5", at_seconds=4.0),
        Speak(voice, at_seconds=5.0),
        Press("#", at_seconds=6.5),
    ]
    report, ((said, digits, frames, end_seconds), reply, status, epoch_ms, folder) = await lab.dial(
        steps, tmp_path / "phone.wav"
    )
    recorder.close()
    assert said is True
    assert [digit for digit, _at in digits] == ["5", "#"]
    assert (reply, status, report.hung_up_by) == (AgiReply(200, "0"), CHANNEL_UP, "far")
    assert heard_at(tmp_path / "phone.wav", PROMPT_HZ)[1] == pytest.approx(1.5, abs=0.1)
    # position in the file is the clock, although frames paused while the digit was pressed
    assert recorder.seconds == pytest.approx(end_seconds, abs=0.7)
    begins, sounds = heard_at(tmp_path / "heard.wav", VOICE_HZ)
    assert sounds == pytest.approx(2.0, abs=0.2)
    assert frames * 0.02 <= recorder.seconds + 0.02
    # heard.wav lies in recording.wav where the clocks say
    await written(folder / "recording.wav", 5.0)
    offset = started[0].timestamp() - int(epoch_ms) / 1000
    assert heard_at(folder / "recording.wav", VOICE_HZ)[0] == pytest.approx(begins + offset, abs=0.3)


async def test_a_prompt_is_cut_off_when_the_caller_speaks(lab: Lab, tmp_path: Path, voice: Path) -> None:
    async def session(line: AudioConnection) -> list[Any]:
        playback = line.play(tone(PROMPT_HZ, 20))
        while True:
            event = await line.receive(WAIT_SECONDS)
            assert isinstance(event, AudioFrame)
            if np.abs(np.frombuffer(event.pcm, "<i2")).max() > 3000:
                break
        said_ms = line.stop()
        over = await playback.finished()
        await asyncio.sleep(1.0)
        line.close()
        return [said_ms, over]

    def handler(call: AgiCall) -> Any:
        talked = lab.talk(call, session)
        done(call)
        return talked

    lab.handler = handler
    _report, ((said_ms, over), _reply) = await lab.dial(
        [Speak(voice, barge_in_after_seconds=1.0)], tmp_path / "phone.wav"
    )
    assert over is False
    assert 500 < said_ms < 15_000
    # what the caller heard of the prompt is what we say was said
    assert heard_at(tmp_path / "phone.wav", PROMPT_HZ)[1] == pytest.approx(said_ms / 1000, abs=0.25)


async def test_a_silent_line_stays_open(lab: Lab) -> None:
    """Longer than the 2 s after which Asterisk gives up when neither side sends."""

    async def session(line: AudioConnection) -> Any:
        await asyncio.sleep(5)
        hang_up = line.hang_up
        line.close()
        return hang_up

    def handler(call: AgiCall) -> Any:
        talked = lab.talk(call, session)
        done(call)
        return talked

    lab.handler = handler
    _report, (hang_up, reply) = await lab.dial([])
    assert hang_up is None
    assert reply == AgiReply(200, "0")


async def test_a_hang_up_is_a_fact_on_both_wires(lab: Lab, voice: Path) -> None:
    async def session(line: AudioConnection) -> Any:
        while line.hang_up is None:
            await line.receive(1)
        assert line.hang_up is not None
        return line.hang_up.cause

    def handler(call: AgiCall) -> Any:
        cause, reply = lab.talk(call, session)
        gone, could_set = call.gone, call.set_variable("HOTLINE_DONE", "1")
        return cause, reply, gone, could_set, call.exec("Playback", "x")

    lab.handler = handler
    report, (cause, reply, gone, could_set, later) = await lab.dial([Speak(voice, at_seconds=0.5), HangUp()])
    assert report.hung_up_by == "near"
    assert cause is HangUpCause.CALLER
    assert isinstance(reply, CallerGone)
    assert isinstance(gone, CallerGone)
    assert isinstance(later, CallerGone)
    # the dialplan says AGIEXITONHANGUP: Asterisk ends the conversation, so nothing can be set any more
    assert could_set is False
    assert gone == CallerGone(conversation_open=False)


async def test_sound_that_asterisk_cannot_bring_is_a_failure_not_a_hang_up(lab: Lab) -> None:
    def handler(call: AgiCall) -> Any:
        reply = call.exec("AudioSocket", call.argument(1), "127.0.0.1:9")
        gone = call.gone
        done(call)
        return reply, gone

    lab.handler = handler
    report, (reply, gone) = await lab.dial([])
    assert reply == AgiReply(200, "-1")
    assert gone is None
    assert report.hung_up_by == "far"


async def test_a_uuid_nobody_expects_is_refused_and_the_caller_is_still_there(lab: Lab) -> None:
    def handler(call: AgiCall) -> Any:
        assert lab.sound is not None
        call.exec("AudioSocket", "8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab", f"127.0.0.1:{lab.sound.port}")
        status = call.channel_status()
        done(call)
        return status

    lab.handler = handler
    _report, status = await lab.dial([])
    assert status == CHANNEL_UP
