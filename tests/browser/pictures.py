"""Takes the pictures of docs/images anew: .venv/bin/python tests/browser/pictures.py [FOLDER]"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from cases.schema import LiveKind, LiveUpdate

HERE = Path(__file__).parent
SOME = [
    ("楼下 饭馆 油烟 直接 排到 居民 窗户", "环境保护", 34),
    ("停车 位 被 外来 车辆 长期 占用", "停车管理", 27),
    ("夜里 十一点 以后 工地 还在 施工", "环境保护", 21),
    ("小区 垃圾 三天 没 人 清运", "市容环卫", 16),
    ("路口 井盖 松动 车 一 过 就 响", "道路与市政设施", 11),
    ("健身 预付卡 关门 不 退 钱", "市场管理", 7),
    ("公交 车 晚点 半 小时", "公共交通", 4),
]


def load_conftest() -> Any:
    spec = importlib.util.spec_from_file_location("browser_conftest", HERE / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def fill(make: Any, server: Any) -> Any:
    heating = server.deliver(make.heating_draft(minutes_ago=42), make.wav(24))
    server.deliver(make.urgent_draft(3), make.wav(9))
    for words, category, minutes in SOME:
        server.deliver(make.simple_draft(words, category, minutes), make.wav(8))
    return heating


def call(server: Any, call_id: str, number: str, seconds_ago: float, *updates: tuple[LiveKind, str]) -> None:
    began = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    for sequence, (kind, text) in enumerate([(LiveKind.STARTED, ""), *updates]):
        fields = {"category": "供水", "place": "朝阳区 望京街道"} if kind is LiveKind.FIELDS else {}
        update = LiveUpdate(
            call_id=call_id, sequence=sequence, at=began, kind=kind, text=text, caller_number=number, fields=fields
        )
        server.live(update)


def take_pictures(make: Any, server: Any, page: Page, folder: Path, scheme: str) -> None:
    def picture(name: str) -> None:
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}.png")

    page.goto(server.url + "/login")
    if scheme == "light":
        picture("desk-login")
    heating = fill(make, server)
    make.log_in(page, server, "wang")
    page.wait_for_selector("#desk[data-ready]")
    call(server, "live-2", "13700001111", 7, (LiveKind.PROMPT, "您好，请说出您要反映的问题。"))
    call(
        server, "live-1", "13912345678", 41,
        (LiveKind.PROMPT, "您好，这里是12345，通话会录音。请说出您要反映的问题，按 0 转人工。"),
        (LiveKind.PARTIAL, "我们小区从昨天晚上开始就停水了到现在也没有人通知什么时候能来水楼里有老人有孩子"),
        (LiveKind.FIELDS, ""),
    )  # fmt: skip
    page.click(f'[data-id="{heating.draft_id}"]')
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-path="place"]:focus')
    page.keyboard.press("Space")
    page.wait_for_timeout(7300)
    page.keyboard.press("Space")
    picture("desk" if scheme == "light" else "desk-dark")
    if scheme == "dark":
        return
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".toast.undoable")
    picture("desk-confirmed")
    page.click('[data-call="live-1"]')
    picture("desk-live")


def take_phone(server: Any, page: Page, make: Any, folder: Path) -> None:
    make.log_in(page, server, "li")
    page.wait_for_selector("#desk[data-ready]")
    page.locator("#queue-rows .row").first.tap()
    page.get_by_role("button", name="领取").tap()
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "desk-phone.png", full_page=True)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    make = load_conftest()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=make.CHROMIUM_ARGUMENTS)
        for scheme in ("light", "dark"):
            with tempfile.TemporaryDirectory() as state:
                server = make.DeskServer(Path(state))
                server.start()
                server.add_user("wang", "王芳")
                server.add_user("li", "李强")
                options = {"color_scheme": scheme, "locale": "zh-CN", "timezone_id": "Asia/Shanghai"}
                page = browser.new_page(viewport={"width": 1280, "height": 720}, **options)
                take_pictures(make, server, page, folder, scheme)
                if scheme == "light":
                    size = {"width": 390, "height": 844}
                    take_phone(server, browser.new_page(viewport=size, has_touch=True, **options), make, folder)
                server.close()
        browser.close()


if __name__ == "__main__":
    main()
