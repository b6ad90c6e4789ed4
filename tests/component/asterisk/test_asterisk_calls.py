"""Real calls through the real dialplan: whatever the daemon does, the caller is never left in silence."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from hotline.asterisk import OPERATOR, AsteriskServer, Surroundings, on_free_ports
from hotline.phone import (
    AnswerScript,
    CallReport,
    CallScript,
    HangUp,
    PhoneCall,
    Press,
    Speak,
    StaySilent,
    Step,
    Wait,
    place_call,
)

APOLOGY, BUSY, MESSAGE, GOODBYE, BEEP = 600, 800, 1250, 1600, 1000
AT_ONCE = 0.0  # at_seconds that have passed already


def call_folder(server: AsteriskServer) -> Path:
    """The folder of the latest call."""
    folders = sorted(server.around.spool_dir.glob("*/*"), key=lambda path: path.stat().st_mtime_ns)
    assert folders
    return folders[-1]


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


async def written(path: Path) -> Path:
    """Asterisk writes a recording's last second after the call's end: wait until the file stays as it is."""
    deadline, size = time.monotonic() + 20, -1
    while time.monotonic() < deadline:
        now = size_of(path)
        if now == size and now > 44:
            return path
        size = now
        await asyncio.sleep(0.4)
    raise AssertionError(f"{path} is not being finished")


async def dial(server: AsteriskServer, steps: list[Step], heard: Path | None = None, **more: Any) -> CallReport:
    more = {"listen_silence_seconds": 0.4, "patience_seconds": 12, "linger_seconds": 25} | more
    return await place_call(CallScript(server.sip_uri, steps, heard=heard, **more))


def operator_script(server: AsteriskServer, steps: list[Step], **more: Any) -> AnswerScript:
    registrar = f"sip:{server.settings.local_address}:{server.settings.sip_port}"
    more = {"number": OPERATOR, "password": server.secrets.phones[OPERATOR]} | more
    return AnswerScript(registrar, steps=steps, **more)


async def test_daemon_down_apology_message_goodbye(tmp_path: Path, tone_prompts: Path, tones: Any, voice: Path) -> None:
    state = tmp_path / "state"
    around = Surroundings(state / "spool", tone_prompts, "127.0.0.1", 9)  # nobody listens there
    with AsteriskServer(on_free_ports(), state_dir=state, around=around) as server:
        # The caller speaks when the beep has ended and ends the message with # (with it Asterisk cuts off 0.25 s).
        report = await dial(server, [Speak(voice), Wait(0.5), Press("#", at_seconds=AT_ONCE)], tmp_path / "heard.wav")
        folder = call_folder(server)
        recording = await written(folder / "recording.wav")
    assert report.answered
    assert (report.hung_up_by, report.code, report.problems) == ("far", 200, [])
    assert tones.order(tmp_path / "heard.wav", APOLOGY, BUSY, MESSAGE, BEEP, GOODBYE) == [
        APOLOGY,
        BUSY,
        MESSAGE,
        BEEP,
        GOODBYE,
    ]
    assert tones.seconds(folder / "message.wav", tones.VOICE_HZ) == pytest.approx(1.2, abs=0.2)
    # Both sides, from the first word to the last.
    for hz in (APOLOGY, MESSAGE, tones.VOICE_HZ, GOODBYE):
        assert tones.seconds(recording, hz) > 0.3, hz


async def test_a_caller_who_hangs_up_in_the_message_is_kept(
    asterisk: AsteriskServer, agi: Any, tones: Any, voice: Path
) -> None:
    report = await dial(asterisk, [Speak(voice, hang_up_after_seconds=1.0)])
    assert report.hung_up_by == "near"
    message = await written(call_folder(asterisk) / "message.wav")
    assert tones.seconds(message, tones.VOICE_HZ) > 0.5


async def test_a_daemon_that_says_nothing_is_given_up(
    asterisk: AsteriskServer, agi: Any, tones: Any, tmp_path: Path
) -> None:
    agi.handle = lambda line: line.file.read()  # takes the connection and waits for ever
    report = await dial(asterisk, [HangUp(when_listening=True)], tmp_path / "heard.wav")
    assert report.answered
    assert tones.seconds(tmp_path / "heard.wav", APOLOGY) > 0.3
    assert len(agi.lines) == 1


async def test_a_daemon_that_dies_in_the_middle_is_replaced_by_humans(
    asterisk: AsteriskServer, agi: Any, tones: Any, tmp_path: Path
) -> None:
    agi.handle = lambda line: line.keep()  # then the connection closes, without HOTLINE_DONE
    await dial(asterisk, [HangUp(when_listening=True)], tmp_path / "heard.wav")
    assert tones.seconds(tmp_path / "heard.wav", APOLOGY) > 0.3


async def test_a_completed_call_is_hung_up_without_a_word(
    asterisk: AsteriskServer, agi: Any, tones: Any, tmp_path: Path
) -> None:
    def handle(line: Any) -> None:
        line.keep()
        line.say("EXEC Wait 1")
        line.finish("completed")

    agi.handle = handle
    report = await dial(asterisk, [Wait(0.2)], tmp_path / "heard.wav", number="13912345678")
    assert (report.answered, report.hung_up_by, report.code) == (True, "far", 200)
    assert report.heard_seconds == 0
    env = agi.lines[0].env
    assert env["agi_network_script"] == "call"
    assert env["agi_extension"] == "12345"
    assert env["agi_callerid"] == "13912345678"
    folder = Path(env["agi_arg_2"])
    assert folder.name == env["agi_arg_1"]
    assert folder.is_relative_to(asterisk.around.spool_dir)
    assert abs(int(env["agi_arg_3"]) / 1000 - report.events[0].at) < 30
    assert env["agi_arg_4"] == report.sip_call_id
    assert (await written(folder / "recording.wav")).stat().st_mode & 0o007 == 0


async def test_every_call_has_its_own_uuid(asterisk: AsteriskServer, agi: Any) -> None:
    import uuid

    agi.handle = lambda line: line.finish("completed")
    await asyncio.gather(*(dial(asterisk, [Wait(0.1)], number=f"1380000000{n}") for n in range(4)))
    ids = [uuid.UUID(line.env["agi_arg_1"]) for line in agi.lines]
    assert len(set(ids)) == 4
    assert {one.version for one in ids} == {4}
    assert {one.variant for one in ids} == {uuid.RFC_4122}


async def test_human_reaches_the_operator_and_both_are_recorded(
    asterisk: AsteriskServer, agi: Any, tones: Any, tmp_path: Path, voice: Path
) -> None:
    agi.handle = lambda line: (line.keep(), line.finish("human"))
    words = tones.write(tmp_path / "operator.wav", tones.OPERATOR_HZ, 1.0)
    script = operator_script(
        asterisk, [Speak(words, at_seconds=0.3), Wait(1.5), HangUp()], heard=tmp_path / "operator-heard.wav"
    )
    async with PhoneCall(script) as operator:
        await operator.until("registered")
        caller = asyncio.create_task(
            dial(asterisk, [Speak(voice)], tmp_path / "heard.wav", number="13987654321", patience_seconds=20)
        )
        ringing = await operator.until("ringing")
        await operator.until("hung_up")
        at_desk = await operator.report()
    report = await caller
    assert "13987654321" in ringing.data["from"]
    assert at_desk.answered
    assert (report.hung_up_by, report.problems) == ("far", [])
    assert tones.seconds(tmp_path / "heard.wav", tones.OPERATOR_HZ) > 0.7
    assert tones.seconds(tmp_path / "operator-heard.wav", tones.VOICE_HZ) > 0.7
    recording = await written(call_folder(asterisk) / "recording.wav")
    assert tones.seconds(recording, tones.OPERATOR_HZ) > 0.7
    assert tones.seconds(recording, tones.VOICE_HZ) > 0.7
    assert not (call_folder(asterisk) / "message.wav").exists()


async def test_an_operator_who_does_not_answer_leads_to_a_message(
    asterisk: AsteriskServer, agi: Any, tones: Any, tmp_path: Path, voice: Path
) -> None:
    agi.handle = lambda line: (line.keep(), line.finish("emergency"))
    async with PhoneCall(operator_script(asterisk, [], answer_after_seconds=60)) as operator:
        await operator.until("registered")
        steps: list[Step] = [StaySilent(), Speak(voice), Press("#", at_seconds=AT_ONCE)]
        report = await dial(asterisk, steps, tmp_path / "heard.wav")
        await operator.until("missed")
    assert report.hung_up_by == "far"
    heard = tmp_path / "heard.wav"
    assert tones.order(heard, tones.RINGING_HZ, BUSY, MESSAGE, GOODBYE) == [tones.RINGING_HZ, BUSY, MESSAGE, GOODBYE]
    assert tones.seconds(call_folder(asterisk) / "message.wav", tones.VOICE_HZ) > 0.9


async def test_missing_prompts_do_not_break_the_way(tmp_path: Path, tones: Any, voice: Path) -> None:
    around = Surroundings(tmp_path / "spool", tmp_path / "no-prompts", "127.0.0.1", 9)
    with AsteriskServer(on_free_ports(), state_dir=tmp_path, around=around) as server:
        report = await dial(server, [Speak(voice), Wait(0.5), Press("#", at_seconds=AT_ONCE)], tmp_path / "heard.wav")
        message = call_folder(server) / "message.wav"
    assert report.hung_up_by == "far"
    assert tones.seconds(tmp_path / "heard.wav", BEEP) > 0.2
    assert tones.seconds(message, tones.VOICE_HZ) > 0.9


HOSTILE = [
    '1",hotline-human,s,1',
    "${SHELL(touch /tmp/owned)}",
    "123)&System(touch /tmp/owned",
    "+86139${EXTEN}0000;tag=x",
    "../../../etc/passwd",
    "一二三四五",
    "9" * 100,
    "-1 OR 1=1",
]


async def test_a_hostile_number_stays_a_number(asterisk: AsteriskServer, agi: Any) -> None:
    seen: list[str] = []

    def handle(line: Any) -> None:
        line.keep()
        for name in ("CALLERID(num)", "CALLERID(name)", "HOTLINE_FOLDER", "HOTLINE_CALLER"):
            seen.append(line.say(f'GET VARIABLE "{name}"'))
        line.finish("completed")

    agi.handle = handle
    name = 'x"; ${SHELL(id)} \\'
    reports = await asyncio.gather(
        *(dial(asterisk, [Wait(0.1)], number=number, display_name=name) for number in HOSTILE)
    )
    envs = {line.env["agi_arg_4"]: line.env for line in agi.lines}
    for number, report in zip(HOSTILE, reports, strict=True):
        assert (report.answered, report.code) == (True, 200), number
        env = envs[report.sip_call_id]
        kept = "".join(char for char in number if char in "+0123456789")[:20]
        assert env["agi_callerid"] in ({kept} if kept else {"", "unknown"}), number
        assert env["agi_calleridname"] in ("", "unknown"), number
        assert Path(env["agi_arg_2"]).parent.parent == asterisk.around.spool_dir, number
        assert set(env) <= {f"agi_{word}" for word in AGI_WORDS}, number
    assert len(seen) == 4 * len(HOSTILE)
    assert "SHELL" not in " ".join(seen)


AGI_WORDS = {
    *("network", "network_script", "request", "channel", "language", "type", "uniqueid", "version", "callerid"),
    *("calleridname", "callingpres", "callingani2", "callington", "callingtns", "dnid", "rdnis", "context"),
    *("extension", "priority", "enhanced", "accountcode", "threadid", "arg_1", "arg_2", "arg_3", "arg_4"),
}


async def test_the_trunk_reaches_the_hotline_and_nothing_else(asterisk: AsteriskServer) -> None:
    called = ["999", "1001", "s", "hotline-fallback", "T", "12345678"]
    uris = [f"sip:{number}@127.0.0.1:{asterisk.settings.sip_port}" for number in called]
    reports = await asyncio.gather(*(place_call(CallScript(uri, [Wait(0.1)])) for uri in uris))
    assert [(report.answered, report.code) for report in reports] == [(False, 404)] * len(called)


async def test_strangers_are_refused_unless_the_demo_lets_them(tmp_path: Path, tone_prompts: Path) -> None:
    around = Surroundings(tmp_path / "spool", tone_prompts, "127.0.0.1", 9)
    closed = on_free_ports(trunk_addresses=("192.0.2.7",))
    with AsteriskServer(closed, state_dir=tmp_path, around=around) as server:
        report = await dial(server, [HangUp(when_listening=True)])
        assert (report.answered, report.code) == (False, 401)
    opened = on_free_ports(trunk_addresses=("192.0.2.7",), allow_anonymous=True, called_numbers=("12345", "010123"))
    with AsteriskServer(opened, state_dir=tmp_path, around=around) as server:
        assert (await dial(server, [HangUp(when_listening=True)])).answered
        other = await place_call(CallScript(server.sip_uri.replace("12345@", "010123@"), [Wait(0.2), HangUp()]))
        assert other.answered
        refused = await place_call(CallScript(server.sip_uri.replace("12345@", "1001@"), [Wait(0.2), HangUp()]))
        assert (refused.answered, refused.code) == (False, 404)


async def test_a_phone_needs_its_password(asterisk: AsteriskServer, agi: Any) -> None:
    wrong = await place_call(operator_script(asterisk, [], password="12345678"))
    assert [problem.split(":")[0] for problem in wrong.problems] == ["phone-registration-refused"]
    agi.handle = lambda line: line.finish("completed")
    refused = await dial(asterisk, [Wait(0.1)], number="1002", password="12345678")
    assert (refused.answered, refused.code) == (False, 401)
    allowed = await dial(asterisk, [Wait(0.1)], number="1002", password=asterisk.secrets.phones["1002"])
    assert allowed.answered
