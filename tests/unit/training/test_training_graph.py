"""The word graph: what it accepts, what it costs, that it is the same every time and loads as OpenFst's own."""

from __future__ import annotations

import heapq
import json
import math
import struct
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.training.language_model import Corpus, estimate
from speech.training.lexicon import make_lexicon
from speech.training.transducer import Builder, Transducer, TransducerError
from speech.training.units import UNIT_INDEX, UNITS
from speech.training.word_graph import (
    PHONES,
    grammar_transducer,
    lexicon_transducer,
    with_states,
    without_marks,
    word_graph,
)

AUXILIARY = range(PHONES + 1, PHONES + 100)
WORDS = ["停水", "停", "水", "听", "停电", "了", "厅", "你好"]
SAID = [["停水", "了"], ["停电", "了"], ["你好", "停水"], ["停水", "了"], ["听", "你好"]]


def small_language() -> tuple:
    lexicon = make_lexicon(WORDS)
    ids = {word: number for number, word in enumerate(lexicon.words, 2)}
    corpus = Corpus.of([[ids[word] for word in line] for line in SAID])
    words = len(ids) + 2
    return lexicon, estimate(corpus, words, 3, np.full(words, 1 / words)), ids


def cheapest(graph: Transducer, inputs: list[int], *, free: range = range(0)) -> tuple[float, list[int]] | None:
    """The cheapest way that takes exactly these inputs: its cost and output labels. `free` inputs may stand
    anywhere."""
    by_state = defaultdict(list)
    for arc in zip(graph.source, graph.inputs, graph.outputs, graph.cost, graph.target, strict=True):
        by_state[int(arc[0])].append(tuple(value.item() for value in arc[1:]))
    queue: list[tuple[float, int, int, tuple[int, ...]]] = [(0.0, graph.start, 0, ())]
    seen = set()
    while queue:
        cost, state, at, said = heapq.heappop(queue)
        if state == -1:
            return cost, list(said)
        if (state, at) in seen:
            continue
        seen.add((state, at))
        if at == len(inputs) and math.isfinite(graph.final[state]):
            heapq.heappush(queue, (cost + float(graph.final[state]), -1, at, said))
        for label, output, weight, target in by_state[state]:
            told = (*said, output) if output else said
            if label == 0 or label in free:
                heapq.heappush(queue, (cost + weight, target, at, told))
            elif at < len(inputs) and inputs[at] == label:
                heapq.heappush(queue, (cost + weight, target, at + 1, told))
    return None


def phones(*units: str) -> list[int]:
    return [UNIT_INDEX[unit] + 1 for unit in units]


def test_the_lexicon_hears_words_with_and_without_silence_between() -> None:
    lexicon, _, ids = small_language()
    graph = lexicon_transducer(lexicon)
    for units in (("t", "ing", "sh", "uei", "l", "e"), ("SIL", "t", "ing", "sh", "uei", "SIL", "l", "e", "SIL")):
        heard = cheapest(graph, phones(*units), free=AUXILIARY)
        assert heard is not None, units
        words = [label for label in heard[1] if label <= len(lexicon.words)]
        assert words in ([ids["停水"] - 1, ids["了"] - 1], [ids["停"] - 1, ids["水"] - 1, ids["了"] - 1])
    assert cheapest(graph, phones("t", "ing", "sh"), free=AUXILIARY) is None


def test_the_grammar_costs_what_the_model_says() -> None:
    _, model, ids = small_language()
    graph = grammar_transducer(model)
    backing_off, pause = model.words - 1, model.words
    for line in (["停水", "了"], ["听", "你好"], ["你好", "停水"]):  # all seen: no cheaper detour by backing off
        numbers = [0, *(ids[word] for word in line), 1]
        cost = 0.0
        for at in range(1, len(numbers)):
            before = numbers[max(0, at - 2) : at + 1]
            key = np.array([sum(word * model.words**place for place, word in enumerate(reversed(before)))])
            cost -= float(model.score(key, len(before))[0])
        labels = [number - 1 for number in numbers[1:-1]]
        heard = cheapest(graph, labels, free=range(backing_off, pause))
        assert heard is not None
        assert heard[0] == pytest.approx(cost, abs=1e-4), line
    two = cheapest(
        graph,
        [pause, ids["停水"] - 1, ids["了"] - 1, pause, ids["听"] - 1, ids["你好"] - 1, pause],
        free=range(backing_off, pause),
    )
    assert two is not None, "two clauses with a pause between them"
    assert two[1] == [ids[word] - 1 for word in ("停水", "了", "听", "你好")]
    unseen = cheapest(graph, [ids["厅"] - 1], free=range(backing_off, pause))
    assert unseen is not None
    assert unseen[0] > 3


