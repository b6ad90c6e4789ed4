from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from speech.audio import write_wav
from speech.errors import SpeechError
from speech.transcribe import transcribe_file
from speech.vosk_engine import VoskEngine

TEXT = "我们小区停水两天了物业说不知道什么时候来水"


async def test_a_file_is_transcribed(engine: VoskEngine, caller: Callable[[str], bytes], tmp_path: Path) -> None:
    pcm = bytes(32000) + caller(TEXT) + bytes(64000)
    write_wav(tmp_path / "call.wav", pcm)
    result = await transcribe_file(engine, tmp_path / "call.wav")
    assert result.file == tmp_path / "call.wav"
    assert "停水" in result.text
    assert result.audio_seconds == pytest.approx(len(pcm) / 16000)
    assert result.decode_seconds > 0
    assert 2.0 <= result.words[0].start_seconds < 3.0
    assert result.words[-1].end_seconds < len(pcm) / 16000 - 3.0


async def test_an_unfinished_recording_is_transcribed(
    engine: VoskEngine, caller: Callable[[str], bytes], tmp_path: Path
) -> None:
    head = b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + bytes(4)
    (tmp_path / "heard.wav").write_bytes(head + caller(TEXT))
    assert "停水" in (await transcribe_file(engine, tmp_path / "heard.wav")).text


async def test_a_long_file_waits_rather_than_loses(
    engine: VoskEngine, caller: Callable[[str], bytes], tmp_path: Path
) -> None:
    """Much longer than a stream's backlog: every repetition is heard."""
    write_wav(tmp_path / "long.wav", caller(TEXT) * 16)
    result = await transcribe_file(engine, tmp_path / "long.wav")
    assert result.text.count("停水") >= 15
    assert engine.streams == 0


async def test_a_silent_file_has_no_words(engine: VoskEngine, tmp_path: Path) -> None:
    write_wav(tmp_path / "silence.wav", bytes(16000 * 3))
    result = await transcribe_file(engine, tmp_path / "silence.wav")
    assert (result.text, result.words, result.audio_seconds) == ("", (), 3.0)


async def test_what_is_no_sound_says_so_and_leaves_no_stream(engine: VoskEngine, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("no sound")
    with pytest.raises(SpeechError, match="audio-unreadable"):
        await transcribe_file(engine, tmp_path / "x.wav")
    assert engine.streams == 0
