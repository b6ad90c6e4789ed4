"""Settings: all problems at once, and documentation that cannot grow old."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotline.cli import settings_or_exit
from hotline.settings import SettingsError, example_toml, load_settings

CHECKOUT = Path(__file__).resolve().parents[3]


def test_the_example_shows_every_setting_as_it_is() -> None:
    """After a change: .venv/bin/python -m hotline.settings > docs/hotline.example.toml"""
    assert (CHECKOUT / "docs/hotline.example.toml").read_text("utf-8") == example_toml()


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "hotline.toml"
    file.write_text(
        '[ivr]\nagi_port = "many"\nmax_call = 3\n[cases]\nport = 99999\ntimezone = "Asia/Bejing"\n[asterisk]\nsip_host = "pbx.example"\n'
    )
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    told = "\n".join(caught.value.problems)
    for name in ("ivr.agi_port", "ivr.max_call", "cases.port", "cases.timezone", "asterisk.sip_host"):
        assert name in told


def test_broken_toml_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "hotline.toml"
    file.write_text("[ivr\n")
    with pytest.raises(SettingsError, match=r"hotline\.toml"):
        load_settings(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(tmp_path / "none.toml")


def test_the_environment_is_stronger_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hotline.toml"
    file.write_text("[cases]\nport = 9001\n")
    monkeypatch.setenv("HOTLINE_CASES__PORT", "9002")
    assert load_settings(file).cases.port == 9002
    assert load_settings(file).cases_url == "http://127.0.0.1:9002"


def test_the_file_named_to_a_verb_reaches_the_verbs_that_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_CONFIG", "")
    file = tmp_path / "hotline.toml"
    file.write_text("[cases]\nport = 9003\n")
    assert settings_or_exit(file).cases.port == 9003
    assert load_settings().cases.port == 9003, "as a child with the same environment reads it"
