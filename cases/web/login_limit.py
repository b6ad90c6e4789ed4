"""How often somebody may guess: a bounded memory of failed log-ins by user and address, and by address. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta

WINDOW_SECONDS = 300
FAILURES_PER_USER = 5  # from one address
FAILURES_PER_ADDRESS = 50
MAX_KEYS = 10_000  # overflow: the key that failed longest ago is forgotten


class LoginLimit:
    """`wait_seconds` before a try; `failed` or `succeeded` after it."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, ...], deque[datetime]] = OrderedDict()

    def wait_seconds(self, user: str, address: str, now: datetime) -> int:
        """0: may try. Else after so many seconds."""
        waits = (
            self._wait((user.casefold(), address), FAILURES_PER_USER, now),
            self._wait((address,), FAILURES_PER_ADDRESS, now),
        )
        return max(waits)

    def failed(self, user: str, address: str, now: datetime) -> None:
        for key, limit in (((user.casefold(), address), FAILURES_PER_USER), ((address,), FAILURES_PER_ADDRESS)):
            self._failures.setdefault(key, deque(maxlen=limit)).append(now)
            self._failures.move_to_end(key)
        while len(self._failures) > MAX_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        self._failures.pop((user.casefold(), address), None)

    def _wait(self, key: tuple[str, ...], limit: int, now: datetime) -> int:
        failures = self._failures.get(key)
        if failures is None or len(failures) < limit:
            return 0
        until = failures[0] + timedelta(seconds=WINDOW_SECONDS)
        return max(0, int((until - now).total_seconds() + 0.999))