def test_a_unit_is_entered_once_and_held_as_long_as_it_lasts() -> None:
    lexicon, _, ids = small_language()
    graph = with_states(lexicon_transducer(lexicon))
    n, i, h, ao = phones("n", "i", "h", "ao")
    heard = cheapest(graph, [2 * n, 2 * i, 2 * i - 1, 2 * i - 1, 2 * h, 2 * ao, 2 * ao - 1])
    assert heard is not None
    assert heard[1] == [ids["你好"] - 1]
    assert cheapest(graph, [2 * n, 2 * i, 2 * h - 1, 2 * h, 2 * ao]) is None, "a loop before its unit was entered"
    assert set(graph.inputs.tolist()) <= set(range(2 * len(UNITS) + 1)), "auxiliary symbols were left"


def test_marks_of_homophones_go_and_what_is_said_stays() -> None:
    """t-ing is three words; x-u takes a word in and gives one out, and cannot be joined."""
    built = Builder(8)
    mark = PHONES + 2
    built.final(7, 0.5)
    for arc in (
        (0, 5, 0, 1.0, 1), (1, 6, 0, 0.25, 2), (2, mark, 11, 0.0, 7), (2, mark + 1, 12, 0.5, 7), (2, mark + 2, 13, 1.0, 6),
        (6, 9, 0, 0.0, 7), (0, 7, 21, 0.0, 3), (3, 8, 22, 0.0, 4), (4, mark, 23, 0.0, 7), (7, PHONES + 1, 0, 0.125, 0),
    ):  # fmt: skip
        built.arc(*arc)
    composed = built.build(0)
    made = without_marks(composed)
    assert made.states == composed.states - 1
    assert sorted(made.inputs.tolist()) == sorted([5, 6, 6, 6, 9, 7, 8, mark, PHONES + 1])
    for said, cost, words in (([5, 6], 1.75, [11]), ([5, 6, 9], 2.75, [13]), ([7, 8], 0.5, [21, 22, 23])):
        assert cheapest(made, said, free=AUXILIARY) == (cost, words)
        assert cheapest(composed, said, free=AUXILIARY) == (cost, words)


@given(st.integers(1, 12).flatmap(lambda states: st.tuples(
    st.just(states),
    st.lists(st.tuples(*[st.integers(0, states - 1)] * 2, st.integers(0, PHONES), st.integers(0, 9)), max_size=40),
)))  # fmt: skip
def test_units_keep_every_path_of_the_composition(drawn: tuple[int, list[tuple[int, int, int, int]]]) -> None:
    states, arcs = drawn
    built = Builder(states)
    built.final(states - 1, 0.5)
    built.arc(0, 1, 1, 0.25, states - 1)
    for source, target, label, output in arcs:
        built.arc(source, label, output, 1.0, target)
    composed = built.build(0)
    made = with_states(composed)
    forward = made.inputs[made.inputs % 2 == 0]
    assert sorted(forward[forward > 0].tolist()) == sorted((2 * composed.inputs[composed.inputs > 0]).tolist())
    heard = cheapest(made, [2, 1])
    assert heard is not None
    assert heard[0] <= 0.25 + 0.5 + 0.1 + 1e-6


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 2, st.integers(0, 300), st.integers(0, 50000), st.floats(-9, 9)), min_size=1))  # fmt: skip
def test_a_transducer_comes_back_from_its_bytes(arcs: list[tuple[int, int, int, int, float]]) -> None:
    built = Builder(5)
    built.final(4, 1.5)
    for source, target, label, output, cost in arcs:
        built.arc(source, label, output, cost, target)
    made = built.build(0)
    again = Transducer.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes()
    assert (again.start, again.states, again.arcs) == (0, 5, len(arcs))
    assert np.isposinf(again.final[:4]).all()
    assert again.final[4] == 1.5


