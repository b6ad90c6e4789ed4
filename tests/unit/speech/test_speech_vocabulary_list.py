from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.syllables import is_syllable
from speech.vocabulary_list import MAX_SYLLABLES, Severity, looks_traditional, read_list
from speech.vocabulary_search import Entry


def places(*lines: str) -> tuple[list[Entry], list[str]]:
    """The entries, and the errors as told."""
    read = read_list(lines, "places.tsv", places=True)
    return list(read.entries), [str(problem) for problem in read.problems if problem.severity is Severity.ERROR]


def test_a_name_without_a_reading_is_said_as_it_is_written() -> None:
    (entry,), errors = places("翠屏湾小区\t\t朝阳区\t望京街道")
    assert entry.readings == (("cui", "ping", "wan", "xiao", "qu"),)
    assert (entry.district, entry.street) == ("朝阳区", "望京街道")
    assert errors == []


@pytest.mark.parametrize(
    ("said", "readings"),
    [
        ("chong xing jia yuan", [("chong", "xing", "jia", "yuan")]),
        ("chóng xīng jiā yuán", [("chong", "xing", "jia", "yuan")]),
        ("Chong2 Xing1 Jia1 Yuan2", [("chong", "xing", "jia", "yuan")]),
        ("lü dao|lv4 dao3|lǜ dǎo", [("lv", "dao")]),
        ("重庆|chong xing", [("chong", "qing"), ("chong", "xing")]),
        ("wang jing sou hou", [("wang", "jing", "sou", "hou")]),
    ],
)
def test_readings_are_pinyin_with_tones_or_without_or_characters(said: str, readings: list[tuple[str, ...]]) -> None:
    (entry,), errors = places(f"望京SOHO\t{said}\t朝阳区")
    assert list(entry.readings) == readings
    assert errors == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("重兴嘉苑\tchong xing jai yuan\t丰台区", "'jai'"),
        ("重兴嘉苑\tchongxing jiayuan\t丰台区", "write the syllables apart: chong xing"),
        ("重兴嘉苑\tぁぃ\t丰台区", "no Mandarin syllable"),
        ("三源里ABC\t\t朝阳区", "'ABC'"),
        ("華威裏\t\t朝阳区", "looks traditional"),
        ("翠屏湾小区", "district, is empty"),
        ("\tcui ping\t朝阳区", "is empty"),
        ("翠屏 小区\t\t朝阳区", "parted by tabs"),
        ("翠\t\t朝阳区", "too short"),
        ("翠" * 41 + "\t\t朝阳区", "characters long"),
        ("翠屏\t" + "cui " * 13 + "\t朝阳区", f"{MAX_SYLLABLES} are the most"),
        ("翠屏湾\t\t朝阳区\t望京街道\t还有", "5 columns"),
    ],
)
def test_a_bad_line_is_named_with_what_to_do_and_the_rest_goes_on(line: str, told: str) -> None:
    entries, errors = places("written\tsaid\tdistrict\tstreet", "# 说明", line, "云栖家园\t\t昌平区")
    assert [entry.written for entry in entries] == ["云栖家园"]
    assert len(errors) == 1
    assert errors[0].startswith("error: places.tsv line 3: ")
    assert told in errors[0]


def test_a_name_that_is_really_written_so_is_taken_with_its_reading() -> None:
    (entry,), errors = places("璟園小区\tjing yuan xiao qu\t朝阳区")
    assert entry.written == "璟園小区"
    assert errors == []


def test_doubles_short_names_and_names_that_sound_alike_are_warned_of() -> None:
    lines = ["翠屏湾小区\t\t朝阳区", "翠屏湾小区\t\t朝阳区", "锦澜\t\t朝阳区", "锦兰\t\t丰台区"]
    read = read_list(lines, "places.tsv", places=True)
    assert [entry.written for entry in read.entries] == ["翠屏湾小区", "锦澜", "锦兰"]
    told = [(problem.line, problem.message) for problem in read.problems]
    assert {problem.severity for problem in read.problems} == {Severity.WARNING}
    assert any(line == 2 and "delete one" in message for line, message in told)
    assert any(line == 3 and "short" in message for line, message in told)
    assert any(line == 4 and "neither is put in" in message for line, message in told)


def test_a_word_needs_no_district() -> None:
    read = read_list(
        ["written\tsaid", "飞线充电", "12345热线\tyi er san si wu re xian"], "vocabulary.tsv", places=False
    )
    assert [entry.written for entry in read.entries] == ["飞线充电", "12345热线"]
    assert not any(entry.is_place for entry in read.entries)


@pytest.mark.parametrize("text", ["東門區陽灣園莊", "豐臺麗島"])
def test_traditional_characters_are_told_from_simplified(text: str) -> None:
    assert all(looks_traditional(char) for char in text)


@pytest.mark.parametrize("text", ["东门区阳湾园庄", "丰台后余干堃玥垡漷晟祎", "ABC123"])
def test_simplified_and_rare_characters_are_not_taken_for_traditional(text: str) -> None:
    assert not any(looks_traditional(char) for char in text)


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), max_size=8), st.booleans())
def test_whatever_stands_in_a_file_every_line_is_used_named_or_a_note(lines: list[str], of_places: bool) -> None:
    read = read_list(lines, "file", places=of_places)
    for entry in read.entries:
        assert entry.written
        assert all(2 <= len(reading) <= MAX_SYLLABLES for reading in entry.readings)
        assert all(is_syllable(syllable) for reading in entry.readings for syllable in reading)
    assert all(1 <= problem.line <= len(lines) and problem.message for problem in read.problems)
    used = {entry.line for entry in read.entries} | {problem.line for problem in read.problems}
    for number, line in enumerate(lines, 1):
        bare = line.lstrip("\ufeff").rstrip("\r\n")
        heading = [cell.strip().casefold() for cell in bare.split("\t") if cell.strip()]
        if bare.strip() and not bare.startswith("#") and heading[:2] != ["written", "said"]:
            assert number in used
