"""`hotline learn` as a city's clerk meets it: a file of labelled messages, what is wrong with it, before and after, undo."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cases.drafting.model_file import INSTALLED, KEEPER, PREVIOUS, bundled, read_learned, write_learned
from hotline import learn as learning
from hotline.cli import app
from hotline.doctor import learned_model
from hotline.learn import LearnFailed, install, read_files, teach, undo, write_whole
from hotline.settings import load_settings


def city(path: Path, *more: str) -> Path:
    """Forty messages of a city that calls its trams 铛铛车 and asks and praises in its own way, then `more` lines."""
    rows = [
        {"text": f"{word}{'东西南北'[at % 4]}{'一二三四五'[at // 4]}号", "appeal_type": kind}
        for at in range(20)
        for word, kind in (("俺想知道铛铛车几点收车", "咨询"), ("铛铛车的师傅可真中", "表扬"))
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """The command in this process, with a state folder of its own."""
    monkeypatch.setenv("HOTLINE_STATE_DIR", str(tmp_path / "state"))
    yield lambda *words: CliRunner().invoke(app, list(words))
    KEEPER.look_in(None)


def test_a_city_teaches_its_words_and_takes_them_back(command: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "state" / "learned"
    said = ("draft", "--text", "铛铛车的师傅可真中南六号", "--json")
    before = json.loads(command(*said).stdout)["appeal_type"]

    done = command("learn", str(city(tmp_path / "city.jsonl")), "--json")
    told = json.loads(done.stdout)
    [field] = told["fields"]
    assert field["field"] == "appeal_type"
    assert field["before"]["messages"] == field["after"]["messages"] == 40
    assert field["after"]["right"] > field["before"]["right"]
    assert told["installed"] == str(folder / INSTALLED)
    assert {line.split(":")[0] for line in told["left_out"]} == {"level1", "urgency"}
    assert done.exit_code == 1  # what was left out is to be seen

    after = json.loads(command(*said).stdout)["appeal_type"]
    assert after["value"] == "表扬"
    assert before["value"] != "表扬" or after["confidence"] > before["confidence"]

    assert command("learn", "--undo").exit_code == 0
    assert json.loads(command(*said).stdout)["appeal_type"] == before
    again = command("learn", "--undo")
    assert again.exit_code == 1
    assert "the bundled model is in use" in again.stderr


def test_bad_lines_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = city(
        tmp_path / "city.jsonl", "not json", '{"text": "", "level1": "供暖"}', '{"text": "冷", "level1": "供热"}'
    )
    messages, problems = read_files([file, tmp_path / "none.jsonl"])
    assert len(messages) == 40
    told = [str(problem) for problem in problems]
    assert told[0].startswith(f"{file}: line 41: not JSON")
    assert told[1].startswith(f"{file}: line 42: no text")
    assert told[2].startswith(f"{file}: line 43: level1 '供热' is unknown: write one of 环境保护")
    assert told[3] == f"{tmp_path / 'none.jsonl'}: cannot be read: No such file or directory"


def test_a_strange_separator_in_a_text_ends_no_line_and_half_a_character_is_named(tmp_path: Path) -> None:
    file = tmp_path / "city.jsonl"
    halved = r'{"text": "停水了\ud83d", "level1": "供水"}'
    file.write_text(f'{{"text": "停水\u2028了"}}\n{halved}\n{{"text": "停电了"}}\n', encoding="utf-8")
    messages, problems = read_files([file])
    assert [one.line for one in messages] == [1, 3]
    [told] = map(str, problems)
    assert told.startswith(f"{file}: line 2: half a character")
    file.write_text(halved, encoding="utf-8")
    [told] = map(str, read_files([file])[1])
    assert told.startswith(f"{file}: line 1: half a character")


def test_a_broken_model_is_named_and_drafts_go_on(command: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "state" / "learned"
    assert learned_model(load_settings()) == []
    install(folder, b"broken")
    done = command("draft", "--text", "家里停水两天了", "--json")
    assert json.loads(done.stdout)["category"]["value"]["level1"] == "供水"
    assert str(folder / INSTALLED) in done.stderr.replace("\n", "")
    [finding] = learned_model(load_settings())
    assert (finding.level, str(folder / INSTALLED) in finding.found) == ("bad", True)
    assert "--undo" in finding.mend
    undo(folder)
    install(folder, write_learned(bundled()))
    assert [finding.level for finding in learned_model(load_settings())] == ["ok"]


def test_what_no_call_could_read_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "write_learned", lambda learned: b"broken")
    with pytest.raises(LearnFailed, match="keep what was in use"):
        teach([city(tmp_path / "city.jsonl")], tmp_path / "learned")
    assert not (tmp_path / "learned").exists()


def test_a_model_for_another_file_changes_no_draft(command: Callable[..., Result], tmp_path: Path) -> None:
    done = command("learn", str(city(tmp_path / "city.jsonl")), "--to", str(tmp_path / "other.npz"))
    assert "drafts are made as before" in " ".join(done.stdout.split())
    assert "--undo" not in done.stdout
    assert (tmp_path / "other.npz").exists()
    assert not (tmp_path / "state" / "learned").exists()


def test_a_file_in_another_encoding_says_how_to_save_it(tmp_path: Path) -> None:
    file = tmp_path / "gbk.jsonl"
    file.write_bytes('{"text": "停水了"}'.encode("gbk"))
    [problem] = read_files([file])[1]
    assert "save it as UTF-8" in str(problem)


def test_nothing_to_learn_installs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text("oops\n")
    with pytest.raises(LearnFailed, match=r"no message can be used(.|\n)*line 1: not JSON"):
        teach([file], tmp_path / "learned")
    one = tmp_path / "one.jsonl"
    one.write_text('{"text": "停水了", "level1": "供水"}\n')
    with pytest.raises(LearnFailed, match="20 are the least"):
        teach([one], tmp_path / "learned")
    assert not (tmp_path / "learned").exists()


def test_a_worse_model_is_refused_unless_it_is_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model in use knows these messages' answers by heart, so that any other is worse."""
    from cases.drafting import learning as lessons

    true_learn = lessons.learn

    def worse(*args: object, **options: object) -> lessons.LearnedResult:
        result = true_learn(*args, **options)  # type: ignore[arg-type]
        [report] = result.reports
        better = lessons.Score(40, report.after.right + 0.1, 0.0, None)
        lost = lessons.FieldReport(report.field, report.classes, report.after, better, report.after)
        return lessons.LearnedResult(result.learned, (lost,), result.left_out)

    monkeypatch.setattr(learning, "learn", worse)
    file = city(tmp_path / "city.jsonl")
    refused = teach([file], tmp_path / "learned")
    assert refused.worse == ("appeal_type",)
    assert refused.installed is None
    assert not (tmp_path / "learned").exists()
    forced = teach([file], tmp_path / "learned", install_worse=True)
    assert forced.installed == tmp_path / "learned" / INSTALLED
    assert read_learned(forced.installed.read_bytes()).fields.keys() == bundled().fields.keys()


