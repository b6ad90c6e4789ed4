"""open-gram, the word statistics of a Chinese input method (CC BY-SA 3.0), out of Debian's package sunpinyin-data.

71,759 words, 2.5 million pairs and a million triples of general writing: what people say beside complaints. The package
is fetched with apt-get and unpacked with dpkg-deb; nothing is installed, no root is needed.

The file lm_sc.t3g as sunpinyin writes it, little endian, 32-bit words: order N, a flag (0: probabilities, no
logarithms), N + 1 level sizes; 2^16 probabilities, 2^14 back-offs (float32); then the levels. A node is three words:
18 bits word, 14 bits back-off | 16 bits probability, 16 bits child | from bit 25 the child's upper 7 bits; one of the
last level is two: 18 bits word, 14 bits probability | 2 bits probability. Each level ends with a node that says where the
children of the last one end. pydict_sc.bin holds the words (UTF-32, each ended by 0) in the order of their numbers.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speech.training.language_model import BEGIN, END, BackoffModel, normalised
from speech.training.lexicon import HAN

_PACKAGE = "sunpinyin-data"
_MODEL, _WORDS = "lm_sc.t3g", "pydict_sc.bin"
_COMMA, _FULL_STOP = 70, 71
_CLAUSE_ENDS = range(70, 76)  # ，。；？！：
# Most marks of writing are no pause in speech, where a clause goes on: so much of them counts as its end.
_HEARD = 0.5


class OpenGramError(RuntimeError):
    """The package could not be had or is another one than this reads; the message says what to do."""


@dataclass(frozen=True, slots=True)
class OpenGram:
    """`names[i]` is word i. `unigram`, `backoff` [all words] (0 where a word is not in the model); `pairs` [n, 2]
    words, sorted, and `pair_p` [n]. Probabilities, not logarithms."""

    names: Sequence[str]
    unigram: NDArray[np.float64]
    backoff: NDArray[np.float64]
    pairs: NDArray[np.int64]
    pair_p: NDArray[np.float64]

    def counts(self) -> dict[str, float]:
        """Word -> probability, of words in Chinese characters."""
        return {
            name: float(p) for name, p in zip(self.names, self.unigram, strict=True) if p > 0 and HAN.fullmatch(name)
        }


def fetch_open_gram(folder: Path) -> Path:
    """Folder with the two files; downloads the package when they are not in `folder`. Raises OpenGramError."""
    target = folder / "open-gram"
    if all((target / name).exists() for name in (_MODEL, _WORDS)):
        return target
    part = folder / "open-gram.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _run(["apt-get", "download", _PACKAGE], part)
    for package in sorted(part.glob("*.deb")):
        _run(["dpkg-deb", "-x", package.name, "unpacked"], part)
    for name in (_MODEL, _WORDS):
        found = next(part.glob(f"unpacked/**/{name}"), None)
        if found is None:
            raise OpenGramError(f"{_PACKAGE} has no {name}: Debian's package has changed. See README.md, open-gram.")
        shutil.move(found, part / name)
    shutil.rmtree(part / "unpacked")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return target


def read_open_gram(folder: Path) -> OpenGram:
    """Raises OpenGramError, OSError."""
    model = (folder / _MODEL).read_bytes()
    words = (folder / _WORDS).read_bytes()
    return parse(model, words)


def parse(model: bytes, words: bytes) -> OpenGram:
    """Raises OpenGramError."""
    try:
        order, logarithms = (int(value) for value in np.frombuffer(model, "<u4", 2))
        sizes = [int(value) for value in np.frombuffer(model, "<u4", order + 1, 8)] if order < 10 else []
        if order < 2 or logarithms or not sizes:
            raise OpenGramError(f"{_MODEL}: order {order}, flag {logarithms}; order 2 or more, no logarithms is known.")
        at = 4 * (order + 3)
        values = np.frombuffer(model, "<f4", 1 << 16, at).astype(np.float64)
        backoffs = np.frombuffer(model, "<f4", 1 << 14, at + (4 << 16)).astype(np.float64)
        at += (4 << 16) + (4 << 14) + 12 * sizes[0]
        first = np.frombuffer(model, "<u4", 3 * sizes[1], at).reshape(-1, 3)
        wide = 3 if order > 2 else 2
        second = np.frombuffer(model, "<u4", wide * sizes[2], at + first.nbytes).reshape(-1, wide)
        count, _, offset, _ = (int(value) for value in np.frombuffer(words, "<u4", 4))
    except ValueError as error:
        raise OpenGramError(f"{_MODEL} or {_WORDS} is cut off: delete the folder and fetch it again.") from error
    listed = words[offset : offset + (len(words) - offset) // 4 * 4].decode("utf-32-le", "replace").split("\0")
    names = listed[:count]
    heads = first[:-1, 0] & 0x3FFFF
    children = (first[:, 1] >> 16).astype(np.int64) | (first[:, 2] >> 25).astype(np.int64) << 16
    nexts = second[:-1, 0] & 0x3FFFF
    if len(names) < count or max(heads.max(), nexts.max()) >= count or children[-1] != len(nexts):
        raise OpenGramError(f"{_MODEL} and {_WORDS} do not fit each other: another version? See README.md, open-gram.")
    unigram, backoff = np.zeros(count), np.ones(count)
    unigram[heads] = values[first[:-1, 1] & 0xFFFF]
    backoff[heads] = backoffs[first[:-1, 0] >> 18]
    pair_p = values[second[:-1, 1] & 65535] if order > 2 else values[second[:-1, 0] >> 18 | (second[:-1, 1] & 3) << 14]
    pairs = np.stack([np.repeat(heads, np.diff(children)), nexts], axis=1).astype(np.int64)
    return OpenGram(names, unigram, backoff, pairs, pair_p)


def as_model(gram: OpenGram, ids: Mapping[str, int], words: int) -> BackoffModel:
    """open-gram over the words of `ids` (2 and up), with sentences that begin after marks and partly end at them."""
    number = np.array([ids.get(name, -1) for name in gram.names], np.int64)
    ends = np.zeros(len(number), bool)
    ends[[mark for mark in _CLAUSE_ENDS if mark < len(number)]] = True
    number[ends] = END
    share = np.where(ends, _HEARD, np.where(number > END, 1.0, 0.0))
    unigram = np.full(words, 1e-9)
    np.add.at(unigram, number[share > 0], (gram.unigram * share)[share > 0])
    unigram[BEGIN] = 1e-12
    heard = unigram.sum()
    head, following = number[gram.pairs[:, 0]], number[gram.pairs[:, 1]]
    # What the known words have of a history's whole probability, by pair and by back-off.
    pair_p, pair_share = gram.pair_p * share[gram.pairs[:, 1]], share[gram.pairs[:, 1]] > 0
    count = len(number)
    by_pairs = np.bincount(gram.pairs[:, 0], pair_p, count)
    told = np.bincount(gram.pairs[:, 0], (gram.unigram * share)[gram.pairs[:, 1]], count)
    whole = by_pairs + gram.backoff * np.maximum(heard - told, 0.0)
    p = pair_p / np.maximum(whole[gram.pairs[:, 0]], 1e-6)
    use = pair_share & (head > END)
    starts = pair_share & np.isin(gram.pairs[:, 0], (_COMMA, _FULL_STOP)) & (following > END)
    keys = np.concatenate([head[use] * words + following[use], BEGIN * words + following[starts]])
    values = np.concatenate([p[use], p[starts] / 2])
    unique, place = np.unique(keys, return_inverse=True)
    logp = np.log(np.maximum(np.bincount(place, values), 1e-12))
    return normalised(words, [(np.arange(words, dtype=np.int64), np.log(unigram)), (unique, logp)])


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError as error:
        raise OpenGramError(f"{command[0]} is not here ({error.strerror}): see README.md, open-gram.") from error
    if done.returncode:
        told = done.stderr.strip()[-500:]
        raise OpenGramError(
            f"{' '.join(command)} failed; `apt-get update` may help, or see README.md, open-gram.\n{told}"
        )
