"""Follows a call from its journal while it is made: what `hotline call` and the demo show of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from ivr.callfolder import call_folders
from ivr.events import CallStarted, Fact
from ivr.journal import JOURNAL_NAME, decode_fact

POLL_SECONDS = 0.1


class JournalTail:
    """Reads the facts that were appended since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset_bytes = 0

    def read(self) -> list[Fact]:
        """New whole lines as facts; unknown kinds are skipped."""
        try:
            with self.path.open("rb") as journal:
                journal.seek(self._offset_bytes)
                data = journal.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset_bytes += len(whole)
        return [fact for line in whole.splitlines() if (fact := decode_fact(line)) is not None]


def _folders(spool: Path) -> list[Path]:
    return call_folders(spool) if spool.is_dir() else []


async def find_call(spool: Path, line_call_id: str, timeout_seconds: float) -> JournalTail | None:
    """The journal of the call that the SIP phone knows by `line_call_id`; None when there is none in time."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    others: set[Path] = set()
    while asyncio.get_running_loop().time() < deadline:
        for folder in await asyncio.to_thread(_folders, spool):
            if folder in others:
                continue
            facts = JournalTail(folder / JOURNAL_NAME).read()
            if facts and isinstance(facts[0], CallStarted):
                if facts[0].line_call_id == line_call_id:
                    return JournalTail(folder / JOURNAL_NAME)
                others.add(folder)
        await asyncio.sleep(POLL_SECONDS)
    return None


async def facts_of(tail: JournalTail) -> AsyncIterator[Fact]:
    """Facts as they are written; the consumer ends it."""
    while True:
        for fact in await asyncio.to_thread(tail.read):
            yield fact
        await asyncio.sleep(POLL_SECONDS)
