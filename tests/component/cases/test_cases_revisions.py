"""A draft heard again: an untouched one is replaced, an operator's is never; offered, adopted, put back, dismissed."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from cases.migrations import alembic_config
from cases.schema import Asks, ComplaintDraft, Turn, draft_id_of
from cases.tables import draft_revisions

ID = draft_id_of("call-1")
HEARD = "海淀区上地街道上底西里暖气不热"
BETTER = "海淀区上地街道上地西里暖气不热"
SUBJECT = {"subject": ("上地西里暖气一直不热", 0.95)}


def narration(text: str) -> list[dict[str, Any]]:
    return [Turn(step="narrate", asks=Asks.NARRATION, text=text).model_dump()]


def first(make_draft: Any, **more: Any) -> ComplaintDraft:
    draft: ComplaintDraft = make_draft(turns=narration(HEARD), **more)
    return draft


def better(make_draft: Any, revision: int = 1, **more: Any) -> ComplaintDraft:
    draft: ComplaintDraft = make_draft(
        turns=narration(BETTER), fields={**SUBJECT, **more.pop("fields", {})}, revision=revision, **more
    )
    return draft


def pending(make_draft: Any) -> ComplaintDraft:
    """Recorded and not yet transcribed."""
    turn = Turn(step="narrate", asks=Asks.NARRATION, final=False, pending=True)
    draft: ComplaintDraft = make_draft().model_copy(update={"turns": (turn,)})
    nothing = {"value": None, "confidence": 0, "evidence": []}
    values = draft.model_dump(mode="json")
    for name in ("appeal_type", "category", "place", "subject", "narrative"):
        values[name] = nothing
    return ComplaintDraft.model_validate(values)


def subject(view: Any) -> Any:
    return next(field for field in view["fields"] if field["path"] == "subject")


async def row(desk: Any) -> Any:
    (item,) = (await desk.get("/api/queue")).body["items"]
    return item


async def taken(backend: Any, draft: ComplaintDraft) -> tuple[Any, int]:
    await backend.deliver(draft)
    desk = await backend.log_in()
    return desk, (await desk.step(ID, "take", 1)).body["version"]


async def test_an_untouched_draft_is_replaced_and_says_what_changed(backend: Any, make_draft: Any) -> None:
    await backend.deliver(first(make_draft))
    desk = await backend.log_in()
    before = await desk.draft(ID)
    answer = await backend.deliver(better(make_draft))
    assert (answer.status, answer.body["created"], answer.body["status"]) == (200, False, "waiting")

    view = await desk.draft(ID)
    assert view["draft"]["turns"][0]["text"] == BETTER
    assert subject(view)["value"] == "上地西里暖气一直不热"
    assert view["version"] == before["version"]  # the life cycle did not move: a take by the old version goes through
    assert view["offered"] is None
    replaced = view["replaced"]
    assert replaced["revision"] == 0
    (turn,) = replaced["turns"]
    assert [(p["kind"], p["text"]) for p in turn["pieces"]] == [
        ("same", "海淀区上地街道上"), ("old", "底"), ("new", "地"), ("same", "西里暖气不热")
    ]  # fmt: skip
    assert [(f["path"], f["older"], f["newer"]) for f in replaced["fields"]] == [
        ("subject", "上地西里暖气不热", "上地西里暖气一直不热")
    ]
    assert [(e["action"], e["actor"], e["reason"]) for e in view["history"]][1:] == [("revised", "producer", "0 → 1")]
    item = await row(desk)
    assert (item["subject"], item["revision"], item["offered"]) == ("上地西里暖气一直不热", 1, False)
    assert (await desk.step(ID, "take", before["version"])).body["draft"]["revision"] == 1


async def test_what_was_replaced_is_kept_for_the_record(backend: Any, make_draft: Any) -> None:
    await backend.deliver(first(make_draft))
    for revision in range(1, 15):
        await backend.deliver(better(make_draft, revision))
    async with backend.service.db.read() as tx:
        query = sa.select(draft_revisions).order_by(draft_revisions.c.revision)
        kept = (await tx.execute(query)).all()
    assert [one.revision for one in kept] == [0, *range(6, 14)]  # the first, and the latest ones
    assert ComplaintDraft.model_validate_json(kept[0].draft) == first(make_draft)


async def test_sent_again_or_late_it_changes_nothing(backend: Any, make_draft: Any) -> None:
    await backend.deliver(first(make_draft))
    await backend.deliver(better(make_draft, 3))
    for again in (better(make_draft, 3), better(make_draft, 2), first(make_draft)):
        answer = await backend.deliver(again)
        assert (answer.status, answer.body["created"]) == (200, False)
    view = await (await backend.log_in()).draft(ID)
    assert (view["draft"]["revision"], view["replaced"]["revision"]) == (3, 0)
    assert len(view["history"]) == 2


async def test_the_better_one_may_come_first(backend: Any, make_draft: Any) -> None:
    assert (await backend.deliver(better(make_draft))).status == 201
    assert (await backend.deliver(first(make_draft))).status == 200
    view = await (await backend.log_in()).draft(ID)
    assert (view["draft"]["turns"][0]["text"], view["replaced"], view["offered"]) == (BETTER, None, None)


async def test_revisions_at_once_end_with_the_highest(backend: Any, make_draft: Any) -> None:
    await backend.deliver(first(make_draft))
    revisions = list(range(1, 9))
    random.Random(4).shuffle(revisions)
    answers = await asyncio.gather(*(backend.deliver(better(make_draft, one)) for one in revisions))
    assert {answer.status for answer in answers} == {200}
    view = await (await backend.log_in()).draft(ID)
    assert view["draft"]["revision"] == 8
    assert [entry["reason"].split(" → ")[1] for entry in view["history"][1:]][-1] == "8"


async def test_a_revision_of_another_call_is_refused(backend: Any, make_draft: Any) -> None:
    await backend.deliver(first(make_draft))
    wrong = better(make_draft).model_copy(update={"call_id": "call-2"})
    assert (await backend.deliver(wrong)).code == "revision-call"


async def test_words_that_come_late(backend: Any, make_draft: Any) -> None:
    await backend.deliver(pending(make_draft))
    desk = await backend.log_in()
    assert (await row(desk))["pending"] is True
    assert len((await desk.get("/api/queue", params={"q": "待转写"})).body["items"]) == 1
    await backend.service.sweep()
    assert "hotline_cases_pending_drafts 1.0" in (await desk.get("/metrics")).body.decode()

    await backend.deliver(better(make_draft))
    assert ((await row(desk))["pending"], (await row(desk))["revision"]) == (False, 1)
    assert (await desk.get("/api/queue", params={"q": "待转写"})).body["items"] == []
    replaced = (await desk.draft(ID))["replaced"]
    assert [turn["late"] for turn in replaced["turns"]] == [True]


# --- an operator was at it ---


async def test_what_an_operator_has_is_never_overwritten(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    await desk.edit(ID, version, request="尽快修好")
    before = await desk.draft(ID)
    assert (await backend.deliver(better(make_draft))).status == 200
    view = await desk.draft(ID)
    assert view["draft"] == before["draft"]
    assert view["fields"] == before["fields"]
    assert view["version"] == version
    assert view["offered"]["revision"] == 1
    assert [f["path"] for f in view["offered"]["fields"]] == ["subject"]
    item = await row(desk)
    assert (item["offered"], item["revision"], item["subject"]) == (True, 0, "上地西里暖气不热")
    assert view["history"][-1]["action"] == "offered"
    await backend.deliver(better(make_draft, 2, fields={"subject": ("暖气", 0.9)}))  # only the newest is offered
    assert (await desk.draft(ID))["offered"]["revision"] == 2
    assert (await desk.step(ID, "adopt", version, revision=1)).code == "revision-unknown"


@pytest.mark.parametrize("wait_seconds", [0, 60])
async def test_typed_in_and_given_back_it_is_still_an_operators(
    backend: Any, make_draft: Any, wait_seconds: float
) -> None:
    desk, version = await taken(backend, first(make_draft))
    await desk.edit(ID, version, request="尽快修好")
    await desk.step(ID, "return", version)
    backend.clock.go_on(seconds=wait_seconds)
    await backend.deliver(better(make_draft))
    view = await desk.draft(ID)
    assert (view["status"], view["draft"]["revision"], view["offered"]["revision"]) == ("waiting", 0, 1)


async def test_an_offer_that_nobody_took_is_not_what_a_later_one_replaced(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    await backend.deliver(better(make_draft))
    await desk.step(ID, "return", version)
    backend.clock.go_on(seconds=60)
    await backend.deliver(better(make_draft, 2))
    view = await desk.draft(ID)
    assert (view["draft"]["revision"], view["offered"], view["replaced"]["revision"]) == (2, None, 0)


async def test_adopted_whole_and_put_back(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    await desk.edit(ID, version, request="尽快修好")
    await backend.deliver(better(make_draft))

    view = (await desk.step(ID, "adopt", version, revision=1)).body
    assert view["draft"]["turns"][0]["text"] == BETTER
    assert subject(view)["value"] == "上地西里暖气一直不热"
    assert next(f["value"] for f in view["fields"] if f["path"] == "request") == "尽快修好"
    assert (view["version"], view["offered"], view["replaced"]["revision"]) == (version, None, 0)
    assert (view["history"][-1]["action"], view["history"][-1]["actor"]) == ("adopt", "li")
    again = await desk.step(ID, "adopt", version, revision=1)  # the answer was lost: asked again it is as it was
    assert (again.status, len(again.body["history"])) == (200, len(view["history"]))

    back = (await desk.step(ID, "adopt", version, revision=0)).body
    assert (subject(back)["value"], back["offered"]["revision"], back["replaced"]) == ("上地西里暖气不热", 1, None)
    await desk.step(ID, "adopt", version, revision=1)
    confirmed = (await desk.step(ID, "confirm", version)).body
    case = (await desk.get(f"/api/cases/{confirmed['case_number']}")).body
    assert case["fields"]["subject"] == "上地西里暖气一直不热"
    assert case["edited"] == ["request"]


async def test_an_operators_own_words_stand_above_both(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    await desk.edit(ID, version, subject="我写的")
    await backend.deliver(better(make_draft))
    view = await desk.draft(ID)
    assert [(f["path"], f["kept"]) for f in view["offered"]["fields"]] == [("subject", True)]
    adopted = (await desk.step(ID, "adopt", version, revision=1)).body
    assert (subject(adopted)["value"], subject(adopted)["original"]) == ("我写的", "上地西里暖气一直不热")


async def test_dismissed_and_offered_again(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    await backend.deliver(better(make_draft))
    view = (await desk.step(ID, "dismiss", version, revision=1)).body
    assert (view["dismissed"], view["offered"]["revision"]) == (1, 1)  # out of the way, still there to be read
    assert (await row(desk))["offered"] is False
    await desk.step(ID, "dismiss", version, revision=0)
    assert (await row(desk))["offered"] is True
    await desk.step(ID, "dismiss", version, revision=1000)  # what has not come cannot be dismissed
    assert (await desk.draft(ID))["dismissed"] == 1
    await backend.deliver(better(make_draft, 2))
    assert (await row(desk))["offered"] is True
    actions = [entry["action"] for entry in (await desk.draft(ID))["history"]]
    assert actions == ["received", "take", "offered", "dismiss", "dismiss", "dismiss", "offered"]


async def test_only_its_taker_answers_an_offer(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    await backend.deliver(better(make_draft))
    other = await backend.log_in("zhao")
    for verb in ("adopt", "dismiss"):
        assert (await other.step(ID, verb, version, revision=1)).code == "draft-taken"
        assert (await desk.step(ID, verb, version - 1, revision=1)).code == "draft-changed"
        assert (await desk.step(ID, verb, version, revision=-1)).status == 422
    await desk.step(ID, "return", version)
    assert (await desk.step(ID, "adopt", version + 1, revision=1)).code == "draft-not-taken"
    assert (await desk.draft(ID))["draft"]["revision"] == 0


async def test_after_confirmation_it_is_information(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    number = (await desk.step(ID, "confirm", version)).body["case_number"]
    case = (await desk.get(f"/api/cases/{number}")).body
    backend.clock.go_on(seconds=60)
    assert (await backend.deliver(better(make_draft))).body["status"] == "confirmed"
    assert (await desk.get(f"/api/cases/{number}")).body == case
    view = await desk.draft(ID)
    assert (view["status"], view["draft"]["revision"], view["offered"]["revision"]) == ("confirmed", 0, 1)
    assert (await desk.step(ID, "adopt", view["version"], revision=1)).code == "draft-not-taken"
    assert (await desk.get("/api/queue")).body["items"] == []


async def test_a_confidential_callers_other_words_are_hidden_too(backend: Any, make_draft: Any) -> None:
    secret = {"caller.confidential": (True, 0.99)}
    desk, version = await taken(backend, first(make_draft, fields=secret))
    await desk.step(ID, "confirm", version)
    backend.clock.go_on(seconds=60)
    await backend.deliver(better(make_draft, fields=secret))
    boss = await backend.log_in("boss", "admin")
    assert (await boss.draft(ID))["offered"]["revision"] == 1
    assert (await desk.draft(ID))["offered"] is None


# --- races ---


async def test_typing_goes_on_while_revisions_come(backend: Any, make_draft: Any) -> None:
    desk, version = await taken(backend, first(make_draft))
    edits = [desk.edit(ID, version, subject=f"第{n}次") for n in range(10)]
    sent = [backend.deliver(better(make_draft, n)) for n in range(1, 6)]
    answers = await asyncio.gather(*edits, *sent)
    assert {answer.status for answer in answers} == {200}
    assert {answer.body["revision"] for answer in answers[:10]} == {0}
    view = await desk.draft(ID)
    assert (view["draft"]["revision"], view["offered"]["revision"], view["edits_count"]) == (0, 5, 10)
    assert subject(view)["value"].startswith("第")


async def test_a_take_and_a_revision_at_once(backend: Any, make_draft: Any) -> None:
    """Whichever is first: the taker's answer says which words he has, and these stay."""
    desk = await backend.log_in()
    for n in range(12):
        draft_id = draft_id_of(f"call-{n}")
        await backend.deliver(first(make_draft, call_id=f"call-{n}"))
        took, sent = await asyncio.gather(
            desk.step(draft_id, "take", 1), backend.deliver(better(make_draft, call_id=f"call-{n}"))
        )
        assert (took.status, sent.status) == (200, 200)
        await backend.deliver(better(make_draft, 2, call_id=f"call-{n}"))
        view = await desk.draft(draft_id)
        actions = [entry["action"] for entry in view["history"]]
        if actions[1] == "take":
            assert (actions, view["draft"]["revision"]) == (["received", "take", "offered", "offered"], 0)
        else:
            assert (actions, view["draft"]["revision"]) == (["received", "revised", "take", "offered"], 1)
            assert took.body["draft"]["revision"] == 1
        assert view["offered"]["revision"] == 2


