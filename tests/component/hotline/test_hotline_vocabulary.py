"""`hotline vocabulary …`, and a listed place on its whole way: file, sound, transcript, draft."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cases import drafting
from cases.drafting.gazetteer import ListedPlace, use_listed_places
from hotline.cli import app
from hotline.parts import transcript_of_text
from hotline.settings import CHECKOUT
from hotline.vocabulary import read_pairs
from speech.confusions import load_confusions, shipped_confusions

GOOD = "written\tsaid\tdistrict\tstreet\n翠屏湾小区\t\t朝阳区\t望京街道\n"


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "prompts"
    shutil.copytree(CHECKOUT / "prompts", folder)
    monkeypatch.setenv("HOTLINE_IVR__PROMPTS_DIR", str(folder))
    monkeypatch.setenv("HOTLINE_STATE_DIR", str(tmp_path / "state"))
    return folder


@pytest.fixture(autouse=True)
def shipped_places_after_a_test() -> Iterator[None]:
    yield
    use_listed_places(())


def test_lists_in_order_are_counted(prompts: Path) -> None:
    (prompts / "places.tsv").write_text(GOOD, "utf-8")
    (prompts / "vocabulary.tsv").write_text("飞线充电\n充电桩\n", "utf-8")
    done = CliRunner().invoke(app, ["vocabulary", "check"])
    assert done.exit_code == 0
    assert "1 places and 2 words" in done.output


def test_the_lists_of_the_checkout_are_in_order() -> None:
    done = CliRunner().invoke(app, ["vocabulary", "check", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("重兴嘉苑\tchong xing jai yuan\t丰台区", "'jai'"),
        ("華威裏\t\t朝阳区", "traditional"),
        ("云栖家园\t\t朝阳", "is it '朝阳区'?"),
        ("云栖家园\t\t朝阳区\t望京", "is it '望京街道'?"),
        ("云栖家园\t\t丰台区\t望京街道", "lies in 朝阳区"),
    ],
)
def test_a_bad_line_is_named_with_what_to_do_and_the_status_tells(prompts: Path, line: str, told: str) -> None:
    (prompts / "places.tsv").write_text(GOOD + line + "\n", "utf-8")
    done = CliRunner().invoke(app, ["vocabulary", "check", "--json"])
    assert done.exit_code == 1
    (problem,) = json.loads(done.stdout)
    assert (problem["file"], problem["line"], problem["severity"]) == ("places.tsv", 3, "error")
    assert told in problem["message"]


def test_a_double_is_a_warning_also_over_both_lists(prompts: Path) -> None:
    (prompts / "places.tsv").write_text(GOOD + "翠屏湾小区\t\t朝阳区\t望京街道\n", "utf-8")
    (prompts / "vocabulary.tsv").write_text("翠屏湾小区\n", "utf-8")
    done = CliRunner().invoke(app, ["vocabulary", "check", "--json"])
    assert done.exit_code == 0
    found = [(problem["file"], problem["severity"]) for problem in json.loads(done.stdout)]
    assert found == [("places.tsv", "warning"), ("vocabulary.tsv", "warning")]


def test_a_draft_of_text_knows_the_listed_places(prompts: Path) -> None:
    (prompts / "places.tsv").write_text(GOOD, "utf-8")
    done = CliRunner().invoke(app, ["draft", "--text", "翠屏湾小区三号楼停水两天了", "--json"])
    place = json.loads(done.stdout)["place"]["value"]
    assert (place["district"], place["street"]) == ("朝阳区", "望京街道")
    assert place["detail"].startswith("翠屏湾小区三号楼")


def test_a_listed_place_covers_an_official_name_inside_it_and_an_unknown_one_lies_nowhere() -> None:
    def where(text: str) -> tuple[str | None, str | None]:
        place = drafting.draft(transcript_of_text(text, datetime.now(UTC))).place.value
        return (place.district, place.street) if place else (None, None)

    assert where("望京花园公馆门口天天有人摆摊") == ("朝阳区", "望京街道")
    use_listed_places([ListedPlace("望京花园公馆", "丰台区", "方庄街道"), ListedPlace("云栖公馆", "没有区")])
    assert where("望京花园公馆门口天天有人摆摊") == ("丰台区", "方庄街道")
    assert where("云栖公馆停水了") == (None, None)
    use_listed_places(())
    assert where("望京花园公馆门口天天有人摆摊") == ("朝阳区", "望京街道")


def test_confusions_are_learned_from_an_evaluation(prompts: Path, tmp_path: Path) -> None:
    evaluation, output = tmp_path / "evaluation.json", tmp_path / "confusions.tsv"
    clips = [{"said_compared": "国歌高官管够刚刚告诉", "heard_compared": "扩科考宽款扣康康靠诉"}] * 150
    evaluation.write_text(json.dumps({"heard": clips, "confusions": {"x": [{"said": "国", "heard": "扩"}]}}), "utf-8")
    done = CliRunner().invoke(app, ["vocabulary", "learn", str(evaluation), "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert "g heard as k" in done.output
    learned = load_confusions(output)
    assert learned.initials["g", "k"] > 100
    assert learned != shipped_confusions()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("said\theard\n我要投诉\t我要投诉\n", "evaluate more speech"),
        ("我要投诉\n", "line 1"),
        ("", "no sentence"),
        ("{", "not valid JSON"),
        ('{"heard": []}', "no sentence"),
    ],
)
def test_what_nothing_can_be_learned_from_is_said(prompts: Path, tmp_path: Path, text: str, told: str) -> None:
    evaluation, output = tmp_path / "evaluation", tmp_path / "confusions.tsv"
    evaluation.write_text(text, "utf-8")
    done = CliRunner().invoke(app, ["vocabulary", "learn", str(evaluation), "--output", str(output)])
    assert done.exit_code == 2
    assert told in done.output.replace("\n", " ")
    assert not output.exists()


def test_pairs_are_read_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "pairs.tsv"
    table.write_text("\ufeffsaid\theard\n我要投诉\t我要投书\n\n停水\t停谁\n", "utf-8")
    assert read_pairs(table) == [("我要投诉", "我要投书"), ("停水", "停谁")]
