"""A made-up call around a clean clip: vocal tract, room, handset, background, level, codec, lost packets.

Everything is drawn from one seed, so the same clip and seed give the same sound.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

RATE_HZ = 8000
PACKET_SAMPLES = 160
Sound = NDArray[np.float64]
# Codecs a call may have passed: container and subtype of libsndfile; None leaves the sound as it is.
_CODECS: tuple[tuple[float, tuple[str, str] | None], ...] = (
    (0.50, ("WAV", "ALAW")),
    (0.62, ("WAV", "ULAW")),
    (0.80, ("WAV", "GSM610")),
    (0.88, ("AU", "G721_32")),
    (1.00, None),
)


@dataclass(frozen=True, slots=True)
class Call:
    """`sound`: 8 kHz in 16-bit units. A moment t of the clip lies at `lead_seconds + t / pace` of the call."""

    sound: Sound
    lead_seconds: float
    pace: float


def resampled(sound: NDArray[np.float32], rate_hz: int, factor: float = 1.0) -> tuple[Sound, float]:
    """To 8 kHz, played `factor` times as fast (a shorter vocal tract, a quicker speaker). The factor that it became."""
    up, down = round(1000 / factor), rate_hz // 8
    common = math.gcd(up, down)
    out = resample_poly(sound.astype(np.float64), up // common, down // common)
    return out, down * RATE_HZ / (up * rate_hz)


def coded(sound: Sound, codec: tuple[str, str] | None) -> Sound:
    """Through a codec and back."""
    if codec is None:
        return sound
    memory = io.BytesIO()
    kind, subtype = codec
    soundfile.write(memory, np.clip(sound / 32768, -1, 0.9999), RATE_HZ, format=kind, subtype=subtype)
    memory.seek(0)
    back = soundfile.read(memory, dtype="float64")[0] * 32768
    return np.pad(back, (0, max(0, len(sound) - len(back))))[: len(sound)]


def _room(rng: random.Random, noise: np.random.Generator) -> Sound:
    """An impulse response: the direct sound, then a tail that falls by 60 dB within its length."""
    length = int(rng.uniform(0.08, 0.5) * RATE_HZ)
    tail = noise.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail[:8] = 0
    tail *= rng.uniform(0.05, 0.6) / np.sqrt((tail**2).sum() + 1e-9)
    tail[0] = 1
    return tail


def _handset(sound: Sound, rng: random.Random) -> Sound:
    """One resonance or notch of a cheap handset."""
    frequency, width = rng.uniform(400, 3000), rng.uniform(200, 1200)
    radius = math.exp(-math.pi * width / RATE_HZ)
    poles = [1, -2 * radius * math.cos(2 * math.pi * frequency / RATE_HZ), radius * radius]
    if rng.random() < 0.5:
        return lfilter(poles, [1], sound)
    return sound + rng.uniform(0.3, 1) * lfilter([1 - radius], poles, sound)


def _background(
    length: int, rng: random.Random, noise: np.random.Generator, babble: Sequence[Sound]
) -> tuple[Sound, float]:
    """A background and the signal-to-noise ratio in dB that it's meant for."""
    kind, sound, snr_db = rng.random(), noise.standard_normal(length), rng.uniform(6, 40)
    if kind < 0.35:  # traffic, wind: more below than above
        sound = lfilter([1], [1, -rng.uniform(0.5, 0.97)], sound)
    elif kind < 0.5 and babble:
        sound, snr_db = np.zeros(length), rng.uniform(10, 35)
        for _ in range(rng.choice([1, 3, 5])):
            sound += np.roll(np.resize(rng.choice(babble), length), rng.randrange(length))
    elif kind < 0.58:  # the hum of the mains
        time = np.arange(length) / RATE_HZ
        hum = sum(np.sin(100 * math.pi * harmonic * time + harmonic) / harmonic for harmonic in range(1, 12))
        sound = 0.3 * sound + hum
    elif kind < 0.7:  # gusts: the level comes and goes
        sound *= np.repeat(noise.uniform(0.05, 1, length // 4000 + 1), 4000)[:length]
    return sound - sound.mean(), snr_db


def _with_lost_packets(sound: Sound, rng: random.Random, share: float) -> Sound:
    """Packets of 20 ms are lost in bursts; the receiver repeats the last one more and more quietly."""
    out = sound.copy()
    burst = 0
    for start in range(PACKET_SAMPLES, len(out) - PACKET_SAMPLES, PACKET_SAMPLES):
        lost = rng.random() < (0.4 if burst else share)
        burst = burst + 1 if lost else 0
        if lost:
            before = out[start - PACKET_SAMPLES : start]
            out[start : start + PACKET_SAMPLES] = before * 0.6
    return out


def plain_call(sound: NDArray[np.float32], rate_hz: int, lead_seconds: float = 0.3) -> Call:
    """A good line and nothing else: what clean clips are aligned on."""
    speech, pace = resampled(sound, rate_hz)
    speech = np.pad(speech * (8000 / (np.abs(speech).max() + 1e-6)), round(lead_seconds * RATE_HZ))
    speech = speech + 2 * np.random.default_rng(1).standard_normal(len(speech))
    speech = sosfilt(butter(4, [250, 3450], "bandpass", fs=RATE_HZ, output="sos"), speech)
    speech = np.clip(np.asarray(speech, np.float64) * (16000 / (np.abs(speech).max() + 1e-6)), -32767, 32767)
    return Call(np.asarray(np.round(coded(speech, ("WAV", "ALAW"))), np.float64), lead_seconds, pace)


def imitated_call(
    sound: NDArray[np.float32], rate_hz: int, seed: int, babble: Sequence[Sound] = (), *, warp: tuple[float, float]
) -> Call:
    """`warp`: range of the factor that shortens the vocal tract (and quickens the speech)."""
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    factor = math.exp(rng.uniform(math.log(warp[0]), math.log(warp[1])))
    speech, pace = resampled(sound, rate_hz, factor)
    speech = speech * (8000 / (np.abs(speech).max() + 1e-6))
    lead, trail = rng.uniform(0.05, 0.8), rng.uniform(0.05, 0.8)
    call = np.pad(speech, (round(lead * RATE_HZ), round(trail * RATE_HZ)))
    if rng.random() < 0.4:
        call = fftconvolve(call, _room(rng, noise))[: len(call)]
    if rng.random() < 0.35:
        call = _handset(call, rng)
    background, snr_db = _background(len(call), rng, noise, babble)
    power = (speech**2).mean() / ((background**2).mean() + 1e-9)
    call = call + background * math.sqrt(power / 10 ** (snr_db / 10))
    band = [rng.uniform(120, 380), rng.uniform(3050, 3750)]
    call = sosfilt(butter(rng.choice([2, 4, 6]), band, "bandpass", fs=RATE_HZ, output="sos"), call)
    call *= math.exp(rng.uniform(math.log(900), math.log(30000))) / (np.abs(call).max() + 1e-6)
    if rng.random() < 0.08:  # shouted into a handset that clips
        call = np.clip(call * rng.uniform(1.2, 3), -28000, 28000)
    drawn = rng.random()
    codec = next(codec for limit, codec in _CODECS if drawn < limit)
    call = coded(np.clip(call, -32767, 32767), codec)
    if rng.random() < 0.15:
        call = _with_lost_packets(call, rng, rng.uniform(0.005, 0.05))
    if rng.random() < 0.3:  # the hiss of the last line
        call = call + noise.standard_normal(len(call)) * rng.uniform(1, 12)
    return Call(np.asarray(np.round(np.clip(call, -32767, 32767)), np.float64), round(lead * RATE_HZ) / RATE_HZ, pace)
