"""`hotline evaluate speech` and `drafts` as a person meets them: the real model, real files, processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech.voice import Voice

SAID = {"music": "楼上邻居每天夜里放音乐", "water": "小区停水两天了", "street": "我在朝阳区望京街道"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of the bundled voice, of several kinds, and a manifest with good lines and bad."""
    folder = tmp_path_factory.mktemp("clips")
    voice = Voice(cache_dir=folder / "voice")
    spoken = {name: np.frombuffer(voice.speak(text, speed=1.15), "<i2") for name, text in SAID.items()}
    soundfile.write(folder / "music.wav", spoken["music"], 8000)
    soundfile.write(folder / "water.flac", np.repeat(spoken["water"], 6).astype(float) / 32768, 48000, subtype="PCM_24")
    soundfile.write(folder / "street.wav", np.stack([spoken["street"]] * 2, axis=1), 8000)
    (folder / "noise.wav").write_bytes(b"this is no sound")
    (folder / "clips.tsv").write_text(
        "file\ttranscript\tsource\n"
        f"music.wav\t{SAID['music']}\tvoice\n"
        "none.wav\t你好\tvoice\n"
        "water.flac\t小区停水2天了。\tother\n"
        "noise.wav\t你好\tother\n"
        f"street.wav\t{SAID['street']}\tother\n"
        "music.wav\t樓上鄰居\tvoice\n",
        "utf-8",
    )
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
    return kept | {"HOTLINE_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1", "COLUMNS": "120"}


def run(environment: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hotline.cli", "evaluate", *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip


def test_clips_are_heard_on_every_line_and_what_is_bad_is_named(
    clips: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    html, figures_at, heard_at = tmp_path / "page.html", tmp_path / "figures.json", tmp_path / "heard.tsv"
    words = ["speech", clips / "clips.tsv", "--channel", "telephone", "--channel", "street", "--worst", "1"]
    done = run(environment, *words, "--html", html, "--json", figures_at, "--transcripts", heard_at)
    assert done.returncode == 1, done.stderr
    assert [line.split(": ")[0] for line in done.stderr.splitlines() if line.startswith("clips.tsv")] == [
        "clips.tsv line 3", "clips.tsv line 5", "clips.tsv line 7"
    ]  # fmt: skip
    assert "note line 6: street.wav: 2 channels, mixed" in done.stderr

    figures = json.loads(figures_at.read_text("utf-8"))
    good, bad = figures["totals"]
    assert (good["condition"], bad["condition"]) == ("telephone", "street")
    assert good["clips"] == bad["clips"] == 3
    assert good["character_error_rate"] < 0.5  # the bundled model knows its own voice
    # How well it hears in noise is the model's matter.
    assert good["character_error_rate"] <= bad["character_error_rate"]
    assert good["interval"]["low"] <= good["character_error_rate"] <= good["interval"]["high"]
    assert good["syllable_error_rate"] <= good["character_error_rate"]
    assert 0 < good["cpu_seconds_per_second"] < 2
    assert {row["source"] for row in figures["by_source"]} == {"voice", "other"}
    assert len(figures["heard"]) == 6
    water = next(one for one in figures["heard"] if one["path"] == "water.flac")
    assert water["said_compared"] == "小区停水二天了"  # compared as spoken

    assert "telephone" in done.stdout
    assert "说 " in done.stdout
    page = html.read_text("utf-8")
    assert "music.wav" in page
    assert "none.wav" in page
    lines = heard_at.read_text("utf-8").splitlines()
    assert lines[0].split("\t") == ["path", "speaker", "source", "model", "condition", "transcript", "heard"]
    assert len(lines) == 7


def test_the_same_seed_hears_the_same(clips: Path, environment: dict[str, str]) -> None:
    words = ["speech", clips / "clips.tsv", "--snr", "8", "--noise", "babble", "--loss", "0.05", "--json", "-"]
    first, second = (json.loads(run(environment, *words).stdout) for _ in range(2))
    assert [one["heard"] for one in first["heard"]] == [one["heard"] for one in second["heard"]]
    assert first["totals"][0]["character_error_rate"] == second["totals"][0]["character_error_rate"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--channel", "mars"], "mars"),
        (["--model", "french"], "french"),
        (["--noise", "none.wav", "--snr", "10"], "none.wav"),
        (["--html", "none/page.html"], "make it first"),
        (["--loss", "7"], "share"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(
    clips: Path, environment: dict[str, str], words: list[str], told: str
) -> None:
    done = run(environment, "speech", clips / "clips.tsv", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


MESSAGES = [
    {"text": "我要投诉朝阳区望京街道楼上每天夜里装修噪音太大", "appeal_type": ["投诉", "举报"], "level1": "环境保护",
     "district": "朝阳区", "street": "望京街道", "urgency": "routine", "alerts": "none"},
    {"text": "我想咨询一下居住证怎么办理", "appeal_type": "咨询", "level1": "政务服务", "district": "", "street": "",
     "urgency": "routine", "alerts": "none"},
]  # fmt: skip


def test_drafts_are_measured_from_text_homophones_and_speech_side_by_side(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file, heard, html, out = (tmp_path / name for name in ("told.jsonl", "heard.tsv", "page.html", "out.json"))
    lines = [json.dumps(one, ensure_ascii=False) for one in MESSAGES]
    file.write_text("\n".join([lines[0], "no json", lines[1]]), "utf-8")
    heard.write_text(
        "model\tcondition\ttranscript\theard\n"
        f"bundled\ttelephone\t{MESSAGES[0]['text']}\t我要投诉海淀区上地街道楼上每天夜里装修噪音太大\n"
        f"bundled\ttelephone\t{MESSAGES[1]['text']}。\t\n",
        "utf-8",
    )
    words = ["drafts", file, "--homophone-noise", "0.1", "--draws", "2", "--heard", heard]
    done = run(environment, *words, "--html", html, "--json", out)
    assert done.returncode == 1
    assert "told.jsonl line 2: not JSON" in done.stderr
    figures = json.loads(out.read_text("utf-8"))
    text, noisy, spoken = figures["readings"]
    assert [text["name"], noisy["name"], spoken["name"]] == ["text", "10 % homophones", "bundled, telephone"]
    assert text["fields"]["district"]["right"]["share"] == 1.0
    assert text["false_places"]["share"] == 0.0
    assert noisy["draws"] == 2
    assert spoken["fields"]["district"]["right"]["share"] == 0.5
    assert spoken["false_places"]["share"] == 0.5  # another district than the one that was said
    assert spoken["character_error_rate"] > 0.3
    assert len(figures["drafted"]) == 2 * 4
    assert "urgency: all 2 messages have the one answer 'routine'" in done.stdout
    assert "海淀区" in done.stdout  # the worst rows say what was drafted
    assert "海淀区" in html.read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no messages"),
        ('{"text": "停水了"}', "has a label"),
        ("text\tlevel1\n停水了\t供水\n", "not JSON"),
        ('{"text": "停水了", "level1": "水"}', "供水"),
    ],
)
def test_a_file_without_a_usable_message_is_refused(
    environment: dict[str, str], tmp_path: Path, content: str, told: str
) -> None:
    file = tmp_path / "told.jsonl"
    file.write_text(content, "utf-8")
    done = run(environment, "drafts", file)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
