"""A real backend on a free port, a real Chromium, drafts made with the published schema and a recording one can hear."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import threading
import urllib.request
import wave
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from aiohttp import web
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cases.lifecycle import SYSTEM
from cases.schema import (
    Alert,
    AlertKind,
    Alternative,
    AppealType,
    Asks,
    Caller,
    Category,
    ComplaintDraft,
    Ended,
    Evidence,
    LiveUpdate,
    Occurred,
    Place,
    Turn,
    Understood,
    Urgency,
    Word,
    draft_id_of,
)
from cases.settings import CasesSettings
from cases.web.app import make_app
from cases.web.keys import PRODUCER_TOKEN, SERVICE

# A limit for broken things, not a wish: the machine may be busy, or busier (with pytest's own --timeout beside it).
PATIENCE_MS = float(os.environ.get("HOTLINE_TEST_PATIENCE_MS", "15000"))
expect.set_options(timeout=PATIENCE_MS)

PASSWORD = "correct horse battery"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


class DeskServer:
    """The backend in a thread of its own; it can be stopped and started again on the same port and state."""

    def __init__(self, state_dir: Path, **settings: Any) -> None:
        self.state_dir = state_dir
        self.settings = settings
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def service(self) -> Any:
        assert self._runner is not None
        return self._runner.app[SERVICE]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def start(self) -> None:
        self.run(self._start())

    def stop(self) -> None:
        """As if the process had gone: open streams end, nobody answers."""
        if self._runner is not None:
            self.run(self._runner.cleanup())
        self._runner = None

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = make_app(CasesSettings(**self.settings), self.state_dir)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    # --- what a producer does ---

    def add_user(self, name: str, display_name: str, role: str = "operator") -> None:
        now = datetime.now(UTC)
        self.run(self.service.accounts.add_user(name, PASSWORD, role, display_name, now=now))

    def deliver(self, draft: ComplaintDraft, recording: bytes | None = None) -> ComplaintDraft:
        self._send("POST", "/api/drafts", draft.model_dump_json().encode(), {"Content-Type": "application/json"})
        if recording is not None:
            self.record(draft.call_id, recording)
        return draft

    def record(self, call_id: str, recording: bytes) -> None:
        digest = hashlib.sha256(recording).hexdigest()
        headers = {"Content-Type": "audio/wav", "X-Content-SHA256": digest}
        self._send("PUT", f"/api/recordings/{call_id}", recording, headers)

    def live(self, *updates: LiveUpdate) -> None:
        body = json.dumps([update.model_dump(mode="json") for update in updates]).encode()
        self._send("POST", "/api/live", body, {"Content-Type": "application/json"})

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        assert self._runner is not None
        headers = {**headers, "Authorization": f"Bearer {self._runner.app[PRODUCER_TOKEN]}"}
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status < 300

    def status_of(self, draft: ComplaintDraft) -> str:
        return str(self.view(draft).status)

    def view(self, draft: ComplaintDraft) -> Any:
        return self.run(self.service.draft(str(draft.draft_id), SYSTEM))

    def value(self, draft: ComplaintDraft, path: str) -> Any:
        return next(field.value for field in self.view(draft).fields if field.path == path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DeskServer]:
    server = DeskServer(tmp_path / "state")
    server.start()
    server.add_user("wang", "王芳")
    server.add_user("li", "李强")
    yield server
    server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One a module: while it is open Playwright's own event loop counts as running, and no async test could run."""
    executable = shutil.which("chromium")
    assert executable, "no chromium: run docker/install-test-tools.sh"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


OpenDesk = Callable[..., Page]


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        options = {
            "viewport": {"width": 1280, "height": 720},
            "locale": "zh-CN",
            "timezone_id": "Asia/Shanghai",
            "reduced_motion": "reduce",
            **options,
        }
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def open_desk(server: DeskServer, new_context: Callable[..., BrowserContext]) -> Iterator[OpenDesk]:
    """open_desk(user, **context options) -> a page that is logged in. Any error in a page's console fails the test."""
    faults: list[str] = []

    def make(user: str = "wang", *, address: str = "/desk", **options: Any) -> Page:
        page = new_context(**options).new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if _is_fault(message) else None)
        log_in(page, server, user)
        if address != "/desk":
            page.goto(server.url + address)
        page.wait_for_selector("#desk[data-ready]")
        return page

    yield make
    assert faults == []


