"""The stage `graph`: texts -> words and their language model -> HCLG.fst with words.txt, what Vosk searches."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from speech.training.language_model import (
    END,
    BackoffModel,
    Corpus,
    estimate,
    mix,
    mixing_weights,
    perplexity,
)
from speech.training.lexicon import Lexicon, choose_words, cut_clauses, jieba_cut, jieba_words, make_lexicon, names_in
from speech.training.open_gram import OpenGram, as_model, read_open_gram
from speech.training.pruning import pruned
from speech.training.word_graph import word_graph

# The committed model has room for this much.
LARGEST_BYTES = 21_500_000
WORDS = 40_000
ORDER = 3
# What general writing is trusted with at least, whatever the held-out lines say: they come from our own lists and
# sentences, callers do not.
GENERAL_SHARE = 0.5
# Of the words, what share is chosen by our texts.
_OURS = 0.5
# So many n-grams fill the room about.
_FIRST_SIZE = 342_000
_BYTES_AN_NGRAM = 45.0
_ROUNDS = 6


def make_graph(part_dir: Path, text_dir: Path, open_gram: Path | None = None) -> None:
    """Writes HCLG.fst and words.txt into `part_dir` from `text_dir` (text.TrainingText.write) and, if given, the
    folder of fetch_open_gram. The language model is pruned until both files fit LARGEST_BYTES.

    The same text gives the same bytes. Raises OSError, ValueError, OpenGramError.
    """
    language: dict[str, list[str]] = json.loads((text_dir / "language.json").read_text(encoding="utf-8"))
    held_out = (text_dir / "held-out.txt").read_text(encoding="utf-8").split()
    lexicon, model = language_model(language, held_out, read_open_gram(open_gram) if open_gram is not None else None)
    listed = "".join(f"{word} {number}\n" for number, word in enumerate(["<eps>", *lexicon.words])).encode()
    made = _fitting(lexicon, model, LARGEST_BYTES - len(listed))
    (part_dir / "words.txt").write_bytes(listed)
    (part_dir / "HCLG.fst").write_bytes(made)


def _fitting(lexicon: Lexicon, model: BackoffModel, room: int) -> bytes:
    """The graph of as many n-grams as fit into `room` bytes, within 3 %. Raises ValueError when the words alone do not."""
    size, best, each = min(_FIRST_SIZE, model.size), b"", _BYTES_AN_NGRAM
    last: tuple[int, int] | None = None
    for _ in range(_ROUNDS):
        made = word_graph(lexicon, pruned(model, size)).to_bytes()
        spare = room - len(made)
        _tell(f"{size} n-grams: {len(made) / 1e6:.2f} MB of {room / 1e6:.2f}")
        if spare >= 0 and len(made) > len(best):
            best = made
        if 0 <= spare < 0.03 * room or (size == model.size and spare >= 0) or (size == 0 and spare < 0):
            break
        if last is not None and last[0] != size:  # what n-grams take in this very graph
            each = max(1.0, (len(made) - last[1]) / (size - last[0]))
        last = size, len(made)
        # Aims at the middle of what is allowed.
        size = max(0, min(model.size, size + int((spare - 0.015 * room) / each)))
    if not best:
        raise ValueError(f"the graph of {len(lexicon.words)} words does not fit {room} bytes: lower WORDS in graph.py")
    return best


def language_model(
    language: Mapping[str, Sequence[str]], held_out: Sequence[str], open_gram: OpenGram | None = None
) -> tuple[Lexicon, BackoffModel]:
    """The words, and the unpruned model of them. Word number n of the model is lexicon.words[n - 2]."""
    names = names_in(language["places"])
    cut = jieba_cut(names)
    cuts = {kind: list(cut_clauses(clauses, cut)) for kind, clauses in language.items()}
    general = open_gram.counts() if open_gram is not None else jieba_words()
    counts: Counter[str] = Counter(word for lines in cuts.values() for line in lines for word in line)
    lexicon = make_lexicon(choose_words(counts, general, names, WORDS, ours=_OURS))
    ids = {word: number for number, word in enumerate(lexicon.words, 2)}
    words = len(ids) + 2

    def corpus(lines: Iterable[Sequence[str]]) -> Corpus:
        return Corpus.of([[ids[word] for word in lexicon.known(line)] for line in lines])

    least = min(general.values()) / 2
    base = np.array([0.0, 0.0, *(general.get(word, least) for word in lexicon.words)])
    base[END] = base.sum() / 12  # a clause has about twelve words at most
    base /= base.sum()
    sources = {
        "complaints": estimate(corpus(cuts["complaints"]), words, ORDER, base),
        "answers": estimate(corpus(cuts["answers"]), words, ORDER, base),
        "places": estimate(corpus(cuts["places"]), words, 2, base),
        "everyday": estimate(corpus([*cuts["tatoeba"], *cuts["hsk"]]), words, ORDER, base),
    }
    if open_gram is not None:
        sources["general"] = as_model(open_gram, ids, words)
    kept = corpus(cut_clauses(held_out, cut))
    weights = mixing_weights(list(sources.values()), kept)
    if open_gram is not None and weights[-1] < GENERAL_SHARE:
        ours = 1 - weights[-1]
        weights = [*(weight * (1 - GENERAL_SHARE) / ours for weight in weights[:-1]), GENERAL_SHARE]
    model = mix(list(sources.values()), weights)
    shares = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(sources, weights, strict=True))
    _tell(f"{len(ids)} words, {model.size} n-grams of {shares}; held-out perplexity {perplexity(model, kept):.1f}")
    return lexicon, model


def _tell(line: str) -> None:
    print(f"graph: {line}", file=sys.stderr, flush=True)
