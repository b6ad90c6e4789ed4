"""Speech with pauses inside, made from synthesised utterances or recorded clips, of which the true end is known.

A caller who tells a story stops to think, to breathe, to say 嗯 or 那个; an end-of-speech detector has to tell those
pauses from the end. Recordings seldom say where a caller had finished, so this makes calls that do: callers differ in
pace, in how long they pause and how often they hesitate, and the line has noise. The same seed makes the same calls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speech.audio import SAMPLE_RATE_HZ, read_telephone
from speech.channel import Channel, telephone
from speech.errors import SpeechError

Sound = NDArray[np.float32]

PAUSE_RANGE_SECONDS = (0.3, 2.5)
LEAD_SECONDS = 0.6
TAIL_SECONDS = 9.0  # what is heard after the end; longer than any end-of-speech decision takes
HESITATIONS = ("嗯", "那个", "就是说", "然后")
# What a caller takes breath at, when a clause is too long for one; after these characters.
_BREAKS = "的了在是就都有到"
_LONG_CLAUSE_CHARS = 9
_BREATH_CHARS = 16
_QUIET_BELOW_PEAK_DB = -38.0


@dataclass(frozen=True, slots=True)
class CallerStyle:
    """How one caller speaks. `speed` stretches (1.3 is slow); `breath_db` is against the speech's own level.

    pause_spread: of the logarithm of one pause against another; hesitates, breathes: shares of the pauses.
    """

    pause_seconds: float
    pause_spread: float
    speed: float
    hesitates: float
    breathes: float
    breath_db: float
    channel: Channel

    @classmethod
    def draw(cls, rng: np.random.Generator) -> CallerStyle:
        """One of many callers: middle pauses of 0.3 to 1.3 s for nine in ten; who speaks slowly tends to pause long."""
        slow = rng.normal()
        own = rng.normal()
        return cls(
            pause_seconds=0.62 * math.exp(0.42 * (0.6 * slow + 0.8 * own)),
            pause_spread=float(rng.uniform(0.3, 0.6)),
            speed=float(np.clip(1.15 * math.exp(0.13 * slow), 0.85, 1.7)),
            hesitates=float(rng.beta(1.2, 4)),
            breathes=float(rng.beta(2, 3)),
            breath_db=float(rng.uniform(-32, -20)),
            channel=Channel(
                codec="alaw",
                level_dbfs=float(rng.uniform(-18, -6)),
                snr_db=None if rng.random() < 0.3 else float(rng.uniform(12, 35)),
                noise="babble" if rng.random() < 0.3 else "white",
            ),
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech between two pauses; `text` is empty when it is not known."""

    start_seconds: float
    end_seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class PausedSpeech:
    """One turn's sound (8 kHz s16le) from the end of the question on, and what lies in it."""

    pcm: bytes
    stretches: tuple[Stretch, ...]

    @property
    def text(self) -> str:
        return "".join(stretch.text for stretch in self.stretches)

    @property
    def end_seconds(self) -> float:
        """When the caller had finished."""
        return self.stretches[-1].end_seconds

    @property
    def pauses(self) -> tuple[float, ...]:
        return tuple(after.start_seconds - before.end_seconds for before, after in pairwise(self.stretches))


Speak = Callable[[str, float], Sound]
"""speak(text, speed): the text's sound at 8 kHz without silence around it."""


def spoken_turn(text: str, style: CallerStyle, speak: Speak, rng: np.random.Generator) -> PausedSpeech:
    """`text` said by a caller of this style: a pause at every mark of punctuation, and within long clauses."""
    pieces = _pieces(text, style, rng)
    if not pieces:
        raise SpeechError("pauses-text-empty", f"nothing to say in {text[:40]!r}: give Chinese characters")
    return _joined([(speak(piece, style.speed), piece) for piece in pieces], style, rng)


def clips_turn(clips: Sequence[Sound], style: CallerStyle, rng: np.random.Generator) -> PausedSpeech:
    """Recorded clips one after the other, with this style's pauses between them."""
    return _joined([(clip, "") for clip in clips], style, rng)


def figures_in_groups(number: str) -> str:
    """A telephone number as people say it: 139，1234，5678."""
    if len(number) != 11:
        return "，".join(re.findall(".{1,4}", number))
    return f"{number[:3]}，{number[3:7]}，{number[7:]}"


