"""Whatever dies, whenever it dies: the caller is not dropped by us, and the call leaves one draft."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from hotline.calling import CallOrder, run_call
from hotline.phone import CallScript, PhoneCall, PhoneError, PhoneEvent, Speak
from ivr.events import CallStarted, Fact, PromptSaid, TranscriptPartial, TurnEnded
from system.conftest import System, story

STORY = "海淀区上地街道上地西里，我家暖气不热，屋里只有十四度，希望尽快恢复供暖。"


def during_narration(facts: list[Fact]) -> bool:
    """The caller is speaking: words have come, the turn is not over."""
    return any(isinstance(fact, TranscriptPartial) and len(fact.text) >= 6 for fact in facts)


def after_narration(facts: list[Fact]) -> bool:
    """The story was told and the next question is being asked."""
    told = [i for i, fact in enumerate(facts) if isinstance(fact, TurnEnded)]
    return bool(told) and any(isinstance(fact, PromptSaid) for fact in facts[told[0] :])


MOMENTS = [pytest.param(during_narration, id="mid-sentence"), pytest.param(after_narration, id="second-question")]


async def call_until(
    system: System, number: str, moment: Callable[[list[Fact]], bool], strike: Callable[[], Any]
) -> tuple[str, list[PhoneEvent]]:
    """Place a call, strike once when the moment has come, let the call end as it will.

    Returns the call's id, and what the caller's phone noticed after the strike.
    """
    facts: list[Fact] = []
    struck_at: float | None = None

    def watch(fact: Fact) -> None:
        nonlocal struck_at
        facts.append(fact)
        if struck_at is None and moment(facts):
            struck_at = time.time()
            strike()

    order = CallOrder([Speak(system.sound(STORY), barge_in_after_seconds=1.0)], number=number, wait_seconds=1)
    noticed: list[PhoneEvent] = []
    with contextlib.suppress(PhoneError):
        noticed = list((await asyncio.wait_for(run_call(system.settings, order, watch), 120)).report.events)
    assert struck_at is not None, story(facts)
    return facts[0].call_id, [event for event in noticed if event.at > struck_at]


def assert_kept(view: dict[str, Any]) -> None:
    text = "".join(turn["text"] for turn in view["draft"]["turns"])
    assert "海淀" in text, text
    assert view["draft"]["place"]["value"]["district"] == "海淀区"


@pytest.mark.parametrize("moment", MOMENTS)
async def test_ivr_killed_leaves_one_draft_and_the_caller_is_taken_over(
    system: System, moment: Callable[[list[Fact]], bool]
) -> None:
    old = system.pid("ivr")
    call_id, noticed = await call_until(system, "13910007001", moment, lambda: system.kill("ivr"))
    spoken_to = [event for event in noticed if event.kind == "heard_speech"]
    assert spoken_to, f"the apology is heard: {noticed}"
    assert [event.kind for event in noticed].index("heard_speech") < [e.kind for e in noticed].index("hung_up")
    await asyncio.to_thread(system.until_back, "ivr", old)
    assert_kept(await system.draft_at_backend(call_id))


@pytest.mark.parametrize("moment", MOMENTS)
async def test_backend_killed_costs_nothing(system: System, moment: Callable[[list[Fact]], bool]) -> None:
    old = system.pid("cases")
    call_id, _facts = await call_until(system, "13910007002", moment, lambda: system.kill("cases"))
    await asyncio.to_thread(system.until_back, "cases", old)
    assert_kept(await system.draft_at_backend(call_id))


@pytest.mark.parametrize("moment", MOMENTS)
async def test_asterisk_killed_leaves_one_draft(system: System, moment: Callable[[list[Fact]], bool]) -> None:
    old = system.pid("asterisk")
    call_id, _ = await call_until(system, "13910007003", moment, lambda: system.kill("asterisk"))
    await asyncio.to_thread(system.until_back, "asterisk", old)
    view = await system.draft_at_backend(call_id)
    assert_kept(view)
    assert view["draft"]["complete"] is False


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_callers_phone_killed_leaves_one_draft(system: System, moment: Callable[[list[Fact]], bool]) -> None:
    """No BYE, no RTP: as when a battery dies. The machine hears silence, and ends the call by its own limits."""
    from hotline.calling import sip_uri
    from hotline.follow import find_call

    script = CallScript(
        sip_uri(system.settings), number="13910007004", steps=[Speak(system.sound(STORY), barge_in_after_seconds=1.0)]
    )
    async with PhoneCall(script) as phone:
        answered = await phone.until("answered")
        tail = await find_call(system.spool, str(answered.data["sip_call_id"]), 15)
        assert tail is not None
        facts: list[Fact] = []
        for _ in range(400):
            facts += tail.read()
            if moment(facts):
                break
            await asyncio.sleep(0.1)
        assert moment(facts), story(facts)
        phone.kill()
    call_id = facts[0].call_id
    view = await system.draft_at_backend(call_id, seconds=120)
    assert_kept(view)


async def test_daemon_down_the_caller_leaves_a_message_and_it_becomes_a_draft(system: System) -> None:
    """The call handler cannot be started at all; the dialplan speaks, records, and the message is drafted later."""
    import os
    import signal

    before = system.folders()
    old = system.pid("ivr")
    os.kill(old, signal.SIGSTOP)  # accepts nothing, answers nothing: slower than dead
    try:
        order = CallOrder(
            [Speak(system.sound(STORY), at_seconds=30.0)], number="13910007005", wait_seconds=1, answer_rest=False
        )
        result = await asyncio.wait_for(run_call(system.settings, order), 150)
        assert result.report.answered
        assert result.report.heard_seconds > 3, "the caller is spoken to"
    finally:
        os.kill(old, signal.SIGKILL)
    await asyncio.to_thread(system.until_back, "ivr", old)
    new = await asyncio.to_thread(system.until, lambda: system.folders() - before, "the call's folder")
    (folder,) = new
    view = await system.draft_at_backend(folder.name, seconds=90)
    assert "暖气" in "".join(turn["text"] for turn in view["draft"]["turns"])
    assert view["draft"]["caller"]["number"] == "13910007005"


async def test_strangers_at_the_audio_port_disturb_nobody(system: System) -> None:
    """Garbage, a wrong uuid, an oversized frame and silence, while a call is on."""
    stop = asyncio.Event()

    async def strange() -> int:
        tries = 0
        while not stop.is_set():
            for data in (
                b"\xde\xad\xbe\xef" * 50,
                b"\x01\x00\x10" + uuid.uuid4().bytes,
                b"\x10\xff\xff" + bytes(65535),
                b"",
            ):
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", system.settings.ivr.audiosocket_port)
                    writer.write(data)
                    with contextlib.suppress(OSError, TimeoutError):
                        await asyncio.wait_for(reader.read(100), 0.3)
                    writer.close()
                    tries += 1
            for data in (b"agi_x: 1\n" * 400 + b"\n", b"\xff\xfe\n\n", b"GET / HTTP/1.1\r\n\r\n"):
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", system.settings.ivr.agi_port), 1) as line,
                ):
                    line.sendall(data)
                    tries += 1
        return tries

    stranger = asyncio.create_task(strange())
    try:
        result = await system.call(
            CallOrder([Speak(system.sound(STORY), barge_in_after_seconds=1.0)], number="13910007006")
        )
    finally:
        stop.set()
        tries = await stranger
    assert tries > 10
    assert result.draft is not None, story(result.facts)
    assert result.draft["complete"] is True
    assert isinstance(result.facts[0], CallStarted)


async def test_a_second_hotline_on_the_same_folder_says_so(system: System) -> None:
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hotline.cli", "demo", env=system.environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "already running" in said.decode()