async def test_every_desk_hears_of_it(backend: Any, make_draft: Any) -> None:
    events = []
    change = backend.service.fanout.change
    backend.service.fanout.change = lambda name, data: (events.append((name, data)), change(name, data))
    await backend.deliver(first(make_draft))
    await backend.deliver(better(make_draft))
    events.clear()
    await backend.deliver(better(make_draft))  # nothing new, nothing said
    assert events == []
    await backend.deliver(better(make_draft, 2))
    assert [name for name, _ in events] == ["queue", "draft"]
    assert '"revision":2' in events[0][1]
    desk = await backend.log_in()
    version = (await desk.step(ID, "take", 1)).body["version"]
    await desk.step(ID, "confirm", version)
    events.clear()
    await backend.deliver(better(make_draft, 3))
    assert [name for name, _ in events] == ["draft"]  # it left the queue long ago
    assert '"newest":3' in events[0][1]


# --- a database of before ---


async def test_a_database_of_before_keeps_its_drafts(start_backend: Any, make_draft: Any) -> None:
    def downgrade(connection: sa.Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")

    backend = await start_backend()
    desk, version = await taken(backend, first(make_draft))
    await desk.edit(ID, version, subject="我写的")
    await backend.deliver(make_draft(call_id="call-2", received_at=datetime(2026, 11, 24, 9, tzinfo=UTC)))
    async with backend.service.db.write() as tx:
        await tx.run_sync(downgrade)
    await backend.service.close()

    backend = await start_backend()
    desk = await backend.log_in()
    items = (await desk.get("/api/queue")).body["items"]
    assert [(i["revision"], i["pending"], i["offered"]) for i in items] == [(0, False, False)] * 2
    view = await desk.draft(ID)
    assert (subject(view)["value"], view["version"], view["replaced"]) == ("我写的", version, None)
    await backend.deliver(better(make_draft))
    await backend.deliver(better(make_draft, call_id="call-2"))
    assert (await desk.draft(ID))["offered"]["revision"] == 1
    assert (await desk.draft(draft_id_of("call-2")))["draft"]["revision"] == 1
