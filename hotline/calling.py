"""`hotline call`: a real SIP call to the running hotline, and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Console

from cases.schema import Asks, Ended
from hotline.follow import JournalTail, facts_of, find_call
from hotline.parts import make_voice
from hotline.phone import (
    CallReport,
    CallScript,
    HangUp,
    PhoneCall,
    PhoneError,
    PhoneEvent,
    Press,
    Speak,
    StaySilent,
    Step,
    Wait,
)
from hotline.settings import Settings
from ivr.callfolder import DRAFT
from ivr.events import CallEnded, DraftDelivered, Fact, PromptSaid
from ivr.journal import transcript_of
from speech.audio import read_telephone, write_wav
from speech.errors import SpeechError

FIND_SECONDS = 15.0
# A person who tells a complaint speaks slower than one who reads a prompt.
CALLER_SPEED = 1.15
# What a patient caller presses to say yes, by what is asked (prompts/menu.toml).
YES_KEYS = {Asks.CONTACT: "#", Asks.CONFIRMATION: "1", Asks.CHOICE: "1"}


class CallFailed(Exception):
    """The call could not be placed; the message says what to do."""


@dataclass
class CallOrder:
    """What to do in a call.

    `answer_rest`: say yes by key to what nothing was given for. `hurried`: press as soon as the question is clear, and
    hang up when the reference number has been heard once. `linger_seconds`: how long to wait for a human.
    """

    steps: list[Step]
    number: str = "13800001234"
    heard: Path | None = None
    wait_seconds: float = 30.0
    answer_rest: bool = True
    hurried: bool = False
    linger_seconds: float = 5.0


@dataclass
class CallResult:
    """What became of it. `facts` is the call's journal; `draft` its draft.json."""

    report: CallReport
    facts: list[Fact] = field(default_factory=list)
    draft: dict[str, Any] | None = None
    delivered: bool = False

    def as_dict(self) -> dict[str, Any]:
        turns: list[dict[str, Any]] = []
        if self.facts:
            turns = [turn.model_dump(mode="json") for turn in transcript_of(self.facts).turns]
        return {
            "call_id": self.facts[0].call_id if self.facts else None,
            "answered": self.report.answered,
            "turns": turns,
            "draft_id": self.draft["draft_id"] if self.draft else None,
            "draft": self.draft,
            "delivered": self.delivered,
            "hangup": {"by": self.report.hung_up_by, "code": self.report.code, "reason": self.report.reason},
        }


OnFact = Callable[[Fact], None]


def sip_uri(settings: Settings) -> str:
    """What a phone on this machine dials."""
    return f"sip:12345@{settings.asterisk.local_address}:{settings.asterisk.sip_port}"


async def sounds(settings: Settings, say: list[str], wav: list[Path], folder: Path) -> list[Path]:
    """The sentences spoken by the bundled voice, then the files, each as an 8 kHz WAV in `folder`."""
    made: list[Path] = []
    voice = make_voice(settings)
    try:
        for number, text in enumerate(say):
            made.append(folder / f"say{number}.wav")
            write_wav(made[-1], await asyncio.to_thread(voice.speak, text, speed=CALLER_SPEED))
        for number, path in enumerate(wav):
            made.append(folder / f"wav{number}.wav")
            write_wav(made[-1], await asyncio.to_thread(read_telephone, path))
    except SpeechError as error:
        raise CallFailed(error.message) from error
    return made


async def place(
    settings: Settings,
    say: list[str],
    wav: list[Path],
    dtmf: list[str],
    number: str,
    heard: Path | None,
    wait_seconds: float,
    console: Console | None,
    answer_rest: bool = True,
) -> dict[str, Any]:
    """Place the call that the command line describes; returns its JSON. CallFailed when it cannot be placed."""
    from hotline.live_view import CallView

    with tempfile.TemporaryDirectory(prefix="hotline-call-") as folder:
        try:
            spoken: list[Step] = [Speak(path) for path in await sounds(settings, say, wav, Path(folder))]
            steps = [*spoken, *(Press(digits) for digits in dtmf)]
            order = CallOrder(steps, number, heard, wait_seconds, answer_rest)
            with CallView(console) if console else contextlib.nullcontext() as view:
                result = await run_call(settings, order, view.take if view else None)
        except PhoneError as error:
            raise CallFailed(error.message) from error
    if console is not None:
        from cases.schema import ComplaintDraft
        from hotline.show import draft_table

        if result.draft is not None:
            console.print(draft_table(ComplaintDraft.model_validate(result.draft)))
        elif not result.report.answered:
            console.print(
                f"[red]not answered[/]: {result.report.code} {result.report.reason} (is `make serve` running?)"
            )
        else:
            console.print(
                "[yellow]no draft yet[/]: the call handler was not there; what was left is drafted when it is"
            )
    return result.as_dict()


