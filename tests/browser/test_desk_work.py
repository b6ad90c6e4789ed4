"""An operator's day: take, hear, fix, confirm, return, reject, undo, all by keyboard."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from browser.desk_steps import field, row, take, wait_for
from cases.schema import LiveKind, LiveUpdate


def until(page: Page, expression: str) -> None:
    """Until the page says so. Not wait_for_function: our policy forbids the eval that it needs."""
    wait_for(page, lambda: page.evaluate(expression))


def test_urgent_first_then_oldest(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    young = server.deliver(drafts.simple("停车 位 被 占", "停车管理", 3))
    old = server.deliver(drafts.simple("垃圾 没 人 收", "市容环卫", 30))
    urgent = server.deliver(drafts.urgent(1))
    page = open_desk()
    ids = page.locator("#queue-rows .row").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    assert ids == [str(draft.draft_id) for draft in (urgent, old, young)]
    expect(page.locator("#queue-counts")).to_have_text("1 紧急 · 3 待办")
    expect(row(page, urgent)).to_be_focused()
    expect(row(page, urgent)).to_contain_text("未成年人")
    page.keyboard.press("j")
    expect(row(page, old)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#said")).to_contain_text("垃圾没人收")
    page.keyboard.press("k")
    expect(row(page, urgent)).to_be_focused()


def test_hear_fix_and_confirm_by_keyboard(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating(), drafts.wav())
    after = server.deliver(drafts.simple("小区 停水 两天", "供水", 1))
    page = open_desk()
    take(page, draft)
    expect(field(page, "place")).to_be_focused()  # the first that is to be checked

    page.keyboard.press("Space")
    expect(page.locator(".play")).to_have_attribute("data-playing", "true")
    until(page, "document.querySelector('.player input').value > 0.3")
    page.keyboard.press("Space")
    expect(page.locator(".play")).to_have_attribute("data-playing", "false")

    page.keyboard.press("Tab")
    expect(field(page, "occurred")).to_be_focused()
    page.keyboard.press("Tab")  # the checked ones first, then from the top
    expect(field(page, "appeal_type")).to_be_focused()
    field(page, "subject").focus()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("上地西里暖气不热")
    page.keyboard.press("Enter")
    expect(field(page, "subject")).to_be_focused()
    expect(field(page, "subject").locator(".sureness")).to_have_text("已改")
    wait_for(page, lambda: server.value(draft, "subject") == "上地西里暖气不热")
    expect(page.locator("#saving")).to_have_text("已保存")

    page.keyboard.press("Control+Enter")
    today = datetime.now(UTC).astimezone(server.service.zone)
    number = f"{today:%Y%m%d}000001"
    expect(page.locator(".toast.undoable")).to_contain_text(number)
    expect(row(page, after)).to_be_focused()  # on to the next one
    expect(row(page, draft)).to_have_count(0)
    assert server.view(draft).case_number == number

    page.keyboard.press("g")
    page.keyboard.press("c")
    case = page.locator(f'[data-number="{number}"]')
    expect(case).to_be_focused()
    expect(page.locator("#draft-head")).to_contain_text(number)
    expect(page.locator("#draft-head")).to_contain_text("王芳")
    expect(field(page, "subject")).to_contain_text("上地西里暖气不热")
    page.reload()  # the address finds it again
    expect(page.locator("#draft-head")).to_contain_text(number)
    page.keyboard.press("/")
    page.keyboard.type("没有这样的工单")
    expect(page.locator("#case-state")).to_have_text("没有找到工单。")


def test_a_good_draft_takes_at_most_eight_keys(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating(unsure=False), drafts.wav(6))
    page = open_desk()
    page.evaluate("window.keysPressed = 0; addEventListener('keydown', () => { window.keysPressed += 1; }, true)")
    expect(page.locator("#actions .primary")).to_contain_text("领取")
    page.keyboard.press("Enter")
    expect(page.locator("#actions .primary")).to_contain_text("确认")
    page.keyboard.press("Space")
    until(page, "document.querySelector('.player input').value > 0.2")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast.undoable")).to_contain_text("工单号")
    assert page.evaluate("window.keysPressed") <= 8
    assert server.status_of(draft) == "confirmed"


def test_evidence_is_lit_and_can_be_heard_alone(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating(), drafts.wav())
    page = open_desk()
    take(page, draft)
    lit = lambda: "".join(page.locator("#said .lit").all_inner_texts())  # noqa: E731
    assert lit() == "海淀区上地街道上地西里十二号楼"
    page.keyboard.press("Tab")
    assert lit() == "上礼拜"
    page.evaluate(
        """() => {
          window.heard = [];
          new MutationObserver((changes) => changes.forEach(({ target }) => {
            if (target.matches(".word.heard")) window.heard.push(target.textContent);
          })).observe(document.querySelector("#said"), { subtree: true, attributes: true });
        }"""
    )
    page.keyboard.press("p")  # 8.4 s to 8.76 s of the recording, and no more
    until(page, "window.heard.includes('上礼拜')")
    expect(page.locator(".play")).to_have_attribute("data-playing", "false")
    stopped = page.evaluate("Number(document.querySelector('.player input').value)")
    assert 8.7 <= stopped <= 9.5
    field(page, "caller.callback_number").focus()
    assert lit() == "13812341234"  # pressed digits, whole only while they are looked at
    field(page, "subject").focus()
    expect(page.locator(".keys .number")).to_have_text("1381••••234")


def test_words_are_clicked_and_stepped_through(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating(), drafts.wav())
    page = open_desk()
    take(page, draft)
    page.locator(".word", has_text="十四").click()
    expect(page.locator(".play")).to_have_attribute("data-playing", "true")
    expect(page.locator(".word.heard")).to_have_text("度", timeout=5000)
    page.keyboard.press("Space")
    now = lambda: page.evaluate("Number(document.querySelector('.player input').value)")  # noqa: E731
    page.locator("#said").focus()
    before = now()
    page.keyboard.press("Shift+ArrowLeft")
    until(page, f"Math.abs(document.querySelector('.player input').value - ({before} - 3)) < 0.2")
    heard = page.locator(".word.heard").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".word.heard")).not_to_have_text(heard)
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".word.heard")).to_have_text(heard)
    page.keyboard.press("]")
    expect(page.locator(".speed")).to_have_text("1.25×")
    page.keyboard.press("[")
    page.keyboard.press("[")
    expect(page.locator(".speed")).to_have_text("0.75×")


def test_alternatives_by_number_and_back(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    page.keyboard.press("1")
    expect(field(page, "place").locator(".field-value")).to_have_text("海淀区 马连洼街道")
    wait_for(page, lambda: server.value(draft, "place")["street"] == "马连洼街道")
    page.keyboard.press("2")
    wait_for(page, lambda: server.value(draft, "place")["district"] == "昌平区")
    page.keyboard.press("4")  # there is none
    page.keyboard.press("0")
    expect(field(page, "place").locator(".sureness")).to_have_text("核对")
    wait_for(page, lambda: server.value(draft, "place")["street"] == "上地街道")
    assert next(one for one in server.view(draft).fields if one.path == "place").edited is False


def test_every_kind_of_field_is_edited(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)

    def edit(path: str) -> None:
        field(page, path).focus()
        page.keyboard.press("e")

    edit("appeal_type")
    page.locator(".editing select").select_option(label="求助")
    wait_for(page, lambda: server.value(draft, "appeal_type") == "求助")
    edit("category")
    page.keyboard.press("Control+a")
    page.keyboard.type("停车")
    expect(page.locator(".options li").first).to_contain_text("停车")
    chosen = page.locator('.options li[aria-selected="true"]').inner_text()
    page.keyboard.press("Enter")
    expect(field(page, "category").locator(".field-value")).to_have_text(chosen)
    wait_for(page, lambda: server.value(draft, "category")["level1"] == chosen.split(" › ")[0])
    edit("place")
    page.keyboard.press("Control+a")
    page.keyboard.type("朝阳区")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("望京街道")
    page.keyboard.press("Escape")
    wait_for(page, lambda: server.value(draft, "place")["street"] == "望京街道")
    assert server.value(draft, "place")["detail"] == "上地西里十二号楼"  # what was not touched stays
    edit("occurred")
    page.locator('.editing input[type="datetime-local"]').first.fill("2026-11-10T08:30")
    wait_for(page, lambda: str(server.value(draft, "occurred")["start"]).startswith("2026-11-10T00:30"))
    expect(page.locator(".editing")).to_have_count(1)
    edit("urgency")
    page.locator(".editing select").select_option(label="紧急")
    wait_for(page, lambda: server.value(draft, "urgency") == "urgent")
    edit("request")
    page.keyboard.press("Control+End")
    page.keyboard.type("，并答复")
    wait_for(page, lambda: server.value(draft, "request") == "希望尽快恢复供暖，并答复")
    edit("caller.name")
    page.keyboard.type("赵女士")
    edit("caller.confidential")
    page.locator(".editing select").select_option(label="要求保密")
    wait_for(page, lambda: server.value(draft, "caller.confidential") is True)
    edit("caller.callback_number")
    expect(page.locator(".editing input")).to_have_value("13812341234")
    page.keyboard.press("Control+a")
    page.keyboard.type("010 6512 3456")
    wait_for(page, lambda: server.value(draft, "caller.callback_number") == "01065123456")
    assert server.value(draft, "caller.name") == "赵女士"


def test_letters_rest_where_one_types_and_can_be_switched_off(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    field(page, "subject").focus()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("rxujk?")
    expect(page.locator(".editing input")).to_have_value("rxujk?")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    expect(page.locator("#help")).to_contain_text("Ctrl Enter")
    page.locator("#letters").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.keyboard.press("?")
    page.wait_for_timeout(100)
    expect(page.locator("dialog[open]")).to_have_count(0)
    field(page, "place").focus()  # alternatives are then reached by Tab
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for(page, lambda: server.value(draft, "place")["district"] == "昌平区")
    page.reload()  # it is remembered
    page.wait_for_selector("#desk[data-ready]")
    page.keyboard.press("?")
    page.wait_for_timeout(100)
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_undo_brings_a_confirmed_draft_back(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    server.deliver(drafts.simple("小区 停水 两天", "供水", 1))
    page = open_desk()
    take(page, draft)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast.undoable")).to_contain_text("秒")
    page.keyboard.press("u")
    expect(page.locator("#draft-head h2")).to_have_text("办理中")
    expect(field(page, "place")).to_be_focused()
    expect(row(page, draft)).to_contain_text("我在办")
    assert server.status_of(draft) == "taken"
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast.undoable")).to_contain_text("000002")  # a void number is not used again
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("#case-rows .gone")).to_contain_text("号码作废")


def test_undo_goes_with_its_time(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    server.stop()
    server.settings["undo_seconds"] = 3
    server.start()
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast.undoable")).to_be_visible()
    expect(page.locator(".toast.undoable")).to_have_count(0)
    page.keyboard.press("u")
    page.wait_for_timeout(200)
    assert server.status_of(draft) == "confirmed"


def test_return_to_the_queue(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    page.keyboard.press("1")
    page.keyboard.press("r")
    expect(page.locator(".toast.undoable")).to_contain_text("已退回队列")
    assert server.status_of(draft) == "waiting"
    assert server.value(draft, "place")["street"] == "马连洼街道"  # typed a moment before, not lost
    page.keyboard.press("u")
    expect(page.locator("#draft-head h2")).to_have_text("办理中")
    assert server.status_of(draft) == "taken"


def test_reject_wants_a_reason(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.heating())
    page = open_desk()
    take(page, draft)
    page.keyboard.press("x")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#reject .problem")).to_have_text("请写明原因。")
    page.keyboard.press("Escape")
    assert server.status_of(draft) == "taken"
    page.keyboard.press("x")
    page.keyboard.press("3")
    expect(page.locator("#reason")).to_have_value("误拨或无人说话")
    page.keyboard.press("Enter")
    expect(page.locator(".toast.undoable")).to_contain_text("已驳回")
    view = server.view(draft)
    assert (view.status, view.reject_reason) == ("rejected", "误拨或无人说话")
    expect(page.locator("#queue-state")).to_have_text("没有待办。新来件会出现在这里。")
    page.keyboard.press("u")
    expect(page.locator("#draft-head h2")).to_have_text("办理中")


def test_what_is_missing_is_named_at_its_field(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    draft = server.deliver(drafts.incomplete())
    page = open_desk()
    expect(page.locator("#said")).to_contain_text("还没有转写")
    expect(page.locator("#said")).to_contain_text("来电人在这一步挂断：询问地点")
    expect(page.locator(".player-state")).to_contain_text("录音还没有到")
    take(page, draft)
    page.keyboard.press("Control+Enter")
    expect(field(page, "appeal_type")).to_be_focused()
    expect(field(page, "appeal_type").locator(".fault")).to_have_text("请填写。")
    assert page.locator(".fault").count() == 4
    assert server.status_of(draft) == "taken"
    field(page, "caller.callback_number").focus()
    page.keyboard.press("e")
    page.keyboard.type("打我手机")
    expect(field(page, "caller.callback_number").locator(".fault")).to_have_text("不是完整的电话号码。")
    field(page, "caller.name").focus()  # one faulty field does not hold up another
    page.keyboard.press("e")
    page.keyboard.type("钱先生")
    wait_for(page, lambda: server.value(draft, "caller.name") == "钱先生")
    server.record(draft.call_id, drafts.wav(5))
    expect(page.locator(".time")).to_contain_text("0:05")  # it appears by itself


def test_search_narrows_the_queue(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    server.deliver(drafts.heating())
    water = server.deliver(drafts.simple("小区 停水 两天", "供水", 1))
    page = open_desk()
    page.keyboard.press("/")
    page.keyboard.type("停水")
    page.keyboard.press("Enter")
    expect(page.locator("#queue-rows .row")).to_have_count(1)
    expect(row(page, water)).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.press("Control+a")
    page.keyboard.type("没有的词")
    expect(page.locator("#queue-state")).to_have_text("没有找到。按 Esc 看全部。")
    page.keyboard.press("Escape")
    expect(page.locator("#queue-rows .row")).to_have_count(2)


def test_new_ones_are_counted_and_move_nothing(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    first = server.deliver(drafts.heating())
    page = open_desk()
    take(page, first)
    page.keyboard.press("e")
    before = row(page, first).bounding_box()
    server.deliver(drafts.urgent())
    server.deliver(drafts.simple("小区 停水 两天", "供水", 1))
    expect(page.locator("#news")).to_have_text("2 条新来件")
    expect(page.locator("#announce")).to_have_text("2 条新来件")
    expect(page.locator("#queue-counts")).to_have_text(re.compile("1 紧急"))
    assert page.locator("#queue-rows .row").count() == 1
    after = row(page, first).bounding_box()
    assert after["y"] - before["y"] <= 36  # the quiet line itself
    expect(page.locator(".editing input").first).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.locator("#queue-rows .row")).to_have_count(3)
    expect(page.locator("#news")).to_be_hidden()


def test_an_empty_queue_says_so_and_fills_by_itself(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    page = open_desk()
    expect(page.locator("#queue-state")).to_have_text("没有待办。新来件会出现在这里。")
    draft = server.deliver(drafts.heating())
    expect(row(page, draft)).to_be_visible()
    expect(page.locator("#queue-counts")).to_have_text("0 紧急 · 1 待办")


def _live(call_id: str, sequence: int, kind: LiveKind, text: str = "", **more: Any) -> LiveUpdate:
    return LiveUpdate(
        call_id=call_id,
        sequence=sequence,
        at=datetime.now(UTC),
        kind=kind,
        step="narrate",
        text=text,
        caller_number="13912345678",
        **more,
    )


def test_a_live_call_runs_and_becomes_a_draft(server: Any, open_desk: Any, drafts: SimpleNamespace) -> None:
    waiting = server.deliver(drafts.heating())
    page = open_desk()
    expect(page.locator("#live-panel")).to_be_hidden()
    call = str(uuid4())
    server.live(_live(call, 0, LiveKind.STARTED), _live(call, 1, LiveKind.PROMPT, "请说出您要反映的问题。"))
    live = page.locator(f'[data-call="{call}"]')
    expect(live).to_contain_text("1391••••678")
    server.live(_live(call, 2, LiveKind.PARTIAL, "我们小区"))
    expect(live).to_contain_text("我们小区")
    expect(row(page, waiting)).to_be_focused()  # it takes the focus from nobody
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(live).to_be_focused()
    expect(page.locator("#said .partial")).to_have_text("我们小区")
    expect(page.locator(".player-state")).to_contain_text("通话结束后")
    server.live(
        _live(call, 3, LiveKind.PARTIAL, "我们小区停水了"), _live(call, 4, LiveKind.FIELDS, fields={"category": "供水"})
    )
    expect(page.locator("#said .partial")).to_have_text("我们小区停水了")
    expect(page.locator("#fields")).to_contain_text("供水")
    server.live(_live(call, 5, LiveKind.FINAL, "我们小区停水了"), _live(call, 6, LiveKind.ALERT, "threat"))
    expect(page.locator("#said .partial")).to_have_count(0)
    expect(page.locator("#announce")).to_have_text("正在通话：扬言")
    server.live(_live(call, 7, LiveKind.ENDED))
    expect(live).to_contain_text("正在生成草稿")
    draft = server.deliver(drafts.simple("我们 小区 停水 了", "供水", 0, call_id=call))
    expect(page.locator("#actions")).to_contain_text("按 Enter 领取")
    page.keyboard.press("Enter")
    expect(page.locator("#draft-head h2")).to_have_text("办理中")
    expect(live).to_have_count(0)
    assert server.status_of(draft) == "taken"


def test_a_live_call_that_ended_in_a_gap_leads_to_its_draft(
    server: Any, open_desk: Any, drafts: SimpleNamespace
) -> None:
    page = open_desk()
    call = str(uuid4())
    server.live(_live(call, 0, LiveKind.STARTED), _live(call, 1, LiveKind.PARTIAL, "停水了"))
    expect(page.locator(f'[data-call="{call}"]')).to_contain_text("停水了")
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.locator("#said .partial")).to_have_text("停水了")
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("连接中断")
    server.stop()
    server.start()  # it knows nothing of the call any more
    draft = server.deliver(drafts.simple("我们 小区 停水 了", "供水", 0, call_id=call))
    page.context.set_offline(False)
    expect(page.locator("#actions")).to_contain_text("按 Enter 领取", timeout=20_000)
    page.keyboard.press("Enter")
    expect(page.locator("#draft-head h2")).to_have_text("办理中")
    assert server.status_of(draft) == "taken"


def test_a_desk_that_opens_in_the_middle_of_a_call_sees_it(server: Any, open_desk: Any) -> None:
    call = str(uuid4())
    server.live(_live(call, 0, LiveKind.STARTED), _live(call, 1, LiveKind.PARTIAL, "楼上漏水"))
    page = open_desk()
    expect(page.locator(f'[data-call="{call}"]')).to_contain_text("楼上漏水")


@pytest.mark.parametrize("width", [1280, 1920])
def test_the_page_itself_never_scrolls(server: Any, open_desk: Any, drafts: SimpleNamespace, width: int) -> None:
    draft = server.deliver(drafts.heating(), drafts.wav())
    for minutes in range(30):
        server.deliver(drafts.simple("垃圾 没 人 收", "市容环卫", minutes))
    page = open_desk(viewport={"width": width, "height": 720})
    take(page, draft)
    sizes = page.evaluate(
        "[document.documentElement.scrollHeight, innerHeight, document.documentElement.scrollWidth, innerWidth]"
    )
    assert sizes[0] <= sizes[1]
    assert sizes[2] <= sizes[3]
    fields = page.locator("#fields").evaluate("(e) => [e.scrollHeight, e.clientHeight]")
    assert fields[0] <= fields[1]  # a usual draft is seen whole
