"""A line of progress on standard error: what, how much of how much, how long it will take."""

from __future__ import annotations

import sys
import time
from types import TracebackType


class Progress:
    """`with Progress("align", 1200, "clips") as p: p.at(done)`. On a terminal one line that changes; else one a minute."""

    def __init__(self, what: str, total: float, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._begun = self._told = time.monotonic()
        self._first: float | None = None
        self._done = 0.0
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._tell(end="\n")

    def at(self, done: float, note: str = "") -> None:
        if self._first is None:
            self._first = done
        self._done = done
        now = time.monotonic()
        if note or now - self._told >= (0.5 if self._terminal else 60):
            self._told = now
            self._tell(note, end="" if self._terminal else "\n")

    def of(self, done: int, total: int) -> None:
        """The same, when the total shows only now."""
        self._total = total
        self.at(done)

    def _tell(self, note: str = "", end: str = "\n") -> None:
        spent = time.monotonic() - self._begun
        made = self._done - (self._first or 0.0)
        left = spent * (self._total - self._done) / made if made > 0 else None
        eta = f", {left / 60:.0f} min left" if left is not None and left > 30 else ""
        shown = f"{self._done:.2f}" if self._total < 100 else f"{self._done:.0f}"
        line = f"{self._what}: {shown} of {self._total:g} {self._unit}, {spent / 60:.1f} min{eta} {note}".rstrip()
        print(f"\r\033[K{line}" if self._terminal else line, end=end, file=sys.stderr, flush=True)
