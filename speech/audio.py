"""Telephone sound: files of any kind in, WAV out. Everything is 8 kHz 16 bit mono inside."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import wave
from pathlib import Path

import numpy as np
import soundfile
import soxr

from speech.errors import SpeechError

SAMPLE_RATE_HZ = 8000
BYTES_PER_SECOND = 2 * SAMPLE_RATE_HZ
FRAME_MS = 20
FRAME_BYTES = BYTES_PER_SECOND * FRAME_MS // 1000
# Four hours of a CD's sound. A larger file is a mistake, and would be read into memory.
MAX_FILE_BYTES = 2_600_000_000


def seconds_of(pcm: bytes) -> float:
    """Length of 8 kHz 16 bit mono sound."""
    return len(pcm) / BYTES_PER_SECOND


def read_telephone(path: Path) -> bytes:
    """Any WAV, FLAC or OGG file as 8 kHz 16 bit little-endian mono bytes.

    A WAV whose writer died before it filled in the sizes is read by the file's length.
    Raises SpeechError `audio-missing`, `audio-unreadable`, `audio-empty` or `audio-too-large`.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise SpeechError("audio-too-large", f"{path} has {size} bytes; {MAX_FILE_BYTES} are the most")
        content = bytearray(path.read_bytes())
    except FileNotFoundError as error:
        raise SpeechError("audio-missing", f"there is no file {path}") from error
    except OSError as error:
        raise SpeechError("audio-unreadable", f"cannot read {path}: {error.strerror}") from error
    if not content:
        raise SpeechError("audio-empty", f"{path} is empty")
    _mend_sizes(content)
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise SpeechError(
            "audio-unreadable",
            f"{path} is no sound that can be read (WAV, FLAC, OGG): {getattr(error, 'error_string', error)}",
        ) from error
    if not len(samples):
        raise SpeechError("audio-empty", f"{path} holds no sound")
    return to_telephone(samples.mean(axis=1), rate_hz)


def to_telephone(samples: np.ndarray, rate_hz: int) -> bytes:
    """Mono float samples (-1 to 1) of any rate as 8 kHz 16 bit bytes; what is too loud is clipped."""
    if rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    clean = np.nan_to_num(np.asarray(samples, np.float32))
    return np.clip(np.rint(clean * 32767), -32768, 32767).astype("<i2").tobytes()


def write_wav(path: Path, pcm: bytes) -> None:
    """An 8 kHz mono WAV, there whole or not at all."""
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file, wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(SAMPLE_RATE_HZ)
            out.writeframes(pcm)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def repair_wav(path: Path) -> bool:
    """Fill in the sizes of a WAV whose writer died, in place; True when there was something to mend.

    Raises SpeechError `audio-missing` or `audio-unreadable`.
    """
    try:
        with open(path, "r+b") as file:
            # The sizes stand before the sound: the head is enough to find them.
            head = bytearray(file.read(65536))
            before = bytes(head)
            _mend_sizes(head, file_bytes=os.fstat(file.fileno()).st_size)
            if head == before:
                return False
            file.seek(0)
            file.write(head)
            return True
    except FileNotFoundError as error:
        raise SpeechError("audio-missing", f"there is no file {path}") from error
    except OSError as error:
        raise SpeechError("audio-unreadable", f"cannot mend {path}: {error.strerror}") from error


def _mend_sizes(content: bytearray, *, file_bytes: int | None = None) -> None:
    """Write the true sizes into a RIFF/WAVE header whose data chunk claims none, or more than there is.

    `content` may be only the head of a file of `file_bytes`. What is no WAV is left alone.
    """
    total = file_bytes if file_bytes is not None else len(content)
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return
    at = 12
    block_bytes = 1
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"fmt " and size >= 16 and at + 24 <= len(content):
            block_bytes = max(1, struct.unpack_from("<H", content, at + 20)[0])
        if kind == b"data":
            rest = total - at - 8
            if size <= rest and not (size == 0 and rest > 0 and not _is_chunk(content, at + 8, rest)):
                return
            struct.pack_into("<I", content, at + 4, min(rest - rest % block_bytes, 0xFFFFFFFF))
            struct.pack_into("<I", content, 4, min(total - 8, 0xFFFFFFFF))
            return
        at += 8 + size + size % 2


def _is_chunk(content: bytearray, at: int, rest: int) -> bool:
    """Whether a well-formed RIFF chunk, not sound, fills what follows an empty data chunk."""
    if rest < 8 or at + 8 > len(content):
        return False
    kind, size = struct.unpack_from("<4sI", content, at)
    return kind in (b"LIST", b"id3 ", b"fact", b"cue ", b"bext") and size + size % 2 + 8 <= rest
