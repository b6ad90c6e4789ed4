"""The largest load that still passes, by doubling and bisection. Pure: ask `next`, tell `tell`."""

from __future__ import annotations


class LargestPassing:
    """`next()` is what to try, None when it is known. A load passes when all smaller ones would.

    Starts at `first`; doubles while it passes, halves while it fails, then bisects until the gap between the largest
    that passed and the smallest that failed is at most `gap_share` of the former, or one.
    """

    def __init__(self, first: int, *, most: int, gap_share: float = 0.05) -> None:
        if not 1 <= first <= most:
            raise ValueError("the first load lies between 1 and the most")
        self._first = first
        self._most = most
        self._gap_share = gap_share
        self.passed = 0
        self.failed: int | None = None

    def next(self) -> int | None:
        if self.passed == 0 and self.failed is None:
            return self._first
        if self.failed is None:
            return min(2 * self.passed, self._most) if self.passed < self._most else None
        if self.failed - self.passed <= max(1, int(self.passed * self._gap_share)):
            return None
        return (self.passed + self.failed) // 2

    def tell(self, load: int, *, passes: bool) -> None:
        """How a load went. One that contradicts what is known (noise) narrows the answer downwards."""
        if passes and (self.failed is None or load < self.failed):
            self.passed = max(self.passed, load)
        elif not passes:
            self.failed = load if self.failed is None else min(self.failed, load)
            self.passed = min(self.passed, self.failed - 1)

    @property
    def answer(self) -> int:
        """The largest that passed so far; 0 when even one does not."""
        return self.passed
