"""Pure: back-off models of word sequences, estimated from text and mixed.

A word is its number: 0 begins a sentence, 1 ends it. An n-gram of a vocabulary of V words is one integer, its words as
the figures of a number in base V: the history is `key // V`, the n-gram without its first word `key % V**(n-1)`. Sorted
arrays of such keys are the whole model. Probabilities are natural logarithms.

Estimation: S. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling" (1998), modified
Kneser-Ney, interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

BEGIN, END = 0, 1
# What is left to words that a history was never seen with, and to histories whose words say it all.
LEAST = 1e-4
LARGEST_VOCABULARY = 2**21  # three words fit one integer


@dataclass(frozen=True, slots=True)
class Level:
    """N-grams of one length, sorted. `backoff`: what the shorter n-gram's probability is multiplied by (a logarithm)
    when this one is the history and the longer n-gram is not here."""

    keys: Keys
    logp: Floats
    backoff: Floats


@dataclass(frozen=True, slots=True)
class BackoffModel:
    """`levels[0]` holds every word, in order; `levels[n - 1]` n-grams of n words, each history among those below."""

    words: int
    levels: tuple[Level, ...]

    @property
    def order(self) -> int:
        return len(self.levels)

    @property
    def size(self) -> int:
        """N-grams of two words and more."""
        return sum(len(level.keys) for level in self.levels[1:])

    def score(self, keys: Keys, length: int) -> Floats:
        """log P(last word | those before) of n-grams of `length` words; longer than the model knows is cut."""
        if length > self.order:
            return self.score(keys % self.words**self.order, self.order)
        level = self.levels[length - 1]
        if length == 1:
            return level.logp[keys]
        at, found = places(level.keys, keys)
        shorter = self.score(keys % self.words ** (length - 1), length - 1)
        return np.where(found, level.logp[at], self.backoff(keys // self.words, length - 1) + shorter)

    def backoff(self, keys: Keys, length: int) -> Floats:
        level = self.levels[length - 1]
        at, found = places(level.keys, keys)
        return np.where(found, level.backoff[at], 0.0)

    def joint(self, keys: Keys, length: int) -> Floats:
        """log P of the whole n-gram; a first word that begins the sentence costs what a sentence's end does."""
        first = keys // self.words ** (length - 1)
        total = self.levels[0].logp[np.where(first == BEGIN, END, first)]
        for taken in range(2, length + 1):
            total = total + self.score(keys // self.words ** (length - taken), taken)
        return total


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences end to end: `tokens` [length] int64, each sentence from BEGIN to END."""

    tokens: Keys

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]]) -> Corpus:
        flat: list[int] = []
        for sentence in sentences:
            flat.append(BEGIN)
            flat.extend(sentence)
            flat.append(END)
        return cls(np.array(flat, np.int64))

    def grams(self, words: int, length: int) -> Keys:
        """N-grams in the order of the text, none across two sentences."""
        count = len(self.tokens) - length + 1
        if count <= 0:
            return np.zeros(0, np.int64)
        keys = np.zeros(count, np.int64)
        inside = np.ones(count, bool)
        for place in range(length):
            part = self.tokens[place : place + count]
            keys = keys * words + part
            if place < length - 1:
                inside &= part != END
        return keys[inside]

    def predicted(self, words: int, order: int) -> list[tuple[Keys, int]]:
        """Every word but BEGIN with as much history as there is, at most `order - 1` words: (keys, length)."""
        found = [(self.grams(words, order), order)]
        starts = np.flatnonzero(self.tokens == BEGIN)
        for length in range(2, order):  # the first words of a sentence have less history
            keys = np.zeros(len(starts), np.int64)
            inside = starts + length <= len(self.tokens)
            at = np.minimum(starts[:, None] + np.arange(length), len(self.tokens) - 1)
            part = self.tokens[at]
            inside &= ~(part[:, :-1] == END).any(axis=1)
            for place in range(length):
                keys = keys * words + part[:, place]
            found.append((keys[inside], length))
        return found

    def log_probability(self, model: BackoffModel) -> Floats:
        """Of every predicted word, in the order of `predicted`."""
        parts = [model.score(keys, length) for keys, length in self.predicted(model.words, model.order)]
        return np.concatenate(parts) if parts else np.zeros(0)


def normalised(words: int, grams: Sequence[tuple[Keys, Floats]]) -> BackoffModel:
    """The model of these n-grams, unigrams first; back-offs are such that every history's words sum to one.

    Histories that are missing one level below are put in there with what the levels below them give. Keys sorted.
    """
    if not 2 <= words <= LARGEST_VOCABULARY:
        raise ValueError(f"a vocabulary of {words} words; 2 to {LARGEST_VOCABULARY} can be held")
    closed = _closed(words, grams)
    unigram = closed[0][1] - np.log(np.exp(closed[0][1]).sum())
    levels = [Level(closed[0][0], unigram, np.zeros(words))]
    for length in range(2, len(closed) + 1):
        keys, logp = closed[length - 1]
        below = BackoffModel(words, tuple(levels))
        missing = np.isnan(logp)
        if missing.any():
            logp = np.where(missing, below.score(keys, length), logp)
        shorter = below.score(keys % words ** (length - 1), length - 1)
        histories, first = np.unique(keys // words, return_index=True)
        counts = np.diff(np.append(first, len(keys)))
        told = np.add.reduceat(np.exp(logp), first) if len(keys) else np.zeros(0)
        scale = np.where(told > 1 - LEAST, (1 - LEAST) / np.maximum(told, 1e-30), 1.0)
        logp = logp + np.log(np.repeat(scale, counts))
        told = told * scale
        told_below = np.add.reduceat(np.exp(shorter), first) if len(keys) else np.zeros(0)
        last = levels[-1]
        at, _ = places(last.keys, histories)
        backoff = last.backoff.copy()
        backoff[at] = np.log(1 - told) - np.log(np.maximum(1 - told_below, LEAST))
        levels[-1] = Level(last.keys, last.logp, backoff)
        levels.append(Level(keys, logp, np.zeros(len(keys))))
    return BackoffModel(words, tuple(levels))


def estimate(corpus: Corpus, words: int, order: int, base: Floats) -> BackoffModel:
    """Modified Kneser-Ney. `base` [words]: what a word is worth that the text has not; sums to one."""
    seen = [np.unique(corpus.grams(words, length), return_counts=True) for length in range(1, order + 1)]
    unigram = np.zeros(words)
    counts: list[tuple[Keys, Floats]] = []
    for length in range(1, order + 1):
        keys, times = seen[length - 1]
        count = times.astype(np.float64)
        if length < order:  # how many words come before it, not how often; nothing comes before a sentence's begin
            after = seen[length][0] % words**length
            kinds, befores = np.unique(after, return_counts=True)
            begins = keys // words ** (length - 1) == BEGIN
            at, found = places(kinds, keys)
            count = np.where(begins | ~found, count, befores[at] if len(kinds) else 0)
        counts.append((keys, count))
    keys, count = counts[0]
    count = np.where(keys == BEGIN, 0.0, count)
    less = np.minimum(_discounts(count), count)
    total = max(count.sum(), 1.0)
    unigram[keys] = (count - less) / total
    unigram += max(less.sum() / total, 1e-6) * base
    unigram[BEGIN] = 1e-12
    grams = [(np.arange(words, dtype=np.int64), np.log(unigram / unigram.sum()))]
    for length in range(2, order + 1):
        below = normalised(words, grams)
        keys, count = counts[length - 1]
        less = _discounts(count)
        _, first = np.unique(keys // words, return_index=True)
        many = np.diff(np.append(first, len(keys)))
        total_of = np.repeat(np.add.reduceat(count, first), many)
        spared = np.repeat(np.add.reduceat(less, first), many)
        lower = np.exp(below.score(keys % words ** (length - 1), length - 1))
        grams.append((keys, np.log((count - less) / total_of + spared / total_of * lower)))
    return normalised(words, grams)


def mix(models: Sequence[BackoffModel], weights: Sequence[float]) -> BackoffModel:
    """Linear interpolation. A source counts as much as its weight says it is likely that this history is its own."""
    words, order = models[0].words, max(model.order for model in models)
    logs = np.log(np.asarray(weights, np.float64))
    unigram = np.logaddexp.reduce([log + model.levels[0].logp for log, model in zip(logs, models, strict=True)])
    grams = [(np.arange(words, dtype=np.int64), unigram)]
    for length in range(2, order + 1):
        keys = np.unique(np.concatenate([m.levels[length - 1].keys for m in models if m.order >= length]))
        histories = keys // words
        trust = np.stack([log + model.joint(histories, length - 1) for log, model in zip(logs, models, strict=True)])
        trust -= np.logaddexp.reduce(trust)
        scores = np.stack([model.score(keys, length) for model in models])
        grams.append((keys, np.logaddexp.reduce(trust + scores)))
    return normalised(words, grams)


def mixing_weights(models: Sequence[BackoffModel], held_out: Corpus, rounds: int = 60) -> list[float]:
    """Weights that make the held-out text most likely (expectation maximisation)."""
    scores = np.exp(np.stack([held_out.log_probability(model) for model in models]))
    weights = np.full(len(models), 1 / len(models))
    for _ in range(rounds):
        shares = weights[:, None] * scores
        weights = (shares / np.maximum(shares.sum(0), 1e-300)).mean(1)
    return [float(weight) for weight in weights]


def perplexity(model: BackoffModel, corpus: Corpus) -> float:
    return float(np.exp(-corpus.log_probability(model).mean()))


def _discounts(count: Floats) -> Floats:
    """What is taken of each count; absolute discounting of 0.6 where counts of counts are too odd for a formula."""
    once, twice, thrice, four = (float((count == times).sum()) for times in (1, 2, 3, 4))
    values = [0.6, 0.6, 0.6]
    if min(once, twice, thrice, four) > 0:
        share = once / (once + 2 * twice)
        formula = [
            1 - 2 * share * twice / once,
            2 - 3 * share * thrice / twice,
            3 - 4 * share * four / thrice,
        ]
        if all(0 < value < times for times, value in enumerate(formula, 1)):
            values = formula
    return np.asarray(values)[np.clip(count.astype(np.int64), 1, 3) - 1]


def places(of: Keys, keys: Keys) -> tuple[Keys, NDArray[np.bool_]]:
    """Where each key is in sorted `of`, and whether it is there."""
    if not len(of):
        return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
    at = np.minimum(np.searchsorted(of, keys), len(of) - 1)
    return at, of[at] == keys


def _closed(words: int, grams: Sequence[tuple[Keys, Floats]]) -> list[tuple[Keys, Floats]]:
    """With every history among the n-grams one shorter; NaN where it has no probability yet."""
    closed = list(grams)
    for length in range(len(closed), 2, -1):
        keys, logp = closed[length - 2]
        missing = np.setdiff1d(closed[length - 1][0] // words, keys)
        if len(missing):
            joined = np.concatenate([keys, missing])
            order = np.argsort(joined, kind="stable")
            closed[length - 2] = (joined[order], np.append(logp, np.full(len(missing), np.nan))[order])
    return closed