def test_undo_goes_back_one_then_to_the_bundled_model(tmp_path: Path) -> None:
    first, second = b"first", b"second"
    install(tmp_path, first)
    assert not (tmp_path / PREVIOUS).exists()
    install(tmp_path, second)
    assert (tmp_path / INSTALLED).read_bytes() == second
    assert undo(tmp_path) == "the model before"
    assert (tmp_path / INSTALLED).read_bytes() == first
    assert undo(tmp_path) == "the bundled model"
    assert not (tmp_path / INSTALLED).exists()
    with pytest.raises(LearnFailed, match="nothing to undo"):
        undo(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / INSTALLED, b"old")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / INSTALLED, b"new")
    assert [path.name for path in tmp_path.iterdir()] == [INSTALLED]
    assert (tmp_path / INSTALLED).read_bytes() == b"old"


def test_the_model_lies_in_the_state_folder_unless_it_is_set(tmp_path: Path) -> None:
    assert load_settings(state_dir=tmp_path).learned_dir == (tmp_path / "learned").resolve()
    elsewhere = load_settings(state_dir=tmp_path, cases={"learned_dir": tmp_path / "shared"})
    assert elsewhere.learned_dir == (tmp_path / "shared").resolve()


def test_installed_bytes_are_a_model(tmp_path: Path) -> None:
    install(tmp_path, write_learned(bundled()))
    assert read_learned((tmp_path / INSTALLED).read_bytes()).messages == bundled().messages


def test_learn_wants_a_file_or_undo(command: Callable[..., Result]) -> None:
    done = command("learn")
    assert done.exit_code == 2
    assert "give a file of labelled messages, or --undo" in done.stderr