def _is_fault(message: Any) -> bool:
    # That a request was refused or nobody answered is what some tests bring about; Chromium logs it by itself.
    return message.type == "error" and "Failed to load resource" not in message.text and "ERR_" not in message.text


def log_in(page: Page, server: DeskServer, user: str) -> None:
    page.goto(server.url + "/login")
    page.fill("#username", user)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url("**/desk*")


# --- drafts ---


def wav(seconds: float = 24.0) -> bytes:
    """8 kHz mono: a quiet tone that changes every second, so that one hears where one is."""
    at = np.arange(int(seconds * 8000)) / 8000
    tone = 0.2 * np.sin(2 * np.pi * (220 + 40 * np.floor(at)) * at)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes((tone * 32767).astype("<i2").tobytes())
    return file.getvalue()


NARRATION = "我 住 在 海淀区 上地 街道 上地西里 十二 号楼 暖气 从 上礼拜 就 不 热 屋里 只有 十四 度 家里 还有 老人 希望 尽快 恢复 供暖"
ANSWER = "上地西里 十二 号楼"


def said(step: str, asks: Asks, prompt: str, words: str, start: float, *, final: bool = True) -> Turn:
    """A turn with words of 0.4 s each from `start`."""
    texts = words.split()
    timed = tuple(
        Word(text=text, start_seconds=start + 0.4 * i, end_seconds=start + 0.4 * i + 0.36, confidence=0.95)
        for i, text in enumerate(texts)
    )
    return Turn(
        step=step, asks=asks, prompt=prompt, text="".join(texts), words=timed, heard_from_seconds=start, final=final
    )


def found(turns: tuple[Turn, ...], turn: int, part: str) -> Evidence:
    """Evidence for `part` of a turn's text, with the seconds of its words."""
    at = turns[turn].text.index(part)
    end, seconds, place = at + len(part), [], 0
    for word in turns[turn].words:
        if place < end and place + len(word.text) > at:
            seconds += [word.start_seconds, word.end_seconds]
        place += len(word.text)
    bounds = (min(seconds), max(seconds)) if seconds else (None, None)
    return Evidence(turn=turn, start_char=at, end_char=end, start_seconds=bounds[0], end_seconds=bounds[1])


def heating_draft(*, unsure: bool = True, minutes_ago: float = 5, call_id: str | None = None, **changes: Any) -> Any:
    """A good heating complaint. `unsure`: place and time are to be checked, the category has alternatives."""
    call_id = call_id or str(uuid4())
    turns = (
        said("narrate", Asks.NARRATION, "您好，这里是12345，请说出您要反映的问题。", NARRATION, 4.0),
        Turn(step="contact", asks=Asks.CONTACT, prompt="请按下您的联系电话，按井号键结束。", digits="13812341234"),
    )
    low = 0.55 if unsure else 0.95
    here = lambda part: (found(turns, 0, part),)  # noqa: E731
    start = datetime(2026, 11, 17, 0, 0, tzinfo=UTC) - timedelta(hours=8)
    values: dict[str, Any] = {
        "draft_id": draft_id_of(call_id),
        "call_id": call_id,
        "reference": "482913",
        "received_at": datetime.now(UTC) - timedelta(minutes=minutes_ago),
        "caller": Caller(
            number="13901020304",
            callback_number=Understood[str](
                value="13812341234", confidence=0.99, evidence=(Evidence(turn=1, start_char=0, end_char=0),)
            ),
        ),
        "appeal_type": Understood[AppealType](
            value=AppealType.COMPLAINT,
            confidence=0.9,
            evidence=here("不热"),
            alternatives=(Alternative[AppealType](value=AppealType.HELP, confidence=0.4),),
        ),
        "category": Understood[Category](value=Category(level1="供暖"), confidence=0.93, evidence=here("暖气")),
        "place": Understood[Place](
            value=Place(district="海淀区", street="上地街道", detail="上地西里十二号楼"),
            confidence=low,
            evidence=here("海淀区上地街道上地西里十二号楼"),
            alternatives=(
                Alternative[Place](value=Place(district="海淀区", street="马连洼街道"), confidence=0.3),
                Alternative[Place](value=Place(district="昌平区", street="回龙观街道"), confidence=0.2),
            ),
        ),
        "occurred": Understood[Occurred](
            value=Occurred(start=start, said="上礼拜"), confidence=low, evidence=here("上礼拜")
        ),
        "subject": Understood[str](value="暖气不热，室内只有十四度", confidence=0.9, evidence=here("暖气")),
        "narrative": Understood[str](
            value="住在海淀区上地街道上地西里十二号楼，暖气从上礼拜就不热，屋里只有十四度，家里还有老人。",
            confidence=0.95,
            evidence=here(turns[0].text),
        ),
        "request": Understood[str](value="希望尽快恢复供暖", confidence=0.9, evidence=here("希望尽快恢复供暖")),
        "urgency": Understood[Urgency](),
        "turns": turns,
    }
    return ComplaintDraft(**{**values, **changes})


