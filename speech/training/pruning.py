"""Pure: a word model made smaller: the n-grams whose loss changes it least go, and are left to the back-off.

A. Stolcke, "Entropy-based pruning of backoff language models" (1998).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speech.training.language_model import LEAST, BackoffModel, Floats, normalised, places


def pruned(model: BackoffModel, size: int) -> BackoffModel:
    """At most `size` n-grams of two words and more: those whose loss would change the model most.

    Histories of kept n-grams stay, whatever they are worth themselves.
    """
    if model.size <= size:
        return model
    worth = [_relative_entropy(model, length) for length in range(2, model.order + 1)]
    low, high = 0.0, max(float(value.max()) for value in worth if len(value))
    kept = _kept(model, worth, high)
    for _ in range(50):  # bisection: the count falls as the threshold grows
        middle = (low * high) ** 0.5 if low > 0 else high / 1e6 if high > 1e-300 else 0.0
        chosen = _kept(model, worth, middle)
        if sum(int(keep.sum()) for keep in chosen) <= size:
            high, kept = middle, chosen
        else:
            low = middle
        if low > 0 and high / low < 1.0001:
            break
    first = model.levels[0]
    grams = [(first.keys, first.logp)]
    grams += [(level.keys[keep], level.logp[keep]) for level, keep in zip(model.levels[1:], kept, strict=True)]
    while len(grams) > 1 and not len(grams[-1][0]):
        grams.pop()
    return normalised(model.words, grams)


def _relative_entropy(model: BackoffModel, length: int) -> Floats:
    """Of each n-gram of `length`: how far the model moves when it alone is left to the back-off (Stolcke, eq. 5-8)."""
    level, words = model.levels[length - 1], model.words
    if not len(level.keys):
        return np.zeros(0)
    p, shorter = np.exp(level.logp), model.score(level.keys % words ** (length - 1), length - 1)
    histories, first = np.unique(level.keys // words, return_index=True)
    many = np.diff(np.append(first, len(level.keys)))
    left = np.repeat(1 - np.add.reduceat(p, first), many)
    left_below = np.repeat(1 - np.add.reduceat(np.exp(shorter), first), many)
    now = np.repeat(model.backoff(histories, length - 1), many)
    then = np.log(left + p) - np.log(np.maximum(left_below + np.exp(shorter), LEAST))
    history = np.repeat(np.exp(model.joint(histories, length - 1)), many)
    return -history * (p * (shorter + then - level.logp) + left * (then - now))


def _kept(model: BackoffModel, worth: Sequence[Floats], least: float) -> list[NDArray[np.bool_]]:
    kept = [value > least for value in worth]
    for length in range(model.order, 2, -1):
        histories = np.unique(model.levels[length - 1].keys[kept[length - 2]] // model.words)
        at, found = places(model.levels[length - 2].keys, histories)
        kept[length - 3][at[found]] = True
    return kept
