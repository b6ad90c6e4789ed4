"""Five times the calls that can be heard: everybody is answered, asked and recorded, and the words follow."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotline.calling import CallOrder, CallResult
from hotline.parts import add_user
from hotline.phone import Speak
from ivr.events import (
    CallEnded,
    CallHeardAgain,
    DraftDelivered,
    Hearing,
    HearingPostponed,
    PromptSaid,
    TranscriptPartial,
    TurnEnded,
)
from ivr.journal import revision_of
from system.conftest import PASSWORD, USER, System, make_system, story

NOISE = "我要投诉，朝阳区望京街道花家地小区，楼上邻居每天晚上大声放音乐，吵得老人睡不着，希望尽快处理。"
HEATING = "海淀区上地街道上地西里，我家暖气不热，屋里只有十四度，希望尽快恢复供暖。"
RUBBISH = "我要投诉，丰台区方庄街道芳古园一区，小区门口的垃圾桶三天没人清理了。"
pytestmark = pytest.mark.timeout(600)  # five whole calls, on a machine that may be busy
STORIES = [(NOISE, "望京"), (HEATING, "暖气"), (RUBBISH, "垃圾"), (NOISE, "邻居"), (HEATING, "上地")]
PLACES = ["", "海淀区上地街道", "丰台区方庄街道", "朝阳区望京街道", "海淀区上地街道"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A hotline that hears one call at a time, and every call once more afterwards."""
    made = make_system(
        tmp_path_factory.mktemp("small"),
        tmp_path_factory.mktemp("sounds"),
        HOTLINE_SPEECH__HEARD_CALLS_MAX="1",
        HOTLINE_SPEECH__SECOND_PASS_MODEL="wider",
    )
    asyncio.run(add_user(made.settings, USER, PASSWORD, "supervisor", "测试员"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def metrics_of(system: System) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{system.settings.ivr.metrics_port}/metrics", timeout=5) as answer:
        rows = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in rows}


def of(facts: list[Any], kind: type) -> list[Any]:
    return [fact for fact in facts if isinstance(fact, kind)]


async def test_five_calls_where_one_can_be_heard_are_five_drafts_with_their_words(small: System) -> None:
    sounds = [small.sound(text) for text, _ in STORIES]
    for place in PLACES[1:]:
        small.sound(place)

    first_is_in = asyncio.Event()

    async def one(number: int) -> CallResult:
        """Who is not heard is asked for the place, whatever was told already."""
        steps = [Speak(sounds[number], barge_in_after_seconds=1.0)]
        if number:
            await first_is_in.wait()
            steps.append(Speak(small.sound(PLACES[number]), barge_in_after_seconds=1.0))
        order = CallOrder(steps, number=f"1391000700{number}")
        return await small.call(order, lambda fact: first_is_in.set() if isinstance(fact, PromptSaid) else None)

    results = await asyncio.gather(*(one(number) for number in range(len(STORIES))))
    folders = {path.name: path for path in small.folders()}
    calls = [folders[result.facts[0].call_id] for result in results]
    for result in results:
        assert [fact.ended.value for fact in of(result.facts, CallEnded)] == ["completed"], story(result.facts)

    heard = [number for number, result in enumerate(results) if not of(result.facts, HearingPostponed)]
    assert heard == [0], "the first to come is heard live, the others when there is room"
    live = results[0].facts
    assert of(live, TranscriptPartial), "words while the caller speaks"
    assert STORIES[0][1] in of(live, TurnEnded)[0].text, story(live)
    for result in results[1:]:
        assert not of(result.facts, TranscriptPartial)
        assert of(result.facts, TurnEnded)[0].pending, story(result.facts)

    def hearings(folder: Path) -> dict[Hearing, CallHeardAgain]:
        return {fact.hearing: fact for fact in of(small.facts(folder), CallHeardAgain)}

    small.until(lambda: all(Hearing.SECOND in hearings(call) for call in calls), "every call was heard again", 120)
    small.until(
        lambda: all(delivered(small.facts(call))[-1] == revision_of(small.facts(call)) for call in calls), "sent"
    )
    for number, (call, (_text, word)) in enumerate(zip(calls, STORIES, strict=True)):
        facts = small.facts(call)
        assert not any(fact.error for fact in of(facts, CallHeardAgain)), story(facts)
        assert (Hearing.LATE in hearings(call)) == (number not in heard)
        sent = delivered(facts)
        assert sent == sorted(set(sent)), "each revision once"
        assert sent[0] == 0, "an operator sees the call before its words are there"
        view = await small.draft_at_backend(call.name)
        draft = view["draft"]
        assert draft["caller"]["number"] == f"1391000700{number}"
        assert draft["revision"] == revision_of(facts)
        assert not any(turn["pending"] for turn in draft["turns"])
        assert word in "".join(turn["text"] for turn in draft["turns"]), story(facts)
        assert draft["place"]["value"]["district"], "understood as if it had been heard live"
        assert draft["reference"]
        assert (call / "recording.wav").stat().st_size > 16000 * 5
        if number not in heard:
            assert draft["revision"] >= 1

    told = metrics_of(small)
    assert told['hotline_ivr_calls_admitted_total{heard="live"}'] == 1
    assert told['hotline_ivr_calls_admitted_total{heard="later"}'] == 4
    assert told['hotline_ivr_calls_to_hear{hearing="late"}'] == 0
    assert told['hotline_ivr_calls_heard_again_total{brought="words",hearing="late"}'] == 4


def delivered(facts: list[Any]) -> list[int]:
    """The revisions that the backend has taken, in their order."""
    return [fact.revision for fact in of(facts, DraftDelivered)] or [-1]
