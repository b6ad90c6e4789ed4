"""The SIP phone: what it does with bad input, and that nothing of it outlives its call."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hotline.asterisk import AsteriskServer
from hotline.phone import (
    CallScript,
    HangUp,
    PhoneCall,
    PhoneError,
    PhoneEvent,
    Press,
    Speak,
    StaySilent,
    Wait,
    place_call,
    report_of,
    step_from_json,
    step_to_json,
)
from hotline.phone_line import FarSpeech, _host_and_port, read_speech


def feed(far: FarSpeech, *spans: tuple[float, float]) -> list[float]:
    """Spans of (seconds, loudness) → the seconds at which speech was heard to begin."""
    begins = []
    for seconds, rms in spans:
        for _ in range(round(seconds * 50)):
            if far.feed(rms):
                begins.append(far.seconds)
    return begins


def test_speech_and_the_silence_after_it() -> None:
    far = FarSpeech()
    assert feed(far, (1.0, 0), (2.0, 3000), (0.2, 10), (1.0, 3000), (0.7, 10)) == [pytest.approx(1.06)]
    assert not far.speaking
    assert far.quiet_seconds == pytest.approx(0.7)
    assert far.loud_frames * 0.02 == pytest.approx(3.0, abs=0.05)
    assert feed(far, (0.5, 3000)) == [pytest.approx(4.96)]
    assert len(far.onsets) == 2


def test_clicks_and_silence_are_no_speech() -> None:
    far = FarSpeech()
    assert feed(far, *[(0.02, 9000.0), (0.5, 0.0)] * 5, (5.0, 8.0)) == []
    assert not far.speaking


def test_steps_survive_the_pipe(tmp_path: Path) -> None:
    steps = [
        Speak(tmp_path / "一.wav", barge_in_after_seconds=1.5),
        Speak(tmp_path / "b.wav", at_seconds=0.0, hang_up_after_seconds=2.0),
        Press("12*#"),
        Wait(2.5),
        StaySilent(),
        HangUp(when_listening=True),
    ]
    assert [step_from_json(step_to_json(step)) for step in steps] == steps


@pytest.mark.parametrize("digits", ["", "12a", "1 2", "1\r\nBYE", "１"])
def test_keys_that_no_phone_has_are_refused(digits: str) -> None:
    with pytest.raises(PhoneError) as caught:
        Press(digits)
    assert caught.value.code == "phone-digits-invalid"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:12345@127.0.0.1:5160", ("127.0.0.1", 5160)),
        ("sip:12345@10.0.0.1", ("10.0.0.1", 5060)),
        ("sip:12345@[::1]:5160;transport=udp", ("::1", 5160)),
        ("sip:[::1]", ("::1", 5060)),
    ],
)
def test_where_a_uri_leads(uri: str, address: tuple[str, int]) -> None:
    assert _host_and_port(uri) == address


@pytest.mark.parametrize("uri", ["12345", "sip:", "tel:12345", "sip:1@h:99999", "sip:1@h:x"])
def test_a_uri_that_leads_nowhere(uri: str) -> None:
    with pytest.raises(PhoneError) as caught:
        _host_and_port(uri)
    assert caught.value.code == "phone-uri-invalid"


def test_any_sound_becomes_telephone_sound(tmp_path: Path) -> None:
    stereo = np.stack([np.full(44100, 0.5), np.full(44100, -0.5)], axis=1)
    stereo[:, 0] += 2.0  # too loud for 16 bits
    soundfile.write(tmp_path / "stereo.wav", stereo, 44100, subtype="FLOAT")
    samples = np.frombuffer(read_speech(tmp_path / "stereo.wav"), "<i2")
    assert len(samples) == pytest.approx(8000, abs=10)
    assert samples[4000] > 30000
    soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan), 8000, subtype="FLOAT")
    assert set(read_speech(tmp_path / "nan.wav")) == {0}
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    assert read_speech(tmp_path / "empty.wav") == b""


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"not a sound", b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + b"\0" * 99]
)
async def test_what_is_no_sound_costs_no_call(
    asterisk: AsteriskServer, agi: Any, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    report = await place_call(CallScript(asterisk.sip_uri, [Speak(tmp_path / "bad.wav")]))
    assert not report.answered
    assert [problem.split(":")[0] for problem in report.problems] == ["phone-audio-unreadable"]
    assert agi.lines == []


async def test_a_missing_file_is_said_before_the_call(asterisk: AsteriskServer, tmp_path: Path) -> None:
    with pytest.raises(PhoneError) as caught:
        await place_call(CallScript(asterisk.sip_uri, [Speak(tmp_path / "none.wav")]))
    assert caught.value.code == "phone-audio-missing"


@pytest.mark.parametrize("number", ["", "1\r\nVia: x", "1" * 200])
async def test_a_number_that_cannot_be_sent(asterisk: AsteriskServer, number: str) -> None:
    with pytest.raises(PhoneError) as caught:
        await place_call(CallScript(asterisk.sip_uri, [Wait(0.1)], number=number))
    assert caught.value.code == "phone-number-invalid"


async def test_nobody_at_the_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:  # takes the INVITE and never answers
        mute.bind(("127.0.0.1", 0))
        uri = f"sip:12345@127.0.0.1:{mute.getsockname()[1]}"
        report = await place_call(CallScript(uri, [Wait(0.1)], max_seconds=1))
    assert not report.answered
    assert report.problems
    assert report.problems[0].startswith("phone-call-too-long")


async def test_the_call_ends_at_its_limit(asterisk: AsteriskServer, agi: Any) -> None:
    agi.handle = lambda line: (line.keep(), line.say("EXEC Wait 30"))
    report = await place_call(CallScript(asterisk.sip_uri, [Wait(60)], max_seconds=1.5))
    assert report.answered
    assert report.hung_up_by == "near"
    assert [problem.split(":")[0] for problem in report.problems] == ["phone-call-too-long"]


async def test_steps_can_be_added_and_the_line_hung_up(asterisk: AsteriskServer, agi: Any, voice: Path) -> None:
    agi.handle = lambda line: (line.keep(), line.say("EXEC Wait 30"))
    async with PhoneCall(CallScript(asterisk.sip_uri)) as call:
        await call.until("answered")
        await call.add(Speak(voice, at_seconds=0.0))
        spoke = await call.until("spoke")
        assert spoke.data["seconds"] == pytest.approx(1.2, abs=0.05)
        await call.hang_up()
        await call.until("hung_up")
        report = await call.report()
    assert (report.hung_up_by, report.steps_done) == ("near", 1)


async def test_a_cancelled_call_hangs_up(asterisk: AsteriskServer, agi: Any) -> None:
    answered = asyncio.Event()
    agi.handle = lambda line: (line.keep(), line.say("EXEC Wait 30"))

    def note(event: PhoneEvent) -> None:
        if event.kind == "answered":
            answered.set()

    task = asyncio.create_task(place_call(CallScript(asterisk.sip_uri, [Wait(60)]), on_event=note))
    await asyncio.wait_for(answered.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(200):
        if "0 active channels" in asterisk.rx("core show channels count"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(asterisk.rx("core show channels"))


async def test_a_phone_that_crashes_is_told(asterisk: AsteriskServer, agi: Any) -> None:
    agi.handle = lambda line: (line.keep(), line.say("EXEC Wait 2"))
    async with PhoneCall(CallScript(asterisk.sip_uri, [Wait(60)])) as call:
        await call.until("answered")
        os.kill(call.pid, signal.SIGKILL)
        assert await call.next_event() is None
        with pytest.raises(PhoneError) as caught:
            await call.report()
    assert caught.value.code == "phone-died"
    assert report_of(call._seen).hung_up_by == "nobody"


async def test_keys_arrive_in_order(asterisk: AsteriskServer, agi: Any) -> None:
    got: list[str] = []

    def handle(line: Any) -> None:
        line.keep()
        got.extend(chr(int(line.say("WAIT FOR DIGIT 8000").partition("=")[2])) for _ in range(6))
        line.finish("completed")

    agi.handle = handle
    report = await place_call(CallScript(asterisk.sip_uri, [Press("190*#A", at_seconds=0.3)]))
    assert report.hung_up_by == "far"
    assert "".join(got) == "190*#A"


async def test_barge_in_comes_while_the_prompt_plays(
    asterisk: AsteriskServer, agi: Any, tmp_path: Path, tones: Any, voice: Path
) -> None:
    prompt = tones.write(tmp_path / "prompt.wav", 1250, 4.0)

    def handle(line: Any) -> None:
        line.keep()
        line.say("EXEC Wait 1")
        line.say(f'EXEC Playback "{prompt.with_suffix("")}"')
        line.finish("completed")

    agi.handle = handle
    report = await place_call(CallScript(asterisk.sip_uri, [Speak(voice, barge_in_after_seconds=1.0)]))
    kinds = {event.kind: event for event in report.events}
    assert kinds["heard_speech"].at < kinds["speaking"].at < kinds["hung_up"].at
    assert kinds["speaking"].at - kinds["heard_speech"].at > 0.7
    assert [event.kind for event in report.events].index("speaking") < [event.kind for event in report.events].index(
        "hung_up"
    )
    assert "patience_over" not in kinds