@pytest.mark.parametrize("spoilt", [b"", b"\0" * 90, b"cut", b"kind"], ids=["empty", "zeros", "cut", "other type"])
def test_what_is_no_transducer_is_refused(spoilt: bytes) -> None:
    good = Builder(2)
    good.arc(0, 1, 1, 0.0, 1)
    data = good.build(0).to_bytes()
    if spoilt == b"cut":
        spoilt = data[:-3]
    elif spoilt == b"kind":
        spoilt = data.replace(b"const", b"vecto")
    with pytest.raises(TransducerError):
        Transducer.from_bytes(spoilt)


def test_the_whole_graph_hears_sentences_and_is_the_same_every_time() -> None:
    pytest.importorskip("pywrapfst")
    lexicon, model, ids = small_language()
    graph = word_graph(lexicon, model)
    assert word_graph(*small_language()[:2]).to_bytes() == graph.to_bytes()
    for line, units in (
        (["停水", "了"], ["SIL", "t", "ing", "sh", "uei", "l", "e"]),
        (["停电", "了"], ["t", "ing", "d", "ian", "SIL", "l", "e", "SIL"]),
        (["听", "你好"], ["t", "ing", "n", "i", "h", "ao"]),
    ):
        heard = cheapest(graph, [2 * phone for phone in phones(*units)])
        assert heard is not None, units
        assert heard[1] == [ids[word] - 1 for word in line], units


def test_make_graph_fits_its_room_and_lists_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pywrapfst")
    pytest.importorskip("jieba")
    from speech.training import graph

    text, part = tmp_path / "text", tmp_path / "graph"
    text.mkdir()
    part.mkdir()
    language = {
        "complaints": ["望京停水三天了", "小区停电了", "我住望京二十三号楼"] * 3,
        "answers": ["是的", "幺三八零零"],
        "places": ["望京", "望京街道", "多福巷", "多福巷社区"],
        "tatoeba": ["你好", "今天天气很好"],
        "hsk": ["老师好"],
    }
    (text / "language.json").write_text(json.dumps(language), encoding="utf-8")
    (text / "held-out.txt").write_text("多福巷停水了\n你好老师\n", encoding="utf-8")
    monkeypatch.setattr(graph, "WORDS", 300)
    monkeypatch.setattr(graph, "LARGEST_BYTES", 60_000)
    graph.make_graph(part, text)
    words = dict(line.split() for line in (part / "words.txt").read_text(encoding="utf-8").splitlines())
    assert words["<eps>"] == "0"
    assert {"多福巷", "望京", "幺", "停水"} <= set(words)
    data = (part / "HCLG.fst").read_bytes()
    assert struct.unpack_from("<i", data)[0] == 2125659606
    assert len(data) + (part / "words.txt").stat().st_size <= 60_000
    assert max(Transducer.from_bytes(data).outputs) < len(words)


def fake_graphs(monkeypatch: pytest.MonkeyPatch, model_size: int, bytes_of: Callable[[int], int]) -> list[int]:
    """Graphs of known sizes without pynini; returns the sizes asked for."""
    from speech.training import graph

    asked: list[int] = []

    class Model:
        size = model_size

    class Made:
        def __init__(self, size: int) -> None:
            self._bytes = bytes_of(size)

        def to_bytes(self) -> bytes:
            return bytes(self._bytes)

    def pruned(model: object, size: int) -> int:
        asked.append(size)
        return size

    monkeypatch.setattr(graph, "pruned", pruned)
    monkeypatch.setattr(graph, "word_graph", lambda lexicon, size: Made(size))
    graph_of = graph._fitting(make_lexicon(["水"]), Model(), 1_000_000)  # type: ignore[arg-type]
    asked.append(len(graph_of))
    return asked


@pytest.mark.parametrize("each", [30, 45, 70])
def test_the_room_is_filled_whatever_an_ngram_takes(monkeypatch: pytest.MonkeyPatch, each: int) -> None:
    asked = fake_graphs(monkeypatch, 500_000, lambda size: 300_000 + each * size)
    assert 950_000 < asked[-1] <= 1_000_000
    assert len(asked) <= 7


def test_a_small_model_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fake_graphs(monkeypatch, 100, lambda size: 20 * size) == [100, 2000]


def test_words_that_do_not_fit_are_said_to_be_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="lower WORDS"):
        fake_graphs(monkeypatch, 100, lambda size: 2_000_000)
