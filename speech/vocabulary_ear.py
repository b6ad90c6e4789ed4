"""The city's own words put into what one stream heard, over other hearings of the same sound.

The recogniser tells either how sure it is of each word or its n best hearings, never both. So the words come with
their confidence, and only a stretch that holds something like a listed name is decoded again for its n best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from speech.recognizer import SpokenWord
from speech.vocabulary import Hearing, Vocabulary
from speech.vosk_result import hearings_of

# How long the caller's final words may be held up for other hearings, in decode seconds.
HEARINGS_WORK_SECONDS = 0.12
_HEARINGS = 12
# Sound around the stretch, so that its first and last syllables are heard in company.
_AROUND_SECONDS = 0.4
# Sound kept since the recogniser last gave words; of a longer stretch the end.
_KEPT_SECONDS = 60.0
_BYTES_PER_SAMPLE = 2


class ListedWords:
    """Of one stream, on its worker. Times are those of the recogniser: seconds of the sound that was fed."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        new_recognizer: Callable[[], Any],
        rate_hz: int,
        may_hear_again_seconds: Callable[[], float],
    ) -> None:
        """`may_hear_again_seconds`: how much sound there is time to decode again now."""
        self._vocabulary = vocabulary
        self._new_recognizer = new_recognizer
        self._bytes_per_second = rate_hz * _BYTES_PER_SAMPLE
        self._may_hear_again_seconds = may_hear_again_seconds
        self._sound = bytearray()
        self._sound_from_bytes = 0

    def fed(self, sound: bytes) -> None:
        """Everything that the recogniser is fed, before its words are put in. 16 bit mono at the model's rate."""
        self._sound += sound
        over = len(self._sound) - int(_KEPT_SECONDS * self._bytes_per_second)
        if over > 0:
            self._forget(over)

    def put_in(self, words: Sequence[SpokenWord]) -> list[SpokenWord]:
        """The words of what was fed since the last time, with the listed ones in their places."""
        told = self._vocabulary.snap(words, self._hearings(words))
        self._forget(len(self._sound))
        return told

    def _hearings(self, words: Sequence[SpokenWord]) -> list[Hearing]:
        hearings: list[Hearing] = []
        left_seconds = self._may_hear_again_seconds()
        for start_seconds, end_seconds in _joined(self._vocabulary.near(words)):
            left_seconds -= end_seconds - start_seconds
            if left_seconds < 0:
                break
            hearings += self._heard_again(start_seconds, end_seconds)
        return hearings

    def _heard_again(self, start_seconds: float, end_seconds: float) -> list[Hearing]:
        """The n best hearings of a stretch, the likeliest first."""
        begin = max(0, self._at(start_seconds) - self._sound_from_bytes)
        sound = bytes(self._sound[begin : max(0, self._at(end_seconds) - self._sound_from_bytes)])
        if not sound:
            return []
        recognizer = self._new_recognizer()
        recognizer.SetMaxAlternatives(_HEARINGS)
        offset_seconds = (self._sound_from_bytes + begin) / self._bytes_per_second
        # A pause inside ends a part of its own, at which the recogniser begins anew.
        ended = recognizer.AcceptWaveform(sound)
        hearings = hearings_of(recognizer.Result(), offset_seconds) if ended else []
        return hearings + hearings_of(recognizer.FinalResult(), offset_seconds)

    def _at(self, seconds: float) -> int:
        return int(seconds * self._bytes_per_second) // _BYTES_PER_SAMPLE * _BYTES_PER_SAMPLE

    def _forget(self, count: int) -> None:
        del self._sound[:count]
        self._sound_from_bytes += count


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans (sorted by start) with what is around them; those that touch are one."""
    joined: list[tuple[float, float]] = []
    for start, end in spans:
        start, end = max(0.0, start - _AROUND_SECONDS), end + _AROUND_SECONDS
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
