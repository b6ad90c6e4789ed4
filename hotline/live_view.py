"""A call in the terminal while it happens: what the caller hears, what is heard of the caller, the fields as they fill."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cases import drafting
from cases.schema import ComplaintDraft
from hotline.show import LABELS, fields_of, sureness, value_text
from ivr.events import (
    AlertRaised,
    CallEnded,
    CallStarted,
    DraftDelivered,
    Fact,
    KeyPressed,
    PromptSaid,
    PromptStopped,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnded,
)
from ivr.journal import transcript_of

_MARKS = {"sure": "green", "check": "yellow"}


class CallView:
    """`with CallView(console) as view: view.take(fact)…`; finished lines scroll, what changes stays below them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._facts: list[Fact] = []
        self._partial: TranscriptPartial | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def take(self, fact: Fact) -> None:
        """Show one fact of the call."""
        if isinstance(fact, TranscriptPartial):
            self._partial = fact
        else:
            self._facts.append(fact)
            if isinstance(fact, TranscriptFinal | TurnEnded):
                self._partial = None
        line = self._line(fact)
        if line is not None:
            self._live.console.print(line)
        self._live.update(self._below(), refresh=True)

    def _line(self, fact: Fact) -> Text | None:
        match fact:
            case CallStarted(caller_number=number):
                return Text(f"☎  {number or '无号码'} 来电 a call", "bold")
            case PromptSaid(text=text):
                return Text.assemble(("机 ", "bold cyan"), text)
            case PromptStopped(cause=cause, after_ms=after_ms):
                return Text(f"   (打断 barge-in: {cause}, {after_ms:.0f} ms)", "dim")
            case TurnEnded(text=text, digits=digits, ended_by=ended_by):
                if digits:
                    return Text.assemble(("人 ", "bold magenta"), text, (f" 按键 {digits}", "magenta"))
                return Text.assemble(("人 ", "bold magenta"), text or f"(没有说话 {ended_by.value})")
            case KeyPressed():
                return None
            case AlertRaised(kind=kind):
                return Text(f"⚠  {kind.value}", "bold red")
            case CallEnded(ended=ended):
                return Text(f"☎  结束 ended: {ended.value}", "bold")
            case DraftDelivered():
                return Text("✓  草稿已送达后台 the draft is at the desk", "green")
            case _:
                return None

    def _below(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._partial is not None:
            parts.append(Text.assemble(("人 ", "bold magenta"), (self._partial.text + "…", "italic")))
        draft = self._draft()
        if draft is not None:
            table = Table.grid(padding=(0, 2))
            for name, understood in fields_of(draft):
                if understood.value is not None and name not in ("narrative", "request"):
                    how = sureness(understood)
                    table.add_row(Text(LABELS[name], "dim"), value_text(understood.value), Text(how, _MARKS[how]))
            if table.row_count:
                parts.append(table)
        return Group(*parts)

    def _draft(self) -> ComplaintDraft | None:
        if not self._facts or not isinstance(self._facts[0], CallStarted):
            return None
        facts = [*self._facts, *([self._partial] if self._partial else [])]
        return drafting.draft(transcript_of(facts))
