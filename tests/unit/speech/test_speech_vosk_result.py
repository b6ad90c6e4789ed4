"""What Vosk answers, as words."""

from __future__ import annotations

import json

import pytest

from speech.vosk_result import words_of


@pytest.mark.parametrize(
    ("told", "laid"),
    [
        ((1.2, 1.5), (1.2, 1.5)),
        ((1.2, 1.2), (1.17, 1.2)),  # on a moment: one frame
        ((1.3, 1.2), (1.17, 1.2)),
        ((0.0, 0.0), (0.0, 0.03)),  # not before the sound
    ],
)
def test_a_word_lasts_a_frame_at_least_and_is_never_dropped(
    told: tuple[float, float], laid: tuple[float, float]
) -> None:
    answer = {"result": [{"word": "停水", "start": told[0], "end": told[1], "conf": 0.9}]}
    (word,) = words_of(json.dumps(answer))
    assert (word.text, word.confidence) == ("停水", 0.9)
    assert (word.start_seconds, word.end_seconds) == pytest.approx(laid)


@pytest.mark.parametrize("answer", ["", "[]", '{"result": 3}', '{"result": [{"word": "[unk]", "start": 0, "end": 1}]}'])
def test_an_answer_without_words_gives_none(answer: str) -> None:
    assert words_of(answer) == []
