"""The menu file: the shipped one is whole, a broken one has all its faults named at once, and never reaches a caller."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cases.schema import Asks
from ivr.menu import MenuError, MenuKeeper, check_prompts, load_menu
from ivr.menu_states import Menu, MenuKind
from ivr.texts import Problem

SHIPPED = Path(__file__).parents[3] / "prompts"
ROUTES = """
first = "open"
[human]
keys = ["0"]
phrases = ["人工"]
next = "human"
[emergency]
next = "emergency"
[failure]
next = "human"
[states.human]
say = ["human_wait"]
end = "human"
[states.emergency]
say = ["{emergency}", "human_wait"]
end = "emergency"
[states.bye]
say = ["goodbye"]
end = "completed"
"""
OPEN = """
[states.open]
asks = "narration"
say = ["opening"]
next = "bye"
"""
TEN_FAULTS = (
    ROUTES.replace('first = "open"', 'first = "open"\nlanguage = "zh"')  # 1 unknown setting
    + """
[limits]
silences = 0                      # 2 nobody could be silent even once

[states.open]
asks = "narration"
say = ["welcome"]                 # 3 no such text
next = "nowhere"                  # 4 no such state
[[states.open.answers]]
name = "human"
keys = ["0"]                      # 5 the key to a human means something else
next = "bye"

[states.where]                    # 6 nobody comes here
asks = "location"                 # 7 no such question
say = ["place"]
when = ["tuesday"]                # 8 no such condition
next = "round"

