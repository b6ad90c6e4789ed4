"""Words: which, how they are said, how text is cut into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.training.lexicon import (
    NUMERALS,
    choose_words,
    cut_clauses,
    make_lexicon,
    names_in,
    readings_of,
)
from speech.training.units import UNIT_INDEX


def said(word: str) -> list[str]:
    return [" ".join(reading.units) for reading in readings_of(word)]


@pytest.mark.parametrize(
    ("word", "first", "also"),
    [
        ("银行", "in h ang", None),
        ("行", "x ing", "h ang"),
        ("那个", "n a g e", "n ei g e"),
        ("这边", "zh e b ian", "zh ei b ian"),
        ("的", "d e", "d i"),
        ("幺", "iao", None),
        ("拐", "g uai", None),
        ("洞", "d ong", None),
        ("哪儿", "n a er", "n a"),
        ("一点儿", "i d ian er", "i d ia er"),
        ("女儿", "n v er", None),
        ("儿子", "er z ii", None),
        ("大栅栏", "d a sh iii l an", "d a zh a l an"),
        ("十里堡", "sh iii l i p u", "sh iii l i b ao"),
        ("绿化", "l v h ua", None),
        ("朝阳区", "ch ao iang q v", None),
        ("长辛店", "ch ang x in d ian", None),
    ],
)
def test_words_are_said_as_people_say_them(word: str, first: str, also: str | None) -> None:
    ways = said(word)
    assert ways[0] == first
    assert (also in ways) if also else len(ways) == 1


def test_the_usual_reading_costs_nothing_and_others_something() -> None:
    for word in ("那个", "哪儿", "行"):
        costs = [reading.cost for reading in readings_of(word)]
        assert costs[0] == 0
        assert min(costs[1:]) > 0


def test_a_name_that_no_dictionary_has_may_have_a_second_reading() -> None:
    assert "zh ang uei d ian" in said("长尾店")
    assert "ch ang uei d ian" in said("长尾店")


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=6))
def test_whatever_is_read_is_made_of_units_each_way_once(word: str) -> None:
    ways = [reading.units for reading in readings_of(word)]
    assert len(set(ways)) == len(ways)
    assert all(unit in UNIT_INDEX for way in ways for unit in way)
    assert all(len(word) <= len(way) <= 2 * len(word) or word.endswith("儿") for way in ways)


def test_unknown_words_become_their_characters() -> None:
    lexicon = make_lexicon(["停水", "停", "电", "abc", "〇"])
    assert lexicon.words == ("停", "停水", "电")
    assert lexicon.known(["停水", "停电", "龘"]) == ["停水", "停", "电"]
    assert "停电" not in lexicon


def test_figures_are_cut_one_by_one() -> None:
    cut = list(cut_clauses(["我的电话是幺三八零零", "二十三号楼漏水", "一般", "二〇一五年"], lambda clause: [clause] if clause else []))  # fmt: skip
    assert cut == [
        ["我的电话是", *"幺三八零零"],
        [*"二十三", "号楼漏水"],
        ["一般"],
        [*"二零一五", "年"],
    ]


@given(st.text("零一二三停水了百", max_size=20))
def test_nothing_is_lost_in_cutting(clause: str) -> None:
    (words,) = cut_clauses([clause], list)
    assert "".join(words) == clause


def test_names_are_places_without_what_they_are() -> None:
    places = ["东城区", "东城", "东华门街道", "东华门", "多福巷", "多福巷社区", "东华门多福巷", "十八里店地区"]
    names = names_in(places)
    assert {"东城", "东城区", "东华门街道", "东华门", "多福巷", "十八里店"} & set(names) >= {"东华门街道", "东华门", "多福巷"}  # fmt: skip
    assert "东华门多福巷" not in names
    assert not any(NUMERALS.search(name) for name in names)


def test_words_are_chosen_by_both_kinds_of_speech_and_can_all_be_spelt() -> None:
    ours = {"停水": 50.0, "物业": 40.0, "错字": 1.0}
    general = {"我们": 0.6, "经济": 0.3, "罕见词": 1e-9, "二十三": 0.1}
    chosen = choose_words(ours, general, ["多福巷"], 4)
    assert set(chosen[:4]) == {"停水", "物业", "我们", "经济"}
    assert {"多福巷", "停", "巷"} <= set(chosen)
    assert not {"罕见词", "错字", "二十三"} & set(chosen)
    assert chosen == choose_words(dict(reversed(ours.items())), general, ["多福巷"], 4), "the order of a table matters"
