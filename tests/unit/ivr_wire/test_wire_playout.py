"""A call's clocks: gaps and lags of what is heard, pace and stops of what is said. Time is an argument throughout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.errors import CallError
from ivr.playout import FRAME_BYTES, FRAME_SAMPLES, SILENCE_FRAME, Playout, Timeline


def pcm(frames: float, sample: int = 1) -> bytes:
    return sample.to_bytes(2, "little") * int(frames * FRAME_SAMPLES)


# heard


def heard(arrivals: list[tuple[float, int]]) -> list[float]:
    """(seconds, frames read at once) → where each batch begins, in seconds."""
    timeline = Timeline()
    return [timeline.place(frames * FRAME_SAMPLES, at) / 8000 for at, frames in arrivals]


def test_frames_in_time_are_put_end_to_end() -> None:
    assert heard([(0.02 * n, 1) for n in range(1, 6)]) == pytest.approx([0, 0.02, 0.04, 0.06, 0.08])


def test_jitter_makes_no_gap() -> None:
    arrivals = [(0.02, 1), (0.075, 1), (0.078, 1), (0.08, 1), (0.12, 1)]
    assert heard(arrivals) == pytest.approx([0, 0.02, 0.04, 0.06, 0.08])


def test_a_pressed_digit_leaves_its_half_second_as_silence() -> None:
    places = heard([(0.02, 1), (0.04, 1), (0.56, 1), (0.58, 1)])
    assert places == pytest.approx([0, 0.02, 0.54, 0.56])


def test_our_own_stall_makes_no_gap() -> None:
    """The loop slept for 0.4 s; all of it is read at once, and it was spoken end to end."""
    assert heard([(0.02, 1), (0.42, 20), (0.44, 1)]) == pytest.approx([0, 0.02, 0.42])


def test_sound_is_never_thrown_away_when_a_delayed_burst_comes() -> None:
    """0.3 s late in the network, then all of it: what was taken for a gap is not cut, and the next gap is shorter."""
    places = heard([(0.02, 1), (0.34, 1), (0.341, 10), (0.4, 1), (1.4, 1)])
    assert places == sorted(places)
    assert places[-1] == pytest.approx(1.38, abs=0.001)


def test_a_lasting_lag_is_filled_within_a_second() -> None:
    """Two packets lost: 40 ms behind the clock for good, too little for a gap at once."""
    timeline = Timeline()
    for n in range(1, 120):
        timeline.place(FRAME_SAMPLES, 0.02 * n + (0.04 if n > 10 else 0))
    assert timeline.next_sample / 8000 == pytest.approx(0.02 * 119 + 0.04, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 60)), max_size=60))
def test_positions_rise_and_stay_by_the_clock(steps: list[tuple[float, int]]) -> None:
    timeline = Timeline()
    now = end = 0.0
    for pause, frames in steps:
        now += pause
        before = timeline.next_sample
        start = timeline.place(frames * FRAME_SAMPLES, now)
        assert start >= before
        assert timeline.next_sample == start + frames * FRAME_SAMPLES
        end = max(end + frames * 0.02, now)
        # never more than a gap's threshold behind, never ahead of sound that came faster than the clock
        assert timeline.next_sample / 8000 >= now - 0.0601
        assert timeline.next_sample / 8000 <= end + 0.001


# said


def run(playout: Playout, start: float, seconds: float, step: float = 0.02) -> list[bytes]:
    frames: list[bytes] = []
    for n in range(round(seconds / step)):
        frames += playout.due(start + n * step)
    return frames


def test_silence_is_sent_for_ever_when_nothing_plays() -> None:
    assert run(Playout(), 5.0, 1.0) == [SILENCE_FRAME] * 50


def test_a_prompt_is_sent_at_its_pace_then_silence() -> None:
    playout = Playout()
    playback = playout.play(pcm(10))
    frames = run(playout, 0.0, 0.2)
    assert frames == [pcm(1)] * 10
    assert not playback.over  # its last frame still sounds
    assert playout.due(0.2) == [SILENCE_FRAME]
    assert playback.over
    assert not playout.playing
    assert playback.played_ms == 200


@given(st.lists(st.floats(0.001, 0.09), min_size=1, max_size=200))
def test_the_pace_has_no_drift_whatever_the_ticks(ticks: list[float]) -> None:
    playout = Playout()
    now, sent = 100.0, len(playout.due(100.0))
    for tick in ticks:
        now += tick
        sent += len(playout.due(now))
    assert abs(sent - (int((now - 100.0) / 0.02 + 1e-6) + 1)) <= 1
    assert playout.late_frames == 0


def test_after_a_stall_a_prompt_goes_on_where_it_was() -> None:
    playout = Playout()
    playout.play(b"".join(pcm(1, n) for n in range(1, 101)))
    before = run(playout, 0.0, 0.2)
    caught_up = playout.due(3.0)
    assert len(caught_up) == Playout.CATCH_UP_FRAMES
    after = run(playout, 3.02, 0.2)
    said = [int.from_bytes(frame[:2], "little") for frame in before + caught_up + after]
    assert said == list(range(1, len(said) + 1))
    assert len(after) == 10
    assert playout.late_frames > 0


def test_silence_is_not_caught_up() -> None:
    playout = Playout()
    playout.due(0.0)
    assert playout.due(5.0) == [SILENCE_FRAME]


def test_stop_is_silence_at_once_and_says_how_much_was_heard() -> None:
    playout = Playout()
    first, second = playout.play(pcm(5)), playout.play(pcm(50, 2))
    run(playout, 0.0, 0.2)
    assert playout.stop() == 200.0
    assert first.over
    assert second.over
    assert second.played_ms == 100.0
    assert run(playout, 0.2, 0.1) == [SILENCE_FRAME] * 5
    assert playout.stop() == 0.0


def test_prompts_follow_each_other_without_a_hole() -> None:
    playout = Playout()
    playout.play(pcm(1.5))
    playout.play(pcm(1.5, 2))
    assert b"".join(run(playout, 0.0, 0.06)) == pcm(1.5) + pcm(1.5, 2)


def test_the_last_part_of_a_frame_is_filled_with_silence() -> None:
    playout = Playout()
    playout.play(pcm(0.5))
    assert playout.due(0.0) == [pcm(0.5) + bytes(FRAME_BYTES // 2)]


def test_position_starts_anew_with_the_next_prompt() -> None:
    playout = Playout()
    playout.play(pcm(2))
    run(playout, 0.0, 0.1)
    playout.play(pcm(2))
    playout.due(0.1)
    assert playout.stop() == 20.0


def test_while_the_peer_takes_nothing_the_prompt_waits() -> None:
    playout = Playout()
    playout.play(b"".join(pcm(1, n) for n in range(1, 20)))
    run(playout, 0.0, 0.04)
    for n in range(100):
        playout.hold(0.04 + n * 0.02)
    frames = playout.due(2.04)
    assert [int.from_bytes(frame[:2], "little") for frame in frames] == [3]


def test_an_empty_prompt_is_said_at_once() -> None:
    playout = Playout()
    assert playout.play(b"").over
    assert playout.play(b"\x01").over
    assert not playout.playing


def test_endless_prompts_are_refused() -> None:
    playout = Playout()
    half = bytes(Playout.QUEUE_MAX_BYTES // 2)
    playout.play(half)
    playout.play(half)
    with pytest.raises(CallError, match="prompt-too-long"):
        playout.play(b"\0\0")
    playout.stop()
    playout.play(half)
