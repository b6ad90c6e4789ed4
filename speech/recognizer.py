"""The seam between a call and whatever understands its sound. A second engine implements these two protocols.

Sound is 8 kHz, 16 bit, little endian, mono everywhere. Seconds are in the caller's clock: second 0 is the first
sample that was received of the caller, whether it was fed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word as heard. `confidence` is 0 to 1.

    `heard`: what the recogniser had heard where a word of the city's own lists was put (`speech.vocabulary`).
    """

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float
    heard: str = ""


@dataclass(frozen=True, slots=True)
class Partial:
    """The best words so far of everything fed; the next partial replaces it.

    `words` is empty where an engine would tell them later with times than without (Vosk).
    """

    text: str
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """The final words of everything fed.

    `late`: the recogniser could not keep up and sound was left out, so the words are not all that was said.
    `audio_seconds` counts what was decoded, `decode_seconds` the time a worker spent on it.
    """

    text: str
    words: tuple[SpokenWord, ...]
    late: bool
    audio_seconds: float
    decode_seconds: float


class RecognizerStream(Protocol):
    """One utterance, or one listening turn. All methods are called on the event loop that opened it."""

    def feed(self, pcm: bytes, at_seconds: float) -> None:
        """Take sound whose first sample lies at `at_seconds` of the caller's clock. Never blocks.

        Gaps between feeds are allowed: silence need not be fed. Sound past the backlog's bound is left out and marks
        the transcript late. After `finish` or `close` sound is ignored (frames may still be on their way).
        Raises SpeechError `speech-audio-invalid` for half a sample or a time that is no time.
        """

    async def finish(self) -> Transcript:
        """The final words; closes the stream. Raises SpeechError `speech-decode-failed` (recoverable: open anew)."""

    def close(self) -> None:
        """Abandon the stream: nothing more is decoded or reported. Any number of times, also after `finish`."""

    @property
    def backlog_seconds(self) -> float:
        """Sound taken but not yet decoded; a producer that can wait (a file) waits when it grows."""


class Recognizer(Protocol):
    def open(
        self,
        *,
        phrases: Sequence[str] = (),
        on_partial: Callable[[Partial], None] | None = None,
        background: bool = False,
    ) -> RecognizerStream:
        """Start listening; must be called on a running event loop, on which `on_partial` is then called.

        `phrases`: the answers expected. An engine that can restricts itself to them; match them in the text with
        `speech.grammar.match_phrase` either way. `background`: a caller who waits goes before it.
        """
