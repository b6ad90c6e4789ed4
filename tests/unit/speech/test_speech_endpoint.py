from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.endpoint import Endpointer, EndReason, SpeechEnded, SpeechStarted

Event = SpeechStarted | SpeechEnded


def endpointer(**limits: float) -> Endpointer:
    given_limits = {"end_silence_seconds": 1.0, "max_seconds": 20.0, "no_input_seconds": 5.0} | limits
    return Endpointer(**given_limits)  # type: ignore[arg-type]


def play(turn: Endpointer, pattern: str, start: float = 0.0) -> list[tuple[float, Event]]:
    """Frames of 20 ms: `#` speech, `.` silence, `P` the prompt finishes (no frame)."""
    events, at = [], start
    for mark in pattern:
        if mark == "P":
            turn.prompt_finished(at)
            continue
        event = turn.frame(at, mark == "#")
        at += 0.02
        if event is not None:
            events.append((round(at, 2), event))
    return events


def test_speech_starts_after_200_ms_and_ends_after_the_silence() -> None:
    events = play(endpointer(), "P" + "." * 50 + "#" * 50 + "." * 100)
    assert events == [
        (1.2, SpeechStarted(at_seconds=pytest.approx(1.0))),
        (3.0, SpeechEnded(pytest.approx(3.0), EndReason.SILENCE, pytest.approx(2.0), 1.0)),
    ]


def test_a_click_is_no_speech() -> None:
    assert play(endpointer(no_input_seconds=60), "P" + ("#" * 5 + "." * 20) * 20) == []


def test_a_breath_within_a_word_does_not_start_the_count_anew() -> None:
    (_, event), *_ = play(endpointer(), "#####..#####" + "." * 10)
    assert event == SpeechStarted(0.0)


def test_while_the_prompt_plays_nobody_is_late() -> None:
    turn = endpointer(no_input_seconds=2.0, max_seconds=3.0)
    assert play(turn, "." * 1000) == []
    assert play(turn, "P" + "." * 99, start=20.0) == []
    ended = turn.tick(22.0)
    assert ended is not None
    assert (ended.reason, ended.spoke_until_seconds) == (EndReason.NO_INPUT, None)


def test_limits_run_on_the_clock_when_frames_stop() -> None:
    turn = endpointer()
    play(turn, "P" + "#" * 20)
    assert turn.tick(1.3) is None
    ended = turn.tick(1.41)
    assert ended is not None
    assert ended.reason is EndReason.SILENCE
    assert ended.spoke_until_seconds == pytest.approx(0.4)


def test_speech_right_after_a_long_gap_in_the_frames_does_not_join_two_turns() -> None:
    turn = endpointer()
    play(turn, "P" + "#" * 20)
    event = turn.frame(9.0, True)
    assert isinstance(event, SpeechEnded)
    assert event.reason is EndReason.SILENCE


def test_who_speaks_for_ever_is_stopped_at_the_maximum() -> None:
    events = play(endpointer(max_seconds=3.0), "P" + "#" * 400)
    assert [type(e) for _, e in events] == [SpeechStarted, SpeechEnded]
    assert events[1][1].reason is EndReason.MAXIMUM  # type: ignore[union-attr]
    assert events[1][0] == pytest.approx(3.0, abs=0.03)


def test_who_begins_just_before_the_no_input_limit_is_heard() -> None:
    events = play(endpointer(no_input_seconds=1.0), "P" + "." * 44 + "#" * 40)
    assert isinstance(events[0][1], SpeechStarted)


@pytest.mark.parametrize("name", ["end_silence_seconds", "max_seconds", "no_input_seconds"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="larger than nothing"):
        endpointer(**{name: 0})


frames = st.lists(st.tuples(st.floats(0, 3, allow_nan=False), st.booleans()), max_size=200)


@given(frames, st.integers(0, 200))
def test_any_sequence_starts_at_most_once_and_ends_at_most_once_and_last(
    steps: list[tuple[float, bool]], prompt_at: int
) -> None:
    turn = endpointer()
    at, events = 0.0, []
    for number, (step, is_speech) in enumerate(steps):
        if number == prompt_at:
            turn.prompt_finished(at)
        at += step
        event = turn.frame(at, is_speech) if number % 3 else turn.tick(at)
        if event is not None:
            events.append(event)
    kinds = [type(event) for event in events]
    assert kinds in ([], [SpeechStarted], [SpeechEnded], [SpeechStarted, SpeechEnded])
    if kinds[-1:] == [SpeechEnded]:
        assert turn.ended
        assert (events[-1].spoke_until_seconds is not None) == turn.started
        assert (events[-1].reason is EndReason.NO_INPUT) <= (not turn.started)
        assert turn.frame(at + 100, True) is None
        assert turn.tick(at + 100) is None


@given(st.text(alphabet="#.", max_size=300), st.floats(0.2, 5), st.floats(0.5, 10))
def test_after_the_prompt_every_turn_ends_within_its_limits(pattern: str, silence: float, no_input: float) -> None:
    turn = endpointer(end_silence_seconds=silence, no_input_seconds=no_input, max_seconds=8.0)
    events = play(turn, "P" + pattern)
    if not turn.ended:
        last = turn.tick(len(pattern) * 0.02 + 8.0 + max(silence, no_input))
        assert last is not None
        events.append((0.0, last))
    ended = events[-1][1]
    assert isinstance(ended, SpeechEnded)
    started = events[0][1].at_seconds if isinstance(events[0][1], SpeechStarted) else 0.0
    if pattern and events[-1][0]:
        assert ended.at_seconds - started <= 8.0 + 0.021
