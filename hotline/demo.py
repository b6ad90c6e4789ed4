"""`hotline demo`: the whole way of a call, real from end to end, shown in the terminal; then the hotline stays open."""

from __future__ import annotations

import secrets
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cases.errors import CasesError
from cases.schema import ComplaintDraft
from hotline.calling import CallFailed, CallOrder, run_call, sip_uri, sounds
from hotline.live_view import CallView
from hotline.logs import configure_logging
from hotline.parts import add_user, set_password
from hotline.phone import PhoneError, Speak
from hotline.serve import Hotline, serve
from hotline.settings import Settings
from hotline.show import draft_table
from speech.errors import SpeechError
from speech.models import find_model

DEMO_USER = "demo"
DEMO_NUMBER = "13910001234"
# What the demo's caller tells, cutting the greeting short; to the questions after it she presses the key for yes.
DEMO_COMPLAINT = "我要投诉，望京街道花家地小区，楼上邻居每天半夜大声放音乐，老人睡不着。"


async def run_demo(settings: Settings, console: Console) -> None:
    """Bring everything up, place the demo's call, print its draft, keep running until told to stop."""
    configure_logging(quiet=True)
    began = time.monotonic()

    def report(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.1f} s[/] · {escape(text)}", highlight=False)

    def trouble(what: str, error: Exception) -> None:
        console.print(f"[red]{what}[/]: {escape(str(getattr(error, 'message', error)))}", highlight=False)

    async def call_and_show(_: Hotline) -> None:
        # The hotline is up, whatever becomes of this call: the rest is told and can be tried.
        password = None
        try:
            password = await _demo_user(settings)
        except CasesError as error:
            trouble("no log-in for the desk", error)
        report("calling 12345 as a real SIP phone")
        try:
            await _call(settings, console)
        except (PhoneError, CallFailed, CasesError, SpeechError, OSError) as error:
            trouble("the demo's call failed", error)
        _desk(settings, console, password)
        try:
            _ear(settings, console)
        except SpeechError as error:
            trouble("the ear", error)
        _what_next(settings, console)

    await serve(settings, report, call_and_show)


async def _demo_user(settings: Settings) -> str:
    """The demo's log-in with a password of this run; loopback is the only door it opens."""
    password = secrets.token_urlsafe(9)
    try:
        await add_user(settings, DEMO_USER, password, "supervisor", "演示坐席")
    except CasesError as error:
        if error.code != "user-exists":
            raise
        await set_password(settings, DEMO_USER, password)
    return password


async def _call(settings: Settings, console: Console) -> None:
    with tempfile.TemporaryDirectory(prefix="hotline-demo-") as folder:
        told = (await sounds(settings, [DEMO_COMPLAINT], [], Path(folder)))[0]
        console.rule("来电 the call")
        console.print(f"[dim]the caller will say:[/] {DEMO_COMPLAINT}", highlight=False)
        with CallView(console) as view:
            result = await run_call(
                settings, CallOrder([Speak(told, barge_in_after_seconds=1.0)], DEMO_NUMBER, hurried=True), view.take
            )
    if result.draft is None:
        for problem in result.report.problems:
            console.print(problem, highlight=False, markup=False)
        console.print("[red]the call made no draft[/]: the logs are in", str(settings.state_dir / "log"))
        return
    console.rule("工单草稿 the draft")
    console.print(draft_table(ComplaintDraft.model_validate(result.draft)))


def _desk(settings: Settings, console: Console, password: str | None) -> None:
    console.rule("坐席工作台 the operators' desk")
    log_in = f"user [bold]{DEMO_USER}[/]   password [bold]{password}[/]"
    if password is None:
        log_in = "make a log-in: .venv/bin/hotline user add NAME --role operator"
    console.print(f"  [bold]{settings.cases_url}/desk[/]   {log_in}", highlight=False)


def _ear(settings: Settings, console: Console) -> None:
    model = find_model(settings.speech.model, settings.models_dir)
    if not model.hears_people:
        console.print(
            f"\n[yellow]The ear:[/] {model.description}\n"
            "For people add an official model, one line: [bold].venv/bin/hotline model add small-cn[/]",
            highlight=False,
        )


def _what_next(settings: Settings, console: Console) -> None:
    console.print(
        "\nTry next, in another terminal:\n"
        '  .venv/bin/hotline call --say "海淀区上地街道，我家暖气不热，只有十四度，希望尽快恢复供暖"\n'
        "  .venv/bin/hotline call --dtmf 0            (a human, please)\n"
        "  .venv/bin/hotline doctor                   (is everything in order?)\n"
        f"or with a soft phone on this machine, without an account: dial [bold]{sip_uri(settings)}[/] (UDP, G.711 a-law).\n"
        "\nCtrl-C ends everything that was started.",
        highlight=False,
    )
