"""When a second decoder's words replace the first's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cases.schema import Word
from ivr.surer import is_surer


def words(text: str, confidence: float) -> tuple[Word, ...]:
    return tuple(Word(text=c, start_seconds=n, end_seconds=n + 1, confidence=confidence) for n, c in enumerate(text))


def test_only_where_they_differ_is_weighed() -> None:
    before = (*words("我家楼上在", 0.99), *words("装秀", 0.3))
    after = (*words("我家楼上在", 0.6), *words("装修", 0.8))
    assert is_surer("我家楼上在装秀", before, "我家楼上在装修", after)
    assert not is_surer("我家楼上在装修", after, "我家楼上在装秀", before)


def test_words_more_must_be_likelier_right_than_wrong() -> None:
    before = words("楼上装修", 0.9)
    assert is_surer("楼上装修", before, "楼上半夜装修", (*words("楼上", 0.9), *words("半夜", 0.8), *words("装修", 0.9)))
    doubtful = (*words("楼上", 0.9), *words("半夜", 0.4), *words("装修", 0.9))
    assert not is_surer("楼上装修", before, "楼上半夜装修", doubtful)
    assert is_surer("楼上半夜装修", doubtful[:2] + words("半夜", 0.2) + words("装修", 0.9), "楼上装修", before)


def test_where_nothing_was_heard_sure_words_are_taken_and_doubtful_ones_not() -> None:
    assert is_surer("", (), "着火了", words("着火了", 0.8))
    assert not is_surer("", (), "嗯啊", words("嗯啊", 0.4))


def test_text_without_word_confidences_gives_way_to_sure_words_only() -> None:
    assert is_surer("可一", (), "可疑", words("可疑", 0.9))
    assert not is_surer("可一", (), "可疑", ())


SOME = st.lists(st.tuples(st.sampled_from("楼上半夜装修"), st.floats(0, 1)), max_size=8)


def said(chars: list[tuple[str, float]]) -> tuple[str, tuple[Word, ...]]:
    return "".join(c for c, _ in chars), tuple(
        Word(text=c, start_seconds=n, end_seconds=n + 1, confidence=sure) for n, (c, sure) in enumerate(chars)
    )


@given(SOME, SOME, st.floats(0, 1))
def test_surer_words_never_speak_against_themselves(
    one: list[tuple[str, float]], other: list[tuple[str, float]], more: float
) -> None:
    (text, heard), (other_text, other_heard) = said(one), said(other)
    surer = tuple(word.model_copy(update={"confidence": max(more, word.confidence)}) for word in other_heard)
    there = is_surer(text, heard, other_text, other_heard)
    assert is_surer(text, heard, other_text, surer) or not there
    assert not (text == other_text and there)
    assert not (text and not other_text and there), "words are not replaced by none"
