"""The recogniser with more to do than it can: who waits, what is given up, and that no word changes by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from speech.admission import Level, Limits
from speech.models import BUNDLED_DIR
from speech.recognizer import Partial, Transcript
from speech.transcribe import speech_of, transcribe_sound
from speech.vosk_engine import VoskEngine

STORY = "我家住在朝阳区望京街道暖气一直不热"
# However busy the machine is that runs the tests.
NEVER = 1e6
ROOM = Limits(
    shed_partials_at_load=NEVER, full_at_load=NEVER, shed_partials_behind_seconds=NEVER, full_behind_seconds=NEVER
)


@contextmanager
def loaded(limits: Limits | None = None, workers: int = 1) -> Iterator[VoskEngine]:
    engine = VoskEngine(BUNDLED_DIR, workers=workers, limits=limits)
    engine.load()
    try:
        yield engine
    finally:
        engine.close()


async def heard(engine: VoskEngine, pcm: bytes, partials: list[Partial]) -> Transcript:
    """Fed as a call feeds it, as fast as it is decoded."""
    stream = engine.open(on_partial=partials.append)
    for frame, at_seconds in speech_of(pcm):
        stream.feed(frame, at_seconds)
        while stream.backlog_seconds > 0.6:  # noqa: ASYNC110 - the seam has no event for it
            await asyncio.sleep(0.002)
    return await stream.finish()


async def test_under_load_partials_are_given_up_and_the_words_stay_the_same(caller: Callable[[str], bytes]) -> None:
    sound = caller(STORY) * 2
    plenty: list[Partial] = []
    with loaded(ROOM) as engine:
        freely = await heard(engine, sound, plenty)
        assert engine.level is Level.NORMAL
    few: list[Partial] = []
    with loaded(replace(ROOM, shed_partials_at_load=0.0)) as engine:  # any load is too much
        await heard(engine, sound, [])
        assert engine.level is Level.PARTIALS_SHED
        assert not engine.idle
        shed = await heard(engine, sound, few)
    assert shed.text == freely.text
    assert 0 < len(few) < len(plenty) / 2, "an emergency in a long story is still heard of before its end"
    none: list[Partial] = []
    with loaded(Limits(full_at_load=0.0, shed_partials_at_load=0.0)) as engine:
        await heard(engine, sound, [])
        assert engine.level is Level.FULL
        assert engine.enter() is None
        assert (await heard(engine, sound, none)).text == freely.text
    assert not none


async def test_what_is_transcribed_afterwards_gives_way_to_callers(caller: Callable[[str], bytes]) -> None:
    sound = caller(STORY)
    with loaded() as engine:
        waiting = engine.open(background=True)
        for frame, at_seconds in speech_of(sound * 6):
            waiting.feed(frame, at_seconds)
        finals = asyncio.ensure_future(waiting.finish())
        for _ in range(3):
            assert "暖气" in (await heard(engine, sound, [])).text
        assert not finals.done()
        assert engine.measured().behind_seconds == 0, "what gives way is no load"
        assert (await finals).text.count("暖气") == 6


async def test_whose_final_words_are_waited_for_comes_first(caller: Callable[[str], bytes]) -> None:
    frames = list(speech_of(caller(STORY)))
    with loaded() as engine:
        others = [engine.open() for _ in range(6)]
        last = engine.open()
        for stream in (*others, last):
            for frame, at_seconds in frames:
                stream.feed(frame, at_seconds)
        assert (await last.finish()).text
        assert sum(stream.backlog_seconds > 0 for stream in others) >= 3
        for stream in others:
            stream.close()


async def test_while_there_is_no_room_nothing_is_decoded(caller: Callable[[str], bytes]) -> None:
    room = False
    with loaded() as engine:
        work = asyncio.ensure_future(transcribe_sound(engine, caller(STORY), background=True, has_room=lambda: room))
        await asyncio.sleep(0.5)
        assert not work.done()
        room = True
        assert "暖气" in (await asyncio.wait_for(work, 60)).text
        assert engine.streams == 0


@pytest.mark.parametrize("most", [1, 3])
async def test_the_set_number_of_calls_is_heard_live(most: int) -> None:
    with loaded(Limits(calls_max=most)) as engine:
        tickets = [engine.enter() for _ in range(most)]
        assert None not in tickets
        assert engine.enter() is None
        engine.leave(tickets[0])  # type: ignore[arg-type]
        assert engine.enter() is not None
        assert engine.calls == most
