"""Everybody can use it: axe finds nothing serious, both languages, a phone, a queue of several pages."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect


def row(page: Page, draft: Any) -> Any:
    return page.locator(f'[data-id="{draft.draft_id}"]')


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


@SCHEMES
def test_axe_on_the_login_page(server: Any, new_context: Any, scheme: str) -> None:
    page = new_context(color_scheme=scheme, bypass_csp=True).new_page()
    page.goto(server.url + "/login")
    assert serious(page) == []


@SCHEMES
def test_axe_on_the_desk(server: Any, open_desk: Any, drafts: SimpleNamespace, scheme: str) -> None:
    draft = server.deliver(drafts.heating(), drafts.wav(10))
    server.deliver(drafts.urgent(), drafts.wav(5))
    server.deliver(drafts.incomplete())
    page = open_desk(color_scheme=scheme, bypass_csp=True)
    assert serious(page) == []
    row(page, draft).click()
    page.keyboard.press("Enter")
    expect(page.locator("#actions .primary")).to_contain_text("确认")
    assert serious(page) == []
    page.keyboard.press("e")
    assert serious(page) == []
    page.locator('[data-path="category"]').focus()
    page.keyboard.press("e")
    page.keyboard.type("供")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast.undoable")).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("#case-rows .row")).to_have_count(1)
    assert serious(page) == []


def test_the_focus_is_always_to_be_seen(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    server.deliver(drafts.heating(), drafts.wav(10))
    page = open_desk()
    expect(page.locator("#actions .primary")).to_be_visible()
    seen = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        style = page.evaluate(
            """() => {
              const element = document.activeElement, style = getComputedStyle(element);
              return [element.id || element.className || element.tagName, style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if style[0] != "BODY":
            assert style[1] != "none", style
            assert style[2] >= 2, style
            seen.add(style[0])
    assert {"view-queue", "search", "said"} <= seen
    assert any("field" in name for name in seen)


def test_the_language_is_switched_and_kept(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    row(page, draft).click()
    page.keyboard.press("Enter")
    expect(page.locator("#actions .primary")).to_contain_text("确认")
    page.locator("#language").click()
    page.wait_for_selector('#desk[data-ready="en"]')
    expect(page.locator("#queue-counts")).to_have_text(re.compile(r"0 urgent · \d waiting"))
    expect(page.locator("#actions .primary")).to_contain_text("Confirm")  # still hers, still open
    expect(page.locator('[data-path="place"] .sureness')).to_have_text("check")
    assert page.evaluate("document.documentElement.lang") == "en"
    page.goto(server.url + "/login")
    expect(page.locator("button[type=submit]")).to_have_text("Log in")
    page.locator("#language").click()
    expect(page.locator("button[type=submit]")).to_have_text("登录")


def test_one_column_on_a_phone(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating(), drafts.wav(10))
    server.deliver(drafts.simple("小区 停水 两天", "供水", 1))
    page = open_desk(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    expect(page.locator("#queue-rows .row")).to_have_count(2)
    expect(page.locator("#said-panel")).to_be_hidden()
    row(page, draft).tap()
    expect(page.locator("#queue-panel")).to_be_hidden()
    expect(page.locator("#said")).to_contain_text("十四度")
    page.get_by_role("button", name="领取").tap()
    place = page.locator('[data-path="place"]')
    place.locator(".alternative").first.tap()
    expect(place).to_contain_text("马连洼街道")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="确认").tap()
    expect(page.locator(".toast.undoable")).to_contain_text("工单号")
    page.locator("#back").tap()
    expect(page.locator("#queue-panel")).to_be_visible()


def test_less_motion_is_respected(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    row(page, draft).click()
    page.keyboard.press("Enter")
    expect(page.locator("#actions .primary")).to_contain_text("确认")
    page.keyboard.press("r")
    assert page.locator(".toast.undoable").evaluate("(e) => getComputedStyle(e).animationName") == "none"


def test_a_long_queue_is_walked_to_its_end(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    for minutes in range(130):
        server.deliver(drafts.simple("垃圾 没 人 收", "市容环卫", 1000 - minutes))
    page = open_desk()
    assert page.locator("#queue-rows .row").count() == 100  # a page at a time
    for _ in range(129):
        page.keyboard.press("j")
    expect(page.locator("#queue-rows .row")).to_have_count(130)
    last = page.locator("#queue-rows .row").last
    for _ in range(3):
        page.keyboard.press("j")  # past the end it stays
    expect(last).to_be_focused()
