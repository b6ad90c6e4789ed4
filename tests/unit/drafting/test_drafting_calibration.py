"""How sure a draft says it is: curves from answers, and what "sure" promises."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.drafting.calibration import SURE_FROM, calibrated, calibration_of, sure_share
from cases.fields import SURE_FROM as DESK_SURE_FROM

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=200)


def answers(seed: int, right_at: float) -> list[tuple[float, bool]]:
    """1,000 answers; one with share s is right with probability min(1, s · right_at)."""
    chance = Random(seed)
    shares = [chance.random() for _ in range(1000)]
    return [(share, chance.random() < min(1.0, share * right_at)) for share in shares]


def test_the_mark_is_the_desks() -> None:
    assert SURE_FROM == DESK_SURE_FROM


def test_confidence_is_how_often_it_was_right() -> None:
    curve = calibration_of(answers(1, 0.7))  # never sure
    assert calibrated(curve, 0.5) == pytest.approx(0.35, abs=0.1)
    assert calibrated(curve, 1.0) < SURE_FROM


def test_sure_is_right_95_times_in_100_on_other_answers() -> None:
    curve = calibration_of(answers(2, 1.3))
    sure = [right for share, right in answers(3, 1.3) if calibrated(curve, share) >= SURE_FROM]
    assert len(sure) > 100
    assert sum(sure) / len(sure) >= 0.95


def test_what_is_likely_but_below_the_mark_is_not_shown_as_sure() -> None:
    often = [(0.9 + at / 10_000, at % 10 != 0) for at in range(1000)]  # 90 in 100, whatever the share
    curve = calibration_of(often)
    assert sure_share(often) is None
    assert all(calibrated(curve, share) < SURE_FROM for share in (0.0, 0.9, 0.95, 1.0))


def test_a_handful_of_right_answers_is_no_ground_to_be_sure() -> None:
    assert sure_share([(0.99, True)] * 19) is None
    assert sure_share([(0.99, True)] * 20) == 0.99


def test_no_answers_no_confidence() -> None:
    assert calibration_of([]) == ()
    assert calibrated((), 0.9) == 0.0


@given(ANSWERS, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_share_is_never_less_sure(given_answers: list[tuple[float, bool]], one: float, other: float) -> None:
    curve = calibration_of(given_answers)
    low, high = sorted((calibrated(curve, min(one, other)), calibrated(curve, max(one, other))))
    assert calibrated(curve, min(one, other)) == low
    assert 0.0 <= low <= high <= 1.0
    assert list(curve) == sorted(curve)
