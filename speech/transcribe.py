"""Words of a sound file, by the same way as a call's: speech detected, silence not fed, the same recogniser."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speech.audio import BYTES_PER_SECOND, FRAME_BYTES, FRAME_MS, read_telephone, seconds_of
from speech.recognizer import Recognizer, SpokenWord, Transcript
from speech.vad import SpeechDetector

# Sound kept before the first and after the last frame of speech: weak beginnings and endings of words.
PADDING_BEFORE_MS = 300
PADDING_AFTER_MS = 500
# A file can wait for the recogniser, so nothing of it is ever left out.
_WAIT_AT_BACKLOG_SECONDS = 5.0
_NO_ROOM_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class FileTranscript:
    """`audio_seconds`: the file's length, silence included. Word times are seconds of the file."""

    file: Path
    text: str
    words: tuple[SpokenWord, ...]
    audio_seconds: float
    decode_seconds: float


class SpeechOnly:
    """Frames in, frames worth feeding out: speech with its padding, each with its time."""

    def __init__(self, detector: SpeechDetector | None = None) -> None:
        self._detector = detector or SpeechDetector()
        self._before: deque[tuple[bytes, float]] = deque(maxlen=PADDING_BEFORE_MS // FRAME_MS)
        self._after_left = 0

    def take(self, frame: bytes, at_seconds: float) -> list[tuple[bytes, float]]:
        """What to feed now that this frame (20 ms) has come; often nothing, after a pause several frames."""
        if self._detector.is_speech(frame):
            self._after_left = PADDING_AFTER_MS // FRAME_MS
        elif self._after_left > 0:
            self._after_left -= 1
        else:
            self._before.append((frame, at_seconds))
            return []
        wanted = [*self._before, (frame, at_seconds)]
        self._before.clear()
        return wanted


def speech_of(pcm: bytes) -> Iterator[tuple[bytes, float]]:
    """The parts of a whole sound that are worth feeding, frame by frame; a last part of a frame is filled up."""
    only = SpeechOnly()
    for start in range(0, len(pcm), FRAME_BYTES):
        frame = pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        yield from only.take(frame, start / BYTES_PER_SECOND)


async def transcribe_file(recognizer: Recognizer, path: Path, *, background: bool = False) -> FileTranscript:
    """Read, find the speech, recognise. Raises the SpeechErrors of `read_telephone` and of the recogniser.

    `background`: callers go first (`Recognizer.open`).
    """
    pcm = await asyncio.to_thread(read_telephone, path)
    heard = await transcribe_sound(recognizer, pcm, background=background)
    return FileTranscript(Path(path), heard.text, heard.words, seconds_of(pcm), heard.decode_seconds)


async def transcribe_sound(
    recognizer: Recognizer,
    pcm: bytes,
    *,
    background: bool = False,
    has_room: Callable[[], bool] = lambda: True,
) -> Transcript:
    """The words of a whole sound, its first sample at second 0. `has_room`: while it says no, nothing more is fed."""
    stream = recognizer.open(background=True) if background else recognizer.open()
    most_seconds = _WAIT_AT_BACKLOG_SECONDS / 5 if background else _WAIT_AT_BACKLOG_SECONDS
    try:
        for number, (frame, at_seconds) in enumerate(speech_of(pcm)):
            stream.feed(frame, at_seconds)
            if number % 50 == 0:
                await asyncio.sleep(0)
                while not has_room():  # noqa: ASYNC110 - the seam has no event for it
                    await asyncio.sleep(_NO_ROOM_SECONDS)
            while stream.backlog_seconds > most_seconds:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)
        return await stream.finish()
    finally:
        stream.close()
