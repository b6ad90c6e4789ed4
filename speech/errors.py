"""The one error shape of `speech`."""

from __future__ import annotations


class SpeechError(Exception):
    """`code` is stable (`speech-model-missing`); `message` says what to do; `recoverable`: trying again may help."""

    def __init__(self, code: str, message: str, *, recoverable: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.recoverable = recoverable
