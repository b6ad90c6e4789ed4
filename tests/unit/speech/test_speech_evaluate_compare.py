"""What was heard beside what was said: counts, alignments, and the manifest's lines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.evaluate.alignment_text import GAP, alignment_lines
from speech.evaluate.compare import Kind, comparable, compare, word_rightness
from speech.evaluate.manifest import Clip, read_manifest, traditional_characters
from speech.recognizer import SpokenWord

CHINESE = st.text(st.sampled_from("我要投诉朝阳区望京街道十是事四离里只直漏楼"), max_size=14)


def said_and_heard(said: str, heard: str) -> tuple[int, int, int, int]:
    found = compare(said, heard)
    return found.substituted, found.inserted, found.deleted, found.syllable_errors


@pytest.mark.parametrize(
    ("said", "heard", "counts"),
    [
        ("家里只有十四度", "家里只有十四度", (0, 0, 0, 0)),
        ("家里只有十四度", "家离只有是四度", (2, 0, 0, 0)),  # the same sounds
        ("家里只有十四度", "家里有十四度吗", (0, 1, 1, 2)),
        ("家里", "", (0, 0, 2, 2)),
        ("楼", "漏水了", (1, 2, 0, 2)),
        ("我要投诉，楼上漏水！", "我要 投诉楼上漏水", (0, 0, 0, 0)),  # marks are not spoken
    ],
)
def test_errors_are_counted_by_kind(said: str, heard: str, counts: tuple[int, int, int, int]) -> None:
    assert said_and_heard(said, heard) == counts


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("暖气只有14度", "暖气只有十四度"),
        ("电话是13800001234", "电话是幺三八零零零零幺二三四"),
        ("电话是13800001234", "电话是一三八零零零零一二三四"),
        ("住在2号楼", "住在二号楼"),
        ("来了2个人", "来了两个人"),
        ("2026年11月3日", "二零二六年十一月三日"),
        ("涨了50%", "涨了百分之五十"),
    ],
)
def test_figures_are_compared_as_they_are_said(written: str, heard: str) -> None:
    assert compare(written, heard).errors == 0
    assert compare(written, heard + "吗").errors == 1


def test_one_said_and_one_written_as_words_are_not_the_same() -> None:
    """Only figures can be read in two ways; who writes 幺 means it."""
    assert compare("幺三八", "一三八").errors == 1


@given(CHINESE, CHINESE)
def test_an_alignment_tells_both_sides_whole_and_as_few_errors_as_levenshtein(said: str, heard: str) -> None:
    found = compare(said, heard)
    assert "".join(step.said for step in found.steps) == said == found.said
    assert "".join(step.heard for step in found.steps) == heard == found.heard
    assert found.errors == sum(step.kind is not Kind.RIGHT for step in found.steps) == levenshtein(said, heard)
    assert found.syllable_errors <= found.errors
    assert [step.heard_at for step in found.steps if step.heard] == list(range(len(heard)))
    assert all((step.said == step.heard) == (step.kind is Kind.RIGHT) for step in found.steps)


def levenshtein(one: str, other: str) -> int:
    """By its definition, for short texts."""
    table = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            table[i, j] = min(
                table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (one[i - 1] != other[j - 1])
            )
    return table[len(one), len(other)]


@settings(max_examples=200)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_two_texts_can_be_compared(said: str, heard: str) -> None:
    found = compare(said, heard)
    assert max(len(found.said), len(found.heard)) >= found.errors >= abs(len(found.said) - len(found.heard))
    assert set(found.said + found.heard) <= set(comparable(said) + comparable(heard)) | set("一二")


def test_what_sounds_alike_stands_under_each_other() -> None:
    lines = alignment_lines(compare("家里只有十四度", "家离只是四度").steps)
    assert lines == ["说 家里只有十四度", f"听 家离只{GAP}是四度", "   　音　漏音"]


def test_a_long_alignment_is_broken_into_lines_of_equal_width() -> None:
    steps = compare("楼" * 70, "楼" * 40).steps
    lines = alignment_lines(steps, width=30)
    assert [len(line) - 2 for line in lines if line.startswith("说")] == [30, 30, 10]
    assert sum(line.count(GAP) for line in lines) == 30


def word(text: str, confidence: float) -> SpokenWord:
    return SpokenWord(text, 0.0, 1.0, confidence)


def test_a_word_is_right_when_all_of_its_characters_are() -> None:
    words = [word("家里", 0.9), word("只有", 0.8), word("是四度", 0.4)]
    comparison = compare("家里只有十四度", "家里只有是四度")
    assert word_rightness(comparison, words) == [(0.9, True), (0.8, True), (0.4, False)]


def test_words_whose_figures_hang_together_are_not_judged() -> None:
    comparison = compare("二零二六年", "2026年")
    assert word_rightness(comparison, [word("20", 1.0), word("26年", 1.0)]) is None


HEAD = "path\ttranscript\tspeaker\tsource"


def test_a_manifest_is_read_by_its_columns_names_in_any_order() -> None:
    lines = ["\ufeffSeconds\tTranscript\tFile\r\n", "1.5\t你好\tsub/a.wav\r\n", "\n", "2\t再见\tb.wav"]
    assert read_manifest(lines) == ([Clip(2, "sub/a.wav", "你好"), Clip(4, "b.wav", "再见")], [])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a.wav\t這個電話壞了", "這個電話壞"),
        ("a.wav\t", "no transcript"),
        ("a.wav\t...", "no transcript"),
        ("\t你好", "no path"),
        ("a.wav", "1 cells"),
        ("a.wav\t你好\ta\tb\tc", "5 cells"),
        ("a\x00.wav\t你好", "control character"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_rest_goes_on(line: str, told: str) -> None:
    clips, problems = read_manifest([HEAD, "first.wav\t你好\ta\tb", line, "last.wav\t再见\ta"])
    assert [clip.path for clip in clips] == ["first.wav", "last.wav"]
    (problem,) = problems
    assert problem.line == 3
    assert told in str(problem)
    assert ":" in problem.message or "," in problem.message  # and what to do


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "no clips"),
        ([HEAD], "only the line"),
        (["path,transcript", "a.wav,你好"], "commas"),
        (["wav\ttext", "a.wav\t你好"], "no column path"),
    ],
)
def test_what_is_no_manifest_says_why(lines: list[str], told: str) -> None:
    clips, problems = read_manifest(lines)
    assert not clips
    assert told in str(problems[0])


@given(st.lists(st.text(max_size=30), max_size=6))
def test_no_text_is_too_broken_to_be_told(lines: list[str]) -> None:
    clips, problems = read_manifest([HEAD, *lines])
    assert len(clips) + len(problems) == max(1, sum(bool(line.strip("\ufeff\r\n").strip()) for line in lines))


def test_simplified_texts_hold_no_traditional_characters() -> None:
    simplified = "我要投诉朝阳区望京街道楼上每天夜里装修噪音太大了希望尽快处理乾坤后面只有于是面粉台湾喆玥"
    assert not traditional_characters().intersection(simplified)
    assert traditional_characters().issuperset("這個電話壞處樓裝區麵體灣")
