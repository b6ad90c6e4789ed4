"""Sound files of every kind: what can be heard, and what is told of the rest."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.errors import SpeechError
from speech.evaluate.clip_sound import data_chunk, mixed, read_clip
from speech.evaluate.conditions import conditions
from speech.evaluate.manifest import Clip
from speech.evaluate.trial import AROUND_SECONDS, Sounds, on_the_line


def tone(seconds: float = 0.5, rate_hz: int = 16000) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * rate_hz)) * 0.2)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 48000])
@pytest.mark.parametrize("kind", [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ALAW"), ("FLAC", "PCM_24")])  # fmt: skip
def test_any_rate_and_depth_is_read_at_its_own(tmp_path: Path, rate_hz: int, kind: tuple[str, str]) -> None:
    path = tmp_path / "clip"
    soundfile.write(path, tone(0.5, rate_hz), rate_hz, format=kind[0], subtype=kind[1])
    sound = read_clip(path)
    assert sound.rate_hz == rate_hz
    assert sound.seconds == pytest.approx(0.5, abs=0.001)
    assert np.abs(sound.samples - tone(0.5, rate_hz)).max() < 0.02
    assert sound.notes == ()


def code_of(path: Path, longest_seconds: float = 300.0) -> str:
    with pytest.raises(SpeechError) as caught:
        read_clip(path, longest_seconds)
    assert ":" in caught.value.message  # what is wrong, and what to do
    return caught.value.code


def test_what_is_no_sound_is_told_apart(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    soundfile.write(good, tone(), 16000)
    content = good.read_bytes()
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no sound")
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "zeros.wav", np.zeros(800), 16000)
    soundfile.write(tmp_path / "narrow.wav", tone(), 4000)
    codes = {
        name: code_of(tmp_path / f"{name}.wav")
        for name in ("missing", "empty", "text", "cut", "folder", "nothing", "zeros", "narrow")
    }
    assert codes == {
        "missing": "audio-missing",
        "empty": "audio-empty",
        "text": "audio-unreadable",
        "cut": "audio-truncated",
        "folder": "audio-unreadable",
        "nothing": "audio-empty",
        "zeros": "audio-silent",
        "narrow": "audio-narrow",
    }
    assert code_of(good, longest_seconds=0.4) == "audio-too-long"


def test_two_hours_are_refused_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.wav"
    size = 2 * 3600 * 16000
    fields = (b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", size)
    with open(path, "wb") as file:
        file.write(struct.pack("<4sI4s4sIHHIIHH4sI", *fields))
        file.truncate(44 + size)  # a hole: no disk is used
    monkeypatch.setattr(soundfile.SoundFile, "blocks", lambda *_args, **_named: pytest.fail("it was read"))
    assert code_of(path) == "audio-too-long"


def test_a_header_that_lies_about_its_length_does_not_get_more_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(3.0), 16000)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    struct.pack_into("<I", content, at, 0)  # a writer that died
    path.write_bytes(content)
    sound = read_clip(path)
    assert sound.seconds == pytest.approx(3.0)
    assert "never finished" in sound.notes[0]
    assert code_of(path, longest_seconds=2.0) == "audio-too-long"


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_have_a_head_or_none(noise: bytes) -> None:
    found = data_chunk(b"RIFF\0\0\0\0WAVE" + noise)
    assert found is None or (found[0] <= len(noise) + 20 and found[2] >= 1)


def test_channels_are_mixed_and_it_is_said() -> None:
    left = tone()
    same, notes = mixed(np.stack([left, left], axis=1))
    assert np.allclose(same, left)
    assert notes == ("2 channels, mixed",)
    other = np.random.default_rng(1).normal(0, 0.2, len(left)).astype(np.float32)
    assert "differ" in mixed(np.stack([left, other], axis=1))[1][0]
    silent_right, notes = mixed(np.stack([left, 0 * left], axis=1))
    assert np.allclose(silent_right, left / 2)
    assert notes == ("2 channels, mixed",)
    against, notes = mixed(np.stack([left, -left], axis=1))
    assert np.allclose(np.abs(against), np.abs(left))
    assert "cancel" in notes[0]


def test_a_clip_meets_the_same_line_each_time(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    soundfile.write(tmp_path / "b.wav", tone(), 16000)
    sounds = Sounds(tmp_path)
    (noisy,) = conditions(snr_db=[10], packet_loss=[0.1])
    first, second = Clip(2, "a.wav", "好"), Clip(3, "b.wav", "好")
    one, other = sounds.read(first), sounds.read(second)
    assert one is not None
    assert other is not None
    pcm = on_the_line(one, noisy, first, seed=1)
    assert pcm == on_the_line(one, noisy, first, seed=1)
    assert pcm != on_the_line(one, noisy, first, seed=2)
    assert pcm != on_the_line(other, noisy, second, seed=1)
    assert len(pcm) == round((0.5 + 2 * AROUND_SECONDS) * 16000)


def test_what_cannot_be_read_is_told_once_with_its_line(tmp_path: Path) -> None:
    sounds = Sounds(tmp_path)
    clip = Clip(7, "none.wav", "好")
    assert sounds.read(clip) is None
    assert sounds.read(clip) is None
    assert [str(problem) for problem in sounds.problems.values()] == [
        "line 7: none.wav: there is no such file: paths count from the manifest's folder"
    ]
