"""The number a caller is told: eight digits, the node's first, then a count that never goes back on this node."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ivr.errors import CallError
from ivr.journal import disk_error

COUNT_DIGITS = 7


class ReferenceNumbers:
    """Counts in `<spool>/reference.counter`, on disk before a number is given out, so that none is given twice.

    Safe between threads and processes (flock). CallError `reference-counter-broken`, `disk-full`, `disk-failed`.
    """

    def __init__(self, path: Path, node: int) -> None:
        self._path = path
        self._node = node

    def next(self) -> str:
        """The next number, e.g. `10000042`. After ten million calls of a node it begins anew."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                if text and not text.isdecimal():
                    raise CallError(
                        "reference-counter-broken",
                        f"{self._path} holds no number; write the last one given out into it",
                    )
                count = (int(text or 0) + 1) % 10**COUNT_DIGITS
                os.pwrite(descriptor, f"{count:0{COUNT_DIGITS}}\n".encode(), 0)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise disk_error("reference", error) from error
        return f"{self._node}{count:0{COUNT_DIGITS}}"
