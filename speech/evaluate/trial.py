"""Clips through lines into a recogniser: what was said beside what was heard, clip by clip."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from speech.channel import telephone
from speech.errors import SpeechError
from speech.evaluate.clip_sound import LONGEST_SECONDS, ClipSound, read_clip
from speech.evaluate.compare import compare, word_rightness
from speech.evaluate.conditions import Condition
from speech.evaluate.figures import ClipHeard
from speech.evaluate.hearing import MakeEndpointer, hear_as_a_call
from speech.evaluate.manifest import Clip, Problem
from speech.recognizer import Recognizer

# Of the idle line before and after a clip, as a call has it: the detector settles, the last word is not cut.
AROUND_SECONDS = 0.6


class Sounds:
    """Reads clips; what cannot be read is told once, also when it is asked for again by the next model."""

    def __init__(self, folder: Path, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._folder = folder
        self._longest_seconds = longest_seconds
        self.problems: dict[int, Problem] = {}
        self.notes: dict[int, Problem] = {}

    def read(self, clip: Clip) -> ClipSound | None:
        """None when it cannot be heard, with a Problem that says why."""
        if clip.line in self.problems:
            return None
        try:
            sound = read_clip(self._folder / clip.path, self._longest_seconds)
        except SpeechError as error:
            self.problems[clip.line] = Problem(clip.line, clip.path, error.message)
            return None
        if sound.notes:
            self.notes[clip.line] = Problem(clip.line, clip.path, "; ".join(sound.notes))
        return sound


def on_the_line(sound: ClipSound, condition: Condition, clip: Clip, seed: int) -> bytes:
    """8 kHz samples as the far end gets them. A clip meets the same noise in every run, model and condition."""
    around = np.zeros(round(AROUND_SECONDS * sound.rate_hz), np.float32)
    rng = np.random.default_rng([seed, zlib.crc32(clip.path.encode())])
    samples = np.concatenate([around, sound.samples, around])
    return telephone(samples, sound.rate_hz, condition.channel, rng).astype("<i2").tobytes()


async def hear_clips(
    recognizer: Recognizer,
    model: str,
    clips: Sequence[Clip],
    conditions: Sequence[Condition],
    sounds: Sounds,
    new_caller: Callable[[], MakeEndpointer],
    *,
    seed: int = 1,
    told: Callable[[int], None] = lambda done: None,
) -> list[ClipHeard]:
    """Every clip under every condition, in order. `told` hears how many hearings are done.

    `new_caller`: gives the endpointing of a caller not known before; each hearing is by one.

    Raises SpeechError when the recogniser is gone; a clip that it fails on is a problem of that clip.
    """
    found: list[ClipHeard] = []
    done = 0
    for clip in clips:
        sound = await asyncio.to_thread(sounds.read, clip)
        for condition in conditions if sound is not None else ():
            assert sound is not None
            pcm = await asyncio.to_thread(on_the_line, sound, condition, clip, seed)
            try:
                found.append(await _hear(recognizer, model, clip, condition, pcm, new_caller()))
            except SpeechError as error:
                if not error.recoverable:
                    raise
                message = f"{model} failed on it ({condition.name}): {error.message}"
                sounds.problems.setdefault(clip.line, Problem(clip.line, clip.path, message))
        done += len(conditions)
        told(done)
    return found


async def _hear(
    recognizer: Recognizer, model: str, clip: Clip, condition: Condition, pcm: bytes, new_endpointer: MakeEndpointer
) -> ClipHeard:
    heard = await hear_as_a_call(recognizer, pcm, new_endpointer)
    comparison = compare(clip.transcript, heard.text)
    confidences = word_rightness(comparison, heard.words)
    return ClipHeard(
        clip=clip,
        model=model,
        condition=condition.name,
        heard=heard.text,
        comparison=comparison,
        confidences=None if confidences is None else tuple(confidences),
        turns=heard.turns,
        late=heard.late,
        audio_seconds=heard.audio_seconds,
        decoded_seconds=heard.decoded_seconds,
        cpu_seconds=heard.cpu_seconds,
    )