def urgent_draft(minutes_ago: float = 1) -> ComplaintDraft:
    turns = (said("narrate", Asks.NARRATION, "请说出您要反映的问题。", "楼上 一直 往下 扔 东西 差点 砸到 孩子", 3.0),)
    everything = (found(turns, 0, turns[0].text),)
    return heating_draft(
        minutes_ago=minutes_ago,
        turns=turns,
        caller=Caller(number="13700000001"),
        appeal_type=Understood[AppealType](value=AppealType.HELP, confidence=0.9, evidence=everything),
        category=Understood[Category](value=Category(level1="公共安全"), confidence=0.9, evidence=everything),
        place=Understood[Place](),
        occurred=Understood[Occurred](),
        subject=Understood[str](value="高空抛物险些伤人", confidence=0.9, evidence=everything),
        narrative=Understood[str](value="楼上一直往下扔东西，差点砸到孩子。", confidence=0.9, evidence=everything),
        request=Understood[str](),
        urgency=Understood[Urgency](value=Urgency.URGENT, confidence=0.9, evidence=everything),
        alerts=(Alert(kind=AlertKind.MINOR, evidence=(found(turns, 0, "孩子"),)),),
    )


def simple_draft(subject: str, category: str, minutes_ago: float, **changes: Any) -> ComplaintDraft:
    """Another plain one, to fill the queue."""
    turns = (said("narrate", Asks.NARRATION, "请说出您要反映的问题。", subject, 2.0),)
    all_of_it = (found(turns, 0, subject.replace(" ", "")),)
    text = subject.replace(" ", "")
    values: dict[str, Any] = {
        "turns": turns,
        "caller": Caller(number="13600000002"),
        "appeal_type": Understood[AppealType](value=AppealType.COMPLAINT, confidence=0.9, evidence=all_of_it),
        "category": Understood[Category](value=Category(level1=category), confidence=0.9, evidence=all_of_it),
        "place": Understood[Place](),
        "occurred": Understood[Occurred](),
        "subject": Understood[str](value=text[:30], confidence=0.9, evidence=all_of_it),
        "narrative": Understood[str](value=text, confidence=0.9, evidence=all_of_it),
        "request": Understood[str](),
    }
    return heating_draft(minutes_ago=minutes_ago, **{**values, **changes})


def incomplete_draft() -> ComplaintDraft:
    """The caller hung up at once: nothing was transcribed."""
    return heating_draft(
        minutes_ago=2,
        turns=(),
        caller=Caller(),
        ended=Ended.HUNG_UP,
        complete=False,
        hung_up_at_step="place",
        **{
            name: Understood()
            for name in ("appeal_type", "category", "place", "occurred", "subject", "narrative", "request", "urgency")
        },
    )


@pytest.fixture
def drafts() -> SimpleNamespace:
    """The makers above, for the tests."""
    return SimpleNamespace(
        heating=heating_draft, urgent=urgent_draft, simple=simple_draft, incomplete=incomplete_draft, wav=wav, said=said
    )
