"""Pure: where a moment of the sound that was fed lies in the caller's clock, silence having been left out."""

from __future__ import annotations

from bisect import bisect_right

# Rounding of the caller's clock is no gap.
_SAME_SECONDS = 0.0015


class FedTime:
    """Pieces of sound, joined without gaps as the recogniser hears them, each with its place in the caller's clock."""

    def __init__(self) -> None:
        self._fed_from: list[float] = []  # seconds in the joined sound, ascending
        self._caller_from: list[float] = []
        self.fed_seconds = 0.0

    def add(self, at_seconds: float, seconds: float) -> None:
        """The next `seconds` of sound begin at `at_seconds` of the caller's clock."""
        expected = self._caller(len(self._fed_from) - 1, self.fed_seconds) if self._fed_from else None
        if expected is None or abs(at_seconds - expected) > _SAME_SECONDS:
            self._fed_from.append(self.fed_seconds)
            self._caller_from.append(at_seconds)
        self.fed_seconds += seconds

    def word(self, start_seconds: float, end_seconds: float) -> tuple[float, float]:
        """A word's start and end. A word laid across a gap was said on the side that holds more of it."""
        if not self._fed_from:
            return start_seconds, end_seconds
        first, last = self._piece(start_seconds), self._piece(end_seconds, ends=True)
        if last <= first:
            return self._caller(first, start_seconds), self._caller(first, max(start_seconds, end_seconds))

        def overlap(piece: int) -> float:
            return min(end_seconds, self._fed_to(piece)) - max(start_seconds, self._fed_from[piece])

        best = max(range(first, last + 1), key=overlap)
        inside_from = max(start_seconds, self._fed_from[best])
        return self._caller(best, inside_from), self._caller(best, min(end_seconds, self._fed_to(best)))

    def _piece(self, fed: float, *, ends: bool = False) -> int:
        at = fed - 1e-9 if ends else fed
        return max(0, bisect_right(self._fed_from, at) - 1)

    def _fed_to(self, piece: int) -> float:
        return self._fed_from[piece + 1] if piece + 1 < len(self._fed_from) else self.fed_seconds

    def _caller(self, piece: int, fed: float) -> float:
        return self._caller_from[piece] + fed - self._fed_from[piece]