async def run_call(settings: Settings, order: CallOrder, on_fact: OnFact | None = None) -> CallResult:
    """The phone in one process, the journal followed in another task; ends when the draft is there or time is over."""
    script = CallScript(sip_uri(settings), number=order.number, heard=order.heard)
    facts: list[Fact] = []
    async with PhoneCall(script) as phone:
        answering = _Answering(phone, order)
        for step in order.steps:
            await phone.add(step)
        if not order.answer_rest:
            await phone.no_more_steps()
        follower: asyncio.Task[JournalTail | None] | None = None
        async for event in phone.events():
            answering.note(event)
            if event.kind == "answered":
                follower = asyncio.create_task(
                    _follow(settings.spool_dir, str(event.data["sip_call_id"]), facts, answering, on_fact)
                )
        report = await phone.report()
    if follower is None:
        return CallResult(report)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(follower), order.wait_seconds)
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    return CallResult(
        report,
        facts,
        await asyncio.to_thread(_read_draft, settings.spool_dir, facts),
        any(isinstance(fact, DraftDelivered) for fact in facts),
    )


def _read_draft(spool: Path, facts: list[Fact]) -> dict[str, Any] | None:
    for path in spool.glob(f"*/{facts[0].call_id}/{DRAFT}") if facts else []:
        draft: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return draft
    return None


async def _follow(
    spool: Path, line_call_id: str, facts: list[Fact], answering: _Answering, on_fact: OnFact | None
) -> JournalTail | None:
    tail = await find_call(spool, line_call_id, FIND_SECONDS)
    if tail is None:
        return None
    async for fact in facts_of(tail):
        facts.append(fact)
        if on_fact is not None:
            on_fact(fact)
        await answering.react(fact)
        if isinstance(fact, DraftDelivered):
            break
    return tail


class _Answering:
    """Answers the questions nothing was given for, as a patient caller: the key for yes, or silence where there is none.

    A hurried caller does not hear a prompt out: how long she listens follows from what she waits for in it.
    """

    HURRIED_SECONDS: ClassVar[dict[Asks, float]] = {Asks.CONTACT: 1.2, Asks.CONFIRMATION: 5.0}
    HURRIED_REFERENCE_SECONDS = 6.5

    def __init__(self, phone: PhoneCall, order: CallOrder) -> None:
        self._phone = phone
        self._order = order
        self._left = len(order.steps)

    def note(self, event: PhoneEvent) -> None:
        if event.kind == "step_done":
            self._left -= 1

    async def react(self, fact: Fact) -> None:
        match fact:
            case PromptSaid(asks=Asks.NOTHING) if self._order.hurried and self._left <= 0:
                await self._phone.add(Wait(self.HURRIED_REFERENCE_SECONDS))
                await self._phone.add(HangUp())
            case PromptSaid(asks=asks) if asks is not Asks.NOTHING and self._order.answer_rest and self._left <= 0:
                await self._answer(asks)
            case CallEnded(ended=Ended.HUMAN | Ended.EMERGENCY) if self._order.answer_rest:
                # Nobody speaks for the rest of such a call; a person would wait a while and leave.
                await self._phone.add(Wait(self._order.linger_seconds))
                await self._phone.add(HangUp())
            case CallEnded():
                await self._phone.no_more_steps()

    async def _answer(self, asks: Asks) -> None:
        yes = YES_KEYS.get(asks)
        if yes is None:
            await self._phone.add(StaySilent())
        elif self._order.hurried:
            # By the clock: a prompt that follows another at once has no beginning that could be heard.
            await self._phone.add(Wait(self.HURRIED_SECONDS.get(asks, 2.0)))
            await self._phone.add(Press(yes, at_seconds=0.0))
        else:
            await self._phone.add(Press(yes))
