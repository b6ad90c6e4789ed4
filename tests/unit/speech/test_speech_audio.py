from __future__ import annotations

import contextlib
import struct
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from speech.audio import (
    read_telephone,
    repair_wav,
    seconds_of,
    to_telephone,
    write_wav,
)
from speech.errors import SpeechError


def tone(hz: float, seconds: float, rate_hz: int = 8000, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)


def pcm_of(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def strongest_hz(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * 8000 / len(samples))


def level_dbfs(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(20 * np.log10(np.sqrt((samples**2).mean()) / 32768))


@pytest.mark.parametrize(
    ("name", "rate_hz", "subtype"),
    [
        ("cd.wav", 44100, "PCM_16"),
        ("studio.flac", 48000, "PCM_24"),
        ("phone.wav", 8000, "ALAW"),
        ("net.ogg", 16000, "VORBIS"),
    ],
)
def test_any_file_becomes_telephone_sound(tmp_path: Path, name: str, rate_hz: int, subtype: str) -> None:
    both = np.stack([tone(1000, 1.5, rate_hz), tone(1000, 1.5, rate_hz)], axis=1)
    soundfile.write(tmp_path / name, both, rate_hz, subtype=subtype)
    pcm = read_telephone(tmp_path / name)
    assert seconds_of(pcm) == pytest.approx(1.5, abs=0.02)
    assert strongest_hz(pcm) == pytest.approx(1000, abs=3)
    assert level_dbfs(pcm) == pytest.approx(-9, abs=0.7)


def test_what_is_too_loud_is_clipped_not_wrapped() -> None:
    loud = np.frombuffer(to_telephone(np.array([2.0, -2.0, float("nan")]), 8000), "<i2")
    assert loud.tolist() == [32767, -32768, 0]


def test_written_wav_is_read_back(tmp_path: Path) -> None:
    pcm = pcm_of(tone(300, 0.2))
    write_wav(tmp_path / "a.wav", pcm)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    back = np.frombuffer(read_telephone(tmp_path / "a.wav"), "<i2")
    assert np.abs(back - np.frombuffer(pcm, "<i2")).max() <= 1


def unfinished(path: Path, pcm: bytes, claims: int) -> None:
    """As a writer leaves it that was killed: the sizes of the header are not filled in."""
    head = b"RIFF" + struct.pack("<I", claims) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    path.write_bytes(head + b"data" + struct.pack("<I", claims) + pcm)


@pytest.mark.parametrize("claims", [0, 0xFFFFFFFF, 10**6])
@pytest.mark.parametrize("odd_byte", [b"", b"\x01"])
def test_an_unfinished_wav_is_read_and_mended(tmp_path: Path, claims: int, odd_byte: bytes) -> None:
    pcm = pcm_of(tone(500, 0.75))
    path = tmp_path / "heard.wav"
    unfinished(path, pcm + odd_byte, claims)
    assert seconds_of(read_telephone(path)) == pytest.approx(0.75)
    assert repair_wav(path)
    with wave.open(str(path)) as mended:
        assert mended.getnframes() == 6000
    assert not repair_wav(path), "the second time there is nothing to mend"


def test_an_empty_wav_with_a_comment_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    unfinished(path, b"LIST" + struct.pack("<I", 4) + b"INFO", 0)
    with pytest.raises(SpeechError, match="audio-empty"):
        read_telephone(path)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "audio-empty"),
        (b"no sound at all", "audio-unreadable"),
        (b"RIFF\0\0\0\0WAVE", "audio-unreadable"),
        (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff", "audio-unreadable"),
        (b"fLaC" + bytes(100), "audio-unreadable"),
        (b"OggS" + bytes(100), "audio-unreadable"),
    ],
)
def test_what_is_no_sound_says_so(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(SpeechError) as caught:
        read_telephone(tmp_path / "x.wav")
    assert caught.value.code == code
    assert "x.wav" in caught.value.message


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="audio-missing"):
        read_telephone(tmp_path / "none.wav")
    with pytest.raises(SpeechError, match="audio-unreadable"):
        read_telephone(tmp_path)
    with pytest.raises(SpeechError, match="audio-missing"):
        repair_wav(tmp_path / "none.wav")


@given(st.binary(max_size=200))
def test_any_bytes_give_sound_or_a_speech_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        path.write_bytes(b"RIFF" + content[:4] + b"WAVE" + content[4:])
        repair_wav(path)
        with contextlib.suppress(SpeechError):  # anything else is a fault of ours
            assert len(read_telephone(path)) % 2 == 0
