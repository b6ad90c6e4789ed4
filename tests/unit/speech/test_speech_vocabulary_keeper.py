"""The lists as files: what is edited holds from the next call on, what is broken keeps what was good."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog

from speech.confusions import SoundCosts
from speech.vocabulary_keeper import CONFUSIONS_FILE, VocabularyKeeper, read_file, sounds_of
from speech.vocabulary_search import Entry


class Lists:
    """places.tsv and vocabulary.tsv of a folder, with a keeper; `told`: what `on_change` was told."""

    def __init__(self, folder: Path) -> None:
        self.places, self.vocabulary = folder / "places.tsv", folder / "vocabulary.tsv"
        self.told: list[list[str]] = []
        self.keeper = VocabularyKeeper(self.places, self.vocabulary, on_change=self._hear, sounds=SoundCosts())
        self._tick = 0

    def _hear(self, entries: object) -> None:
        assert isinstance(entries, list)
        self.told.append([entry.written for entry in entries if isinstance(entry, Entry)])

    def write(self, text: str | bytes, path: Path | None = None) -> None:
        """As an editor saves: a new file in the old one's place."""
        path = path or self.places
        fresh = path.with_suffix(".new")
        fresh.write_bytes(text.encode() if isinstance(text, str) else text)
        self._tick += 1
        os.utime(fresh, ns=(self._tick * 10**9, self._tick * 10**9))
        fresh.replace(path)

    def written(self) -> list[str]:
        return [entry.written for entry in self.keeper.current().entries]


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


def test_without_files_there_is_an_empty_list(lists: Lists) -> None:
    assert lists.written() == []
    assert lists.keeper.problems == []


def test_an_edit_holds_from_the_next_look_on(lists: Lists) -> None:
    lists.write("翠屏湾小区\t\t朝阳区\n")
    assert lists.written() == ["翠屏湾小区"]
    lists.write("翠屏湾小区\t\t朝阳区\n云栖家园\t\t昌平区\n")
    lists.write("飞线充电\n", lists.vocabulary)
    assert lists.written() == ["翠屏湾小区", "云栖家园", "飞线充电"]
    assert lists.told == [["翠屏湾小区"], ["翠屏湾小区", "云栖家园", "飞线充电"]]


def test_without_an_edit_the_very_same_list_is_given(lists: Lists) -> None:
    lists.write("翠屏湾小区\t\t朝阳区\n")
    assert lists.keeper.current() is lists.keeper.current()


def test_an_edit_of_the_same_length_at_the_same_time_is_seen_by_its_file(lists: Lists) -> None:
    lists.write("翠屏湾小区\t\t朝阳区\n")
    before = lists.places.stat().st_mtime_ns
    assert lists.written() == ["翠屏湾小区"]
    lists.write("云栖湾小区\t\t朝阳区\n")
    os.utime(lists.places, ns=(before, before))
    assert lists.written() == ["云栖湾小区"]


def test_a_new_bad_line_is_left_out_and_logged_and_the_rest_is_used(lists: Lists) -> None:
    lists.write("翠屏湾小区\t\t朝阳区\n")
    lists.written()
    with structlog.testing.capture_logs() as logs:
        lists.write("翠屏湾小区\t\t朝阳区\n重兴嘉苑\tjai yuan\t丰台区\n云栖家园\t\t昌平区\n")
        assert lists.written() == ["翠屏湾小区", "云栖家园"]
    (left_out,) = [line for line in logs if line["event"] == "vocabulary_line_left_out"]
    assert left_out["line"] == 2
    assert "'jai'" in left_out["problem"]


def test_a_line_that_is_broken_by_an_edit_keeps_what_it_said_before(lists: Lists) -> None:
    lists.write("重兴嘉苑\tchong xing jia yuan\t丰台区\n云栖家园\t\t昌平区\n")
    lists.written()
    with structlog.testing.capture_logs() as logs:
        lists.write("重兴嘉苑\tchong xing jai yuan\t丰台区\n云栖家园\t\t昌平区\n")
        kept = {entry.written: entry for entry in lists.keeper.current().entries}
    assert kept["重兴嘉苑"].readings == (("chong", "xing", "jia", "yuan"),)
    assert [line["event"] for line in logs if "line" in line] == ["vocabulary_line_kept"]


@pytest.mark.parametrize(
    "broken",
    [b"\xff\xfe\x00not utf-8", b"x" * 2_000_001, "翠屏湾小区,,朝阳区\n云栖家园,,昌平区\n".encode()],
    ids=["not UTF-8", "far too large", "commas for tabs"],
)
def test_a_file_that_is_no_list_keeps_what_was_read_last(lists: Lists, broken: bytes) -> None:
    lists.write("翠屏湾小区\t\t朝阳区\n")
    lists.written()
    with structlog.testing.capture_logs() as logs:
        lists.write(broken)
        assert lists.written() == ["翠屏湾小区"]
    assert [line["event"] for line in logs] == ["vocabulary_kept"]
    assert lists.keeper.problems
    lists.write("云栖家园\t\t昌平区\n")
    assert lists.written() == ["云栖家园"]
    assert lists.keeper.problems == []


def test_a_file_that_is_gone_keeps_what_was_read_last_and_an_empty_one_empties(lists: Lists) -> None:
    lists.write("翠屏湾小区\t\t朝阳区\n")
    lists.written()
    lists.places.unlink()
    assert lists.written() == ["翠屏湾小区"]
    lists.write("# nothing\n")
    assert lists.written() == []


def test_the_lists_that_are_shipped_are_in_order() -> None:
    folder = Path(__file__).parents[3] / "prompts"
    for name in ("places.tsv", "vocabulary.tsv"):
        read = read_file(folder / name, places=name == "places.tsv")
        assert read.entries
        assert read.problems == ()


def test_a_model_is_matched_by_what_it_mixes_up_itself(tmp_path: Path) -> None:
    """Live and in the second pass, each by its own table; a broken one is logged and the bundled model's is used."""

    def cost(sounds: SoundCosts) -> float:
        return float(sounds.costs[sounds.number_of("ba"), sounds.number_of("ga")])

    shipped = cost(sounds_of(tmp_path))
    assert shipped == cost(sounds_of(None)) > 1.0
    table = tmp_path / CONFUSIONS_FILE
    table.write_text("kind\tsaid\theard\tcount\ninitial\tb\tg\t500\n", "utf-8")
    assert cost(sounds_of(tmp_path)) < 0.5
    table.write_text("kind\tsaid\theard\tcount\ninitial\tb\n", "utf-8")
    with structlog.testing.capture_logs() as told:
        assert cost(sounds_of(tmp_path)) == shipped
    assert [line["event"] for line in told] == ["confusions_left_out"]
