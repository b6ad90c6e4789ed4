"""open-gram's file, read as sunpinyin writes it; marks of writing become the ends and begins of clauses."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from speech.training import open_gram
from speech.training.language_model import BEGIN, END
from speech.training.open_gram import OpenGramError, as_model, fetch_open_gram, parse, read_open_gram

COMMA, FULL_STOP = 70, 71
NAMES = [""] * 70 + ["，", "。", "；", "？", "！", "："] + ["我们", "停水", "了", "A"]
WE, NO_WATER, DONE, LETTER = 76, 77, 78, 79
IDS = {"我们": 2, "停水": 3, "了": 4, "没有": 5}


def written(
    words: dict[int, tuple[float, float]], pairs: dict[tuple[int, int], float], names: list[str] = NAMES
) -> tuple[bytes, bytes]:
    """(lm_sc.t3g, pydict_sc.bin) of a trigram model without triples. Tables hold each value once, in order."""
    values = sorted({p for p, _ in words.values()} | set(pairs.values()) | {0.0})
    backoffs = sorted({back for _, back in words.values()} | {1.0})
    tables = np.zeros(1 << 16, "<f4"), np.zeros(1 << 14, "<f4")
    for table, kept in zip(tables, (values, backoffs), strict=True):
        table[: len(kept)] = kept
    at = 0
    first, second = [], []
    for word in sorted(words):
        p, back = words[word]
        low, high = at & 0xFFFF, at >> 16
        first.append((word | backoffs.index(back) << 18, values.index(p) | low << 16, high << 25))
        for (head, following), pair_p in sorted(pairs.items()):
            if head == word:
                second.append((following, values.index(pair_p), 0))
                at += 1
    first.append((0, (at & 0xFFFF) << 16, at >> 16 << 25))
    second.append((0, 0, 0))
    root = [(0, 0, 0), (0, 0, 0)]
    levels = b"".join(struct.pack("<3I", *node) for node in [*root, *first, *second])
    head = struct.pack("<6I", 3, 0, len(root), len(first), len(second), 1)
    model = head + tables[0].tobytes() + tables[1].tobytes() + levels + struct.pack("<2I", 0, 0)
    text = "".join(name + "\0" for name in names).encode("utf-32-le")
    return model, struct.pack("<4I", len(names), 0, 16, 0) + text


SMALL = written(
    {
        COMMA: (0.2, 0.5), FULL_STOP: (0.1, 0.5), WE: (0.3, 0.4), NO_WATER: (0.2, 0.5), DONE: (0.1, 0.25), LETTER: (0.1, 1.0),
    },
    {(COMMA, WE): 0.75, (WE, NO_WATER): 0.625, (NO_WATER, DONE): 0.5, (DONE, COMMA): 0.375, (DONE, LETTER): 0.125},
)  # fmt: skip


def test_words_and_pairs_come_out_as_they_went_in() -> None:
    gram = parse(*SMALL)
    assert gram.counts() == pytest.approx({"我们": 0.3, "停水": 0.2, "了": 0.1})
    assert [tuple(pair) for pair in gram.pairs.tolist()] == [
        (COMMA, WE), (WE, NO_WATER), (NO_WATER, DONE), (DONE, COMMA), (DONE, LETTER),
    ]  # fmt: skip
    assert gram.pair_p.tolist() == [0.75, 0.625, 0.5, 0.375, 0.125]
    assert gram.backoff[[WE, DONE, LETTER]].tolist() == pytest.approx([0.4, 0.25, 1.0])


def test_as_a_model_it_begins_after_marks_and_partly_ends_at_them() -> None:
    words = len(IDS) + 2
    model = as_model(parse(*SMALL), IDS, words)

    def after(history: int) -> np.ndarray:
        return np.exp(model.score(history * words + np.arange(words), 2))

    for history in (BEGIN, 2, 3, 4, 5):
        assert after(history).sum() == pytest.approx(1, abs=2e-3)
    assert after(2)[3] > 0.6
    assert after(BEGIN)[2] > after(BEGIN)[3]
    assert after(4)[END] > after(3)[END]
    assert 0 < after(2)[5] < 1e-6, "a word that open-gram lacks is hardly expected, but possible"


@pytest.mark.parametrize("spoil", [
    lambda model, words: (b"", words),
    lambda model, words: (model[:1000], words),
    lambda model, words: (struct.pack("<I", 3) + struct.pack("<I", 1) + model[8:], words),
    lambda model, words: (model, struct.pack("<4I", 77, 0, 16, 0) + words[16:]),
], ids=["empty", "cut off", "logarithms", "another version's words"])  # fmt: skip
def test_another_file_is_refused_with_what_to_do(spoil) -> None:
    with pytest.raises(OpenGramError, match=r"fetch it again|is known|README"):
        parse(*spoil(*SMALL))


def test_it_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(command: list[str], folder: Path) -> None:
        asked.append(command[0])
        data = folder / "unpacked" / "usr" / "lib"
        if command[0] == "apt-get":
            (folder / "sunpinyin-data_1_all.deb").write_bytes(b"")
        else:
            data.mkdir(parents=True)
            for name, content in zip(("lm_sc.t3g", "pydict_sc.bin"), SMALL, strict=True):
                (data / name).write_bytes(content)

    monkeypatch.setattr(open_gram, "_run", run)
    folder = fetch_open_gram(tmp_path)
    assert fetch_open_gram(tmp_path) == folder
    assert asked == ["apt-get", "dpkg-deb"]
    assert len(read_open_gram(folder).pairs) == 5


def test_a_machine_without_the_tool_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OpenGramError, match="apt-get is not here"):
        fetch_open_gram(tmp_path / "sources")
