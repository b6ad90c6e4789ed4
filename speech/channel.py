"""Pure: a clean recording as it arrives over a telephone line: band, level, background, codec, lost packets.

Everything random comes from the generator handed in: the same recording, conditions and seed give the same samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, sosfilt

from speech.audio import FRAME_MS, SAMPLE_RATE_HZ, read_telephone
from speech.babble import babble
from speech.errors import SpeechError
from speech.g711 import coded

Codec = Literal["alaw", "ulaw", "none"]
# What is heard in place of a lost packet. `silence`: what our own line gives. Asterisk hands on only what arrived (its
# PLC is off), and the call handler leaves silence at the packet's place. `repeat`: what a phone or gateway does that
# conceals: the last packet again, 6 dB quieter each time, silent after 60 ms (cf. ITU-T G.711 Appendix I).
Concealment = Literal["silence", "repeat"]
PACKET_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
# Packets get lost in runs: after a lost one the next is lost too with this chance.
_RUN_ON = 0.3
_CONCEALED_PACKETS = 3
# A frame counts as speech when it is no more than this below the loudest: what a signal-to-noise ratio is measured over.
_SPEECH_BELOW_LOUDEST_DB = 30.0


@dataclass(frozen=True, slots=True)
class Channel:
    """A telephone line. The defaults are a good one: G.711 a-law, the classic band, no noise, nothing lost.

    `low_hz` 0 and `high_hz` 4000 or more leave that side of the band open. `level_dbfs`: the speech's peak. `snr_db`:
    speech against `noise` ('white', 'babble' or the path of a sound file, which is repeated from a drawn place),
    both within the band, over the frames with speech. `packet_loss`: the share of 20 ms packets that never arrive.
    """

    codec: Codec = "alaw"
    low_hz: float = 300.0
    high_hz: float = 3400.0
    level_dbfs: float = -6.0
    snr_db: float | None = None
    noise: str = "white"
    packet_loss: float = 0.0
    concealment: Concealment = "silence"

    def __post_init__(self) -> None:
        problem = (
            f"codec {self.codec!r}: alaw, ulaw or none"
            if self.codec not in ("alaw", "ulaw", "none")
            else f"band {self.low_hz:g}-{self.high_hz:g} Hz: the lower edge comes first, and is 0 or more"
            if not 0 <= self.low_hz < min(self.high_hz, SAMPLE_RATE_HZ / 2)
            else f"level {self.level_dbfs:g} dBFS: 0 is the loudest, -60 the quietest"
            if not -60 <= self.level_dbfs <= 0
            else f"signal-to-noise ratio {self.snr_db:g} dB: -30 to 100"
            if self.snr_db is not None and not -30 <= self.snr_db <= 100
            else f"packet loss {self.packet_loss:g}: a share, 0 to 0.9 (0.02 is 2 %)"
            if not 0 <= self.packet_loss <= 0.9
            else f"concealment {self.concealment!r}: silence or repeat"
            if self.concealment not in ("silence", "repeat")
            else "noise: white, babble or the path of a sound file"
            if not self.noise
            else ""
        )
        if problem:
            raise SpeechError("channel-invalid", problem)

    @property
    def name(self) -> str:
        """For people: `a-law, 20 dB babble, 2 % lost`. What is usual is left out."""
        parts = [{"alaw": "a-law", "ulaw": "µ-law", "none": "no codec"}[self.codec]]
        if (self.low_hz, self.high_hz) != (300.0, 3400.0):
            parts.append(f"{self.low_hz:g}-{self.high_hz:g} Hz")
        if self.level_dbfs != -6.0:
            parts.append(f"{self.level_dbfs:g} dBFS")
        if self.snr_db is not None:
            parts.append(f"{self.snr_db:g} dB {Path(self.noise).stem} noise")
        if self.packet_loss:
            parts.append(f"{100 * self.packet_loss:g} % lost" + (" (repeated)" if self.concealment == "repeat" else ""))
        return ", ".join(parts)


def telephone(samples: ArrayLike, rate_hz: int, conditions: Channel, rng: np.random.Generator) -> NDArray[np.int16]:
    """Mono float samples (-1 to 1) of any rate as the far end's 8 kHz samples.

    Raises SpeechError when a noise file cannot be read (the codes of `read_telephone`).
    """
    clean = np.nan_to_num(np.asarray(samples, np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    if rate_hz != SAMPLE_RATE_HZ and len(clean):
        clean = soxr.resample(clean, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    line = _within_band(clean, conditions)
    peak = np.abs(line).max(initial=0.0)
    if peak > 0:
        line *= 10 ** (conditions.level_dbfs / 20) / peak
    if conditions.snr_db is not None:
        line = _with_noise(line, conditions, rng)
    digital = np.clip(np.rint(line * 32767), -32768, 32767).astype(np.int16)
    if conditions.codec != "none":
        digital = coded(digital, conditions.codec)
    return _with_losses(digital, conditions, rng) if conditions.packet_loss else digital


def speech_power(line: NDArray[np.float64]) -> float:
    """Mean power of the frames with speech; 0 when there is none."""
    whole = len(line) // PACKET_SAMPLES * PACKET_SAMPLES
    powers = (line[:whole].reshape(-1, PACKET_SAMPLES) ** 2).mean(axis=1) if whole else np.array([np.mean(line**2)])
    powers = powers[powers > 0]
    if not len(powers):
        return 0.0
    return float(powers[powers >= powers.max() * 10 ** (-_SPEECH_BELOW_LOUDEST_DB / 10)].mean())


def _within_band(sound: NDArray[np.float64], conditions: Channel) -> NDArray[np.float64]:
    low_open, high_open = conditions.low_hz <= 0, conditions.high_hz >= SAMPLE_RATE_HZ / 2
    if not len(sound) or (low_open and high_open):
        return sound.copy()
    if low_open:
        sections = butter(4, conditions.high_hz, "lowpass", fs=SAMPLE_RATE_HZ, output="sos")
    elif high_open:
        sections = butter(4, conditions.low_hz, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    else:
        edges = [conditions.low_hz, conditions.high_hz]
        sections = butter(4, edges, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sections, sound), np.float64)


def _with_noise(line: NDArray[np.float64], conditions: Channel, rng: np.random.Generator) -> NDArray[np.float64]:
    """What becomes too loud together is clipped later, as on a line."""
    power = speech_power(line) if len(line) else 0.0
    if conditions.snr_db is None or power == 0:
        return line
    noise = _within_band(_noise(len(line), conditions.noise, rng), conditions)
    noise_power = float(np.mean(noise**2))
    if noise_power == 0:
        return line
    return line + noise * math.sqrt(power / noise_power / 10 ** (conditions.snr_db / 10))


def _noise(length: int, kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    if kind == "white":
        return rng.standard_normal(length)
    if kind == "babble":
        return babble(length, SAMPLE_RATE_HZ, rng)
    recorded = _recorded_noise(kind)
    start = int(rng.integers(len(recorded)))
    return np.resize(np.roll(recorded, -start), length)


@lru_cache(maxsize=4)
def _recorded_noise(path: str) -> NDArray[np.float64]:
    return np.frombuffer(read_telephone(Path(path)), "<i2").astype(np.float64)


def _with_losses(line: NDArray[np.int16], conditions: Channel, rng: np.random.Generator) -> NDArray[np.int16]:
    """Packets lost in runs (Gilbert's model); over a long call the share lost is the one asked for."""
    share = conditions.packet_loss
    run_on = max(_RUN_ON, share)
    starts_run = share * (1 - run_on) / (1 - share)
    out = line.copy()
    run = 0
    for start in range(0, len(line), PACKET_SAMPLES):
        lost = rng.random() < (run_on if run else share if start == 0 else starts_run)
        run = run + 1 if lost else 0
        if not lost:
            continue
        size = len(line[start : start + PACKET_SAMPLES])
        if conditions.concealment == "repeat" and run <= _CONCEALED_PACKETS and start:
            out[start : start + size] = out[start - PACKET_SAMPLES : start][:size] // 2
        else:
            out[start : start + size] = 0
    return out
