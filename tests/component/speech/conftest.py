"""The real model and the real voice, loaded once; sound as it comes down a telephone line."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, sosfilt

from speech.models import BUNDLED_DIR
from speech.voice import Voice
from speech.vosk_engine import VoskEngine

# A little slower than the voice's own pace, as people tell a complaint.
CALLER_SPEED = 1.1
_BAND = butter(4, [300, 3400], btype="band", fs=8000, output="sos")


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return Voice(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="session")
def caller(voice: Voice) -> Callable[[str], bytes]:
    """A text as a caller's sound: 0.5 s of line noise, speech through 300-3400 Hz and a-law, 0.5 s of line noise."""

    def say(text: str) -> bytes:
        samples = np.frombuffer(voice.speak(text, speed=CALLER_SPEED), "<i2").astype(float)
        line = np.concatenate([np.zeros(4000), sosfilt(_BAND, samples), np.zeros(4000)])
        line += np.random.default_rng(len(text)).normal(0, 20, len(line))
        coded = io.BytesIO()
        soundfile.write(coded, np.clip(line, -32768, 32767).astype("<i2"), 8000, format="WAV", subtype="ALAW")
        coded.seek(0)
        heard, _rate_hz = soundfile.read(coded, dtype="int16")
        return bytes(heard.astype("<i2").tobytes())

    return say


@pytest.fixture(scope="session")
def engine() -> Iterator[VoskEngine]:
    engine = VoskEngine(BUNDLED_DIR, workers=2)
    engine.load()
    yield engine
    engine.close()
