"""Pure: when did a caller begin to speak, when was the turn over? Time comes in as an argument.

Frames may pause (Asterisk sends none while a key is pressed), so every limit runs on the clock: besides each frame
the owner calls `tick` a few times a second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class EndReason(StrEnum):
    SILENCE = "silence"  # long enough silence after speech
    NO_INPUT = "no_input"  # nothing was said in time after the prompt
    MAXIMUM = "maximum"  # the turn's longest time


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """`at_seconds`: the first frame of the speech, before the moment of the decision."""

    at_seconds: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The turn is over. `spoke_until_seconds`: the end of the last frame of speech, None if there was none."""

    at_seconds: float
    reason: EndReason
    spoke_until_seconds: float | None


class Endpointer:
    """One listening turn. Feed `frame` with every 20 ms, `tick` with the time; the first SpeechEnded is the last event.

    - Speech starts when `start_speech_ms` of speech lie within a window of 1.5 times as long: a click or a cough
      does not stop a prompt, a breath within a word does not start the count anew.
    - The turn ends `end_silence_seconds` after the last speech, counted only once speech has started.
    - Without speech it ends `no_input_seconds` after `prompt_finished` (the prompt played out, or was stopped).
      While a prompt plays nobody is late.
    - It ends in any case `max_seconds` after speech began, or after the prompt finished when nobody spoke.
    Times never go backwards; one that does is taken for the latest seen.
    """

    def __init__(
        self,
        *,
        start_speech_ms: int = 200,
        end_silence_seconds: float,
        max_seconds: float,
        no_input_seconds: float,
        frame_ms: int = 20,
    ) -> None:
        if min(start_speech_ms, end_silence_seconds, max_seconds, no_input_seconds, frame_ms) <= 0:
            raise ValueError("every limit of a turn is larger than nothing")
        self._frame_seconds = frame_ms / 1000
        self._needed = max(1, round(start_speech_ms / frame_ms))
        self._window_seconds = 1.5 * start_speech_ms / 1000
        self._end_silence_seconds = end_silence_seconds
        self._max_seconds = max_seconds
        self._no_input_seconds = no_input_seconds
        self._recent: deque[float] = deque(maxlen=self._needed)  # times of the latest frames of speech
        self._now = float("-inf")
        self._prompt_finished: float | None = None
        self._started: float | None = None
        self._spoke_until: float | None = None
        self._ended = False

    @property
    def started(self) -> bool:
        return self._started is not None

    @property
    def ended(self) -> bool:
        return self._ended

    def prompt_finished(self, at_seconds: float) -> None:
        """The prompt has played out or was stopped; the caller's time begins. Only the first call counts."""
        self._now = max(self._now, at_seconds)
        if self._prompt_finished is None:
            self._prompt_finished = self._now

    def frame(self, at_seconds: float, is_speech: bool) -> SpeechStarted | SpeechEnded | None:
        """A frame that begins at `at_seconds`."""
        if self._ended:
            return None
        self._now = max(self._now, at_seconds)
        if is_speech:
            self._recent.append(self._now)
            if self._started is not None:
                # What was a long pause ends the turn even when the frame after it is speech: frames had stopped.
                over = self._over(self._now)
                if over is not None:
                    return over
                self._spoke_until = self._now + self._frame_seconds
            elif (
                len(self._recent) == self._needed
                and self._now + self._frame_seconds - self._recent[0] <= self._window_seconds + 1e-9
            ):
                self._started = self._recent[0]
                self._spoke_until = self._now + self._frame_seconds
                return SpeechStarted(self._started)
        return self._over(self._now + self._frame_seconds)

    def tick(self, at_seconds: float) -> SpeechEnded | None:
        """Nothing came, time passed."""
        if self._ended:
            return None
        self._now = max(self._now, at_seconds)
        return self._over(self._now)

    def _over(self, now: float) -> SpeechEnded | None:
        begun = self._started if self._started is not None else self._prompt_finished
        reason = None
        if self._spoke_until is not None and now - self._spoke_until >= self._end_silence_seconds - 1e-9:
            reason = EndReason.SILENCE
        elif self._started is None and begun is not None and now - begun >= self._no_input_seconds - 1e-9:
            if self._recent and now - self._recent[-1] < self._window_seconds and now - begun < self._max_seconds:
                return None  # somebody may just be beginning to speak
            reason = EndReason.NO_INPUT
        elif begun is not None and now - begun >= self._max_seconds - 1e-9:
            reason = EndReason.MAXIMUM
        if reason is None:
            return None
        self._ended = True
        return SpeechEnded(now, reason, self._spoke_until)
