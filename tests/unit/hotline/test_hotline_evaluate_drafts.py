"""The figures of drafts against labelled messages, with drafts made to order."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.drafting.labelled import Labelled
from cases.schema import AppealType, Asks, Category, ComplaintDraft, Place, Turn, Understood, draft_id_of
from hotline.evaluate_drafts_figures import Reading, as_heard, drawn, figures_of, notes_on, wilson
from hotline.evaluate_drafts_heard import read_heard, read_messages

PLAN = {"homophone_noise": 0.0, "draws": 1, "seed": 1, "sure_from": 0.8}


def message(line: int, text: str = "停水了", **labels: str | tuple[str, ...]) -> Labelled:
    made = {name: value if isinstance(value, tuple) else (value,) for name, value in labels.items()}
    return Labelled(line, text, made)


def draft_that_says(text: str) -> ComplaintDraft:
    """`type/level1/district/confidence` as a draft."""
    kind, level1, district, confidence = text.split("/")

    def sure(value: object) -> dict[str, object]:
        evidence = [{"turn": 0, "start_char": 0, "end_char": 1}]
        return {"value": value, "confidence": float(confidence), "evidence": evidence} if value else {}

    return ComplaintDraft(
        draft_id=draft_id_of("call"),
        call_id="call",
        received_at=datetime(2026, 11, 29, tzinfo=UTC),
        appeal_type=Understood[AppealType].model_validate(sure(kind)),
        category=Understood[Category].model_validate(sure({"level1": level1} if level1 else None)),
        place=Understood[Place].model_validate(sure({"district": district} if district else None)),
        turns=(Turn(step="told", asks=Asks.NARRATION, text=text),),
        complete=True,
    )


def figures(*messages: Labelled) -> dict:
    draw = drawn(messages, sure_from=0.8, draft_text=draft_that_says)
    return figures_of("f.jsonl", messages, [Reading("text", (draw,))], [], PLAN)


def test_accuracy_sureness_and_false_places_are_told_by_field() -> None:
    found = figures(
        message(1, "投诉/供水/朝阳区/0.9", appeal_type=("投诉", "举报"), level1="供水", district="朝阳区"),
        message(2, "咨询/供水/海淀区/0.9", appeal_type="投诉", level1="供水", district="朝阳区"),
        message(3, "投诉//海淀区/0.5", appeal_type="投诉", level1="供水", district=""),
        message(4, "投诉/供电//0.5", level1="供水"),
    )
    reading = found["readings"][0]
    kind, level1, district = (reading["fields"][name] for name in ("appeal_type", "level1", "district"))
    assert (kind["right"]["right"], kind["right"]["judged"]) == (2, 3)
    assert (level1["right"]["right"], level1["filled"]["right"], level1["right"]["judged"]) == (2, 3, 4)
    assert kind["sure"]["share"] == pytest.approx(2 / 3)
    assert kind["right_when_sure"]["share"] == 0.5
    assert level1["right_when_sure"]["share"] == 1.0
    assert district["right"]["share"] == pytest.approx(1 / 3)
    assert kind["calibration_error"] == pytest.approx((2 * abs(0.9 - 0.5) + abs(0.5 - 1)) / 3)
    assert (reading["false_places"]["right"], reading["false_places"]["judged"]) == (2, 3)
    assert (reading["places_out_of_nothing"]["right"], reading["places_out_of_nothing"]["judged"]) == (1, 1)
    assert (reading["untouched"]["right"], reading["untouched"]["judged"]) == (1, 4)
    assert reading["the_four"] is None  # no message has all of them
    assert {"right": "投诉", "drafted": "咨询", "count": 1} in kind["confusions"]
    assert found["baseline"]["level1"] == {"answer": "供水", "share": 1.0}
    matrix = reading["matrices"]["appeal_type"]
    assert matrix["rows"] == ["投诉"]
    assert dict(zip(matrix["columns"], matrix["counts"][0], strict=True)) == {"投诉": 2, "咨询": 1}
    json.dumps(found, allow_nan=False)


def test_the_worst_come_first_the_bold_before_the_timid() -> None:
    found = figures(
        message(1, "投诉/供水//0.9", appeal_type="投诉"),
        message(2, "投诉/供水//0.4", appeal_type="咨询"),
        message(3, "投诉/供水//0.9", appeal_type="咨询"),
        message(4, "投诉/供水//0.4", appeal_type="咨询", level1="供电"),
    )
    assert [row["line"] for row in found["worst"]] == [4, 3, 2]
    assert len(found["drafted"]) == 4


def test_a_field_with_one_answer_is_said_to_show_nothing() -> None:
    notes = notes_on([message(1, urgency="routine", level1="供水"), message(2, urgency="routine", level1="供电"), message(3)])  # fmt: skip
    assert len(notes) == 2
    assert notes[0].startswith("urgency: all 2 messages have the one answer 'routine'")
    assert "without labels" in notes[1]


def test_homophones_are_repeatable_and_change_what_is_drafted() -> None:
    texts: list[str] = []

    def noted(text: str) -> ComplaintDraft:
        texts.append(text)
        return draft_that_says("投诉///0.5")

    messages = [message(1, "家里暖气不热只有十四度希望尽快处理", appeal_type="投诉")]
    for seed in (1, 1, 2):
        drawn(messages, sure_from=0.8, homophone_noise=0.3, seed=seed, draft_text=noted)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0] != messages[0].text


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_of_a_share_holds_it(right: int, judged: int) -> None:
    right = min(right, judged)
    low, high = wilson(right, judged)
    assert 0 <= low <= right / judged + 1e-12
    assert right / judged - 1e-12 <= high <= 1


def line(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False)


def test_what_was_heard_may_stand_beside_the_text() -> None:
    lines = [
        line(text="停水了", level1="供水", heard="听谁了"),
        line(text="停电了", level1="供电", heard=""),
        line(text="停气了", level1="供气"),
        line(text="停了", level1="供气", heard=3),
        "no json",
        r'{"text": "停气了", "heard": "听\ud83d"}',
    ]
    messages, heard, problems = read_messages(lines)
    assert [one.line for one in messages] == [1, 2, 3]
    assert heard == {1: "听谁了", 2: ""}
    assert [problem.line for problem in problems] == [4, 5, 6]
    assert "half a character" in problems[2].message
    assert [(one.line, one.text) for one in as_heard(messages, heard)] == [(1, "听谁了"), (2, "")]


MESSAGES = [message(1, "停水了，怎么办？"), message(2, "停电了"), message(3, "停电了")]


@pytest.mark.parametrize(
    "lines",
    [
        ["text\theard", "停水了怎么办\t听水了", "停电了\t听电了"],
        ["path\tmodel\tcondition\ttranscript\theard", "a\t\t\t停水了，怎么办\t听水了", "b\t\t\t停电了\t听电了"],
        [line(text="停水了怎么办", heard="听水了"), line(text="停电了", heard="听电了")],
        ["line\theard", "1\t听水了", "2\t听电了", "3\t听电了"],
        [line(line=1, heard="听水了"), "", line(line=2, heard="听电了"), line(line="3", heard="听电了")],
    ],
)
def test_what_was_heard_is_found_by_text_or_line(lines: list[str]) -> None:
    found = read_heard(lines, MESSAGES)
    assert found.problems == []
    assert found.columns == {"heard": {1: "听水了", 2: "听电了", 3: "听电了"}}


def test_each_model_and_line_is_a_column_of_its_own() -> None:
    rows = ["model\tcondition\ttext\theard", "a\tnoisy\t停电了\t一", "a\tclean\t停电了\t二", "b\tclean\t停电了"]
    found = read_heard(rows, MESSAGES)
    assert found.columns == {"a, noisy": {2: "一", 3: "一"}, "a, clean": {2: "二", 3: "二"}, "b, clean": {2: "", 3: ""}}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "nothing heard"),
        (["words\theard", "停电了\t听电了"], "names the columns"),
        (["text\theard", "没有的话\t听电了"], "belongs to no message"),
        (["line\theard", "9\t听电了"], "belongs to no message"),
        (["line\theard", "x\t听电了"], "belongs to no message"),
        (["text\theard", "停电了\t听电了\t三"], "3 cells"),
        ([line(text="停电了")], "heard is no text"),
        ([line(text="停电了", heard="听"), "{no"], "not a JSON object"),
        ([line(text="停电了", heard="听"), r'{"text": "停电了", "heard": "\ud83d"}'], "half a character"),
    ],
)
def test_what_cannot_be_used_of_it_is_named(lines: list[str], told: str) -> None:
    (problem,) = read_heard(lines, MESSAGES).problems
    assert told in str(problem)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_no_file_is_too_broken_to_be_told(lines: list[str]) -> None:
    read_heard(lines, MESSAGES)
    read_heard(["text\theard", *lines], MESSAGES)
    read_messages(lines)