[states.round]
asks = "choice"
say = ["place", "{weather}"]      # 9 no such value
[[states.round.answers]]
name = "again"
keys = ["1"]
next = "round"                    # 10 round for ever, and no way out
"""
)


def codes(problems: list[Problem]) -> set[str]:
    return {problem.code for problem in problems}


def problems_of(folder: Path) -> list[Problem]:
    with pytest.raises(MenuError) as caught:
        load_menu(folder)
    return caught.value.problems


def test_shipped_prompts_have_no_problem_at_all() -> None:
    assert check_prompts(SHIPPED) == []


def test_shipped_menu_listens_by_limits_and_asks_little(shipped_menu: Menu) -> None:
    assert shipped_menu.limits.questions == 3
    assert shipped_menu.limits.silences == 2
    assert shipped_menu.limits.misunderstandings == 2
    asking = [state for state in shipped_menu.states.values() if state.kind is MenuKind.ASK]
    assert {state.asks for state in asking} == {Asks.NARRATION, Asks.PLACE, Asks.CONTACT, Asks.CONFIRMATION}
    opening = shipped_menu.states[shipped_menu.first]
    assert opening.asks is Asks.NARRATION
    assert opening.end_silence_seconds == 1.5
    assert shipped_menu.states["confirm"].end_silence_seconds == 0.5
    assert "0" in shipped_menu.human.keys


def test_ten_faults_are_named_in_one_go(with_menu: Callable[[str], Path]) -> None:
    problems = problems_of(with_menu(TEN_FAULTS))
    named = {(problem.code, problem.where.split(" ")[-1]) for problem in problems}
    assert {
        ("unknown-setting", "language"),
        ("bad-limit", "limits.silences"),
        ("missing-text", "states.open.say"),
        ("unknown-next", "states.open.next"),
        ("duplicate-key", "states.open.answers"),
        ("unreachable", "states.where"),
        ("unknown-asks", "states.where.asks"),
        ("unknown-condition", "states.where.when"),
        ("unknown-value", "states.round.say"),
        ("unbounded-loop", "states.round"),
        ("no-way-out", "states.round"),
    } <= named
    lines = TEN_FAULTS.splitlines()
    for problem in problems:
        if problem.code in ("bad-limit", "missing-text", "unknown-next", "unknown-asks", "unknown-condition"):
            line = int(problem.where.split(":")[1].split(" ")[0])
            assert lines[line - 1].startswith(problem.where.rsplit(".", 1)[-1]), problem


def test_message_of_a_broken_menu_names_every_fault_and_its_place(with_menu: Callable[[str], Path]) -> None:
    with pytest.raises(MenuError) as caught:
        load_menu(with_menu(TEN_FAULTS))
    message = str(caught.value)
    assert message.startswith("menu-broken: ")
    assert "menu.toml:" in message
    for code in ("unknown-next", "unbounded-loop", "duplicate-key"):
        assert code in message


@pytest.mark.parametrize(
    ("menu", "code"),
    [
        (ROUTES + OPEN.replace('next = "bye"', ""), "unknown-next"),
        (ROUTES.replace('keys = ["0"]', "") + OPEN, "no-human"),
        (ROUTES.replace('keys = ["0"]', 'keys = ["0", "x"]') + OPEN, "bad-value"),
        (ROUTES.replace('[failure]\nnext = "human"', '[failure]\nnext = "open"') + OPEN, "no-way-out"),
        (ROUTES.replace('[failure]\nnext = "human"', '[failure]\nnext = "bye"') + OPEN, "no-way-out"),
        (ROUTES.replace('first = "open"', 'first = "start"') + OPEN, "unknown-next"),
        (ROUTES.replace('first = "open"', "first = 3") + OPEN, "bad-value"),
        (ROUTES + OPEN + "end_silence_seconds = 90", "bad-limit"),
        (ROUTES + OPEN + "max_seconds = 1", "bad-limit"),
        (ROUTES + OPEN + 'max_digits = "many"', "bad-limit"),
        (ROUTES + OPEN + "no_input_seconds = true", "bad-limit"),
        (ROUTES + OPEN + "times = 2", "bad-limit"),
        (ROUTES + OPEN + "restrict = true", "no-answers"),
        (ROUTES + OPEN + 'question = "yes"', "bad-value"),
        (ROUTES + OPEN.replace("narration", "confirmation"), "no-answers"),
        (ROUTES + OPEN.replace("narration", "nothing"), "unknown-asks"),
        (ROUTES + OPEN.replace('say = ["opening"]', ""), "missing-text"),
        (ROUTES + OPEN.replace('say = ["opening"]', 'say = "opening"'), "bad-value"),
        (ROUTES + OPEN.replace('say = ["opening"]', "say = [1]"), "bad-value"),
        (ROUTES + OPEN + 'color = "red"', "unknown-setting"),
        (ROUTES + OPEN.replace("open]", "Öffnung]"), "not-toml"),
        (ROUTES + OPEN + OPEN, "not-toml"),
        (ROUTES + OPEN + '[[states.open.answers]]\nname = "a"', "bad-value"),
        (ROUTES + OPEN + '[[states.open.answers]]\nname = "a"\nphrases = ["人工"]', "duplicate-phrase"),
        (ROUTES + OPEN + '[hearing]\ngo_on = "more"', "missing-text"),
        (ROUTES + OPEN + '[endpointing]\nmore = "no_such_text"', "missing-text"),
        (ROUTES + OPEN + "[endpointing]\nmore_times = 9", "bad-limit"),
        (ROUTES + OPEN + "[endpointing]\nlongest_seconds = 0.3", "bad-limit"),
        (ROUTES + OPEN + "[endpointing]\npatient = true", "unknown-setting"),
        (ROUTES + "[states]\nopen = 3", "bad-value"),
        ("", "bad-value"),
        ("states = 3", "bad-value"),
        ("first = ", "not-toml"),
    ],
)
def test_each_fault_has_its_code(with_menu: Callable[[str], Path], menu: str, code: str) -> None:
    assert code in codes(problems_of(with_menu(menu)))


def test_small_menu_is_whole(with_menu: Callable[[str], Path]) -> None:
    assert load_menu(with_menu(ROUTES + OPEN)).states["open"].next == "bye"


def test_loop_is_allowed_when_it_is_bounded(with_menu: Callable[[str], Path]) -> None:
    again = '[[states.open.answers]]\nname = "again"\nkeys = ["1"]\nnext = "open"\n'
    assert "unbounded-loop" in codes(problems_of(with_menu(ROUTES + OPEN + again)))
    bounded = with_menu(ROUTES + OPEN + 'times = 2\nafter = "human"\n' + again)
    assert load_menu(bounded).states["open"].times == 2


def test_loop_through_the_ways_out_of_two_bounds_is_found(with_menu: Callable[[str], Path]) -> None:
    menu = ROUTES.replace('"open"', '"one"')
    for name, other in (("one", "two"), ("two", "one")):
        menu += f'[states.{name}]\nsay = ["place"]\nnext = "bye"\ntimes = 1\nafter = "{other}"\n'
    problems = problems_of(with_menu(menu))
    assert [problem.code for problem in problems] == ["unbounded-loop"]
    assert "one, two" in problems[0].message


def test_menu_deeper_than_one_level_is_warned_of_and_still_taken(with_menu: Callable[[str], Path]) -> None:
    choice = """
