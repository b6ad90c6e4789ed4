from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.fed_time import FedTime

pieces = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 50)), min_size=1, max_size=20)  # gap, length in frames


def fed(plan: list[tuple[int, int]]) -> tuple[FedTime, list[tuple[float, float, float]]]:
    """Feed pieces frame by frame; also the truth: (fed from, caller from, seconds) of each."""
    time, truth, at = FedTime(), [], 0
    for gap, frames in plan:
        at += gap
        truth.append((time.fed_seconds, at / 50, frames / 50))
        for frame in range(frames):
            time.add((at + frame) / 50, 0.02)
        at += frames
    return time, truth


@given(pieces)
def test_a_word_within_a_piece_lies_where_the_piece_lies(plan: list[tuple[int, int]]) -> None:
    time, truth = fed(plan)
    for fed_from, caller_from, seconds in truth:
        start, end = time.word(fed_from + 0.25 * seconds, fed_from + 0.75 * seconds)
        assert start == pytest.approx(caller_from + 0.25 * seconds, abs=1e-6)
        assert end == pytest.approx(caller_from + 0.75 * seconds, abs=1e-6)


@given(pieces, st.floats(0, 1), st.floats(0, 1))
def test_a_word_never_lies_outside_what_was_fed_nor_ends_before_it_begins(
    plan: list[tuple[int, int]], one: float, other: float
) -> None:
    time, truth = fed(plan)
    low, high = sorted((one * time.fed_seconds, other * time.fed_seconds))
    start, end = time.word(low, high)
    assert start <= end + 1e-9
    assert truth[0][1] - 1e-6 <= start
    assert end <= truth[-1][1] + truth[-1][2] + 1e-6
    assert end - start <= high - low + 1e-6, "a gap is no part of a word"


def test_a_word_across_a_gap_goes_to_its_larger_side() -> None:
    time = FedTime()
    time.add(1.0, 0.5)
    time.add(10.0, 0.5)
    assert time.word(0.4, 0.9) == (pytest.approx(10.0), pytest.approx(10.4))
    assert time.word(0.1, 0.6) == (pytest.approx(1.1), pytest.approx(1.5))


def test_nothing_fed_leaves_times_alone() -> None:
    assert FedTime().word(0.1, 0.2) == (0.1, 0.2)
