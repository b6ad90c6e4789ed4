"""The journal of a call: `journal.jsonl`, one fact a line, on disk before it is acted on; and what a call was, by it.

A line is a JSON object: `fact` (the class name in ivr/events.py) and the fact's fields, datetimes in ISO 8601.
A line is one `write(2)` on a file opened for appending, so facts stand in the order in which they were recorded, and
a killed process leaves at most one torn line, at the end. `record` comes back when the line is on the disk
(fdatasync, in a thread: the event loop never waits for a disk). Partial transcripts are written but not waited for:
a killed process leaves them, a power cut may take the last ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from pydantic import TypeAdapter, ValidationError

from cases.schema import Asks, CallTranscript, Channel, Ended, Recording, Turn, Word, draft_id_of
from ivr import events
from ivr.errors import CallError
from ivr.events import (
    AudioConnected,
    CallEnded,
    CallerHungUp,
    CallHeardAgain,
    CallStarted,
    Fact,
    Hearing,
    HearingBegun,
    HearingPostponed,
    KeyPressed,
    PromptSaid,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnded,
    TurnHeardAgain,
)
from ivr.metrics import DISK_FULL, JOURNAL_SYNC_SECONDS

log = structlog.get_logger(__name__)

JOURNAL_NAME = "journal.jsonl"
LINE_MAX_BYTES = 1_000_000  # a longer line is no fact; reading one is bounded
JOURNAL_MAX_BYTES = 64 * 2**20

_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(kind)
    for name, kind in vars(events).items()
    if isinstance(kind, type) and issubclass(kind, Fact) and kind is not Fact
}
_DIGITS = frozenset("0123456789*#ABCD")

# fdatasync waits for the disk, not for a core: more threads than cores let one disk commit serve many calls.
# Its queue is bounded by the calls, each of which waits for its own.
_SYNC_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="journal-sync")


def encode_fact(fact: Fact) -> bytes:
    """One line with its end. Lone surrogates (no Unicode) become `?`."""
    name = type(fact).__name__
    row = {"fact": name, **_ADAPTERS[name].dump_python(fact, mode="json")}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def decode_fact(line: bytes) -> Fact | None:
    """None for a kind that this version does not know. ValueError when the line is no fact."""
    try:
        row = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested without end") from error
    if not isinstance(row, dict) or not isinstance(name := row.pop("fact", None), str):
        raise ValueError("not a fact")
    adapter = _ADAPTERS.get(name)
    if adapter is None:
        return None
    fact = adapter.validate_json(json.dumps(row))
    if not isinstance(fact, Fact) or fact.at.tzinfo is None:
        raise ValueError("a fact without a zone")
    return fact


def read_journal(path: Path) -> list[Fact]:
    """Every readable fact, in order. A torn last line and unreadable lines are left out and logged, never an error.

    CallError `journal-unreadable` when there is no such file, it cannot be read, or is larger than any call makes.
    """
    try:
        if path.stat().st_size > JOURNAL_MAX_BYTES:
            raise CallError("journal-unreadable", f"{path.name} is larger than {JOURNAL_MAX_BYTES} bytes")
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise CallError("journal-unreadable", f"{path.name}: {error.strerror}") from error
    call_id = path.parent.name
    if lines.pop():  # what stands behind the last newline
        log.warning("journal_torn_line", call_id=call_id)
    facts: list[Fact] = []
    unreadable = 0
    for line in lines:
        try:
            if len(line) > LINE_MAX_BYTES:
                raise ValueError("too long")
            fact = decode_fact(line)
        except (ValueError, ValidationError):
            unreadable += bool(line.strip(b" \0"))
            continue
        if fact is not None:
            facts.append(fact)
    if unreadable:
        log.warning("journal_unreadable_lines", call_id=call_id, lines=unreadable)
    return facts


class Journal:
    """Appends facts to `<folder>/journal.jsonl`. One writer a call; opening mends what a killed one left.

    CallError `disk-full` (no space, quota, file too large) or `disk-failed`: the caller goes to a human. A failed
    write leaves no half line.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self._cut_torn_line()
            sync_folder(folder)
        except OSError as error:
            raise disk_error("journal", error) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def write(self, fact: Fact, *, durable: bool = True) -> None:
        """Blocking: the line is on the disk when it comes back, or with the kernel if not `durable`."""
        self._append(fact)
        if durable:
            self._sync()

    async def record(self, fact: Fact) -> None:
        """As `write`, waiting off the event loop; the line has its place in the file before the first await.

        A TranscriptPartial is not waited for.
        """
        self._append(fact)
        if not isinstance(fact, TranscriptPartial):
            await asyncio.get_running_loop().run_in_executor(_SYNC_THREADS, self._sync)

    def close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, fact: Fact) -> None:
        line = encode_fact(fact)
        size_bytes = 0
        try:
            size_bytes = os.fstat(self._descriptor).st_size
            written = os.write(self._descriptor, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size_bytes)
            raise disk_error("journal", error) from error

    def _sync(self) -> None:
        before_seconds = time.perf_counter()
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            if error.errno == errno.EINVAL:  # not a file of a disk
                return
            raise disk_error("journal", error) from error
        JOURNAL_SYNC_SECONDS.observe(time.perf_counter() - before_seconds)

    def _cut_torn_line(self) -> None:
        size_bytes = os.fstat(self._descriptor).st_size
        end = size_bytes
        while end > 0:
            start = max(0, end - 65536)
            found = os.pread(self._descriptor, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size_bytes:
            log.warning("journal_torn_line_cut", call_id=self.path.parent.name, torn_bytes=size_bytes - end)
            os.ftruncate(self._descriptor, end)


def disk_error(what: str, error: OSError) -> CallError:
    """The one shape of a disk that takes nothing more."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    DISK_FULL.labels(what).inc()
    return CallError("disk-full" if full else "disk-failed", f"{what}: {error.strerror}", recoverable=full)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries (new files, renames) outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# what a call was


@dataclass(slots=True)
class _TurnSoFar:
    """What is known of a turn while facts come in. `pieces`: (text, words) of its utterances."""

    step: str = ""
    asks: Asks = Asks.NOTHING
    prompts: list[str] = field(default_factory=list)
    pieces: list[tuple[str, tuple[Word, ...]]] = field(default_factory=list)
    partial: tuple[str, tuple[Word, ...]] | None = None
    digits: str = ""
    ended: TurnEnded | None = None
    again: TurnHeardAgain | None = None

    def turn(self, *, unheard: bool = False, heard_late: bool = False) -> Turn:
        """`unheard`: the call was not heard live; `heard_late`: what was to be recognised afterwards has been."""
        answer = self.ended.answer[:32] if self.ended else ""
        pending = not heard_late and self.again is None and self._owes_words(unheard)
        if self.ended:
            final = not self.ended.late and not self.ended.pending
        else:
            final = self.partial is None and not (unheard and self.asks is not Asks.NOTHING)
        prompt = "".join(self.prompts)
        if self.ended:
            prompt = self.ended.prompt or prompt
        if self.again:
            pieces, answer, final = [(self.again.text, self.again.words)], answer or self.again.answer[:32], True
        elif self.ended:
            pieces = [(self.ended.text, self.ended.words)]
        else:
            pieces = [*self.pieces, *([self.partial] if self.partial else [])]
        text, words = _join(pieces)
        return Turn(
            step=self.ended.step if self.ended else self.step,
            asks=self.ended.asks if self.ended else self.asks,
            prompt=prompt,
            text=text,
            words=words,
            digits="".join(d for d in (self.ended.digits if self.ended else self.digits) if d in _DIGITS)[:64],
            answer=answer,
            heard_from_seconds=self.ended.heard_from_seconds if self.ended else None,
            heard_to_seconds=self.ended.heard_to_seconds if self.ended else None,
            final=final and not pending,
            pending=pending,
        )

    def _owes_words(self, unheard: bool) -> bool:
        """Whether there may be words of the caller on the recording of which none is known."""
        if self.ended:
            return self.ended.pending and not self.ended.text
        return unheard and self.asks is not Asks.NOTHING and not self.pieces and self.partial is None


def _join(pieces: Iterable[tuple[str, tuple[Word, ...]]]) -> tuple[str, tuple[Word, ...]]:
    """One text and its words, so that the text is its words.

    Text of which no word times are known, beside words that have them, becomes one word of confidence 0 where it
    must lie: at the end of what came before.
    """
    pieces = [(text, words) for text, words in pieces if text or words]
    if not any(words for _text, words in pieces):
        return "".join(text for text, _words in pieces), ()
    joined: list[Word] = []
    for text, words in pieces:
        if words:
            joined.extend(words)
        else:
            at_seconds = joined[-1].end_seconds if joined else 0.0
            joined.append(Word(text=text, start_seconds=at_seconds, end_seconds=at_seconds, confidence=0.0))
    return "".join(word.text for word in joined), tuple(joined)


def turns_of(facts: Iterable[Fact]) -> tuple[Turn, ...]:
    """The turns of a call, ended or not, in their order."""
    return tuple(turns_by_index(facts).values())


def turns_by_index(facts: Iterable[Fact]) -> dict[int, Turn]:
    """As `turns_of`, by the number that the facts give a turn."""
    turns: dict[int, _TurnSoFar] = {}
    unheard = heard_late = False
    again: dict[int, TurnHeardAgain] = {}
    for fact in facts:
        match fact:
            case HearingPostponed():
                unheard = True
            case HearingBegun():
                again = {}  # of a hearing that was killed in the middle
            case TurnHeardAgain(turn=index):
                again[index] = fact
            case CallHeardAgain(hearing=hearing, error=error):
                heard_late = heard_late or hearing is Hearing.LATE
                for index, words_again in again.items() if not error else ():
                    turns.setdefault(index, _TurnSoFar()).again = words_again
                again = {}
        if not isinstance(fact, PromptSaid | KeyPressed | TranscriptPartial | TranscriptFinal | TurnEnded):
            continue
        turn = turns.setdefault(fact.turn, _TurnSoFar())
        match fact:
            case PromptSaid(step=step, asks=asks, text=text):
                turn.step, turn.asks = step, asks
                turn.prompts.append(text)
            case KeyPressed(digit=digit):
                turn.digits += digit
            case TranscriptPartial(text=text, words=words):
                turn.partial = (text, words) if text else None
            case TranscriptFinal(text=text, words=words):
                turn.pieces.append((text, words))
                turn.partial = None
            case TurnEnded():
                turn.ended = fact
    return {index: turns[index].turn(unheard=unheard, heard_late=heard_late) for index in sorted(turns)}


def revision_of(facts: Iterable[Fact]) -> int:
    """Of the draft that these facts make: it rises when words of the call became better known after the call."""
    return max((fact.revision for fact in facts if isinstance(fact, CallHeardAgain)), default=0)


def transcript_of(facts: Iterable[Fact], *, recording: Recording | None = None) -> CallTranscript:
    """What drafting reads, from the facts of one call; pure.

    A call without CallEnded and without a hang-up was INTERRUPTED. CallError `journal-broken` when no CallStarted is
    among the facts.
    """
    facts = list(facts)
    started = next((fact for fact in facts if isinstance(fact, CallStarted)), None)
    if started is None:
        raise CallError("journal-broken", "the journal does not say whose call it is")
    facts = [fact for fact in facts if fact.call_id == started.call_id]
    hung_up = next((fact for fact in facts if isinstance(fact, CallerHungUp)), None)
    last = next((fact for fact in reversed(facts) if isinstance(fact, CallEnded)), None)
    unended = Ended.HUNG_UP if hung_up else Ended.INTERRUPTED
    ended = last.ended if last is not None else unended
    hung_up_at_step = None
    if ended is Ended.HUNG_UP:
        hung_up_at_step = hung_up.step if hung_up else last.step if last else None
    return CallTranscript(
        call_id=started.call_id,
        draft_id=draft_id_of(started.call_id),
        reference="".join(char for char in started.reference if char in "0123456789")[:16],
        received_at=started.at,
        channel=Channel.PHONE,
        caller_number=(started.caller_number or "")[:32] or None,
        turns=turns_of(facts),
        recording=recording,
        ended=ended,
        hung_up_at_step=hung_up_at_step,
    )


def recording_offset_seconds(facts: Iterable[Fact]) -> float:
    """Where second 0 of heard.wav lies in recording.wav; 0 when the sound never came."""
    return next((fact.recording_offset_seconds for fact in facts if isinstance(fact, AudioConnected)), 0.0)