[states.{name}]
asks = "choice"
say = ["place"]
[[states.{name}.answers]]
name = "on"
keys = ["1"]
next = "{next}"
"""
    menu = ROUTES.replace('"open"', '"one"') + choice.format(name="one", next="two")
    folder = with_menu(menu + choice.format(name="two", next="bye"))
    assert [(p.code, p.severity) for p in check_prompts(folder)] == [("menu-too-deep", "warning")]
    assert load_menu(folder).first == "one"


def test_not_toml_names_the_line(with_menu: Callable[[str], Path]) -> None:
    problems = problems_of(with_menu(ROUTES + "\n[states.open\n"))
    line = (ROUTES + "\n[states.open\n").splitlines().index("[states.open") + 1
    assert [problem.where for problem in problems] == [f"menu.toml:{line}"]


def test_missing_folder_is_a_menu_error_not_a_crash(tmp_path: Path) -> None:
    assert codes(problems_of(tmp_path / "none")) == {"file-missing"}


def test_sound_that_is_missing_changed_stale_or_no_wav_is_named(prompts_copy: Path) -> None:
    (prompts_copy / "zh" / "opening.wav").unlink()
    goodbye = prompts_copy / "zh" / "goodbye.wav"
    goodbye.write_bytes(goodbye.read_bytes()[:-2] + b"\x01\x01")
    (prompts_copy / "zh" / "place.wav").write_bytes(b"no sound")
    texts = prompts_copy / "texts.toml"
    texts.write_text(texts.read_text("utf-8").replace("正在为您转接人工", "马上为您转接人工"), "utf-8")
    (prompts_copy / "zh" / "old.wav").write_bytes(b"")
    found = {(problem.where, problem.code) for problem in check_prompts(prompts_copy)}
    assert found == {
        ("zh/opening.wav", "audio-missing"),
        ("zh/goodbye.wav", "audio-changed"),
        ("zh/place.wav", "audio-format"),
        ("zh/human_wait.wav", "audio-stale"),
        ("zh/old.wav", "audio-unused"),
    }


def test_faults_of_texts_and_menu_come_together(prompts_copy: Path) -> None:
    texts = prompts_copy / "texts.toml"
    texts.write_text(
        texts.read_text("utf-8")
        .replace("[texts.emergency_119]", "[texts.emergency_911]")
        .replace("speed = 1.0", "speed = 9")
        + '\n[texts.silence_9]\nzh = "嘘"\nen = "hush"\n[texts.extra]\nzh = ""\n[texts.more]\nzh = "好"\ncolour = 1\n',
        "utf-8",
    )
    menu = prompts_copy / "menu.toml"
    menu.write_text(menu.read_text("utf-8").replace('next = "goodbye"', 'next = "bye"'), "utf-8")
    found = codes(check_prompts(prompts_copy))
    assert {"missing-text", "bad-limit", "bad-name", "text-empty", "text-untranslated", "unknown-setting"} <= found
    assert {"unknown-next", "unreachable"} <= found


def test_keeper_takes_a_good_edit_and_keeps_the_last_good_menu_at_a_bad_one(prompts_copy: Path) -> None:
    menu_file = prompts_copy / "menu.toml"
    good = menu_file.read_text("utf-8")
    keeper = MenuKeeper(prompts_copy)
    first = keeper.current()
    with capture_logs() as logs:
        menu_file.write_text(good.replace('next = "goodbye"', 'next = "bye"'), "utf-8")
        kept = [keeper.current() for _ in range(3)]
    assert all(menu is first for menu in kept)
    assert [entry["event"] for entry in logs] == ["menu_kept"]  # once, however many calls come
    assert "unknown-next" in codes(keeper.problems)
    menu_file.write_text(good.replace("no_input_seconds = 7", "no_input_seconds = 9"), "utf-8")
    assert keeper.current().states["opening"].no_input_seconds == 9
    assert keeper.problems == []


def test_keeper_outlives_a_vanished_folder(prompts_copy: Path) -> None:
    keeper = MenuKeeper(prompts_copy)
    first = keeper.current()
    shutil.rmtree(prompts_copy)
    assert keeper.current() is first
    assert codes(keeper.problems) == {"file-missing"}


def test_keeper_sees_an_edit_within_the_same_size(prompts_copy: Path) -> None:
    keeper = MenuKeeper(prompts_copy)
    menu_file = prompts_copy / "menu.toml"
    before = menu_file.stat().st_mtime_ns
    menu_file.write_text(menu_file.read_text("utf-8").replace("no_input_seconds = 7", "no_input_seconds = 8"), "utf-8")
    os.utime(menu_file, ns=(before + 1_000_000, before + 1_000_000))
    assert keeper.current().states["opening"].no_input_seconds == 8


def test_keeper_needs_a_whole_menu_to_begin_with(with_menu: Callable[[str], Path]) -> None:
    with pytest.raises(MenuError):
        MenuKeeper(with_menu(TEN_FAULTS))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_edit_of_the_file_crashes_the_check(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Drop, double or spoil lines of the shipped menu: a Menu or a MenuError comes, nothing else."""
    lines = _lines((SHIPPED / "menu.toml").read_text("utf-8"))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(("drop", "double", "value", "noise"))):
            case "drop":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "value":
                value = data.draw(st.sampled_from(("3", "-1", '""', "[]", "[[]]", "{}", "true", '"x"', "nan", "[1]")))
                lines[at] = lines[at].split("=")[0] + "= " + value
            case _:
                lines[at] = data.draw(st.text(max_size=20))
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "menu.toml").write_text("\n".join(lines), encoding="utf-8", errors="replace", newline="\n")
    for name in ("texts.toml", "audio.lock.toml", "zh"):
        (folder / name).symlink_to(SHIPPED / name)
    if any(problem.severity == "error" for problem in check_prompts(folder)):
        assert problems_of(folder)
    else:
        assert load_menu(folder).first in load_menu(folder).states
