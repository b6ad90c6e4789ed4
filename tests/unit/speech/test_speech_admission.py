"""Who is heard live when more call than the recogniser can hear, and what is given up first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.admission import CALM_SECONDS, TALK_SHARE, YOUNG_SECONDS, Admission, Level, Limits, Load

CALM = Load(0.0, 0.0, 0.05, 2)


def load(workload: float = 0.0, behind: float = 0.0, pace: float = 0.05, workers: int = 2) -> Load:
    return Load(workload, behind, pace, workers)


def test_the_calls_of_one_second_are_counted_before_they_can_be_measured() -> None:
    """A hundred calls in a burst: the load is still 0, and yet only as many are heard as there will be room for."""
    admission = Admission(Limits(admit_below_load=0.8))
    tickets = [admission.enter(CALM, 10.0 + 0.01 * number) for number in range(100)]
    heard = sum(ticket is not None for ticket in tickets)
    assert heard == admission.calls == int(0.8 / (TALK_SHARE * 0.05 / 2))
    assert None not in tickets[:heard], "the first come are heard"


def test_later_the_measured_load_decides() -> None:
    admission = Admission(Limits(admit_below_load=0.8))
    while admission.enter(CALM, 0.0) is not None:
        pass
    heard = admission.calls
    assert admission.enter(load(0.2), YOUNG_SECONDS / 2) is None
    assert admission.enter(load(0.2), YOUNG_SECONDS + 1) is not None, "they turned out to speak little"
    assert admission.calls == heard + 1
    assert admission.enter(load(0.79), YOUNG_SECONDS + 2) is None, "or much"


def test_a_slow_machine_hears_one_call() -> None:
    admission = Admission(Limits())
    slow = load(pace=3.0, workers=1)
    ticket = admission.enter(slow, 0.0)
    assert ticket is not None
    assert admission.enter(slow, 0.0) is None
    admission.leave(ticket)
    assert admission.enter(slow, 1.0) is not None


def test_the_set_number_of_calls_is_kept_to() -> None:
    admission = Admission(Limits(calls_max=2))
    one, two = admission.enter(CALM, 0.0), admission.enter(CALM, 0.0)
    assert one is not None
    assert two is not None
    assert admission.enter(CALM, 1.0) is None
    assert admission.level is Level.NORMAL, "nothing is given up: the recogniser has time"
    admission.leave(one)
    assert admission.enter(CALM, 2.0) is not None
    admission.leave(123.0)  # nobody's ticket
    assert admission.calls == 2


@pytest.mark.parametrize(
    ("measured", "level"),
    [
        (load(0.6), Level.NORMAL),
        (load(0.7), Level.PARTIALS_SHED),
        (load(0.1, behind=0.4), Level.PARTIALS_SHED),
        (load(1.1), Level.FULL),
        (load(0.1, behind=1.1), Level.FULL),
    ],
)
def test_partials_are_given_up_before_new_calls(measured: Load, level: Level) -> None:
    admission = Admission(Limits())
    assert admission.see(measured, 0.0) is level
    assert (admission.enter(load(0.0), 0.1) is None) is (level is Level.FULL)


def test_a_level_is_left_only_after_a_calm() -> None:
    admission = Admission(Limits())
    assert admission.see(load(0.7), 0.0) is Level.PARTIALS_SHED
    for at in range(1, 20):
        assert admission.see(load(0.6), float(at)) is Level.PARTIALS_SHED, "just below is not calm"
    assert admission.see(load(0.3), 20.0) is Level.PARTIALS_SHED
    assert admission.see(load(0.3), 20.0 + CALM_SECONDS / 2) is Level.PARTIALS_SHED
    assert admission.see(load(0.3), 20.0 + CALM_SECONDS) is Level.NORMAL


def test_from_full_the_partials_come_back_last() -> None:
    admission = Admission(Limits())
    admission.see(load(1.2), 0.0)
    admission.see(load(0.7), 1.0)
    assert admission.see(load(0.7), 1.0 + CALM_SECONDS) is Level.PARTIALS_SHED


def test_after_a_night_without_calls_the_first_one_is_heard() -> None:
    admission = Admission(Limits())
    admission.see(load(1.5, behind=3), 0.0)
    assert admission.enter(CALM, 3600.0) is not None
    assert admission.level is Level.NORMAL


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.floats(0, 40), st.floats(0, 5), st.booleans(), st.floats(0, 30)), max_size=60
    ),
    st.integers(0, 5),
)
def test_whatever_is_measured_the_count_is_true(
    steps: list[tuple[float, float, float, bool, float]], most: int
) -> None:
    admission = Admission(Limits(calls_max=most))
    tickets: list[float] = []
    at = 0.0
    for workload, behind, pace, comes, passes in steps:
        at += passes
        if comes or not tickets:
            ticket = admission.enter(load(workload, behind, pace), at)
            if ticket is not None:
                tickets.append(ticket)
                assert admission.level is not Level.FULL
        else:
            admission.leave(tickets.pop(0))
        assert admission.calls == len(tickets)
        assert not most or len(tickets) <= most
        if workload > 1 or behind > 1:
            assert admission.see(load(workload, behind, pace), at) is Level.FULL
