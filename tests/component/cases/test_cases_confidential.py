"""A caller who asked for confidentiality: who sees his number, and what a case is found by."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from cases.migrations import alembic_config
from cases.schema import ComplaintDraft, Turn, draft_id_of

ID = draft_id_of("call-1")
SECRETS = ("13810001234", "13900005678", "王小明", "幺三九")
SAID = "暖气不热我叫王小明电话幺三九零零零零五六七八"


def confidential_draft(make_draft: Any) -> ComplaintDraft:
    """Name and number told in the narration, the number pressed once more."""
    turns = [
        Turn(step="narrate", asks="narration", text=SAID).model_dump(),
        Turn(step="contact", asks="contact", digits="13900005678").model_dump(),
    ]
    plain = make_draft(turns=turns, fields={"narrative": (SAID, 0.9), "request": ("打13900005678找王小明", 0.9)})
    raw = plain.model_dump(mode="json")

    def said(value: Any, *spans: tuple[int, int, int]) -> Any:
        evidence = [{"turn": turn, "start_char": start, "end_char": end} for turn, start, end in spans]
        return {"value": value, "confidence": 0.9, "evidence": evidence}

    at = SAID.index("王")
    raw["caller"]["name"] = said("王小明", (0, at, at + 3))
    raw["caller"]["callback_number"] = said("13900005678", (0, at + 5, len(SAID)), (1, 0, 0))
    raw["caller"]["confidential"] = said(True, (0, 0, 1))
    return ComplaintDraft.model_validate(raw)


async def confirmed(backend: Any, make_draft: Any) -> tuple[Any, Any]:
    answer = await backend.deliver(confidential_draft(make_draft))
    assert answer.status == 201, answer.body
    desk = await backend.log_in()
    version = (await desk.step(ID, "take", 1)).body["version"]
    answer = await desk.step(ID, "confirm", version)
    assert answer.status == 200, answer.body
    return desk, answer.body


def secrets_in(body: Any) -> list[str]:
    text = json.dumps(body, ensure_ascii=False)
    return [secret for secret in SECRETS if secret in text]


async def test_operators_see_no_confidential_caller_in_a_case(backend: Any, make_draft: Any) -> None:
    desk, view = await confirmed(backend, make_draft)
    number = view["case_number"]
    case = (await desk.get(f"/api/cases/{number}")).body
    for path in ("caller.number", "caller.name", "caller.callback_number"):
        assert case["fields"][path] == "保密"
    assert case["fields"]["narrative"] == "暖气不热我叫保密电话保密"
    assert secrets_in(case) == secrets_in((await desk.get("/api/cases")).body) == []
    for q in (*SECRETS, "1381000", "王小"):
        assert (await desk.get("/api/cases", params={"q": q})).body["items"] == [], q
    for q in ("暖气", number):
        assert [c["number"] for c in (await desk.get("/api/cases", params={"q": q})).body["items"]] == [number], q

    boss = await backend.log_in("boss", "supervisor")
    assert (await boss.get(f"/api/cases/{number}")).body["fields"]["caller.number"] == "13810001234"
    found = (await boss.get("/api/cases", params={"q": "139-0000-5678"})).body["items"]
    assert [c["fields"]["caller.name"] for c in found] == ["王小明"]


async def test_the_draft_shows_the_caller_to_whoever_works_on_it(backend: Any, make_draft: Any) -> None:
    desk, view = await confirmed(backend, make_draft)
    other, boss = await backend.log_in("zhao"), await backend.log_in("boss", "admin")
    assert len(secrets_in(view)) == len(SECRETS)  # within undo time, to him who confirmed
    hidden = await other.draft(ID)
    assert secrets_in(hidden) == []
    turns = ComplaintDraft.model_validate(hidden["draft"]).turns
    assert turns[0].text == "暖气不热我叫＊＊＊电话" + "＊" * 11
    assert turns[1].digits == "*" * 11
    assert hidden["draft"]["caller"]["number"] == "保密"
    assert {f["path"]: f["value"] for f in hidden["fields"]}["caller.callback_number"] == "保密"
    assert len(secrets_in(await boss.draft(ID))) == len(SECRETS)

    backend.clock.go_on(seconds=backend.service.rules.undo_seconds + 1)
    assert secrets_in(await desk.draft(ID)) == []


async def test_undone_it_is_seen_again(backend: Any, make_draft: Any) -> None:
    desk, view = await confirmed(backend, make_draft)
    answer = await desk.step(ID, "undo", view["version"])
    assert (answer.status, answer.body["status"]) == (200, "taken")
    assert len(secrets_in(answer.body)) == len(SECRETS)


async def test_words_are_looked_for_in_the_latest_cases_and_numbers_in_all(
    backend: Any, make_draft: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cases.draft_rows.SEARCHED_CASES", 2)
    desk, numbers = await backend.log_in(), []
    for n in range(4):
        phone = {"number": f"1381000000{n}"}
        await backend.deliver(make_draft(call_id=f"c{n}", caller=phone, reference=f"90000{n}"))
        draft_id = draft_id_of(f"c{n}")
        version = (await desk.step(draft_id, "take", 1)).body["version"]
        numbers.append((await desk.step(draft_id, "confirm", version)).body["case_number"])
        backend.clock.go_on(seconds=1)

    async def search(q: str) -> tuple[list[str], Any]:
        page = (await desk.get("/api/cases", params={"q": q})).body
        return [c["number"] for c in page["items"]], page["searched_since"]

    found, since = await search("暖气")
    assert found == [numbers[3], numbers[2]]
    assert since is not None
    for q in ("13810000000", "138-1000-0000", "900000", numbers[0], f"{numbers[0]} 暖气"):
        assert await search(q) == ([numbers[0]], None), q
    page = (await desk.get("/api/cases")).body
    assert (len(page["items"]), page["searched_since"]) == (4, None)


async def test_a_database_of_before_learns_its_keys_and_hides_its_callers(start_backend: Any, make_draft: Any) -> None:
    def downgrade(connection: sa.Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")

    backend = await start_backend()
    _, view = await confirmed(backend, make_draft)
    number = view["case_number"]
    async with backend.service.db.write() as tx:
        await tx.run_sync(downgrade)
        await tx.execute(sa.text("UPDATE cases SET search = search || ' 13810001234 王小明'"))
    await backend.service.close()
    backend = await start_backend()
    desk, boss = await backend.log_in(), await backend.log_in("boss", "admin")
    for q in ("13810001234", "王小明"):
        assert (await desk.get("/api/cases", params={"q": q})).body["items"] == [], q
    for q in ("13810001234", "13900005678", number):
        assert [c["number"] for c in (await boss.get("/api/cases", params={"q": q})).body["items"]] == [number], q
