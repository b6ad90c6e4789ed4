"""The learned model: what it adds to the word tables, what it shows as evidence, and the file it lives in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.drafting.accuracy import draft_of_text
from cases.drafting.classifier import Model, grams_of, joint_vote
from cases.drafting.labelled import Labelled, read_labelled
from cases.drafting.learning import FOLDS, FieldReport, LearnedResult, Score, fingerprint, learn
from cases.drafting.model_file import (
    INSTALLED,
    KEEPER,
    Learned,
    ModelFileError,
    ModelKeeper,
    bundled,
    read_learned,
    write_learned,
)
from cases.drafting.word_votes import LEARNED_FIELDS


def ours() -> list[Labelled]:
    file = resources.files("cases.drafting") / "data" / "labelled.jsonl"
    messages, problems = read_labelled(file.read_text(encoding="utf-8").splitlines())
    assert problems == []
    return messages


def labelled(*rows: dict[str, object]) -> list[Labelled]:
    messages, problems = read_labelled(json.dumps(row, ensure_ascii=False) for row in rows)
    assert problems == []
    return messages


@pytest.fixture(scope="module")
def learned() -> LearnedResult:
    """Sixty messages of two kinds that no word of the tables tells apart."""
    kinds = (("嘎嘎鸟", "园林绿化", "建议"), ("哔哔鱼", "农村管理", "投诉"))
    rows = [
        {
            "text": f"我们那里的{word}又来了第{'一二三四五六七八九十'[at % 10]}回{'甲乙丙'[at // 10]}",
            "level1": level1,
            "appeal_type": kind,
        }
        for at in range(30)
        for word, level1, kind in kinds
    ]
    return learn(labelled(*rows))


# the bundled one


def test_the_bundled_model_was_learned_from_the_committed_messages() -> None:
    """After a change of labelled.jsonl: hotline learn … --to … (cases/drafting/data/README.md)."""
    assert bundled().messages == {fingerprint(one.text) for one in ours()}
    assert set(bundled().fields) == set(LEARNED_FIELDS)


def test_the_bundled_model_is_small() -> None:
    content = (resources.files("cases.drafting") / "data" / "learned.npz").read_bytes()
    assert len(content) <= 2**20
    assert write_learned(read_learned(content)) == content


@pytest.mark.parametrize(
    ("text", "level1"),
    [
        ("桶里的馊东西都淌到地上了一股子臭味走过去都得捂鼻子", "市容环卫"),
        ("那帮人收了我妈的钱说是能治百病的水", "市场管理"),
    ],
)
def test_what_no_listed_word_says_whole_is_understood_and_shows_its_words(text: str, level1: str) -> None:
    made = draft_of_text(text)
    said = [made.category.value and made.category.value.level1, *(a.value.level1 for a in made.category.alternatives)]
    assert level1 in said
    if made.category.value is not None:
        assert all(text[e.start_char : e.end_char] for e in made.category.evidence)
        assert made.category.evidence


def test_alternatives_share_what_the_answer_leaves(learned: LearnedResult) -> None:
    for one in ours()[::40]:
        for field in (draft_of_text(one.text).category, draft_of_text(one.text).appeal_type):
            shares = [alternative.confidence for alternative in field.alternatives]
            assert shares == sorted(shares, reverse=True)
            assert field.confidence + sum(shares) <= 1.02


# learning


def test_what_the_messages_tell_apart_is_learned(learned: LearnedResult) -> None:
    level1 = learned.learned.fields["level1"]
    assert level1.votes("嘎嘎鸟飞过来了", {})[0].label == "园林绿化"
    assert level1.votes("好多哔哔鱼", {})[0].label == "农村管理"
    reports = {report.field: report for report in learned.reports}
    assert reports["level1"].after.right >= 0.95
    assert reports["level1"].after.messages == 60


def test_a_homophone_is_still_heard(learned: LearnedResult) -> None:
    assert learned.learned.fields["level1"].votes("戛戛鸟飞过来了", {})[0].label == "园林绿化"


def test_evidence_is_where_the_telling_words_stand(learned: LearnedResult) -> None:
    text = "昨天那个嘎嘎鸟落在窗户上"
    spans = learned.learned.fields["level1"].why(text, "园林绿化")
    assert spans
    assert any(start <= text.index("嘎") < end for start, end in spans)


def test_a_field_that_no_message_has_is_named_and_stays(learned: LearnedResult) -> None:
    assert [line for line in learned.left_out if line.startswith("urgency: no message has it")]
    assert "urgency" not in learned.learned.fields


def test_one_class_is_named_with_what_to_do_and_the_rest_is_learned() -> None:
    rows = [
        {"text": f"{word}{at}", "level1": "供暖", "appeal_type": kind}
        for at in range(12)
        for word, kind in (("暖气什么时候修好", "咨询"), ("暖气修得真好", "表扬"))
    ]
    result = learn(labelled(*rows), before=bundled())
    [line] = [line for line in result.left_out if line.startswith("level1")]
    assert "all messages say 供暖" in line
    assert "add messages of other kinds" in line
    assert [report.field for report in result.reports] == ["appeal_type"]
    assert result.learned.fields["level1"] is bundled().fields["level1"]


def test_few_messages_are_not_enough() -> None:
    result = learn(labelled({"text": "路灯坏了", "level1": "道路与市政设施"}))
    assert result.reports == ()
    assert any("1 messages have it; 20 are the least" in line for line in result.left_out)


def test_the_same_messages_give_the_same_bytes() -> None:
    rows = [
        {"text": f"{word}{at}", "appeal_type": kind}
        for at in range(12)
        for word, kind in (("灯什么时候修好", "咨询"), ("灯修得真好", "表扬"))
    ]
    assert write_learned(learn(labelled(*rows)).learned) == write_learned(learn(labelled(*rows)).learned)


def test_a_model_that_unlearns_is_told_as_worse() -> None:
    """Against a model that knows better, messages whose labels say nothing."""
    rows = [
        {"text": f"请问{at}号楼什么时候来暖气", "appeal_type": ("表扬", "举报", "建议")[at % 3]} for at in range(30)
    ] + [{"text": f"我想问问{at}单元怎么交费", "appeal_type": "咨询"} for at in range(60)]
    result = learn(labelled(*rows), before=bundled())
    [report] = result.reports
    assert report.before is not None
    assert report.after_on_same is not None
    assert report.before.messages == 90
    worse = FieldReport(report.field, report.classes, report.after, report.after, _less_right(report.after, 0.03))
    same = FieldReport(report.field, report.classes, report.after, report.after, _less_right(report.after, 0.005))
    assert worse.worse
    assert not same.worse


def _less_right(score: Score, by: float) -> Score:
    return Score(score.messages, score.right - by, score.sure, score.sure_right)


def test_messages_the_model_in_use_has_learned_from_do_not_judge_it() -> None:
    known = [Labelled(one.line, one.text, {"appeal_type": one.labels["appeal_type"]}) for one in ours()[::10]]
    [report] = learn(known, before=bundled()).reports
    assert report.before is None
    assert not report.worse


# voting


@given(st.text(alphabet="楼上漏水了，a1", max_size=12))
def test_every_gram_stands_where_it_says(text: str) -> None:
    for gram, start, end in grams_of(text):
        assert 0 <= start < end <= len(text)
        if gram.startswith("c"):
            assert gram == f"c{end - start}:{text[start:end]}"


@given(st.dictionaries(st.sampled_from("甲乙丙丁"), st.floats(-3, 3), min_size=1), st.floats(0, 20), st.floats(0, 3))
def test_votes_are_shares_in_order(own: dict[str, float], own_power: float, table_power: float) -> None:
    votes = joint_vote(own, {"甲": 2.0}, own_power, table_power)
    shares = [vote.share for vote in votes]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    assert {vote.label for vote in votes} == set(own)


# the file


def small() -> Learned:
    def array(*values: float) -> np.ndarray:
        return np.array(values, dtype=np.float32)

    model = Model(("甲", "乙"), {"c1:水": 0}, array(1), array(1, 0).reshape(1, 2), array(0, 0), 4.0, 1.0, ((0.5, 0.6),))
    return Learned({"level1": model}, frozenset({7}))


def test_a_model_is_read_as_it_was_written() -> None:
    again = read_learned(write_learned(small()))
    assert again.messages == {7}
    assert again.fields["level1"].votes("水", {}) == small().fields["level1"].votes("水", {})


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_file_says_what_to_do(cut: int) -> None:
    with pytest.raises(ModelFileError, match=r"learn again"):
        read_learned(write_learned(small())[:cut])


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_politely(content: bytes) -> None:
    with pytest.raises(ModelFileError):
        read_learned(content)


def test_another_formats_file_is_refused() -> None:
    with pytest.raises(ModelFileError, match="this version reads"):
        read_learned(_with(small(), format=np.array(99)))


def _with(learned: Learned, **changed: np.ndarray) -> bytes:
    import io

    with np.load(io.BytesIO(write_learned(learned))) as data:
        arrays = {name: data[name] for name in data.files} | changed
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_the_next_draft_is_made_with_what_was_installed(tmp_path: Path) -> None:
    keeper = ModelKeeper()
    keeper.look_in(tmp_path)
    assert keeper.current() is bundled()
    (tmp_path / INSTALLED).write_bytes(write_learned(small()))
    assert keeper.current().messages == {7}
    (tmp_path / INSTALLED).unlink()
    assert keeper.current() is bundled()


def test_a_broken_file_is_named_and_the_last_good_model_stays(tmp_path: Path) -> None:
    keeper = ModelKeeper()
    keeper.look_in(tmp_path)
    (tmp_path / INSTALLED).write_bytes(write_learned(small()))
    assert keeper.current().messages == {7}
    part = tmp_path / "part"
    part.write_bytes(b"broken")
    os.replace(part, tmp_path / INSTALLED)
    assert keeper.current().messages == {7}
    assert INSTALLED in keeper.problem


@pytest.fixture
def without_a_model(tmp_path: Path) -> Iterator[None]:
    (tmp_path / INSTALLED).write_bytes(write_learned(Learned({})))
    KEEPER.look_in(tmp_path)
    yield
    KEEPER.look_in(None)


@pytest.mark.usefixtures("without_a_model")
def test_without_a_model_the_word_tables_draft_alone() -> None:
    made = draft_of_text("我要投诉家里暖气不热只有十三度")
    assert made.category.value is not None
    assert made.category.value.level1 == "供暖"
    assert made.appeal_type.value == "投诉"
    assert made.urgency.value == "urgent"


def test_folds_split_evenly_enough() -> None:
    folds = [fingerprint(one.text) % FOLDS for one in ours()]
    assert min(folds.count(fold) for fold in range(FOLDS)) > len(folds) / FOLDS / 2
