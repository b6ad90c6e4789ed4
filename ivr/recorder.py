"""heard.wav: the caller's side exactly as it came, on disk before the recogniser sees it.

Durability: each frame is handed to the kernel when it comes (one `pwrite`), so whatever kills the process takes at
most the frame in flight. The file is fsynced when it is closed; a power cut takes what the kernel had not written
yet (Linux: some 30 s). Facts that were acted on are safer, in the journal; sound is also in Asterisk's recording.wav.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

import structlog

from ivr.audiosocket import AudioFrame
from ivr.errors import CallError
from ivr.journal import disk_error
from ivr.playout import SAMPLE_RATE_HZ

log = structlog.get_logger(__name__)

HEADER_BYTES = 44
DATA_MAX_BYTES = 2**32 - 1 - HEADER_BYTES


def wav_header(data_bytes: int) -> bytes:
    """RIFF header of 8 kHz 16-bit mono PCM; `data_bytes` 0 in a file that is still being written."""
    riff = struct.pack("<4sI4s", b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16)
    return riff + form + struct.pack("<4sI", b"data", data_bytes)


class HeardRecorder:
    """Writes frames at their place on the call's clock; gaps are silence (holes of the file). A tap of AudioConnection.

    Never raises after opening: the first failure is logged and kept in `failed`; the call goes on unrecorded here
    (recording.wav goes on) and the session decides, normally to put the caller through to a human. Opening raises
    CallError `disk-full` or `disk-failed`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failed: CallError | None = None
        self._end_sample = 0
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise disk_error("heard", error) from error
        try:
            self._write_all(wav_header(0), 0)
        except OSError as error:
            self.close()
            raise disk_error("heard", error) from error

    @property
    def seconds(self) -> float:
        """Length of the file so far."""
        return self._end_sample / SAMPLE_RATE_HZ

    def __call__(self, frame: AudioFrame) -> None:
        self.write(frame)

    def write(self, frame: AudioFrame) -> None:
        if self.failed or self._descriptor < 0:
            return
        end_sample = frame.start_sample + len(frame.pcm) // 2
        if end_sample * 2 > DATA_MAX_BYTES:
            return  # 74 hours: a clock gone mad, not a call
        try:
            self._write_all(frame.pcm, HEADER_BYTES + 2 * frame.start_sample)
        except OSError as error:
            self._fail(error)
            return
        self._end_sample = max(self._end_sample, end_sample)

    def close(self) -> None:
        """Finish the header and fsync (blocking: call it in a thread). Twice does no harm."""
        if self._descriptor < 0:
            return
        try:
            self._write_all(wav_header(2 * self._end_sample), 0)
            os.fsync(self._descriptor)
        except OSError as error:
            if not self.failed:
                self._fail(error)
        finally:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    def _write_all(self, data: bytes, offset: int) -> None:
        while data:
            written = os.pwrite(self._descriptor, data, offset)
            data, offset = data[written:], offset + written

    def _fail(self, error: OSError) -> None:
        self.failed = disk_error("heard", error)
        log.error("heard_recording_failed", call_id=self.path.parent.name, code=self.failed.code, error=str(error))
