"""What an operator typed is never lost, never sent as somebody else's, and never kept for ever."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from playwright.sync_api import Page, expect

from browser.desk_steps import field, row, take, wait_for
from cases.tables import sessions

UNSAVED = "Object.keys(localStorage).filter((key) => key.includes('unsaved')).length"


def type_in(page: Page, path: str, text: str) -> None:
    field(page, path).focus()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def hold_edits(page: Page) -> None:
    page.route("**/api/drafts/*", lambda route: route.abort() if route.request.method == "PATCH" else route.continue_())


def test_what_was_typed_is_shown_when_somebody_takes_over(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    server.add_user("zhao", "赵班长", "supervisor")
    draft = server.deliver(drafts.heating())
    wang, zhao = open_desk("wang"), open_desk("zhao")
    take(wang, draft)
    hold_edits(wang)
    type_in(wang, "subject", "接手之前写的")
    wang.wait_for_timeout(600)
    zhao.get_by_role("button", name="接手").click()
    expect(zhao.locator("#actions .primary")).to_contain_text("确认")
    expect(wang.locator("#actions .taken")).to_contain_text("赵班长")
    expect(wang.locator("#actions .unsent")).to_contain_text("接手之前写的")
    zhao.keyboard.press("Control+Enter")
    expect(wang.locator("#actions")).to_contain_text("工单 ")
    expect(wang.locator("#actions .unsent")).to_contain_text("接手之前写的")  # this once
    assert wang.evaluate(UNSAVED) == 0


def test_an_undone_rejection_has_what_was_typed(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    type_in(page, "subject", "驳回之前写的")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    expect(page.locator(".toast.undoable")).to_contain_text("已驳回")
    assert server.value(draft, "subject") == "驳回之前写的"
    page.keyboard.press("u")
    expect(field(page, "subject")).to_contain_text("驳回之前写的")


def test_nothing_is_typed_while_a_confirmation_is_on_its_way(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    held: list[Any] = []
    page.route("**/confirm", lambda route: held.append(route))
    type_in(page, "subject", "确认前写的")
    page.keyboard.press("Control+Enter")
    wait_for(page, lambda: held)
    expect(page.locator(".editing")).to_have_count(0)
    page.keyboard.press("e")
    page.keyboard.press("1")
    expect(page.locator(".editing")).to_have_count(0)
    held[0].continue_()
    expect(page.locator(".toast.undoable")).to_contain_text("工单号")
    assert server.value(draft, "subject") == "确认前写的"


def test_another_operator_who_logs_in_in_place_sends_nothing_of_the_first(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    server.add_user("zhao", "赵班长", "supervisor")
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)

    async def end() -> None:
        async with server.service.db.write() as tx:
            await tx.execute(sa.delete(sessions))

    server.run(end())
    type_in(page, "subject", "王芳写的")
    expect(page.locator("#login-dialog")).to_be_visible()
    page.locator("#again-username").fill("zhao")
    page.locator("#again-password").fill("correct horse battery")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if "/api/drafts/" in request.url else None)
    page.keyboard.press("Enter")
    expect(page.locator("#user")).to_have_text("赵班长")
    expect(page.locator("#actions .taken")).to_contain_text("王芳")
    assert set(sent) == {"GET"}
    assert server.value(draft, "subject") != "王芳写的"
    assert page.evaluate("Object.keys(localStorage).some((key) => key.includes('unsaved.wang'))")  # hers, for later


def test_a_confirmation_by_somebody_else_is_not_reported_as_hers(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    server.add_user("zhao", "赵班长", "supervisor")
    draft = server.deliver(drafts.heating())
    wang, zhao = open_desk("wang"), open_desk("zhao")
    take(wang, draft)
    held: list[Any] = []
    wang.route("**/confirm", lambda route: held.append(route))
    wang.keyboard.press("Control+Enter")
    wait_for(wang, lambda: held)
    zhao.get_by_role("button", name="接手").click()
    expect(zhao.locator("#actions .primary")).to_contain_text("确认")
    zhao.keyboard.press("Control+Enter")
    expect(zhao.locator(".toast.undoable")).to_contain_text("工单号")
    held[0].continue_()
    expect(wang.locator(".toast.grave")).to_be_visible()
    expect(wang.locator(".toast.undoable")).to_have_count(0)


def test_an_operator_at_work_keeps_her_draft(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    page.add_init_script(  # two minutes are one second
        "{ const real = window.setInterval; window.setInterval = (work, ms) => real(work, ms >= 120000 ? 1000 : ms); }"
    )
    page.reload()
    page.wait_for_selector("#desk[data-ready]")
    take(page, draft)
    with page.expect_request("**/take"):
        page.keyboard.press("Tab")
    assert server.view(draft).version == 2  # a sign of life, nothing else


def test_words_kept_for_more_than_a_day_are_dropped(server: Any, open_desk: Any) -> None:
    page = open_desk()
    page.evaluate(
        """() => [["old", 25], ["young", 1]].forEach(([id, hours]) => localStorage.setItem(
          `hotline.unsaved.li.${id}`, JSON.stringify({ at: Date.now() - hours * 3600000, edits: { subject: "x" } })))"""
    )
    page.reload()
    page.wait_for_selector("#desk[data-ready]")
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('.li.'))") == [
        "hotline.unsaved.li.young"
    ]


def test_an_extension_stays_apart_from_the_number(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    type_in(page, "caller.callback_number", "010-6298 0001-802")
    wait_for(page, lambda: server.value(draft, "caller.callback_number") == "010-62980001-802")


def test_what_happens_below_the_list_is_not_new(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    for minutes in range(101):
        last = server.deliver(drafts.simple("垃圾 没 人 收", "市容环卫", 1000 - minutes))
    page = open_desk()
    expect(row(page, last)).to_have_count(0)
    other = open_desk("li", address=f"/desk#draft={last.draft_id}")
    other.get_by_role("button", name="领取").click()
    expect(page.locator("#queue-counts")).to_contain_text("100 待办")
    expect(page.locator("#news")).to_be_hidden()


def test_the_search_before_is_given_up(server: Any, open_desk: Any) -> None:
    page = open_desk()
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("#case-state")).to_be_visible()
    given_up: list[str] = []
    page.on("requestfailed", lambda request: given_up.append(request.url))
    page.route("**/api/cases?*q=a", lambda route: None)
    page.keyboard.press("/")
    with page.expect_request("**/api/cases?*q=a"):
        page.keyboard.type("a")
    page.keyboard.type("b")
    expect(page.locator("#case-state")).to_have_text("没有找到工单。")
    wait_for(page, lambda: any(url.endswith("q=a") for url in given_up))
