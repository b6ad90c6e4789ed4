"""The command as a person or a program meets it: each verb in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import typer.main

from cases.schema import ComplaintDraft, draft_json_schema
from hotline.cli import app

AUDIO = "楼上邻居每天夜里放音乐"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
    return kept | {"HOTLINE_STATE_DIR": str(tmp_path / "state"), "HOTLINE_IVR__METRICS_PORT": "9", "NO_COLOR": "1"}


def run(environment: dict[str, str], *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hotline.cli", *words],
        env=environment, input=text, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def every_verb() -> list[list[str]]:
    group = typer.main.get_command(app)
    found = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [[name, sub] for sub in inner] if inner else [[name]]
    return found


@pytest.mark.parametrize("verb", every_verb(), ids=" ".join)
def test_every_verb_explains_itself_with_an_example(environment: dict[str, str], verb: list[str]) -> None:
    done = run(environment, *verb, "--help")
    assert done.returncode == 0
    assert "Example: " in done.stdout
    assert f"hotline {' '.join(verb)}" in done.stdout


def test_draft_of_text_is_one_line_that_the_published_schema_takes(environment: dict[str, str]) -> None:
    done = run(environment, "draft", "--text", "我要投诉朝阳区望京街道楼上每天夜里装修", "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    jsonschema.validate(json.loads(line), draft_json_schema())
    draft = ComplaintDraft.model_validate_json(line)
    assert draft.place.value is not None
    assert draft.place.value.street == "望京街道"
    for evidence in draft.place.evidence:
        assert draft.turns[evidence.turn].text[evidence.start_char : evidence.end_char]


def test_draft_of_a_file_gives_a_draft_a_line_and_names_empty_lines(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "told.txt"
    file.write_text("海淀区上地街道暖气不热\n\n请问居住证怎么办\n", "utf-8")
    done = run(environment, "draft", "--file", str(file))
    assert done.returncode == 0, done.stderr
    drafts = [ComplaintDraft.model_validate_json(line) for line in done.stdout.splitlines()]
    assert [draft.turns[0].text for draft in drafts] == ["海淀区上地街道暖气不热", "请问居住证怎么办"]
    assert "line 2" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["draft"], "--text or --file"),
        (["draft", "--file", "none.txt"], "none.txt"),
        (["--config", "x", "draft"], "No such option"),
        (["transcribe", "--config", "none.toml", "a.wav"], "no such file"),
        (["model", "add", "french"], "french"),
        (["transcribe", "--model", "none", "a.wav"], "none"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_status_tells(
    environment: dict[str, str], words: list[str], told: str
) -> None:
    done = run(environment, *words)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_transcribe_gives_an_object_a_file_and_goes_on_after_a_bad_one(
    environment: dict[str, str], tmp_path: Path
) -> None:
    from speech.audio import write_wav
    from speech.voice import Voice

    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    write_wav(good, Voice(cache_dir=tmp_path / "voice").speak(AUDIO, speed=1.15))
    bad.write_bytes(b"this is no sound")
    done = run(environment, "transcribe", str(bad), str(good), "--json")
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["file"] == str(bad)
    assert first["code"] == "audio-unreadable"
    assert set(second) == {"file", "text", "words", "audio_seconds", "decode_seconds"}
    assert "放音乐" in second["text"]
    assert second["text"] == "".join(word["text"] for word in second["words"])


def test_prompts_of_the_checkout_are_in_order(environment: dict[str, str]) -> None:
    done = run(environment, "prompts", "check", "--json")
    assert done.returncode == 0, done.stdout
    assert [p for p in json.loads(done.stdout) if p["severity"] == "error"] == []


def test_a_broken_menu_fails_the_check_with_all_that_is_wrong(environment: dict[str, str], tmp_path: Path) -> None:
    import shutil

    prompts = tmp_path / "prompts"
    shutil.copytree(Path(__file__).parents[3] / "prompts", prompts)
    menu = (prompts / "menu.toml").read_text("utf-8")
    assert 'next = "confirm"' in menu
    menu = menu.replace('next = "confirm"', 'next = "nowhere"').replace("silences = 2", "silences = -1")
    (prompts / "menu.toml").write_text(menu, "utf-8")
    done = run(environment | {"HOTLINE_IVR__PROMPTS_DIR": str(prompts)}, "prompts", "check")
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "silences" in done.stderr


def test_a_user_is_added_listed_kept_out(environment: dict[str, str]) -> None:
    assert (
        run(
            environment, "user", "add", "wang", "--display-name", "王芳", "--password-stdin", text="a-long-word\n"
        ).returncode
        == 0
    )
    again = run(environment, "user", "add", "wang", "--password-stdin", text="a-long-word\n")
    assert again.returncode == 1
    assert "wang" in again.stderr
    short = run(environment, "user", "add", "li", "--password-stdin", text="abc\n")
    assert short.returncode == 1
    assert run(environment, "user", "disable", "wang").returncode == 0
    listed = json.loads(run(environment, "user", "list", "--json").stdout)
    assert listed == [{"name": "wang", "display_name": "王芳", "role": "operator", "active": False}]


def test_doctor_names_what_is_not_running_and_how_to_start_it(environment: dict[str, str]) -> None:
    environment = environment | {"HOTLINE_CASES__PORT": "9"}
    findings = json.loads(run(environment, "doctor", "--json").stdout)
    by_name = {finding["what"]: finding for finding in findings}
    assert by_name["case backend"]["level"] == "warn"
    assert "make serve" in by_name["case backend"]["mend"]
    assert by_name["recogniser model"]["level"] == "warn", "the bundled ear hears people badly, and doctor says so"
    assert "model add" in by_name["recogniser model"]["mend"]
    assert by_name["prompts"]["level"] == "ok"
    assert by_name["voice"]["level"] == "ok"


def test_call_says_what_to_do_when_nothing_is_running(environment: dict[str, str]) -> None:
    environment = environment | {"HOTLINE_ASTERISK__SIP_PORT": "9"}
    done = run(environment, "call", "--dtmf", "0")
    assert done.returncode == 1
    assert "make serve" in done.stdout + done.stderr
