"""Ears for recordings: the calls' own recogniser in its idle time, and another model in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from speech import later_ear
from speech.errors import SpeechError
from speech.later_ear import EngineEar, ProcessEar
from speech.models import BUNDLED_DIR
from speech.vosk_engine import VoskEngine
from speech.wider_search import wider_model

pytestmark = pytest.mark.timeout(300)
STORY = "我家住在朝阳区望京街道暖气一直不热"


class Room:
    """Whether calls leave any."""

    def __init__(self) -> None:
        self.there = True

    def __call__(self) -> bool:
        return self.there


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
async def ear(room: Room, tmp_path: Path) -> AsyncIterator[ProcessEar]:
    ear = ProcessEar(wider_model(BUNDLED_DIR, tmp_path), room)
    yield ear
    await ear.close()


def pid_of(ear: ProcessEar) -> int:
    assert ear._process is not None
    return ear._process.pid


def state_of(pid: int) -> str:
    """Of a process, as the kernel has it: R S T (stopped) Z; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not reached():  # noqa: ASYNC110 - the kernel gives no event
            await asyncio.sleep(0.05)


async def test_the_calls_own_recogniser_hears_a_recording_when_it_has_time(
    engine: VoskEngine, caller: Callable[[str], bytes], room: Room
) -> None:
    room.there = False
    ear = EngineEar(engine, engine.name, room)
    hearing = asyncio.ensure_future(ear.hear(caller(STORY)))
    await asyncio.sleep(0.5)
    assert not hearing.done()
    room.there = True
    assert "暖气" in (await hearing).text


async def test_another_process_hears_one_recording_after_the_other(
    ear: ProcessEar, caller: Callable[[str], bytes]
) -> None:
    sound = caller(STORY)
    first, second = await asyncio.gather(ear.hear(sound), ear.hear(sound * 2))
    assert "暖气" in first.text
    assert second.text.count("暖气") == 2
    assert first.words
    assert first.words[-1].end_seconds <= len(sound) / 16000
    assert os.getpriority(os.PRIO_PROCESS, pid_of(ear)) == 19, "calls go first"
    assert (await ear.hear(b"")).text == ""


async def test_it_stands_still_while_calls_need_the_machine(
    ear: ProcessEar, caller: Callable[[str], bytes], room: Room
) -> None:
    await ear.hear(caller(STORY))
    pid = pid_of(ear)
    room.there = False
    hearing = asyncio.ensure_future(ear.hear(caller(STORY) * 100))
    await until(lambda: state_of(pid) == "T")
    room.there = True
    await until(lambda: state_of(pid) != "T")
    assert (await hearing).text.count("暖气") > 90


async def test_a_process_that_dies_takes_one_recording_with_it(
    ear: ProcessEar, caller: Callable[[str], bytes], room: Room
) -> None:
    await ear.hear(caller(STORY))
    room.there = False
    hearing = asyncio.ensure_future(ear.hear(caller(STORY) * 100))  # a short one is done before anybody looks
    pid = pid_of(ear)
    await until(lambda: state_of(pid) == "T")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SpeechError, match="second-pass-died") as caught:
        await hearing
    assert caught.value.recoverable
    room.there = True
    assert "暖气" in (await ear.hear(caller(STORY))).text
    assert pid_of(ear) != pid


async def test_a_recording_that_never_ends_is_given_up(
    ear: ProcessEar, caller: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    await ear.hear(caller(STORY))
    pid = pid_of(ear)
    os.kill(pid, signal.SIGSTOP)  # as good as a decoder that goes round in circles
    monkeypatch.setattr(later_ear, "SLOWEST", 0.0)
    with pytest.raises(SpeechError, match="second-pass-stuck"):
        await ear.hear(caller(STORY))
    await until(lambda: state_of(pid) == "")


async def test_a_model_that_cannot_be_read_is_said_and_not_tried_again(tmp_path: Path, room: Room) -> None:
    broken = wider_model(BUNDLED_DIR, tmp_path)
    (broken / "am").unlink()
    (broken / "am").mkdir()
    (broken / "am" / "final.mdl").write_bytes(b"no net")
    ear = ProcessEar(broken, room)
    with pytest.raises(SpeechError, match="speech-model-broken") as caught:
        await ear.hear(bytes(16000))
    assert not caught.value.recoverable
    await ear.close()


async def test_with_nothing_to_hear_the_process_ends_and_its_memory_is_free(
    ear: ProcessEar, caller: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_ear, "IDLE_SECONDS", 0.1)
    await ear.hear(caller(STORY))
    pid = pid_of(ear)
    await until(lambda: state_of(pid) == "")
    monkeypatch.setattr(later_ear, "IDLE_SECONDS", 60)
    assert "暖气" in (await ear.hear(caller(STORY))).text


async def test_the_process_knows_the_citys_own_places(
    caller: Callable[[str], bytes], room: Room, tmp_path: Path
) -> None:
    """What was put in live is not undone by the second pass."""
    places, vocabulary = tmp_path / "places.tsv", tmp_path / "vocabulary.tsv"
    places.write_text("written\tsaid\tdistrict\tstreet\n瑾园云墅小区\t\t海淀区\t\n", "utf-8")
    vocabulary.write_text("written\tsaid\n", "utf-8")
    sound = caller("我家住在瑾园云墅小区，楼道里的灯坏了半个月了")
    for lists, known in ((None, False), ((places, vocabulary), True)):
        ear = ProcessEar(BUNDLED_DIR, room, lists)
        heard = await ear.hear(sound)
        await ear.close()
        assert ("瑾园云墅小区" in heard.text) is known, heard.text
        assert any(word.heard for word in heard.words) is known
