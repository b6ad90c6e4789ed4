"""How often somebody may guess: a bounded memory of log-ins by user and address, and by address. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta

WINDOW_SECONDS = 300
TRIES_PER_USER = 5  # from one address
TRIES_PER_ADDRESS = 50
MAX_KEYS = 10_000  # overflow: the key that was tried longest ago is forgotten


class LoginLimit:
    """`begin` before a try counts it, so that many at once count too; `succeeded` takes the count back."""

    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[str, ...], deque[datetime]] = OrderedDict()

    def begin(self, user: str, address: str, now: datetime) -> int:
        """0: try. Else: wait so many seconds first, nothing is counted."""
        limits = (((user.casefold(), address), TRIES_PER_USER), ((address,), TRIES_PER_ADDRESS))
        if wait_seconds := max(self._wait(key, limit, now) for key, limit in limits):
            return wait_seconds
        for key, limit in limits:
            self._tries.setdefault(key, deque(maxlen=limit)).append(now)
            self._tries.move_to_end(key)
        while len(self._tries) > MAX_KEYS:
            self._tries.popitem(last=False)
        return 0

    def succeeded(self, user: str, address: str) -> None:
        self._tries.pop((user.casefold(), address), None)
        self._take_back((address,))

    def not_tried(self, user: str, address: str) -> None:
        """The password was never looked at: the try is given back, earlier ones stay."""
        self._take_back((user.casefold(), address))
        self._take_back((address,))

    def _take_back(self, key: tuple[str, ...]) -> None:
        if tries := self._tries.get(key):
            tries.pop()
            if not tries:
                del self._tries[key]

    def _wait(self, key: tuple[str, ...], limit: int, now: datetime) -> int:
        tries = self._tries.get(key)
        if tries is None or len(tries) < limit:
            return 0
        until = tries[0] + timedelta(seconds=WINDOW_SECONDS)
        return max(0, int((until - now).total_seconds() + 0.999))
