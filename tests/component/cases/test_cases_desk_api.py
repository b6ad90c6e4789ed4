"""A draft's life through the API: taken, typed into, confirmed into a case, undone; and what two desks see of it."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from yarl import URL

from cases.schema import ComplaintDraft, draft_id_of

ID = draft_id_of("call-1")


async def taken(backend: Any, make_draft: Any, **more: Any) -> tuple[Any, int]:
    await backend.deliver(make_draft(**more))
    desk = await backend.log_in()
    answer = await desk.step(ID, "take", 1)
    assert answer.status == 200, answer.body
    return desk, answer.body["version"]


async def test_a_draft_becomes_a_case(backend: Any, make_draft: Any, make_wav: Any) -> None:
    desk, version = await taken(backend, make_draft)
    assert (await desk.edit(ID, version, request="尽快修好")).status == 200
    await backend.put_recording("call-1", make_wav())
    answer = await desk.step(ID, "confirm", version)
    assert (answer.status, answer.body["status"]) == (200, "confirmed")
    today = backend.clock().astimezone(backend.service.zone)
    assert answer.body["case_number"] == f"{today:%Y%m%d}000001"
    assert answer.body["undo_until"]
    assert answer.body["may_undo"] is True
    assert (await desk.get("/api/queue")).body["items"] == []

    case = (await desk.get(f"/api/cases/{answer.body['case_number']}")).body
    assert (case["draft_id"], case["call_id"], case["opened_by"]) == (str(ID), "call-1", "li")
    assert (case["fields"]["request"], case["fields"]["subject"]) == ("尽快修好", "上地西里暖气不热")
    assert (case["fields"]["caller.number"], case["fields"]["urgency"]) == ("13810001234", "routine")
    assert case["edited"] == ["request"]
    assert case["recording"]["uri"] == "/api/recordings/call-1"
    assert case["voided_at"] is None
    found = (await desk.get("/api/cases", params={"q": "上地 1381"})).body["items"]
    assert [item["number"] for item in found] == [case["number"]]
    assert (await desk.get("/api/cases/nothing")).code == "case-unknown"


async def test_everything_a_draft_shows(backend: Any, make_draft: Any) -> None:
    desk, _ = await taken(backend, make_draft)
    view = await desk.draft(ID)
    assert ComplaintDraft.model_validate(view["draft"]) == make_draft()
    fields = {field["path"]: field for field in view["fields"]}
    assert fields["place"]["sureness"] == "check"
    assert fields["subject"]["sureness"] == "sure"
    assert fields["request"]["sureness"] == "empty"
    assert fields["category"]["required"] is True
    assert fields["subject"]["evidence"] == [
        {"turn": 0, "start_char": 0, "end_char": 15, "start_seconds": None, "end_seconds": None}
    ]
    assert (view["status"], view["taken_by"], view["taken_by_name"]) == ("taken", "li", "li 的名字")
    assert view["recording"] is None
    assert [entry["action"] for entry in view["history"]] == ["received", "take"]


async def test_typing_never_meets_its_own_earlier_typing(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    text = "上地西里三号楼暖气不热"
    answers = await asyncio.gather(*(desk.edit(ID, version, subject=text[:n]) for n in range(1, len(text) + 1)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.body["version"] for answer in answers} == {version}
    assert sorted(answer.body["edits_count"] for answer in answers) == list(range(1, len(text) + 1))
    assert (await desk.edit(ID, version, subject=text, narrative="长")).body["edits_count"] == len(text) + 1
    view = await desk.draft(ID)
    fields = {field["path"]: field for field in view["fields"]}
    assert (fields["subject"]["value"], fields["subject"]["original"]) == (text, "上地西里暖气不热")
    assert (fields["subject"]["edited"], fields["subject"]["sureness"]) == (True, "sure")
    assert view["version"] == version


async def test_an_edit_is_taken_back_or_empties_a_field(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    await desk.edit(ID, version, place={"district": "朝阳区"}, subject=None)
    assert (await desk.get("/api/queue")).body["items"][0]["place"] == "朝阳区"
    answer = await desk.ask("PATCH", f"/api/drafts/{ID}", {"version": version, "revert": ["place"]})
    fields = {field["path"]: field for field in answer.body["fields"]}
    assert (fields["place"]["value"]["street"], fields["place"]["edited"]) == ("上地街道", False)
    assert (fields["subject"]["value"], fields["subject"]["sureness"]) == (None, "empty")
    answer = await desk.ask("PATCH", f"/api/drafts/{ID}", {"version": version, "revert": ["status"]})
    assert (answer.status, answer.code) == (422, "edits-invalid")


async def test_a_faulty_edit_keeps_nothing_of_its_request(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    answer = await desk.edit(ID, version, request="好的", category={"level1": "没有这类"})
    assert (answer.status, answer.code) == (422, "edits-invalid")
    assert [error["field"] for error in answer.body["errors"]] == ["category"]
    assert {f["path"]: f for f in (await desk.draft(ID))["fields"]}["request"]["value"] is None


async def test_confirming_needs_the_required_fields(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft, fields={"appeal_type": (None, 0)})
    await desk.edit(ID, version, subject=" ")
    answer = await desk.step(ID, "confirm", version)
    assert (answer.status, answer.code) == (422, "fields-missing")
    assert [error["field"] for error in answer.body["errors"]] == ["appeal_type", "subject"]
    assert (await desk.draft(ID))["status"] == "taken"
    assert (await desk.get("/api/cases")).body["items"] == []
    await desk.edit(ID, version, subject="暖气", appeal_type="求助", caller__callback_number="1381")
    answer = await desk.step(ID, "confirm", version)
    assert (answer.code, answer.body["errors"][0]["field"]) == ("fields-invalid", "caller.callback_number")
    await desk.edit(ID, version, caller__callback_number="138 1000 1234")
    answer = await desk.step(ID, "confirm", version)
    assert answer.body["case_number"].endswith("000001")  # refused confirmations cost no number


async def test_undoing_a_confirmation_voids_the_number_for_ever(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    first = (await desk.step(ID, "confirm", version)).body
    undone = (await desk.step(ID, "undo", first["version"])).body
    assert (undone["status"], undone["case_number"], undone["taken_by"]) == ("taken", None, "li")
    second = (await desk.step(ID, "confirm", undone["version"])).body
    assert int(second["case_number"]) == int(first["case_number"]) + 1
    cases = {case["number"]: case for case in (await desk.get("/api/cases")).body["items"]}
    assert cases[first["case_number"]]["voided_at"] is not None
    assert cases[second["case_number"]]["voided_at"] is None
    entries = [(entry["action"], entry["case_number"]) for entry in second["history"]]
    assert entries[2:] == [
        ("confirm", first["case_number"]),
        ("undo", first["case_number"]),
        ("confirm", second["case_number"]),
    ]
    backend.clock.go_on(seconds=11)
    answer = await desk.step(ID, "undo", second["version"])
    assert (answer.status, answer.code) == (409, "undo-over")
    assert (await desk.draft(ID))["may_undo"] is False


async def test_reject_and_return_can_be_undone_too(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    await desk.edit(ID, version, request="typed before")
    assert (await desk.step(ID, "reject", version, reason=" ")).code == "reason-missing"
    rejected = (await desk.step(ID, "reject", version, reason="重复来电")).body
    assert (rejected["status"], rejected["reject_reason"]) == ("rejected", "重复来电")
    back = (await desk.step(ID, "undo", rejected["version"])).body
    assert (back["status"], back["reject_reason"]) == ("taken", None)
    returned = (await desk.step(ID, "return", back["version"])).body
    assert (returned["status"], returned["taken_by"]) == ("waiting", None)
    again = (await desk.step(ID, "undo", returned["version"])).body
    assert again["status"] == "taken"
    assert {f["path"]: f for f in again["fields"]}["request"]["value"] == "typed before"
    assert [entry["action"] for entry in again["history"]] == [
        *("received", "take", "reject", "undo", "return", "undo"),
    ]
    assert {entry["actor"] for entry in again["history"]} == {"producer", "li"}


async def test_what_one_has_taken_another_cannot_touch(backend: Any, make_draft: Any) -> None:
    _, version = await taken(backend, make_draft)
    other = await backend.log_in("zhao")
    for answer in (
        await other.step(ID, "take", version),
        await other.step(ID, "confirm", version),
        await other.step(ID, "return", version),
        await other.step(ID, "reject", version, reason="x"),
        await other.edit(ID, version, subject="mine"),
    ):
        assert (answer.status, answer.code) == (409, "draft-taken")
        assert (answer.body["taken_by"], answer.body["taken_by_name"]) == ("li", "li 的名字")
        assert datetime.fromisoformat(answer.body["taken_at"]).tzinfo is not None
    row = (await other.get("/api/queue")).body["items"][0]
    assert (row["status"], row["taken_by"]) == ("taken", "li")


async def test_only_one_of_many_takes_it(backend: Any, make_draft: Any) -> None:
    await backend.deliver(make_draft())
    desks = [await backend.log_in(f"u{number}") for number in range(6)]
    answers = await asyncio.gather(*(desk.step(ID, "take", 1) for desk in desks))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5


async def test_what_is_not_taken_is_not_changed(backend: Any, make_draft: Any) -> None:
    await backend.deliver(make_draft())
    desk = await backend.log_in()
    for answer in (await desk.edit(ID, 1, subject="x"), await desk.step(ID, "confirm", 1)):
        assert (answer.status, answer.code) == (409, "draft-not-taken")
    for version in (0, 2):
        assert (await desk.step(ID, "take", version)).code == "draft-changed"
    assert (await desk.step(draft_id_of("nobody"), "take", 1)).code == "draft-unknown"
    assert (await desk.get("/api/drafts/x'--")).code == "draft-unknown"


async def test_a_take_with_nobody_at_it_goes_back(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    backend.clock.go_on(minutes=14)
    assert (await desk.step(ID, "take", version)).body["version"] == version  # still here
    backend.clock.go_on(minutes=14)
    assert await backend.service.sweep() == 0
    backend.clock.go_on(minutes=2)
    assert await backend.service.sweep() == 1
    view = await desk.draft(ID)
    assert (view["status"], view["history"][-1]["action"], view["history"][-1]["actor"]) == (
        "waiting",
        "stale",
        "system",
    )
    assert (await desk.edit(ID, version, subject="late")).code == "draft-not-taken"


async def test_take_over_of_a_stale_take_and_by_a_supervisor(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    other, boss = await backend.log_in("zhao"), await backend.log_in("boss", "supervisor")
    assert (await other.draft(ID))["may_take_over"] is False
    assert (await other.step(ID, "take", version, force=True)).code == "draft-taken"
    refused = await boss.step(ID, "take", version)
    assert (refused.code, refused.body["may_take_over"]) == ("draft-taken", True)
    over = (await boss.step(ID, "take", version, force=True)).body
    assert (over["taken_by"], over["history"][-1]["action"]) == ("boss", "take_over")
    assert (await desk.edit(ID, version, subject="x")).body["taken_by"] == "boss"
    backend.clock.go_on(minutes=15)
    assert (await other.step(ID, "take", over["version"])).body["taken_by"] == "zhao"


async def test_case_numbers_are_unique_under_a_crowd(backend: Any, make_draft: Any) -> None:
    desk = await backend.log_in()
    ids = [draft_id_of(f"c{number}") for number in range(12)]
    for number in range(12):
        await backend.deliver(make_draft(f"c{number}"))
    await asyncio.gather(*(desk.step(draft_id, "take", 1) for draft_id in ids))
    answers = await asyncio.gather(*(desk.step(draft_id, "confirm", 2) for draft_id in ids))
    numbers = sorted(int(answer.body["case_number"]) % 1_000_000 for answer in answers)
    assert numbers == list(range(1, 13))


async def test_the_sequence_starts_anew_each_day_of_the_city(start_backend: Any, make_draft: Any) -> None:
    backend = await start_backend(case_number="BJ{date:%y%m%d}-{sequence:04d}")
    now = backend.clock()
    backend.clock.ahead = datetime(2026, 11, 24, 15, 59, tzinfo=UTC) - now  # 23:59 in Beijing
    desk = await backend.log_in()
    numbers = []
    for call_id in ("a", "b", "c"):
        await backend.deliver(make_draft(call_id))
        await desk.step(draft_id_of(call_id), "take", 1)
        numbers.append((await desk.step(draft_id_of(call_id), "confirm", 2)).body["case_number"])
        backend.clock.ahead += timedelta(seconds=45)
    assert numbers == ["BJ261124-0001", "BJ261124-0002", "BJ261125-0001"]


async def test_the_queue_is_urgent_first_then_oldest_page_by_page(backend: Any, make_draft: Any) -> None:
    base = datetime(2026, 11, 24, 8, tzinfo=UTC)
    plan = [
        ("routine-late", {}, 9, {}),
        ("routine-early", {}, 1, {}),
        ("urgent", {"urgency": ("urgent", 0.9)}, 8, {}),
        ("emergency", {"urgency": ("emergency", 0.9)}, 7, {}),
        ("threat", {}, 6, {"alerts": [{"kind": "threat"}]}),
        ("routine-same", {}, 9, {}),
    ]
    for call_id, fields, hour, more in plan:
        await backend.deliver(make_draft(call_id, fields, received_at=base + timedelta(hours=hour), **more))
    desk = await backend.log_in()
    whole = (await desk.get("/api/queue")).body
    order = [item["call_id"] for item in whole["items"]]
    assert order[:4] == ["threat", "emergency", "urgent", "routine-early"]
    assert (whole["urgent"], whole["waiting"], whole["next"]) == (3, 6, None)
    assert whole["items"][0]["alerts"] == ["threat"]

    seen, after = [], ""
    while after is not None:
        page = (await desk.get("/api/queue", params={"limit": "2", "after": after})).body
        seen += [item["call_id"] for item in page["items"]]
        after = page["next"]
    assert seen == order

    await desk.step(draft_id_of("threat"), "take", 1)
    counted = (await desk.get("/api/queue")).body
    assert (counted["urgent"], counted["waiting"], len(counted["items"])) == (2, 5, 6)
    edited = await desk.edit(draft_id_of("threat"), 2, urgency="urgent")
    assert edited.status == 200
    for q, found in (("1381000", 6), ("海淀 供暖", 6), ("海淀 停车", 0)):
        assert len((await desk.get("/api/queue", params={"q": q})).body["items"]) == found


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "limit=1e3",
        "after=xx",
        "after=%00",
        "after=WzEsMl0",
        f"q={'x' * 101}",
        "limit=%D9%A3",
    ],
)
@pytest.mark.parametrize("path", ["/api/queue", "/api/cases"])
async def test_a_faulty_query_is_refused(backend: Any, path: str, query: str) -> None:
    desk = await backend.log_in()
    answer = await desk.get(f"{path}?{query}")
    assert answer.status == 400
    assert answer.code in ("query-invalid", "cursor-invalid")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "body-invalid"),
        ({"version": "x"}, 422, "body-invalid"),
        ({"version": -1}, 422, "body-invalid"),
        ({"version": 2, "edits": []}, 422, "body-invalid"),
        ({"version": 2, "edits": {"subject": {"$ne": 1}}}, 422, "edits-invalid"),
        ({"version": 2, "edits": {"status": "confirmed"}}, 422, "edits-invalid"),
        ({"version": 2, "edits": {str(n): 1 for n in range(40)}}, 422, "body-invalid"),
        ({"version": 2, "taken_by": "me"}, 422, "body-invalid"),
        ([1], 422, "body-invalid"),
    ],
)
async def test_a_forged_edit_is_refused(backend: Any, make_draft: Any, body: Any, status: int, code: str) -> None:
    desk, _ = await taken(backend, make_draft)
    answer = await desk.ask("PATCH", f"/api/drafts/{ID}", body)
    assert (answer.status, answer.code) == (status, code)


async def test_the_categories_are_those_that_edits_are_checked_by(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    table = (await desk.get("/api/categories")).body
    assert table["version"]
    for level1 in table["categories"]:
        assert (await desk.edit(ID, version, category={"level1": level1["name"]})).status == 200
    deep = next(one for one in table["categories"] if one["children"] and one["children"][0]["children"])
    value = {
        "level1": deep["name"],
        "level2": deep["children"][0]["name"],
        "level3": deep["children"][0]["children"][0]["name"],
    }
    assert (await desk.edit(ID, version, category=value)).status == 200
    assert (await desk.edit(ID, version, category={**value, "level2": None})).status == 422


async def test_an_unknown_recording(backend: Any) -> None:
    desk = await backend.log_in()
    assert (await desk.get("/api/recordings/nobody")).code == "recording-unknown"


async def test_a_recording_whose_file_is_gone(backend: Any, make_wav: Any) -> None:
    desk = await backend.log_in()
    await backend.put_recording("call-1", make_wav())
    (await backend.service.recording_file("call-1")).unlink()
    answer = await desk.get("/api/recordings/call-1")
    assert (answer.status, answer.code) == (404, "recording-unknown")


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "after",
    [
        cursor(10**30, "2026-11-24T08:00:00Z", "x"),
        cursor("0", "2026-11-24T08:00:00Z", "x"),
        cursor(0, "2026-11-24T08:00:00", "x"),
        cursor(0, "0001-01-01T00:00:00+14:00", "x"),
        cursor(0, "2026-11-24T08:00:00Z", "\ud800"),
        cursor(0, "2026-11-24T08:00:00Z", "\x00"),
        cursor(0, "2026-11-24T08:00:00Z", ["x"]),
        cursor({}, 1, 2),
        cursor(),
        "[" * 1500,
    ],
)
async def test_a_forged_cursor_is_refused(backend: Any, after: str) -> None:
    desk = await backend.log_in()
    for path in ("/api/queue", "/api/cases"):
        answer = await desk.get(path, params={"after": after})
        assert (answer.status, answer.code) == (400, "cursor-invalid")


@pytest.mark.parametrize("q", ["%ff", "%ed%a0%80", "%00", "%F0%9F%94%A5", "%25_%5c", "%E2%80%AE"])
async def test_any_bytes_may_be_searched_for(backend: Any, make_draft: Any, q: str) -> None:
    await backend.deliver(make_draft())
    desk = await backend.log_in()
    for path in ("/api/queue", "/api/cases"):
        async with desk.client.get(URL(f"{path}?q={q}", encoded=True)) as response:
            assert response.status == 200
            if q != "%00":
                assert (await response.json())["items"] == []
    async with desk.client.get(URL(f"/api/cases/{q}", encoded=True)) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "body",
    [
        b'{"version": 2, "edits": {"subject": "\\ud800"}}',
        b'{"version": 2, "edits": {"subject": "\xff"}}',
        b'{"version": 2, "edits": {"place": ' + b'{"detail":' * 300 + b"1" + b"}" * 300 + b"}}",
        b'{"version": 2, "edits": {"narrative": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"version": 2, "edits": {"occurred": {"start": "0001-01-01T00:00:00+14:00", "end": "x"}}}',
        b'{"version": 2, "edits": {"subject": NaN}}',
        b'{"version": 1e400}',
    ],
)
async def test_hostile_json_is_refused(backend: Any, make_draft: Any, body: bytes) -> None:
    desk, _ = await taken(backend, make_draft)
    headers = {"X-CSRF-Token": desk.csrf, "Content-Type": "application/json"}
    async with desk.client.patch(f"/api/drafts/{ID}", data=body, headers=headers) as response:
        assert response.status in (400, 422)
        assert (await response.json(content_type=None))["code"] in ("json-invalid", "body-invalid", "edits-invalid")


async def test_text_with_every_control_character_is_kept_as_data(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, make_draft)
    text = "".join(map(chr, range(32))) + "\u202e\u2028<b>'\"&"
    answer = await desk.edit(ID, version, narrative=text, subject=text[:30], caller__name=text)
    assert answer.status == 200
    assert {f["path"]: f for f in (await desk.draft(ID))["fields"]}["narrative"]["value"] == text
    assert (await desk.step(ID, "reject", version, reason="\x00")).status == 422
    assert (await desk.step(ID, "confirm", version)).status == 200
