"""Real calls, real speech: what a caller gets."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import numpy as np

from hotline.calling import CallOrder
from hotline.phone import AnswerScript, HangUp, PhoneCall, Press, Speak, StaySilent
from ivr.callfolder import LEAVE_MESSAGE_STEP
from ivr.events import CallEnded, PromptSaid, PromptStopped, TurnEnd, TurnEnded
from system.conftest import Desk, System, story

NOISE = "我要投诉，朝阳区望京街道花家地小区，楼上邻居每天晚上大声放音乐，吵得老人睡不着，希望尽快处理。"
HEATING = "海淀区上地街道上地西里，我家暖气不热，屋里只有十四度，希望尽快恢复供暖。"


def ended_of(result) -> str:  # type: ignore[no-untyped-def]
    return next(fact.ended.value for fact in result.facts if isinstance(fact, CallEnded))


async def test_a_told_complaint_becomes_a_confirmed_case(system: System) -> None:
    """The whole way: dial, tell, answer yes, hear the reference number; the operator hears, confirms, has a case."""
    result = await system.call(CallOrder([Speak(system.sound(NOISE))], number="13910005678"))

    assert ended_of(result) == "completed", story(result.facts)
    assert result.draft is not None
    draft = result.draft
    assert draft["appeal_type"]["value"] == "投诉"
    assert draft["place"]["value"]["district"] == "朝阳区"
    assert draft["place"]["value"]["street"] == "望京街道"
    assert draft["complete"] is True
    assert draft["caller"]["number"] == "13910005678"
    assert draft["caller"]["callback_number"]["value"] == "13910005678", "the key # says: call me on this number"
    said = "".join(fact.text for fact in result.facts if isinstance(fact, PromptSaid))
    assert draft["reference"]
    assert result.facts[0].reference == draft["reference"]
    assert "12345" in said

    seen = await system.draft_at_backend(result.facts[0].call_id)
    async with Desk(system.base) as desk:
        path = f"/api/drafts/{seen['draft']['draft_id']}"
        taken = await desk.post(f"{path}/take", {"version": seen["version"]})
        confirmed = await desk.post(f"{path}/confirm", {"version": taken["version"]})
        case = await desk.get(f"/api/cases/{confirmed['case_number']}")
    assert case["number"] == confirmed["case_number"]


async def test_the_recording_is_of_both_sides_and_words_lie_where_they_were_said(system: System) -> None:
    result = await system.call(CallOrder([Speak(system.sound(NOISE))], number="13910005679"))
    call_id = result.facts[0].call_id
    view = await system.draft_at_backend(call_id)

    async with Desk(system.base) as desk:
        for _ in range(200):
            view = await desk.get(f"/api/drafts/{view['draft']['draft_id']}")
            if view["recording"]:
                break
            await asyncio.sleep(0.3)
        assert view["recording"], "the recording follows the draft"
        wav = await desk.bytes(f"/api/recordings/{call_id}")

    samples = samples_of(wav)
    assert abs(len(samples) / 8000 - result.report.seconds) < 2.0, "the recording is of the whole call"
    turn = next(turn for turn in view["draft"]["turns"] if turn["words"])
    first, last = turn["words"][0]["start_seconds"], turn["words"][-1]["end_seconds"]
    # Between the last word and our next prompt lies the silence that ended the turn.
    quiet = min(level(samples, last + after, last + after + 0.2) for after in np.arange(0.2, 1.4, 0.1))
    assert level(samples, first, last) > 10 * quiet, "words are where sound is"
    # The onset of speech in the recording, against the first word's time: a word may begin up to 0.3 s early, where
    # the sound before the speech was kept for the recogniser.
    assert -0.1 < onset(samples, first) - first < 0.4
    assert level(samples, 0.3, 3.0) > 300, "the greeting is on the recording too"


def samples_of(wav: bytes) -> np.ndarray:
    start = wav.index(b"data") + 8
    (size,) = struct.unpack("<I", wav[start - 4 : start])
    return np.frombuffer(wav[start : start + size], "<i2").astype(np.float64)


def level(samples: np.ndarray, start_seconds: float, end_seconds: float) -> float:
    part = samples[int(8000 * start_seconds) : int(8000 * end_seconds)]
    return float(np.sqrt(np.mean(part**2))) if len(part) else 0.0


def onset(samples: np.ndarray, near_seconds: float) -> float:
    """Where sound begins after a silence, looked for around a time."""
    for step in range(-40, 60):
        at = near_seconds + step * 0.02
        if at > 0.1 and level(samples, at, at + 0.06) > 250 and level(samples, at - 0.1, at) < 120:
            return at
    return -1.0


async def test_zero_reaches_a_human_at_once_and_the_operators_phone_rings(system: System, tmp_path: Path) -> None:
    secrets = system.settings.state_dir / "asterisk" / "secrets.toml"
    import tomllib

    password = tomllib.loads(secrets.read_text())["phones"]["1001"]
    registrar = f"sip:127.0.0.1:{system.settings.asterisk.sip_port}"
    operator = PhoneCall(AnswerScript(registrar, "1001", password, steps=[HangUp(when_listening=False)]))
    async with operator:
        await operator.until("registered")
        result = await system.call(CallOrder([Press("0", at_seconds=1.0)], number="13910005680", answer_rest=False))
        await operator.until("answered")
    assert ended_of(result) == "human"
    stopped = next(fact for fact in result.facts if isinstance(fact, PromptStopped))
    assert stopped.cause == "key"
    turn = next(fact for fact in result.facts if isinstance(fact, TurnEnded))
    assert turn.digits == "0"
    assert turn.ended_by is TurnEnd.KEY


async def test_silence_twice_reaches_a_human(system: System) -> None:
    result = await system.call(CallOrder([StaySilent(), StaySilent()], number="13910005681", answer_rest=False))
    assert ended_of(result) == "human"
    # What is left in the mailbox after the queue is a turn too.
    turns = [fact for fact in result.facts if isinstance(fact, TurnEnded) and fact.step != LEAVE_MESSAGE_STEP]
    assert [turn.ended_by for turn in turns] == [TurnEnd.NO_INPUT, TurnEnd.NO_INPUT]


async def test_a_hang_up_in_mid_sentence_keeps_what_was_said(system: System) -> None:
    order = CallOrder([Speak(system.sound(NOISE), hang_up_after_seconds=6.0)], number="13910005682")
    result = await system.call(order)
    view = await system.draft_at_backend(result.facts[0].call_id)
    draft = view["draft"]
    assert draft["ended"] == "hung_up"
    assert draft["complete"] is False
    assert draft["hung_up_at_step"]
    text = "".join(turn["text"] for turn in draft["turns"])
    assert "朝阳" in text, text
    assert draft["place"]["value"]["district"] == "朝阳区"


async def test_speech_stops_the_prompt_and_its_first_words_are_heard(system: System) -> None:
    order = CallOrder([Speak(system.sound(HEATING), barge_in_after_seconds=1.5)], number="13910005683")
    result = await system.call(order)
    stopped = next(fact for fact in result.facts if isinstance(fact, PromptStopped))
    assert stopped.cause == "speech"
    assert stopped.after_ms < 1000
    first = next(fact for fact in result.facts if isinstance(fact, TurnEnded))
    assert first.text.startswith("海淀"), first.text
    assert result.draft is not None
    assert result.draft["place"]["value"]["street"] == "上地街道"


async def test_another_number_is_taken_by_keys(system: System) -> None:
    order = CallOrder(
        [Speak(system.sound(HEATING), barge_in_after_seconds=1.0), Press("13712345678#")], number="13910005684"
    )
    result = await system.call(order)
    assert result.draft is not None
    assert result.draft["caller"]["callback_number"]["value"] == "13712345678", story(result.facts)


async def test_an_emergency_is_told_the_number_to_ring_and_put_through(system: System) -> None:
    order = CallOrder(
        [Speak(system.sound("我们楼着火了，快来人啊，楼道里都是烟。"), barge_in_after_seconds=1.0)],
        number="13910005685",
    )
    result = await system.call(order)
    assert ended_of(result) == "emergency", story(result.facts)
    said = "".join(fact.text for fact in result.facts if isinstance(fact, PromptSaid))
    assert "119" in said
    assert result.draft is not None
    assert "emergency" in [alert["kind"] for alert in result.draft["alerts"]]


async def test_eight_calls_at_once_all_get_their_transcript(system: System) -> None:
    sound = system.sound(NOISE)

    async def one(number: int) -> str:
        await asyncio.sleep(0.1 * number)
        order = CallOrder([Speak(sound, barge_in_after_seconds=1.0)], number=f"1391000600{number}")
        result = await system.call(order)
        assert result.draft is not None, story(result.facts)
        assert result.draft["caller"]["number"] == f"1391000600{number}"
        return next(fact.text for fact in result.facts if isinstance(fact, TurnEnded))

    texts = await asyncio.gather(*(one(number) for number in range(8)))
    assert all("望京" in text and "邻居" in text for text in texts), texts
