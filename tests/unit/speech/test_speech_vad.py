from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.transcribe import PADDING_AFTER_MS, PADDING_BEFORE_MS, SpeechOnly
from speech.vad import SpeechDetector


def frames_of(samples: np.ndarray) -> list[bytes]:
    pcm = np.clip(samples, -32768, 32767).astype("<i2").tobytes()
    return [pcm[i : i + 320] for i in range(0, len(pcm) - 319, 320)]


def buzz(seconds: float, level: float = 3000) -> np.ndarray:
    """A voice-like sound: harmonics of 150 Hz through two vowel resonances, syllables of 250 ms."""
    t = np.arange(int(8000 * seconds)) / 8000
    sound = sum(np.sin(2 * np.pi * 150 * k * t) * np.exp(-(((150 * k - 700) / 400) ** 2)) for k in range(1, 22))
    sound = sound + sum(
        np.sin(2 * np.pi * 150 * k * t) * 0.5 * np.exp(-(((150 * k - 1800) / 400) ** 2)) for k in range(1, 22)
    )
    return level * sound * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))


def share_of_speech(frames: list[bytes], detector: SpeechDetector | None = None) -> float:
    detector = detector or SpeechDetector()
    return sum(detector.is_speech(frame) for frame in frames) / len(frames)


def test_silence_and_line_noise_are_no_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 32768 * 10 ** (-55 / 20), 8000 * 4)
    assert share_of_speech([bytes(320)] * 100) == 0
    assert share_of_speech(frames_of(noise)) == 0


def test_a_voice_is_speech_and_a_whisper_of_it_down_the_line_is_not() -> None:
    assert share_of_speech(frames_of(buzz(3))) > 0.8
    assert share_of_speech(frames_of(buzz(3, level=15))) == 0


@pytest.mark.parametrize("length", [0, 1, 319, 321, 640])
def test_only_whole_frames_are_judged(length: int) -> None:
    with pytest.raises(ValueError, match="320 bytes"):
        SpeechDetector().is_speech(bytes(length))


class Scripted(SpeechDetector):
    """Takes a frame for speech when its first byte says so."""

    def is_speech(self, frame: bytes) -> bool:
        return frame[0] == 1


def fed(marks: list[bool]) -> Iterator[int]:
    only = SpeechOnly(Scripted())
    for number, mark in enumerate(marks):
        for frame, at_seconds in only.take(bytes([mark]) + number.to_bytes(4, "big"), number * 0.02):
            assert at_seconds == pytest.approx(int.from_bytes(frame[1:], "big") * 0.02)
            yield int.from_bytes(frame[1:], "big")


@given(st.lists(st.sampled_from([True, False, False, False]), max_size=300))
def test_speech_is_fed_with_its_padding_each_frame_once_and_in_order(marks: list[bool]) -> None:
    before, after = PADDING_BEFORE_MS // 20, PADDING_AFTER_MS // 20
    wanted = [
        number
        for number in range(len(marks))
        if any(marks[max(0, number - after) : number + 1]) or any(marks[number : number + before + 1])
    ]
    assert list(fed(marks)) == wanted
