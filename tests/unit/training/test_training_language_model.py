"""Word models: probabilities that add up, seen words before unseen ones, mixing and pruning that do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.training.language_model import (
    BEGIN,
    END,
    BackoffModel,
    Corpus,
    estimate,
    mix,
    mixing_weights,
    normalised,
    perplexity,
)
from speech.training.pruning import pruned

WORDS = 9
UNIFORM = np.array([0.0, *[1 / (WORDS - 1)] * (WORDS - 1)])
sentences = st.lists(st.lists(st.integers(2, WORDS - 1), min_size=1, max_size=6), min_size=1, max_size=25)


def key(*words: int) -> int:
    value = 0
    for word in words:
        value = value * WORDS + word
    return value


def following(model: BackoffModel, *history: int) -> np.ndarray:
    """P of every word after this history."""
    keys = np.array([key(*history, word) for word in range(WORDS)])
    return np.exp(model.score(keys, len(history) + 1))


def learned(said: list[list[int]], order: int = 3) -> BackoffModel:
    return estimate(Corpus.of(said), WORDS, order, UNIFORM)


def assert_adds_up(model: BackoffModel) -> None:
    for length, level in enumerate(model.levels):
        for history in np.unique(level.keys // WORDS) if length else [0]:
            digits = [int(history) // WORDS**place % WORDS for place in reversed(range(length))]
            assert following(model, *digits).sum() == pytest.approx(1, abs=2e-3), digits


@settings(deadline=None, max_examples=15)
@given(sentences, st.integers(1, 3))
def test_after_every_history_the_words_add_up_to_one(said: list[list[int]], order: int) -> None:
    assert_adds_up(learned(said, order))


@settings(deadline=None, max_examples=15)
@given(sentences, sentences, st.floats(0.05, 0.95))
def test_a_mixture_adds_up_and_so_does_what_is_left_of_it(
    ours: list[list[int]], theirs: list[list[int]], share: float
) -> None:
    model = mix([learned(ours), learned(theirs, 2)], [share, 1 - share])
    assert_adds_up(model)
    small = pruned(model, model.size // 2)
    assert small.size <= model.size // 2
    assert_adds_up(small)


def test_what_was_said_is_likelier_than_what_was_not() -> None:
    model = learned([[2, 3, 4], [2, 3, 5], [2, 3, 4], [6, 3, 7]])
    after = following(model, 2, 3)
    assert after[4] > after[5] > after[7] > after[8] > 0
    assert following(model, BEGIN)[2] > following(model, BEGIN)[6] > following(model, BEGIN)[3]
    assert following(model, 3, 4)[END] > 0.5


def test_a_word_of_one_company_is_not_expected_in_another() -> None:
    """Kneser-Ney: 5 is frequent but only after 4; 6 is rarer and comes after many."""
    model = learned([[4, 5]] * 20 + [[2, 6], [3, 6], [7, 6], [8, 6]], 2)
    assert following(model, 6)[6] > following(model, 6)[5]


def test_words_that_the_text_lacks_are_worth_what_the_base_says() -> None:
    base = np.array([0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3])
    model = estimate(Corpus.of([[2, 3], [3, 2]]), WORDS, 2, base / base.sum())
    assert following(model)[8] == pytest.approx(3 * following(model)[7])


def test_a_text_is_told_from_another_by_the_weights() -> None:
    ours, theirs = [[2, 3, 4]] * 8 + [[2, 3, 5]], [[6, 7, 8]] * 8 + [[6, 8, 7]]
    models = [learned(ours), learned(theirs)]
    weights = mixing_weights(models, Corpus.of([[2, 3, 4], [2, 3, 5], [2, 3, 4], [6, 7, 8]]))
    assert sum(weights) == pytest.approx(1)
    assert 0.6 < weights[0] < 0.9
    mixed = mix(models, weights)
    both = Corpus.of([*ours, *theirs])
    assert perplexity(mixed, both) < min(perplexity(model, both) for model in models) / 2
    # A history of theirs alone counts for more than their weight.
    assert following(mixed, 6)[7] > 1.3 * weights[1] * following(models[1], 6)[7]


def test_pruning_leaves_out_what_is_missed_least() -> None:
    said = [[2, 3, 4]] * 30 + [[2, 5], [5, 6], [6, 7], [7, 8], [8, 5], [3, 8]] * 2
    model = learned(said)
    text = Corpus.of(said)
    sizes = range(model.size, 0, -4)
    losses = [perplexity(pruned(model, size), text) for size in sizes]
    assert losses[0] == pytest.approx(perplexity(model, text))
    assert losses[len(losses) // 2] < 1.3 * losses[0]
    assert losses[-1] > losses[0]
    few = pruned(model, 4)
    assert key(BEGIN, 2) in few.levels[1].keys.tolist()
    assert pruned(model, 0).order == 1


def test_histories_of_kept_triples_are_kept() -> None:
    model = learned([[2, 3, 4], [5, 3, 6]] * 10 + [[3, 7]])
    for size in range(model.size + 1):
        small = pruned(model, size)
        for longer, shorter in zip(small.levels[2:], small.levels[1:-1], strict=True):
            assert set((longer.keys // WORDS).tolist()) <= set(shorter.keys.tolist())


def test_a_missing_history_is_put_in() -> None:
    uniform = np.log(np.array([1e-12, *[1 / 8] * 8]))
    triple = (np.array([key(2, 3, 4)]), np.log(np.array([0.5])))
    model = normalised(WORDS, [(np.arange(WORDS), uniform), (np.zeros(0, np.int64), np.zeros(0)), triple])
    assert following(model, 2, 3)[4] == pytest.approx(0.5)
    assert following(model, 2)[3] == pytest.approx(following(model)[3])


def test_too_large_a_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="vocabulary of 4000000"):
        normalised(4_000_000, [])


def test_sentences_do_not_run_into_each_other() -> None:
    corpus = Corpus.of([[2, 3], [4]])
    assert corpus.grams(WORDS, 2).tolist() == [key(0, 2), key(2, 3), key(3, 1), key(0, 4), key(4, 1)]
    assert corpus.grams(WORDS, 3).tolist() == [key(0, 2, 3), key(2, 3, 1), key(0, 4, 1)]
    predicted = sum(len(keys) for keys, _ in corpus.predicted(WORDS, 3))
    assert predicted == 5
