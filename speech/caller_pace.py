"""Pure: how long does this caller pause within what they say? Learned as the call goes on, from turn to turn.

Pauses within speech are log-normal about the caller's own middle, and callers' middles are log-normal about that of
callers as a whole. A step's base silence is read as a quantile: "longer than so many pauses of a caller not yet
known". Every pause heard moves the caller's own distribution (normal with known variances, so in closed form), and
`silence_seconds` is the same quantile of it: longer for who pauses long, shorter for who speaks in one go, and the
base itself for who has not been heard yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Of callers as a whole: the middle of their middle pauses, how much callers differ, how much one caller's pauses do.
TYPICAL_PAUSE_SECONDS = 0.45
BETWEEN_CALLERS = 0.4
WITHIN_CALLER = 0.5
# Shorter gaps are the closing of a consonant or the detector's, no pauses. Longer ones say little of the caller's
# speech: somebody was spoken to, or looked for a letter.
SHORTEST_PAUSE_SECONDS = 0.22
LONGEST_PAUSE_SECONDS = 4.0
# How fast somebody speaks says a little of how long they pause, before any pause is heard. A recogniser that misses
# words makes a caller seem slow, so a pace counts for less than a pause, and its extremes for nothing more.
TYPICAL_CHARS_PER_SECOND = 4.7
PACE_SPREAD = 0.8
FEWEST_CHARS = 6
PACE_RANGE = (0.6, 1.6)


@dataclass(slots=True)
class CallerPace:
    """One call's. `slowness` 1 is a caller like others, 1.5 one whose middle pause is half as long again."""

    pauses: int = 0
    chars: int = 0
    speech_seconds: float = 0.0
    _sum: float = 0.0

    def paused(self, seconds: float) -> None:
        """The caller was silent this long and then spoke on."""
        if SHORTEST_PAUSE_SECONDS <= seconds <= LONGEST_PAUSE_SECONDS:
            self.pauses += 1
            self._sum += math.log(seconds / TYPICAL_PAUSE_SECONDS)

    def spoke(self, chars: int, speech_seconds: float) -> None:
        """A turn is over: so many characters were heard in so much speech, pauses not counted."""
        if chars >= FEWEST_CHARS and speech_seconds > 0:
            self.chars += chars
            self.speech_seconds += speech_seconds

    @property
    def slowness(self) -> float:
        return math.exp(self._middle()[0])

    def silence_seconds(self, base_seconds: float) -> float:
        """The silence that means to this caller what `base_seconds` means to one not yet known."""
        middle, variance = self._middle()
        unknown = math.hypot(WITHIN_CALLER, BETWEEN_CALLERS)
        quantile = math.log(base_seconds / TYPICAL_PAUSE_SECONDS) / unknown
        return TYPICAL_PAUSE_SECONDS * math.exp(middle + quantile * math.sqrt(WITHIN_CALLER**2 + variance))

    def _middle(self) -> tuple[float, float]:
        """The caller's middle pause, as the logarithm of its ratio to the typical one, and how unsure that is."""
        weight = 1 / BETWEEN_CALLERS**2 + self.pauses / WITHIN_CALLER**2
        total = self._sum / WITHIN_CALLER**2
        if self.chars:
            pace = TYPICAL_CHARS_PER_SECOND * self.speech_seconds / self.chars
            weight += 1 / PACE_SPREAD**2
            total += math.log(min(PACE_RANGE[1], max(PACE_RANGE[0], pace))) / PACE_SPREAD**2
        return total / weight, 1 / weight
