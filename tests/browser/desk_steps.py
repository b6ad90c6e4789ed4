"""Steps that every test of the desk takes."""

from __future__ import annotations

import os
import time
from typing import Any

from playwright.sync_api import Page, expect


def row(page: Page, draft: Any) -> Any:
    return page.locator(f'[data-id="{draft.draft_id}"]')


def field(page: Page, path: str) -> Any:
    return page.locator(f'.field[data-path="{path}"]')


def take(page: Page, draft: Any) -> None:
    row(page, draft).click()
    expect(page.locator("#actions .primary")).to_contain_text("领取")
    page.keyboard.press("Enter")
    expect(page.locator("#actions .primary")).to_contain_text("确认")


def wait_for(page: Page, check: Any) -> None:
    """Until `check()` is true: what the backend has is not on the page."""
    until = time.monotonic() + float(os.environ.get("HOTLINE_TEST_PATIENCE_MS", "15000")) / 1000
    while not check():
        assert time.monotonic() < until, "it never came true"
        page.wait_for_timeout(50)
