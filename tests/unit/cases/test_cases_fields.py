"""Fields: what may be typed, how sure each is, what a confirmation still needs, what a row shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.errors import CasesError
from cases.fields import (
    FIELD_PATHS,
    Sureness,
    check_edits,
    check_ready,
    summarise,
    values_of,
    view_fields,
)
from cases.schema import Category, ComplaintDraft, draft_id_of

MakeDraft = Callable[..., ComplaintDraft]


def known(category: Category) -> bool:
    return (category.level1, category.level2) in {("供暖", None), ("供暖", "温度不达标")}


@pytest.mark.parametrize(
    ("edits", "kept"),
    [
        ({"subject": " 暖气 不热"}, {"subject": " 暖气 不热"}),  # as typed
        ({"subject": ""}, {"subject": ""}),
        ({"appeal_type": "投诉"}, {"appeal_type": "投诉"}),
        (
            {"place": {"district": "海淀区"}},
            {"place": {"district": "海淀区", "street": None, "community": None, "detail": None}},
        ),
        ({"category": {"level1": "供暖"}}, {"category": {"level1": "供暖", "level2": None, "level3": None}}),
        ({"caller.confidential": True}, {"caller.confidential": True}),
        ({"caller.callback_number": "138 1"}, {"caller.callback_number": "138 1"}),  # half typed
        ({"narrative": None}, {"narrative": None}),
        ({"occurred": {"said": "上礼拜"}}, {"occurred": {"start": None, "end": None, "said": "上礼拜"}}),
    ],
)
def test_edits_are_kept_as_typed(edits: dict[str, Any], kept: dict[str, Any]) -> None:
    assert check_edits(edits, known) == kept


@pytest.mark.parametrize(
    ("edits", "field", "code"),
    [
        ({"subject": "字" * 31}, "subject", "string_too_long"),
        ({"subject": 5}, "subject", "string_type"),
        ({"appeal_type": "complaint"}, "appeal_type", "enum"),
        ({"place": "海淀区"}, "place", "model_type"),
        ({"place": {"city": "北京"}}, "place.city", "extra_forbidden"),
        ({"place": {"detail": "长" * 201}}, "place.detail", "string_too_long"),
        ({"category": {"level1": "没有"}}, "category", "unknown-category"),
        ({"category": {"level1": "供暖", "level2": "没有"}}, "category", "unknown-category"),
        ({"caller.confidential": "yes"}, "caller.confidential", "bool_type"),
        ({"caller.callback_number": "<script>"}, "caller.callback_number", "phone-number"),
        ({"occurred": {"start": "2026-11-24T08:00"}}, "occurred.start", "timezone_aware"),
        (
            {"occurred": {"start": "2026-11-24T08:00Z", "end": "2026-11-23T08:00Z"}},
            "occurred",
            "value_error",
        ),
        ({"draft_id": "x"}, "draft_id", "unknown-field"),
        ({"urgency": "high"}, "urgency", "enum"),
    ],
)
def test_a_faulty_edit_names_its_field(edits: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(CasesError) as error:
        check_edits(edits, known)
    assert error.value.status == 422
    assert [(item["field"], item["code"]) for item in error.value.errors] == [(field, code)]


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(CasesError) as error:
        check_edits({"subject": 1, "urgency": "x", "narrative": "fine"}, known)
    assert {item["field"] for item in error.value.errors} == {"subject", "urgency"}


def test_sureness(make_draft: MakeDraft) -> None:
    draft = make_draft({"subject": ("暖气不热", 0.8), "request": ("修", 0.79), "appeal_type": ("投诉", 0.4)})
    views = {view.path: view for view in view_fields(draft, {"appeal_type": "投诉", "narrative": " ", "urgency": None})}
    assert tuple(views) == FIELD_PATHS
    assert views["subject"].sureness is Sureness.SURE
    assert views["request"].sureness is Sureness.CHECK
    assert views["appeal_type"].sureness is Sureness.SURE  # a human has said the same
    assert views["appeal_type"].original == "投诉"
    assert views["narrative"].sureness is Sureness.EMPTY  # blank is nothing
    assert views["narrative"].edited
    assert views["place"].sureness is Sureness.EMPTY
    assert views["subject"].evidence[0].end_char > 0


def test_confirming_needs_its_fields(make_draft: MakeDraft) -> None:
    draft = make_draft({"subject": ("暖气不热", 1), "narrative": ("冷", 1)})
    with pytest.raises(CasesError) as error:
        check_ready(values_of(draft, {"narrative": "  "}))
    assert error.value.code == "fields-missing"
    assert [item["field"] for item in error.value.errors] == ["appeal_type", "category", "narrative"]
    check_ready(values_of(draft, {"appeal_type": "投诉", "category": {"level1": "供暖"}}))


@pytest.mark.parametrize(
    ("phone", "fits"),
    [
        ("13810001234", True),
        ("138 1000 1234", True),
        ("010-62345678", True),
        ("010-62345678转801", True),
        ("+8613810001234", True),
        ("95598", True),
        ("", True),
        ("1381", False),
        ("138-", False),
        ("12345678901234567", False),
        ("转801", False),
    ],
)
def test_confirming_needs_a_whole_phone_number(make_draft: MakeDraft, phone: str, fits: bool) -> None:
    edits = {"appeal_type": "投诉", "category": {"level1": "供暖"}, "subject": "冷", "narrative": "冷"}
    values = values_of(make_draft(), {**edits, "caller.callback_number": phone})
    if fits:
        check_ready(values)
    else:
        with pytest.raises(CasesError) as error:
            check_ready(values)
        assert error.value.errors[0]["field"] == "caller.callback_number"


@pytest.mark.parametrize(
    ("fields", "more", "rank"),
    [
        ({}, {}, 3),
        ({"urgency": ("urgent", 0.9)}, {}, 2),
        ({"urgency": ("emergency", 0.9)}, {}, 1),
        ({}, {"alerts": [{"kind": "threat"}]}, 0),
        ({}, {"alerts": [{"kind": "emergency"}]}, 0),
        ({}, {"alerts": [{"kind": "repeat"}, {"kind": "minor"}]}, 3),
        ({}, {"ended": "emergency"}, 0),
    ],
)
def test_rank(make_draft: MakeDraft, fields: dict[str, Any], more: dict[str, Any], rank: int) -> None:
    assert summarise(make_draft(fields, **more), {}).rank == rank


def test_a_row_shows_what_counts_and_is_found_by_it(make_draft: MakeDraft) -> None:
    draft = make_draft(
        {"subject": ("暖气\n不热", 0.5), "place": ({"district": "海淀区", "street": "上地街道"}, 0.9)},
        reference="100042",
    )
    row = summarise(
        draft, {"category": {"level1": "供暖", "level2": "温度不达标"}, "caller.callback_number": "010-6234 5678"}
    )
    assert (row.subject, row.place, row.category) == ("暖气 不热", "海淀区 上地街道", "供暖 › 温度不达标")
    assert row.unsure == 1
    for needle in ("不热", "上地", "13810001234", "01062345678", "100042", "温度"):
        assert needle in row.search


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["district", "level1", "start", "end", "said", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(edits=st.dictionaries(st.sampled_from([*FIELD_PATHS, "status"]), JSON, max_size=4))
def test_whatever_is_typed_is_kept_or_refused_and_what_is_kept_shows(edits: dict[str, Any]) -> None:
    try:
        kept = check_edits(edits, known)
    except CasesError as error:
        assert error.status == 422  # noqa: PT017
        assert error.errors  # noqa: PT017
        return
    assert set(kept) == set(edits)
    draft = ComplaintDraft.model_validate(
        {"draft_id": draft_id_of("c"), "call_id": "c", "received_at": "2026-11-24T08:00:00Z"}
    )
    row = summarise(draft, kept)
    assert len(row.subject) <= 30
    assert all(char >= " " for char in row.subject + row.place + row.category + row.search)
