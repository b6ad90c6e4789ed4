"""The one error shape of `cases`: over HTTP it becomes problem+json (RFC 9457)."""

from __future__ import annotations


class CasesError(Exception):
    """`code` is stable and documented; `message` says what to do; `status` is its HTTP status."""

    def __init__(self, code: str, message: str, *, status: int = 500, recoverable: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.recoverable = recoverable