def trimmed(samples: Sound) -> Sound:
    """Without the silence before and after the speech, so that its end is where the speech ends."""
    step = SAMPLE_RATE_HZ // 100
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    if not len(frames):
        return samples[:0]
    levels = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(levels > max(1e-6, levels.max() * 10 ** (_QUIET_BELOW_PEAK_DB / 20)))
    return samples[loud[0] * step : (loud[-1] + 1) * step] if len(loud) else samples[:0]


def samples_of(pcm: bytes) -> Sound:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)


def read_clips(folder: Path) -> dict[str, list[Sound]]:
    """The clips of a folder by speaker: each sub-folder is one, the folder's own files are one more.

    SpeechError `pauses-no-clips` when there is none; a file that cannot be read raises what `read_telephone` does.
    """
    speakers: dict[str, list[Sound]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".wav", ".flac", ".ogg", ".opus"):
            continue
        clip = trimmed(samples_of(read_telephone(path)))
        if len(clip) >= SAMPLE_RATE_HZ // 4:
            speakers.setdefault(str(path.parent.relative_to(folder)), []).append(clip)
    if not speakers:
        raise SpeechError("pauses-no-clips", f"{folder}: no WAV, FLAC or Ogg file with speech in it")
    return speakers


def _pieces(text: str, style: CallerStyle, rng: np.random.Generator) -> list[str]:
    """What is said in one breath each."""
    pieces: list[str] = []
    for clause in re.findall(r"[^，。、；：？！,.;:?!\s]+", text):
        while len(clause) > _BREATH_CHARS or (len(clause) > _LONG_CLAUSE_CHARS and rng.random() < 0.5):
            room = range(3, min(_BREATH_CHARS, len(clause) - 2))
            breaks = [n for n in room if clause[n - 1] in _BREAKS]
            at = int(rng.choice(breaks)) if breaks else int(rng.integers(4, room[-1] + 1))
            pieces.append(clause[:at])
            clause = clause[at:]
        pieces.append(clause)
    for number in range(len(pieces) - 1):
        if rng.random() < style.hesitates:
            said = str(rng.choice(HESITATIONS))
            if rng.random() < 0.5:
                pieces[number] += said
            else:
                pieces[number + 1] = said + pieces[number + 1]
    return pieces


def _joined(parts: Sequence[tuple[Sound, str]], style: CallerStyle, rng: np.random.Generator) -> PausedSpeech:
    sounds: list[Sound] = []
    stretches: list[Stretch] = []
    level = float(np.sqrt(np.mean(np.concatenate([sound for sound, _ in parts]) ** 2)))
    at = 0.0

    def add(sound: Sound) -> float:
        nonlocal at
        sounds.append(sound)
        at += len(sound) / SAMPLE_RATE_HZ
        return at

    add(_silence(LEAD_SECONDS))
    for number, (sound, text) in enumerate(parts):
        if number:
            add(_pause(_pause_seconds(style, rng), style, level, rng))
        start = at
        stretches.append(Stretch(round(start, 3), round(add(sound), 3), text))
    add(_pause(TAIL_SECONDS, style, level, rng))
    samples = telephone(np.concatenate(sounds), SAMPLE_RATE_HZ, style.channel, rng)
    return PausedSpeech(samples.astype("<i2").tobytes(), tuple(stretches))


def _pause_seconds(style: CallerStyle, rng: np.random.Generator) -> float:
    low, high = PAUSE_RANGE_SECONDS
    return float(np.clip(style.pause_seconds * math.exp(style.pause_spread * rng.normal()), low, high))


def _silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


def _pause(seconds: float, style: CallerStyle, level: float, rng: np.random.Generator) -> Sound:
    """Silence, in some with the breath that is drawn before speaking on (or after having finished)."""
    sound = _silence(seconds)
    breath_seconds = rng.uniform(0.2, 0.45)
    if rng.random() < style.breathes and seconds > breath_seconds + 0.2:
        length = round(breath_seconds * SAMPLE_RATE_HZ)
        noise = np.convolve(rng.normal(size=length + 4), [0.1, 0.25, 0.3, 0.25, 0.1], mode="valid")[:length]
        noise *= np.hanning(length) * level * 10 ** (style.breath_db / 20) / (noise.std() * 0.61)
        last = len(sound) - length - round(0.05 * SAMPLE_RATE_HZ)
        start = last if seconds <= PAUSE_RANGE_SECONDS[1] else int(rng.integers(round(0.2 * SAMPLE_RATE_HZ), last))
        sound[start : start + length] += noise.astype(np.float32)
    return sound
