"""The second pass by the settings: what doctor says of it, and that calls go on without it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hotline.doctor import Finding, second_model
from hotline.ears import make_ears
from hotline.parts import make_engine
from hotline.settings import Settings
from speech.models import BUNDLED_DIR
from speech.settings import SpeechSettings


def settings(state_dir: Path, second: str) -> Settings:
    return Settings(state_dir=state_dir, speech=SpeechSettings(second_pass_model=second))


def told(state_dir: Path, second: str) -> Finding:
    (finding,) = second_model(settings(state_dir, second))
    return finding


def test_without_a_second_pass_doctor_says_nothing_of_it(tmp_path: Path) -> None:
    assert second_model(settings(tmp_path, "")) == []


def test_doctor_names_the_second_model(tmp_path: Path) -> None:
    assert told(tmp_path, "wider").level == "ok"
    assert "wider search" in told(tmp_path, "wider").found
    other = tmp_path / "models" / "other"
    shutil.copytree(BUNDLED_DIR, other)
    assert told(tmp_path, "other").level == "ok"
    assert told(tmp_path, "bundled").level == "warn", "the same model again hears nothing new"
    assert not any(tmp_path.glob("second-pass*")), "looking makes nothing"


@pytest.mark.parametrize(("name", "mend"), [("small-cn", "hotline model add small-cn"), ("nowhere", "hotline model")])
def test_a_second_model_that_is_not_there_is_bad_and_calls_go_on(tmp_path: Path, name: str, mend: str) -> None:
    finding = told(tmp_path, name)
    assert finding.level == "bad"
    assert mend in finding.found + finding.mend
    made = settings(tmp_path, name)
    ears = make_ears(made, make_engine(made))
    assert ears.second is None
    assert ears.late is not None


def test_the_settings_make_the_ears(tmp_path: Path) -> None:
    made = Settings(state_dir=tmp_path, speech=SpeechSettings(second_pass_model="wider", heard_later_at_once=3))
    ears = make_ears(made, make_engine(made))
    assert ears.late_at_once == 3
    assert ears.second is not None
    assert ears.second.name == "vosk:zh-telephone-wider"
    assert made.speech.heard_calls_max == 0
    assert (tmp_path / "second-pass" / "zh-telephone-wider" / "conf" / "model.conf").is_file()
