from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.confusions import SoundCosts
from speech.recognizer import SpokenWord
from speech.vocabulary import Hearing, Vocabulary
from speech.vocabulary_list import read_list

LISTED = ["翠屏湾小区\t\t朝阳区", "锦澜家园\t\t丰台区", "云栖公馆\t\t昌平区", "旭辉湾\t\t通州区"]


def vocabulary(*lines: str) -> Vocabulary:
    return Vocabulary(read_list(lines or LISTED, "places.tsv", places=True).entries, SoundCosts())


def words(*texts: str, confidence: float = 0.6) -> list[SpokenWord]:
    """0.2 s a character, one word behind the other."""
    told = []
    at = 1.0
    for text in texts:
        end = at + 0.2 * len(text)
        told.append(SpokenWord(text, round(at, 3), round(end, 3), confidence))
        at = end
    return told


def text_of(told: Sequence[SpokenWord]) -> str:
    return "".join(word.text for word in told)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        (("我", "家", "住", "在", "催", "平", "万", "小区"), "我家住在翠屏湾小区"),
        (("我", "家", "住", "在", "脆", "平湾", "小区"), "我家住在翠屏湾小区"),
        (("就", "在", "今", "兰", "家园"), "就在锦澜家园"),
        (("就", "在", "进", "南", "家园"), "就在锦澜家园"),  # n for l
        (("云", "七", "公馆", "门口"), "云栖公馆门口"),
    ],
)
def test_a_listed_name_is_put_where_it_was_said(heard: tuple[str, ...], meant: str) -> None:
    told = vocabulary().snap(words(*heard))
    assert text_of(told) == meant
    (put_in,) = [word for word in told if word.heard]
    assert put_in.heard in "".join(heard)
    assert 0.6 <= put_in.confidence <= 1.0


def test_the_words_as_heard_stay_beside_with_their_time() -> None:
    heard = words("我", "家", "住", "在", "脆", "平湾", "小区", "三号楼")
    told = vocabulary().snap(heard)
    (put_in,) = [word for word in told if word.heard]
    assert (put_in.text, put_in.heard) == ("翠屏湾小区", "脆平湾小区")
    assert put_in.start_seconds == pytest.approx(heard[4].start_seconds)
    assert put_in.end_seconds == pytest.approx(heard[6].end_seconds)
    assert told[:4] == heard[:4]
    assert told[-1] == heard[-1]


def test_a_word_that_a_name_cuts_keeps_its_other_part() -> None:
    told = vocabulary().snap(words("在翠", "平湾", "小区的"))
    assert [word.text for word in told] == ["在", "翠屏湾小区", "的"]
    assert [word.start_seconds for word in told] == sorted(word.start_seconds for word in told)


@pytest.mark.parametrize(
    "heard",
    [
        ("我们", "小区", "停水", "两天", "了"),
        ("楼上", "的", "邻居", "每天", "夜里", "装修"),
        ("朝阳区", "望京", "街道", "垃圾", "没人", "清理"),
        ("回家", "的", "路", "上", "没有", "路灯"),
        ("他", "去", "回", "都", "要", "一个", "小时"),
    ],
)
def test_where_no_listed_name_was_said_the_words_stay_the_very_same(heard: tuple[str, ...]) -> None:
    given_words = words(*heard, confidence=0.95)
    assert vocabulary().snap(given_words) == given_words


def test_a_name_that_was_heard_as_it_is_written_is_left_alone() -> None:
    heard = words("我", "在", "锦澜", "家园")
    assert vocabulary().snap(heard) == heard


def test_two_places_that_sound_the_same_are_not_chosen_between() -> None:
    alike = vocabulary("锦澜家园\t\t丰台区", "锦兰家园\t\t通州区")
    heard = words("在", "今", "蓝", "家园")
    assert alike.snap(heard) == heard


def test_another_hearing_that_comes_nearer_helps() -> None:
    listed = vocabulary("旭辉湾小区\t\t通州区")
    first = words("在", "虚", "灰", "问", "小区", confidence=0.8)
    assert listed.snap(first) == first
    other = Hearing(tuple(words("在", "旭", "辉", "弯", "小区")), behind=0.4)
    told = listed.snap(first, [other])
    assert text_of(told) == "在旭辉湾小区"
    assert [word.heard for word in told if word.heard] == ["虚灰问小区"]
    # One far behind the best counts for little, and one of another moment for nothing.
    assert listed.snap(first, [Hearing(other.words, behind=30.0)]) == first
    later = tuple(SpokenWord(w.text, w.start_seconds + 9, w.end_seconds + 9, w.confidence) for w in other.words)
    assert listed.snap(first, [Hearing(later, behind=0.0)]) == first


def test_other_hearings_are_asked_for_only_where_a_name_may_be() -> None:
    assert vocabulary().near(words("今天", "天气", "怎么样")) == []
    heard = words("你好", "我", "家", "住", "在", "脆", "平湾", "小区", "楼道", "灯", "坏", "了")
    ((start, end),) = vocabulary().near(heard)
    assert start == pytest.approx(heard[5].start_seconds)
    assert end == pytest.approx(heard[7].end_seconds)


def test_an_empty_list_changes_nothing() -> None:
    heard = words("我", "在", "今", "兰", "家园")
    empty = Vocabulary((), SoundCosts())
    assert empty.snap(heard) == heard
    assert empty.near(heard) == []


_TEXTS = st.lists(st.text(alphabet="我在翠平湾小区今兰家园路三ABC 12，", min_size=1, max_size=5), max_size=12)


@given(_TEXTS, st.floats(0, 1))
def test_whatever_was_heard_nothing_of_it_is_lost(texts: list[str], confidence: float) -> None:
    heard = words(*texts, confidence=confidence)
    told = vocabulary().snap(heard)
    assert "".join(word.heard or word.text for word in told) == text_of(heard)
    assert all(a.end_seconds <= b.start_seconds + 1e-6 for a, b in pairwise(told))
    if told:
        assert told[0].start_seconds == pytest.approx(heard[0].start_seconds)
        assert told[-1].end_seconds == pytest.approx(heard[-1].end_seconds)
