"""Pure: the murmur of people talking in the background, made from nothing: no recording, no rights, any length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

_TALKERS = 6
_FORMANTS_HZ = ((300, 850), (850, 2300), (2300, 3300))
_WIDTHS_HZ = (80, 110, 160)


def babble(length: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Six people at once, each a row of syllables: buzz or hiss through three resonances that move, with pauses."""
    sound = np.zeros(length)
    for _ in range(_TALKERS):
        pitch_hz = rng.uniform(95, 260)
        loudness = 10 ** (rng.uniform(-8, 0) / 20)
        at = -int(rng.integers(rate_hz // 4))
        while at < length:
            size = int(rng.uniform(0.12, 0.3) * rate_hz)
            syllable = loudness * _syllable(size, pitch_hz * rng.uniform(0.8, 1.25), rate_hz, rng)
            first = max(0, at)
            last = max(first, min(length, at + size))
            sound[first:last] += syllable[first - at : last - at]
            at += size + int(rng.uniform(0, 0.04) * rate_hz)
            if rng.random() < 0.12:
                at += int(rng.uniform(0.2, 0.8) * rate_hz)
    return sound


def _syllable(size: int, pitch_hz: float, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    glide = np.linspace(1, rng.uniform(0.75, 1.25), size)  # a tone
    phase = np.cumsum(pitch_hz * glide / rate_hz)
    source = 2 * (phase % 1) - 1 + 0.05 * rng.standard_normal(size)
    hiss = int(size * rng.uniform(0, 0.3))
    source[:hiss] = 0.4 * rng.standard_normal(hiss)
    for (low_hz, high_hz), width_hz in zip(_FORMANTS_HZ, _WIDTHS_HZ, strict=True):
        radius = np.exp(-np.pi * width_hz / rate_hz)
        turn = 2 * np.pi * rng.uniform(low_hz, high_hz) / rate_hz
        source = lfilter([1 - radius], [1, -2 * radius * np.cos(turn), radius**2], source)
    strength = np.sqrt(np.mean(source**2)) if size else 0.0
    return np.asarray(source / (strength + 1e-12) * np.hanning(size))
