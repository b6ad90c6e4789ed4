"""Pure: the weights by which a listed name is believed, fitted to the trial of `hotline evaluate vocabulary`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hotline.vocabulary_trial import Heard
    from speech.vocabulary import Vocabulary

_STEPS = 60
_RIDGE = 0.5  # keeps weights finite where the data could be told apart perfectly
_SHORTEST = 3  # shorter names are never put in by likeness


def evidence_rows(vocabulary: Vocabulary, heard: Sequence[Heard]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(matches, features) and 1 or 0 a match: whether the name was said in that sentence."""
    rows: list[tuple[float, ...]] = []
    right: list[float] = []
    for one in heard:
        for words, hearings in one.given:
            for match, evidence in vocabulary.weighed(words, hearings):
                if match.syllables >= _SHORTEST:
                    rows.append(evidence)
                    right.append(float(match.entry.written == one.name))
    return np.array(rows, float).reshape(len(rows), len(rows[0]) if rows else 0), np.array(right)


def fitted(features: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic regression by Newton's method, the first feature (the constant) unpenalised.

    Raises ValueError when all matches are right, or none: there is nothing to tell apart.
    """
    if not len(right) or right.min() == right.max():
        raise ValueError("every match is right, or none is: more sentences are needed to fit the weights")
    weights = np.zeros(features.shape[1])
    ridge = np.full(len(weights), _RIDGE)
    ridge[0] = 0.0
    for _ in range(_STEPS):
        sure = 1.0 / (1.0 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = features.T @ (right - sure) - ridge * weights
        curvature = (features.T * (sure * (1 - sure))) @ features + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-6:
            break
    return weights
