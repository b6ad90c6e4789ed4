from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.confusions import Confusions, SoundCosts, align, learn, load_confusions, read_confusions, shipped_confusions
from speech.errors import SpeechError
from speech.syllables import syllable_inventory


def cost(costs: SoundCosts, said: str, heard: str) -> float:
    return float(costs.costs[costs.number_of(said), costs.number_of(heard)])


def test_what_a_recogniser_often_mixes_up_costs_less_than_what_it_does_not() -> None:
    costs = SoundCosts()
    assert cost(costs, "zhang", "zhang") == 0
    assert cost(costs, "zhang", "zang") < cost(costs, "zhang", "pang")
    assert cost(costs, "lan", "nan") < cost(costs, "lan", "kan")
    assert cost(costs, "xing", "xin") < cost(costs, "xing", "xu")


def test_the_costs_follow_what_this_recogniser_did() -> None:
    right = [("波浪打破", "波浪打破")]
    confused = [("刮过北京的风", "括括北京的风"), ("国歌和古树", "扩科和苦树"), ("高官管够", "考宽款扣")] * 20
    before, after = SoundCosts(learn(right)), SoundCosts(learn(confused))
    assert cost(after, "gu", "ku") < cost(before, "gu", "ku")


def test_syllables_that_are_lost_or_made_up_are_counted() -> None:
    found = learn([("我要投诉他们", "我投诉他们啊")])
    assert (found.lost, found.made_up) == (1, 1)


def test_sentences_heard_rightly_say_nothing_of_mistakes() -> None:
    assert learn([("我要投诉他们", "我要投诉他们")]) == Confusions()


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = shipped_confusions()
    file = tmp_path / "confusions.tsv"
    file.write_text("\n".join(table.lines()) + "\n", "utf-8")
    assert load_confusions(file) == table


@pytest.mark.parametrize("line", ["initial\tb\tp", "initial\tb\tp\tx", "tone\tb\tp\t1", "initial\tb\tp\t-1"])
def test_a_broken_table_is_named_with_its_line(line: str) -> None:
    with pytest.raises(SpeechError, match="line 2") as caught:
        read_confusions(["kind\tsaid\theard\tcount", line])
    assert caught.value.code == "speech-confusions-broken"


_SYLLABLES = st.lists(st.sampled_from(syllable_inventory()), max_size=8)


@given(_SYLLABLES, _SYLLABLES)
def test_an_alignment_keeps_both_sides_whole(said: list[str], heard: list[str]) -> None:
    pairs = align(said, heard)
    assert [a for a, _ in pairs if a] == said
    assert [b for _, b in pairs if b] == heard
    assert ("", "") not in pairs
