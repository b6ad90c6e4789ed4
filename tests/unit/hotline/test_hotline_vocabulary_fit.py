from __future__ import annotations

import numpy as np
import pytest

from hotline.vocabulary_fit import fitted


def test_the_weights_that_made_the_data_are_found_again() -> None:
    rng = np.random.default_rng(1)
    true = np.array([-0.5, 1.5, -2.0])
    features = np.column_stack([np.ones(4000), rng.normal(size=(4000, 2))])
    right = (rng.random(4000) < 1 / (1 + np.exp(-features @ true))).astype(float)
    assert fitted(features, right) == pytest.approx(true, abs=0.15)


def test_data_that_can_be_told_apart_perfectly_give_finite_weights() -> None:
    features = np.column_stack([np.ones(20), np.linspace(-1, 1, 20)])
    weights = fitted(features, (features[:, 1] > 0).astype(float))
    assert np.isfinite(weights).all()
    assert weights[1] > 0


@pytest.mark.parametrize("right", [[], [1.0, 1.0], [0.0, 0.0]])
def test_with_one_kind_of_matches_there_is_nothing_to_fit(right: list[float]) -> None:
    with pytest.raises(ValueError, match="more sentences"):
        fitted(np.ones((len(right), 2)), np.array(right))
