"""The one error shape of `cases`: over HTTP it becomes problem+json (RFC 9457)."""

from __future__ import annotations

from typing import Any


class CasesError(Exception):
    """`code` is stable and documented; `message` says what to do; `status` is its HTTP status.

    errors: one object a faulty field, `{"field": path, "code": …, "message": …}`.
    extra: extension members of the problem (who has taken the draft, since when).
    retry_after_seconds: when trying again makes sense; becomes the Retry-After header.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 500,
        recoverable: bool = False,
        errors: list[dict[str, Any]] | None = None,
        extra: dict[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.recoverable = recoverable
        self.errors = errors or []
        self.extra = extra or {}
        self.retry_after_seconds = retry_after_seconds
