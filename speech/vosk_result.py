"""Pure: what Vosk answers (JSON), as words. Bad answers give no words rather than an error."""

from __future__ import annotations

import json
import math
from typing import Any

from speech.recognizer import SpokenWord
from speech.vocabulary import Hearing

# Vosk's scores are sums of acoustic and language costs; so much of a difference is worth one nat of likelihood.
# Fitted: the words' confidence from the alternatives' shares was calibrated best so.
_SCORE_SCALE = 0.3
# Vosk may lay a short word on a moment; it lasted one frame of its at least.
_FRAME_SECONDS = 0.03


def words_of(answer: str) -> list[SpokenWord]:
    """The words of `Result` or `FinalResult`, without the marks for noise and the unknown."""
    return _words(_object(answer))


def hearings_of(answer: str, offset_seconds: float = 0.0) -> list[Hearing]:
    """The alternatives of `Result` under `SetMaxAlternatives`, the best first; `offset_seconds`: where its sound began."""
    alternatives = _object(answer).get("alternatives")
    found: list[tuple[float, list[SpokenWord]]] = []
    for alternative in alternatives if isinstance(alternatives, list) else ():
        if isinstance(alternative, dict) and (score := _number(alternative.get("confidence"))) is not None:
            found.append((score, _words(alternative, offset_seconds)))
    best = max((score for score, _ in found), default=0.0)
    return [Hearing(tuple(words), _SCORE_SCALE * (best - score)) for score, words in found]


def is_word(word: str) -> bool:
    """Not one of the marks for noise and the unknown: `[unk]`, `<UNK>`, `!SIL`."""
    return bool(word) and word[0] not in "[<!"


def _words(result: dict[str, Any], offset_seconds: float = 0.0) -> list[SpokenWord]:
    words = []
    told = result.get("result")
    for word in told if isinstance(told, list) else ():
        if not isinstance(word, dict) or not isinstance(word.get("word"), str) or not is_word(word["word"]):
            continue
        start, end, confidence = _number(word.get("start")), _number(word.get("end")), _number(word.get("conf", 1.0))
        if start is None or end is None or confidence is None:
            continue
        if end <= start:  # its time is doubtful, its words are not
            start = max(0.0, end - _FRAME_SECONDS)
            end = start + _FRAME_SECONDS
        words.append(
            SpokenWord(word["word"], start + offset_seconds, end + offset_seconds, min(1.0, max(0.0, confidence)))
        )
    return words


def _object(answer: str) -> dict[str, Any]:
    try:
        told = json.loads(answer)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
