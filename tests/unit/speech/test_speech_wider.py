"""The wider search of a model: its own files, another configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.errors import SpeechError
from speech.models import BUNDLED_DIR
from speech.vosk_files import check_model
from speech.wider_search import wider_conf, wider_model


def settings_of(conf: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in conf.splitlines() if "=" in line)


def test_the_search_is_wider_and_nothing_else_changes(tmp_path: Path) -> None:
    made = wider_model(BUNDLED_DIR, tmp_path)
    assert check_model(made) == check_model(BUNDLED_DIR)
    before = settings_of((BUNDLED_DIR / "conf" / "model.conf").read_text("utf-8"))
    after = settings_of((made / "conf" / "model.conf").read_text("utf-8"))
    assert float(after["--beam"]) > float(before["--beam"])
    assert int(after["--max-active"]) > int(before["--max-active"])
    wider = {"--beam", "--max-active"}
    assert {k: v for k, v in after.items() if k not in wider} == {k: v for k, v in before.items() if k not in wider}
    assert (made / "graph").resolve() == (BUNDLED_DIR / "graph").resolve()


def test_it_is_made_anew_when_the_model_has_changed(tmp_path: Path) -> None:
    wider_model(BUNDLED_DIR, tmp_path)
    (tmp_path / f"{BUNDLED_DIR.name}-wider" / "conf" / "model.conf").write_text("stale")
    assert "stale" not in (wider_model(BUNDLED_DIR, tmp_path) / "conf" / "model.conf").read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == [f"{BUNDLED_DIR.name}-wider"]


def test_a_model_without_settings_of_its_own_says_what_to_do(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for source in (BUNDLED_DIR / "am" / "final.mdl", BUNDLED_DIR / "conf" / "mfcc.conf"):
        (flat / source.name).symlink_to(source)
    for source in (BUNDLED_DIR / "graph").iterdir():
        (flat / source.name).symlink_to(source)
    with pytest.raises(SpeechError, match="second_pass_model") as caught:
        wider_model(flat, tmp_path / "made")
    assert caught.value.code == "speech-model-not-widened"


def test_no_number_is_said() -> None:
    with pytest.raises(SpeechError, match="--beam=wide"):
        wider_conf("--beam=wide\n")


@given(st.lists(st.from_regex(r"--[a-z.-]{1,20}=[0-9]{1,3}", fullmatch=True)))
def test_whatever_else_a_configuration_says_stays(lines: list[str]) -> None:
    others = [line for line in lines if line.split("=")[0] not in ("--beam", "--max-active")]
    after = wider_conf("\n".join(lines)).splitlines()
    assert after[: len(others)] == others
    assert {line.split("=")[0] for line in after[len(others) :]} == {"--beam", "--max-active"}
