"""When something is in the way: somebody else, a lost connection, an ended session, a hostile caller."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from playwright.sync_api import expect

from browser.desk_steps import field, row, take, wait_for
from cases.lifecycle import Actor, Role
from cases.schema import AlertKind, Asks, Caller, Evidence, Turn, Understood
from cases.tables import sessions


def end_sessions(server: Any) -> None:
    async def end() -> None:
        async with server.service.db.write() as tx:
            await tx.execute(sa.delete(sessions))

    server.run(end())


def test_somebody_else_has_taken_it(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    server.deliver(drafts.simple("小区 停水 两天", "供水", 1))
    wang, li = open_desk("wang"), open_desk("li")
    expect(row(li, draft)).to_be_focused()
    take(wang, draft)
    expect(row(li, draft)).to_contain_text("王芳")  # who, since when
    expect(li.locator("#actions .taken")).to_contain_text("王芳")
    li.keyboard.press("Enter")
    li.keyboard.press("e")
    li.keyboard.press("Control+Enter")
    li.wait_for_timeout(200)
    assert li.locator(".editing").count() == 0
    assert server.view(draft).taken_by == "wang"
    field(wang, "subject").focus()
    wang.keyboard.press("e")
    wang.keyboard.press("Control+a")
    wang.keyboard.type("王芳改的标题")
    expect(field(li, "subject")).to_contain_text("王芳改的标题")  # the other sees it grow
    wang.keyboard.press("Control+Enter")
    expect(row(li, draft)).to_contain_text("已离开队列")  # it stays where it was, struck out
    expect(li.locator("#actions")).to_contain_text("工单 ")


def test_both_take_at_once_and_one_is_told(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk("wang")
    expect(page.locator("#actions .primary")).to_contain_text("领取")
    # li is faster by so little that wang's desk has not heard of it
    server.service.fanout.change = lambda *_: None

    async def take_as_li() -> None:
        user = next(user for user in await server.service.accounts.users() if user.name == "li")
        actor = Actor(user.id, user.name, user.display_name, Role.OPERATOR)
        await server.service.take(str(draft.draft_id), actor, 1)

    server.run(take_as_li())
    page.keyboard.press("Enter")
    expect(page.locator(".toast.grave")).to_have_text("已被别人领取。")
    expect(page.locator("#actions .taken")).to_contain_text("李强")


def test_a_supervisor_takes_over(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    server.add_user("zhao", "赵班长", "supervisor")
    draft = server.deliver(drafts.heating())
    wang, zhao = open_desk("wang"), open_desk("zhao")
    take(wang, draft)
    expect(zhao.locator("#actions .taken")).to_contain_text("王芳")
    zhao.get_by_role("button", name="接手").click()
    expect(zhao.locator("#draft-head h2")).to_have_text("办理中")
    expect(wang.locator("#actions .taken")).to_contain_text("赵班长")


def test_a_lost_connection_keeps_what_is_done_and_catches_up(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    draft = server.deliver(drafts.heating())
    after = server.deliver(drafts.simple("小区 停水 两天", "供水", 1))
    page = open_desk()
    take(page, draft)
    server.stop()
    expect(page.locator("#connection")).to_contain_text("连接中断")
    field(page, "subject").focus()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("断线时写的标题")
    page.keyboard.press("Escape")
    expect(page.locator("#saving")).to_contain_text("等待连接")
    page.keyboard.press("Control+Enter")  # waits with the rest
    page.wait_for_timeout(300)
    expect(page.locator(".toast.undoable")).to_have_count(0)
    server.start()
    expect(page.locator("#connection")).to_have_text("", timeout=20_000)
    expect(page.locator(".toast.undoable")).to_contain_text("工单号", timeout=20_000)
    expect(row(page, after)).to_be_focused()
    assert server.value(draft, "subject") == "断线时写的标题"
    assert server.status_of(draft) == "confirmed"
    later = server.deliver(drafts.simple("电梯 坏 了", "物业管理", 0))  # the stream is alive again
    expect(page.locator("#news")).to_have_text("1 条新来件")
    assert server.status_of(later) == "waiting"


def test_a_closed_tab_loses_nothing(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    page.route("**/api/drafts/*", lambda route: route.abort() if route.request.method == "PATCH" else route.continue_())
    field(page, "subject").focus()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("关掉之前写的")
    page.wait_for_timeout(600)
    context = page.context
    page.close()
    assert server.value(draft, "subject") != "关掉之前写的"
    page = context.new_page()
    page.goto(f"{server.url}/desk#draft={draft.draft_id}")
    expect(field(page, "subject")).to_contain_text("关掉之前写的")
    wait_for(page, lambda: server.value(draft, "subject") == "关掉之前写的")
    kept = "Object.keys(localStorage).filter((key) => key.includes('unsaved')).length"
    wait_for(page, lambda: page.evaluate(kept) == 0)  # once the backend's answer has come back


def test_a_session_that_is_over_is_renewed_in_place(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    end_sessions(server)
    field(page, "subject").focus()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("会话过期时写的")
    dialog = page.locator("#login-dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("您输入的内容都在")
    expect(page.locator("#again-username")).to_have_value("wang")
    page.keyboard.press("Escape")  # there is no way round it
    expect(dialog).to_be_visible()
    page.locator("#again-password").fill("wrong password")
    page.keyboard.press("Enter")
    expect(dialog.locator(".problem")).to_have_text("用户名或密码不对。")
    page.locator("#again-password").fill("correct horse battery")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    wait_for(page, lambda: server.value(draft, "subject") == "会话过期时写的")
    expect(page.locator(".editing input")).to_have_value("会话过期时写的")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast.undoable")).to_contain_text("工单号")


def test_a_draft_that_went_back_by_itself_is_taken_again_by_typing(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    field(page, "subject").focus()
    page.keyboard.press("e")

    async def go_stale() -> None:
        rules = server.service.rules
        server.service.rules = replace(rules, take_minutes=0)
        await asyncio.sleep(0.01)
        assert await server.service.sweep() == 1
        server.service.rules = rules

    server.run(go_stale())
    expect(page.locator("#actions .primary")).to_contain_text("领取")
    assert server.status_of(draft) == "waiting"
    field(page, "subject").focus()
    page.keyboard.press("e")  # typing takes it
    expect(page.locator("#actions .primary")).to_contain_text("确认")
    page.keyboard.press("Control+a")
    page.keyboard.type("退回后接着写")
    wait_for(page, lambda: server.value(draft, "subject") == "退回后接着写")
    assert server.view(draft).taken_by == "wang"


HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>{{7*7}}'


def test_a_callers_words_are_only_words(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    turns = (Turn(step=HOSTILE, asks=Asks.NARRATION, prompt=HOSTILE, text=HOSTILE),)
    everything = (Evidence(turn=0, start_char=0, end_char=len(HOSTILE)),)
    understood = Understood[str](value=HOSTILE, confidence=0.9, evidence=everything)
    short = Understood[str](value=HOSTILE[:30], confidence=0.9, evidence=everything)
    draft = server.deliver(
        drafts.heating(
            turns=turns,
            place=Understood(),
            occurred=Understood(),
            subject=short,
            narrative=understood,
            request=understood,
            appeal_type=Understood(),
            category=Understood(),
            caller=Caller(number="<b>1</b>", name=understood),
            hung_up_at_step=HOSTILE,
            alerts=({"kind": AlertKind.THREAT, "evidence": everything},),
        )
    )
    page = open_desk()
    take(page, draft)
    expect(field(page, "narrative")).to_contain_text(HOSTILE)
    expect(page.locator("#said .caller .words")).to_have_text(HOSTILE)
    page.locator(".badge").click()
    field(page, "request").focus()
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelectorAll('main img, main script, main b').length") == 0
    assert page.evaluate("window.pwned") is None
    expect(row(page, draft)).to_contain_text(HOSTILE[:30])


def test_what_is_wrong_at_the_login_is_said(server: Any, new_context: Any) -> None:
    page = new_context().new_page()
    page.goto(server.url + "/desk")
    expect(page).to_have_url(server.url + "/login")
    page.fill("#username", "wang")
    page.fill("#password", "not the password")
    page.press("#password", "Enter")
    expect(page.locator("#login-problem")).to_have_text("用户名或密码不对。")
    expect(page.locator("#password")).to_be_focused()
    server.stop()
    page.fill("#password", "correct horse battery")
    page.press("#password", "Enter")
    expect(page.locator("#login-problem")).to_contain_text("连不上服务器")
    server.start()
    page.press("#password", "Enter")
    expect(page).to_have_url(server.url + "/desk")
    page.wait_for_selector("#desk[data-ready]")
    page.locator("#logout").click()
    expect(page).to_have_url(server.url + "/login")
    page.goto(server.url + "/desk")
    expect(page).to_have_url(server.url + "/login")
