"""Which sound is heard a second time for a listed name, and that nothing else is."""

from __future__ import annotations

import json
import math

import pytest

from speech.confusions import SoundCosts
from speech.recognizer import SpokenWord
from speech.vocabulary import Vocabulary
from speech.vocabulary_ear import ListedWords
from speech.vocabulary_list import read_list

RATE_HZ = 8000
SECOND_BYTES = 2 * RATE_HZ


class OtherHearings:
    """A recogniser whose n best come from a table; it keeps what it was given."""

    def __init__(self, alternatives: list[list[tuple[str, float, float]]], lag: float = 1.0) -> None:
        self.alternatives = alternatives
        self.lag = lag
        self.sounds: list[bytes] = []
        self.most = 0

    def SetMaxAlternatives(self, most: int) -> None:
        self.most = most

    def AcceptWaveform(self, sound: bytes) -> bool:
        self.sounds.append(sound)
        return False

    def FinalResult(self) -> str:
        return json.dumps(
            {
                "alternatives": [
                    {
                        "confidence": 100.0 - self.lag * number,
                        "result": [{"word": word, "start": start, "end": end} for word, start, end in words],
                    }
                    for number, words in enumerate(self.alternatives)
                ]
            }
        )


def listed(recognizer: OtherHearings, may_seconds: float = math.inf) -> ListedWords:
    entries = read_list(["旭辉湾小区\t\t通州区"], "places.tsv", places=True).entries
    return ListedWords(Vocabulary(entries, SoundCosts()), lambda: recognizer, RATE_HZ, lambda: may_seconds)


def heard_at(seconds: float) -> list[SpokenWord]:
    """旭辉湾小区, heard badly from `seconds` on."""
    texts = ("在", "虚", "灰", "问", "小区")
    return [SpokenWord(text, seconds + 0.2 * n, seconds + 0.2 * n + 0.2, 0.8) for n, text in enumerate(texts)]


def sound(seconds: float) -> bytes:
    """Each second of another value, so that a cut shows where it came from."""
    return b"".join(bytes([second, 0]) * RATE_HZ for second in range(int(seconds)))


NEARER = [("旭", 0.4, 0.6), ("辉", 0.6, 0.8), ("湾", 0.8, 1.0), ("小区", 1.0, 1.4)]


def test_only_the_stretch_is_heard_again_and_its_times_are_those_of_the_stream() -> None:
    recognizer = OtherHearings([NEARER])
    ear = listed(recognizer)
    ear.fed(sound(20))
    told = ear.put_in(heard_at(10.0))
    assert "".join(word.text for word in told) == "在旭辉湾小区"
    assert recognizer.most > 1
    (again,) = recognizer.sounds
    assert len(again) < 3 * SECOND_BYTES
    assert set(again[::2]) <= {9, 10, 11}


def test_sound_of_earlier_words_is_not_heard_again() -> None:
    recognizer = OtherHearings([NEARER])
    ear = listed(recognizer)
    ear.fed(sound(5))
    assert ear.put_in([SpokenWord("你好", 1.0, 1.4, 0.9)]) == [SpokenWord("你好", 1.0, 1.4, 0.9)]
    ear.fed(bytes([77, 0]) * 4 * RATE_HZ)  # seconds 5 to 9
    ear.put_in(heard_at(5.1))
    (again,) = recognizer.sounds
    assert set(again[::2]) == {77}


def test_of_a_very_long_stretch_the_end_is_kept() -> None:
    recognizer = OtherHearings([NEARER])
    ear = listed(recognizer)
    for _ in range(100):
        ear.fed(bytes(SECOND_BYTES))
    ear.put_in(heard_at(98.0))
    assert len(recognizer.sounds) == 1
    ear.fed(bytes(SECOND_BYTES))
    ear.put_in(heard_at(10.0))  # long gone
    assert len(recognizer.sounds) == 1


@pytest.mark.parametrize("may_seconds", [0.0, 0.5])
def test_without_time_for_it_nothing_is_heard_again(may_seconds: float) -> None:
    recognizer = OtherHearings([NEARER])
    ear = listed(recognizer, may_seconds)
    ear.fed(sound(20))
    ear.put_in(heard_at(10.0))
    assert recognizer.sounds == []


def test_speech_without_anything_like_a_name_is_not_heard_again() -> None:
    recognizer = OtherHearings([NEARER])
    ear = listed(recognizer)
    ear.fed(sound(20))
    words = [SpokenWord("楼上", 3.0, 3.4, 0.9), SpokenWord("漏水", 3.4, 3.8, 0.9)]
    assert ear.put_in(words) == words
    assert recognizer.sounds == []
