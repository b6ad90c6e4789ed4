"""A clip's samples at its own rate: read in blocks and never past the longest, whatever its header claims."""

from __future__ import annotations

import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from speech.audio import repair_wav
from speech.errors import SpeechError

LONGEST_SECONDS = 300.0
_BLOCK_FRAMES = 65536
_HEAD_BYTES = 65536
# A header that claims this much was begun and never finished.
_PLACEHOLDER_BYTES = 0x7FFFF000
_LEAST_RATE_HZ = 8000
_NOT_TWO_CHANNELS = 0.5  # channels less alike than this are two microphones, or two people


@dataclass(frozen=True, slots=True)
class ClipSound:
    """`samples`: mono, -1 to 1. `notes`: what was done to it that its owner should know."""

    samples: NDArray[np.float32]
    rate_hz: int
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


def read_clip(path: Path, longest_seconds: float = LONGEST_SECONDS) -> ClipSound:
    """Any WAV, FLAC or Ogg file, of any rate and depth, its channels mixed.

    Raises SpeechError that says what to do: `audio-missing`, `audio-unreadable`, `audio-empty`, `audio-truncated`,
    `audio-too-long`, `audio-silent`, `audio-narrow`.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise SpeechError("audio-missing", "there is no such file: paths count from the manifest's folder") from None
    except OSError as error:
        raise SpeechError("audio-unreadable", f"cannot be read: {error.strerror}") from error
    if not size:
        raise SpeechError("audio-empty", "the file is empty: copy it anew")
    found = data_chunk(head)
    if found is None:
        return _read(path, longest_seconds)
    start, claimed, bytes_a_second = found
    there = size - start
    unfinished = (claimed == 0 and there > 0) or claimed >= _PLACEHOLDER_BYTES
    if claimed > there and not unfinished:
        raise SpeechError(
            "audio-truncated",
            f"cut off: {there / bytes_a_second:.1f} s of the {claimed / bytes_a_second:.1f} s that its header names are "
            "there: copy it anew",
        )
    if not unfinished:
        return _read(path, longest_seconds)
    if there / bytes_a_second > longest_seconds:
        raise _too_long(there / bytes_a_second, longest_seconds)
    with tempfile.TemporaryDirectory(prefix="hotline-clip-") as folder:
        mended = Path(folder) / path.name
        shutil.copyfile(path, mended)
        repair_wav(mended)
        sound = _read(mended, longest_seconds)
    return ClipSound(sound.samples, sound.rate_hz, (*sound.notes, "its header was never finished: read to its end"))


def data_chunk(head: bytes) -> tuple[int, int, int] | None:
    """Of a RIFF/WAVE file's head: where its samples begin, how many bytes it claims, bytes a second. None: no WAV."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, bytes_a_second = 12, 0
    while at + 8 <= len(head):
        kind, size = struct.unpack_from("<4sI", head, at)
        if kind == b"fmt " and at + 20 <= len(head):
            bytes_a_second = struct.unpack_from("<I", head, at + 16)[0]
        if kind == b"data":
            return at + 8, size, max(1, bytes_a_second)
        at += 8 + size + size % 2
    return None


def _read(path: Path, longest_seconds: float) -> ClipSound:
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            if rate_hz < _LEAST_RATE_HZ:
                raise SpeechError("audio-narrow", f"{rate_hz} Hz is less than a telephone's 8000: record it anew")
            if file.frames > longest_seconds * rate_hz:
                raise _too_long(file.frames / rate_hz, longest_seconds)
            blocks, frames = [], 0
            for block in file.blocks(_BLOCK_FRAMES, dtype="float32", always_2d=True):
                frames += len(block)
                if frames > longest_seconds * rate_hz:
                    raise _too_long(frames / rate_hz, longest_seconds, at_least=True)
                blocks.append(block.copy())
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        reason = getattr(error, "error_string", "") or str(error)
        raise SpeechError("audio-unreadable", f"no sound that can be read (WAV, FLAC, Ogg): {reason}") from error
    if not frames:
        raise SpeechError("audio-empty", "it holds no sound: record it anew")
    samples, notes = mixed(np.concatenate(blocks))
    if not np.any(samples):
        raise SpeechError("audio-silent", "all of its samples are zero: record it anew")
    return ClipSound(samples, rate_hz, notes)


def mixed(channels: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Frames x channels as one channel, as a telephone has it: their mean, and what is to be said about that."""
    count = channels.shape[1]
    channels = np.nan_to_num(channels)
    if count == 1:
        return np.ascontiguousarray(channels[:, 0]), ()
    powers = (channels.astype(np.float64) ** 2).mean(axis=0)
    mean = channels.mean(axis=1)
    if float(np.mean(mean.astype(np.float64) ** 2)) < 0.01 * float(powers.max()):
        loudest = int(powers.argmax())
        note = f"{count} channels that cancel each other out: number {loudest + 1} was taken alone"
        return np.ascontiguousarray(channels[:, loudest]), (note,)
    heard = channels[:, powers > 0.01 * powers.max()].astype(np.float64)
    alike = float(np.abs(np.corrcoef(heard.T)).min()) if heard.shape[1] > 1 else 1.0
    if alike < _NOT_TWO_CHANNELS:
        return mean, (f"{count} channels that differ, mixed: if each holds one speaker, split them",)
    return mean, (f"{count} channels, mixed",)


def _too_long(seconds: float, longest_seconds: float, *, at_least: bool = False) -> SpeechError:
    length = f"{'more than ' if at_least else ''}{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
    return SpeechError(
        "audio-too-long",
        f"{length} long: clips of {longest_seconds:g} s at most are heard, each with its own transcript: cut it "
        "(or allow more with --longest)",
    )
