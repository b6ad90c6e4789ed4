"""Recordings on disk: streamed to a temporary file, checked, on the disk for sure, then moved into place.

A file's name holds its digest, so the row in the database always names exactly the bytes it was checked with.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from cases.errors import CasesError

log = structlog.get_logger(__name__)

CALL_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_WRITE_BYTES = 1 << 20
_PART_MAX_AGE_SECONDS = 3600
_PCM = 1
_EXTENSIBLE = 0xFFFE


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`file` is relative to the recordings folder."""

    file: str
    seconds: float
    size_bytes: int
    sha256: str


def not_a_wav(detail: str) -> CasesError:
    return CasesError("not-a-wav", f"a recording is a PCM WAV file: {detail}", status=415)


def wav_seconds(path: Path) -> float:
    """Length of a PCM WAV file by its bytes, whatever its header claims. Raises CasesError `not-a-wav`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            raise not_a_wav("no RIFF/WAVE header")
        bytes_a_second = 0
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"fmt ":
                bytes_a_second = _bytes_a_second(file.read(min(length, 64)))
                file.seek(max(0, length - 64) + (length & 1), os.SEEK_CUR)
            elif name == b"data":
                if not bytes_a_second:
                    raise not_a_wav("no format before the sound")
                rest = size - file.tell()
                # A recorder that was killed leaves 0 or a length past the end: the file's own length is right.
                return (length if 0 < length <= rest else rest) / bytes_a_second
            else:
                file.seek(length + (length & 1), os.SEEK_CUR)
    raise not_a_wav("no sound in it")


def _bytes_a_second(fmt: bytes) -> int:
    if len(fmt) < 16:
        raise not_a_wav("format chunk too short")
    kind, channels, rate, bytes_a_second, block, bits = struct.unpack("<HHIIHH", fmt[:16])
    if kind not in (_PCM, _EXTENSIBLE) or bits not in (8, 16, 24, 32) or channels not in (1, 2):
        raise not_a_wav("not mono or stereo PCM")
    if not 4_000 <= rate <= 192_000 or block != channels * bits // 8 or bytes_a_second != rate * block:
        raise not_a_wav("its format contradicts itself")
    return int(bytes_a_second)


class RecordingFiles:
    """The folder of recordings. Blocking work happens in threads."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes

    def start(self) -> None:
        """Makes the folder; clears what an interrupted upload left."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self.folder.glob(".*.part"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _PART_MAX_AGE_SECONDS:
                    part.unlink()

    def path(self, file: str) -> Path:
        return self.folder / file

    async def receive(self, call_id: str, chunks: AsyncIterator[bytes], sha256: str) -> StoredFile:
        """Takes a whole upload. CasesError: recording-too-large, digest-wrong, not-a-wav, disk-full."""
        if not CALL_ID.fullmatch(call_id):
            raise CasesError("call-id-invalid", "a call id has 1-64 of A-Z a-z 0-9 . _ -", status=400)
        part = self.folder / f".{secrets.token_hex(12)}.part"
        try:
            size_bytes, digest = await self._write(part, chunks)
            if digest != sha256:
                raise CasesError("digest-wrong", "the recording arrived damaged: X-Content-SHA256 differs", status=422)
            seconds = await asyncio.to_thread(wav_seconds, part)
            file = f"{hashlib.sha256(call_id.encode()).hexdigest()[:2]}/{call_id}.{digest[:16]}.wav"
            await asyncio.to_thread(_move, part, self.path(file))
            return StoredFile(file, seconds, size_bytes, digest)
        except OSError as error:
            log.error("recording_not_stored", call_id=call_id, error=error.strerror or str(error))
            raise CasesError(
                "disk-full",
                f"the recording cannot be stored ({error.strerror or error}); keep it and send it again",
                status=507,
                recoverable=True,
                retry_after_seconds=30,
            ) from error
        finally:
            part.unlink(missing_ok=True)

    async def _write(self, part: Path, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
        digest, size_bytes, waiting = hashlib.sha256(), 0, bytearray()
        with await asyncio.to_thread(open, part, "xb") as file:
            async for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > self.max_bytes:
                    raise too_large(self.max_bytes)
                waiting += chunk
                if len(waiting) >= _WRITE_BYTES:
                    digest.update(waiting)
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            digest.update(waiting)
            file.write(waiting)
            await asyncio.to_thread(_flush, file.fileno(), file.flush)
        return size_bytes, digest.hexdigest()

    async def forget(self, file: str) -> None:
        """Removes a recording that another has replaced."""
        try:
            await asyncio.to_thread(self.path(file).unlink, missing_ok=True)
        except OSError as error:
            log.warning("recording_not_removed", file=file, error=str(error))


def too_large(max_bytes: int) -> CasesError:
    return CasesError(
        "recording-too-large", f"a recording has at most {max_bytes} bytes (cases.max_recording_bytes)", status=413
    )


def _flush(descriptor: int, flush: object) -> None:
    assert callable(flush)
    flush()
    os.fsync(descriptor)


def _move(part: Path, place: Path) -> None:
    place.parent.mkdir(exist_ok=True, mode=0o700)
    os.replace(part, place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
