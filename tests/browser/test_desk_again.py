"""A draft that is heard again: replaced under nobody's hands, offered beside an operator's; not yet transcribed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from browser.desk_steps import field, row, take, wait_for
from cases.schema import Asks, ComplaintDraft, Evidence, Turn, Understood, Word

UNDERSTOOD = ("appeal_type", "category", "place", "occurred", "subject", "narrative", "request", "urgency")
MISHEARD = {"上地西里": "上底西里", "十四": "四十"}


def first_and_better(drafts: SimpleNamespace, **more: Any) -> tuple[ComplaintDraft, ComplaintDraft]:
    """As the live ear had it, with two words wrong and one field, and as the second pass has it."""
    call_id = str(uuid4())
    better = drafts.heating(call_id=call_id, revision=1, **more)
    words = tuple(
        word.model_copy(update={"text": MISHEARD.get(word.text, word.text)}) for word in better.turns[0].words
    )
    text = "".join(word.text for word in words)
    narration = better.turns[0].model_copy(update={"words": words, "text": text})
    subject = better.subject.model_copy(update={"value": "暖气不热，室内只有四十度"})
    turns = (narration, *better.turns[1:])
    return better.model_copy(update={"revision": 0, "turns": turns, "subject": subject}), better


def not_transcribed(better: ComplaintDraft) -> ComplaintDraft:
    """The same call past what the recogniser could hear: recorded, keys pressed, no words yet."""
    said = better.turns[0]
    waiting = Turn(
        step=said.step, asks=Asks.NARRATION, prompt=said.prompt, heard_from_seconds=4, heard_to_seconds=9,
        final=False, pending=True,
    )  # fmt: skip
    nothing = {name: Understood() for name in UNDERSTOOD}
    return better.model_copy(update={"revision": 0, "turns": (waiting, *better.turns[1:]), **nothing})


def pieces(page: Page, tag: str) -> list[str]:
    return list(page.locator(f"#said .change {tag}").all_inner_texts())


def strip(page: Page) -> Any:
    return page.locator("#again")


def active(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('[data-id], [data-path], [id]')?.outerHTML.slice(0, 90)"))


def test_an_untouched_draft_is_updated_under_the_eyes(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    first, better = first_and_better(drafts)
    server.deliver(first, drafts.wav())
    server.deliver(drafts.simple("停车 位 被 占", "停车管理", 1))
    page = open_desk()
    row(page, first).click()
    expect(page.locator("#said")).to_contain_text("上底西里")
    expect(strip(page)).to_be_hidden()
    page.evaluate(
        """() => {
          const prompt = document.querySelector('#said .machine .words span').firstChild;
          getSelection().setBaseAndExtent(prompt, 0, prompt, 4);
          window.keptRow = document.activeElement;
        }"""
    )
    server.deliver(better)

    expect(page.locator("#said")).to_contain_text("上地西里")
    expect(field(page, "subject")).to_contain_text("只有十四度")
    expect(strip(page)).to_contain_text("已复听更新：1 段文字，1 个字段")
    expect(row(page, first)).to_contain_text("已复听更新")
    expect(page.locator("#announce")).to_have_text("这份草稿已复听更新。")
    assert page.evaluate("document.activeElement === window.keptRow && window.keptRow.isConnected")
    assert page.evaluate("String(getSelection())") == "您好，这"
    expect(strip(page).locator("[data-verb=adopt]")).to_have_count(0)

    assert pieces(page, "ins") == []  # not in the way until it is asked for
    page.keyboard.press("w")
    assert (pieces(page, "del"), pieces(page, "ins")) == (["上底西里", "四十"], ["上地西里", "十四"])
    expect(strip(page).locator("li")).to_have_text("标题 暖气不热，室内只有四十度 → 暖气不热，室内只有十四度")
    page.keyboard.press("w")
    assert pieces(page, "ins") == []

    page.keyboard.press("Enter")  # taken as it is now, by the version that the desk had seen
    expect(page.locator("#actions .primary")).to_contain_text("确认")
    assert server.view(first).draft.revision == 1


def test_one_that_waits_for_its_words(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    _, better = first_and_better(drafts)
    draft = server.deliver(not_transcribed(better), drafts.wav())
    page = open_desk()
    expect(row(page, draft)).to_contain_text("待转写")
    row(page, draft).click()
    expect(page.locator("#said")).to_contain_text("已录音，待转写")
    expect(page.locator("#said .state").first).to_contain_text("文字转好后会自动出现在这里")
    page.locator("#said").get_by_role("button", name="听这一段 0:05").click()
    expect(page.locator(".play")).to_have_attribute("data-playing", "true")
    wait_for(page, lambda: page.evaluate("Number(document.querySelector('.player input').value)") > 4)
    page.locator(".play").click()
    page.keyboard.press("/")
    page.keyboard.type("待转写")
    expect(page.locator("#queue-rows .row")).to_have_count(1)
    page.keyboard.press("Escape")

    server.deliver(better)  # nobody was at it: the words appear by themselves
    expect(page.locator("#said")).to_contain_text("上地西里")
    expect(row(page, draft)).not_to_contain_text("待转写")
    expect(strip(page)).to_contain_text("补上 1 段文字")


def test_words_that_come_while_she_types_change_nothing_of_hers(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    _, better = first_and_better(drafts)
    draft = server.deliver(not_transcribed(better), drafts.wav())
    page = open_desk()
    take(page, draft)
    expect(page.locator("#said .state").first).to_contain_text("您填的内容不会被改动")
    field(page, "subject").focus()
    page.keyboard.press("e")
    page.keyboard.type("暖气坏")
    server.deliver(better)
    expect(strip(page)).to_contain_text("又听了一遍，与这里不同：补上 1 段文字，7 个字段")
    expect(row(page, draft)).to_contain_text("复听有不同")
    page.keyboard.type("了aAdw")  # letters are letters in a text box
    editor = field(page, "subject").locator("input")
    expect(editor).to_be_focused()
    expect(editor).to_have_value("暖气坏了aAdw")
    for _ in range(4):
        page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    wait_for(page, lambda: server.value(draft, "subject") == "暖气坏了")
    assert server.view(draft).draft.revision == 0
    expect(page.locator("#said .change ins")).to_contain_text("上地西里")  # to be read beside it
    expect(page.locator("#said .word")).to_have_count(0)

    page.keyboard.press("Shift+A")
    expect(page.locator("#said .word").first).to_be_visible()
    expect(page.locator(".toast.undoable")).to_contain_text("已采纳复听的识别")
    expect(field(page, "category").locator(".field-value")).to_have_text("供暖")
    expect(field(page, "subject")).to_contain_text("暖气坏了")  # hers stays
    expect(field(page, "subject")).to_be_focused()
    assert server.view(draft).draft.revision == 1
    page.keyboard.press("u")
    expect(page.locator("#said .word")).to_have_count(0)
    expect(field(page, "category").locator(".field-value")).to_have_text("必填")
    expect(field(page, "subject")).to_contain_text("暖气坏了")
    assert server.view(draft).draft.revision == 0

    page.keyboard.press("Shift+A")
    page.keyboard.press("Control+Enter")  # in one go: the confirmation waits for the other words
    expect(page.locator(".toast.undoable")).to_contain_text("工单号")  # the one thing that can be undone now
    assert (server.value(draft, "subject"), server.value(draft, "category")["level1"]) == ("暖气坏了", "供暖")
    assert server.view(draft).draft.revision == 1


def test_one_field_is_adopted_and_the_rest_dismissed(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    first, better = first_and_better(drafts)
    server.deliver(first, drafts.wav())
    page = open_desk()
    take(page, first)
    page.keyboard.press("a")  # nothing is offered: nothing happens
    server.deliver(better)
    subject = field(page, "subject")
    expect(subject.locator(".again-chip")).to_contain_text("只有十四度")
    expect(field(page, "place").locator(".again-chip")).to_have_count(0)
    expect(field(page, "place")).to_be_focused()
    assert (pieces(page, "del"), pieces(page, "ins")) == (["上底西里", "四十"], ["上地西里", "十四"])

    subject.focus()
    page.keyboard.press("a")
    wait_for(page, lambda: server.value(first, "subject") == "暖气不热，室内只有十四度")
    expect(subject.locator(".again-chip")).to_have_count(0)
    expect(subject.locator(".sureness")).to_have_text("已改")
    expect(page.locator(".toast.undoable")).to_contain_text("标题：已采纳复听")
    page.keyboard.press("u")
    wait_for(page, lambda: server.value(first, "subject") == "暖气不热，室内只有四十度")
    expect(subject.locator(".sureness")).to_have_text("确定")
    subject.locator(".again-chip").click()
    expect(subject).to_be_focused()
    wait_for(page, lambda: server.value(first, "subject") == "暖气不热，室内只有十四度")

    page.keyboard.press("d")
    expect(strip(page)).to_contain_text("已略过")
    expect(page.locator("#said .change")).to_have_count(0)
    expect(row(page, first)).not_to_contain_text("复听有不同")
    assert server.view(first).dismissed == 1
    page.keyboard.press("u")
    expect(strip(page).locator("[data-verb=adopt]")).to_be_visible()
    strip(page).locator("[data-verb=dismiss]").click()
    expect(strip(page).locator("[data-verb=offer]")).to_be_visible()
    assert "data-path" in active(page)  # the button has gone, the focus is with the fields
    page.keyboard.press("d")  # thinks better of it
    expect(strip(page).locator("[data-verb=adopt]")).to_be_visible()
    assert server.view(first).draft.revision == 0
    assert server.value(first, "subject") == "暖气不热，室内只有十四度"


def test_an_offer_that_comes_with_the_take(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    """The answer to the take is on its way while the draft is heard again: the offer is seen all the same."""
    first, better = first_and_better(drafts)
    server.deliver(first, drafts.wav())
    page = open_desk()
    row(page, first).click()
    expect(page.locator("#actions .primary")).to_contain_text("领取")

    def slow(route: Any) -> None:
        answer = route.fetch()
        server.deliver(better)
        page.wait_for_timeout(500)
        route.fulfill(response=answer)

    page.route("**/take", slow)
    page.keyboard.press("Enter")
    expect(page.locator("#actions .primary")).to_contain_text("确认")
    expect(strip(page).locator("[data-verb=adopt]")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("上底西里")


def test_another_ones_draft_is_only_read(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    first, better = first_and_better(drafts)
    server.deliver(first, drafts.wav())
    mine, other = open_desk("wang"), open_desk("li")
    take(mine, first)
    row(other, first).click()
    expect(other.locator("#actions")).to_contain_text("王芳")
    server.deliver(better)
    expect(strip(other)).to_contain_text("又听了一遍")
    expect(strip(other).get_by_role("button")).to_have_count(1)  # what has changed, no more
    other.keyboard.press("Shift+A")
    other.keyboard.press("d")
    expect(field(other, "subject").locator(".again-chip")).to_have_count(0)
    mine.keyboard.press("Shift+A")
    expect(other.locator("#said")).to_contain_text("上地西里")
    expect(strip(other)).to_contain_text("已复听更新")


def test_after_confirmation_it_is_information(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    first, better = first_and_better(drafts)
    server.deliver(first, drafts.wav())
    page = open_desk()
    take(page, first)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast.undoable")).to_contain_text("工单号")
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("#draft-head")).to_contain_text("工单")
    server.deliver(better)
    expect(strip(page)).to_contain_text("办结之后又听了一遍，供参考")
    expect(strip(page).get_by_role("button")).to_have_count(1)
    page.keyboard.press("w")
    assert pieces(page, "ins") == ["上地西里", "十四"]
    expect(field(page, "subject")).to_contain_text("四十度")
    assert server.view(first).status == "confirmed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(server: Any, open_desk: Any, drafts: SimpleNamespace, scheme: str) -> None:
    first, better = first_and_better(drafts)
    server.deliver(first, drafts.wav())
    pending = server.deliver(not_transcribed(first_and_better(drafts)[1]), drafts.wav())
    page = open_desk(color_scheme=scheme, bypass_csp=True)

    def faults() -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]

    row(page, pending).click()
    expect(page.locator("#said")).to_contain_text("已录音，待转写")
    assert faults() == []
    take(page, first)
    server.deliver(better)
    expect(strip(page).locator("[data-verb=adopt]")).to_be_visible()
    field(page, "subject").focus()
    expect(page.locator("#said .change ins").first).to_be_visible()
    assert faults() == []
    page.keyboard.press("Shift+A")
    expect(strip(page)).to_contain_text("已复听更新")
    page.keyboard.press("w")
    expect(strip(page).locator("li")).to_be_visible()
    assert faults() == []


def test_what_a_caller_says_is_never_markup(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    def saying(text: str, revision: int, call_id: str) -> ComplaintDraft:
        word = Word(text=text, start_seconds=1, end_seconds=2, confidence=0.9)
        turn = Turn(step="narrate", asks=Asks.NARRATION, text=text, words=(word,))
        here = (Evidence(turn=0, start_char=0, end_char=1),)
        value = Understood[str](value=text[:30], confidence=0.9, evidence=here)
        nothing = {name: Understood() for name in UNDERSTOOD}
        draft = drafts.incomplete()
        more = {"subject": value, "turns": (turn,), "revision": revision, "call_id": call_id}
        return ComplaintDraft.model_validate_json(draft.model_copy(update={**nothing, **more}).model_dump_json())

    one = saying("<img src=x onerror=window.bad=1>", 0, "call-x")
    two = saying("<b onclick=window.bad=1>暖气</b>", 1, "call-x").model_copy(update={"draft_id": one.draft_id})
    server.deliver(one)
    page = open_desk()
    take(page, one)
    server.deliver(two)
    expect(page.locator("#said .change ins")).to_have_text("<b onclick=window.bad=1>暖气</b>")
    expect(page.locator("#said .change del")).to_have_text("<img src=x onerror=window.bad=1>")
    assert page.evaluate("window.bad") is None
