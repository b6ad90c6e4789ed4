"""The one error shape of `ivr`. A hang-up is not an error: it is a fact (`CallerHungUp`)."""

from __future__ import annotations


class CallError(Exception):
    """`code` is stable; `message` is for the log; `caller_hears` names the prompt that the caller gets."""

    def __init__(self, code: str, message: str, *, recoverable: bool = False, caller_hears: str = "apology") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.recoverable = recoverable
        self.caller_hears = caller_hears
