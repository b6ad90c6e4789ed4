from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.grammar import match_phrase

ANSWERS = ["是", "是的", "对", "不是", "不对", "没有", "人工", "转人工", "保密", "可以", "不用"]


@pytest.mark.parametrize(
    ("heard", "phrase"),
    [
        ("是", "是"),
        ("嗯是的", "是的"),
        ("不是", "不是"),
        ("不是的", "不是"),
        ("不对不对", "不对"),
        ("我要转人工", "转人工"),
        ("给我转人工服务", "转人工"),
        ("没有了", "没有"),
        ("对对对", "对"),
        # homophones and near sounds, as a recogniser writes them
        ("人公", "人工"),
        ("专人功", "转人工"),
        ("包密", "保密"),
        ("事", "是"),
        ("事的", "是的"),
        ("四的", "是的"),  # s for sh
        ("布是", "不是"),
        ("布四", "不是"),
        ("美有", "没有"),
        ("梅友", "没有"),
        ("可以的", "可以"),
        ("不拥", "不用"),
        ("宝密", "保密"),
        ("仁工", "人工"),
        ("故事", "不是"),  # b misheard: no yes
        ("是但", "是的"),
        ("这人工", "转人工"),
        ("无用了", "不用"),
    ],
)
def test_answers_are_heard_by_their_sound(heard: str, phrase: str | None) -> None:
    match = match_phrase(heard, ANSWERS)
    assert (match.phrase if match else None) == phrase


@pytest.mark.parametrize(
    "heard",
    [
        "",
        "，。",
        "我要投诉楼下饭店噪音扰民",
        "暖气不热",
        "这件事情应该怎么处理呢我想问问",
        "今天天气",
        "abc",
        "门口的路灯坏了",
    ],
)
def test_other_sentences_are_no_answers(heard: str) -> None:
    assert match_phrase(heard, ANSWERS) is None


def test_a_denial_is_no_assent_even_where_nobody_listed_it() -> None:
    assert match_phrase("不是", ["是", "对"]) is None
    assert match_phrase("不对", ["是", "对"]) is None


def test_n_and_l_and_nasals_are_near() -> None:
    assert match_phrase("陇村", ["农村"]).phrase == "农村"  # type: ignore[union-attr]
    assert match_phrase("金察", ["警察"]).phrase == "警察"  # type: ignore[union-attr]


def test_the_place_in_the_text_is_told() -> None:
    match = match_phrase("嗯，我要转人工，谢谢", ["转人工"])
    assert match is not None
    assert "嗯，我要转人工，谢谢"[match.start_char : match.end_char] == "转人工"
    assert match.score == 1.0


def test_figures_are_the_words_they_stand_for() -> None:
    assert match_phrase("1", ["一", "二"]).phrase == "一"  # type: ignore[union-attr]
    assert match_phrase("二", ["1", "2"]).phrase == "2"  # type: ignore[union-attr]


def test_the_bound_is_the_caller_s_choice() -> None:
    assert match_phrase("陇村", ["农村"], minimum=0.99) is None


chinese = st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=6)


@given(chinese, st.text(max_size=10), st.text(max_size=10))
def test_a_phrase_of_two_or_more_that_stands_in_the_text_is_found(phrase: str, before: str, after: str) -> None:
    if len(phrase) < 2 or before.rstrip()[-1:] in ("不", "没", "别"):
        return
    match = match_phrase(before + phrase + after, [phrase])
    assert match is not None
    assert match.score == 1.0


@given(st.text(max_size=40), st.lists(st.text(max_size=6), max_size=5))
def test_any_text_and_phrases_give_a_sound_answer(text: str, phrases: list[str]) -> None:
    match = match_phrase(text, phrases)
    if match is not None:
        assert match.phrase in phrases
        assert 0 <= match.start_char < match.end_char <= len(text)
        assert 0 < match.score <= 1
