"""What is happening now: live calls in memory, and a bounded fan-out of changes to every open desk.

A slow browser loses live updates (the next one repairs them), never a change of a draft: when those overflow too, it
gets one `resync` and reads the queue again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cases import metrics
from cases.schema import AlertKind, LiveKind, LiveUpdate

FORGET_AFTER_SECONDS = 120.0  # a call whose updates stopped is gone, whatever became of its end
MAX_LIVE_CALLS = 2_000  # overflow: the call that was updated longest ago is forgotten
MAX_DELIVERED = 2_000  # call ids whose draft is here, so that a late update does not bring the row back
CHANGES_MAX = 500  # a subscriber's waiting changes of drafts; overflow: all dropped for one resync
STREAMS_PER_SESSION = 8  # overflow: the session's oldest stream is closed with `too-many`
LIVE_MAX = 200  # a subscriber's waiting live updates; overflow: oldest partial first, then the oldest

_ALERTS = frozenset(kind.value for kind in AlertKind)


@dataclass(slots=True)
class LiveCall:
    """A call as last heard of. `alerts`: AlertKind values. `ended`: its draft is on the way."""

    call_id: str
    started_at: datetime
    caller_number: str | None = None
    step: str = ""
    text: str = ""
    prompt: str = ""
    ended: bool = False
    sequence: int = -1
    updated_at: datetime | None = None
    fields: dict[str, str] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)


class LiveBoard:
    """The live calls. Takes time as an argument; only ever used from the event loop."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, LiveCall] = OrderedDict()  # the longest quiet first
        self._delivered: OrderedDict[str, None] = OrderedDict()

    def calls(self) -> list[LiveCall]:
        """Oldest call first."""
        return sorted(self._calls.values(), key=lambda call: (call.started_at, call.call_id))

    def apply(self, update: LiveUpdate, now: datetime) -> bool:
        """False: an old or repeated update, one of a call whose draft is already here, or an alert of no known kind."""
        if update.call_id in self._delivered:
            return False
        if update.kind is LiveKind.ALERT and update.text not in _ALERTS:
            return False
        call = self._calls.get(update.call_id)
        if call is None:
            call = self._calls[update.call_id] = LiveCall(update.call_id, started_at=update.at)
            while len(self._calls) > MAX_LIVE_CALLS:
                self._calls.popitem(last=False)
        if update.sequence <= call.sequence:
            return False
        call.sequence, call.updated_at = update.sequence, now
        self._calls.move_to_end(update.call_id)
        _learn(call, update)
        return True

    def deliver(self, call_id: str) -> bool:
        """Its draft is here: the live row goes. True when there was one."""
        self._delivered[call_id] = None
        while len(self._delivered) > MAX_DELIVERED:
            self._delivered.popitem(last=False)
        return self._calls.pop(call_id, None) is not None

    def expire(self, now: datetime) -> list[str]:
        """Forgets the calls that went quiet; gives their ids."""
        limit = timedelta(seconds=FORGET_AFTER_SECONDS)
        gone = [c.call_id for c in self._calls.values() if c.updated_at is None or now - c.updated_at >= limit]
        for call_id in gone:
            del self._calls[call_id]
        return gone


def _learn(call: LiveCall, update: LiveUpdate) -> None:
    call.step = update.step or call.step
    call.caller_number = update.caller_number or call.caller_number
    match update.kind:
        case LiveKind.PROMPT:
            call.prompt = update.text
        case LiveKind.PARTIAL | LiveKind.FINAL:
            call.text = update.text
        case LiveKind.DIGITS:
            call.text = update.text or call.text
        case LiveKind.FIELDS:
            call.fields = dict(update.fields)
        case LiveKind.ALERT:
            if update.text not in call.alerts:
                call.alerts.append(update.text)
        case LiveKind.ENDED:
            call.ended = True
        case LiveKind.STARTED:
            call.started_at = update.at


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: `data` is JSON. `partial`: may be dropped first."""

    name: str
    data: str
    partial: bool = False


class Subscriber:
    """One open desk. `session_key` names its session, so that its end is told at once.

    `closed`: empty while open, then the name of the stream's last event.
    """

    def __init__(self, session_key: str) -> None:
        self.session_key = session_key
        self.closed = ""
        self._changes: deque[Event] = deque()
        self._live: deque[Event] = deque()
        self._wake = asyncio.Event()

    def change(self, event: Event) -> None:
        if len(self._changes) >= CHANGES_MAX:
            self._changes.clear()
            self._changes.append(Event("resync", "{}"))
            metrics.RESYNCS.inc()
        if not (self._changes and self._changes[0].name == "resync"):
            self._changes.append(event)
        # after a resync that still waits, the desk will read the whole queue anyway
        self._wake.set()

    def live(self, event: Event) -> None:
        if len(self._live) >= LIVE_MAX:
            victim = next((e for e in self._live if e.partial), self._live[0])
            self._live.remove(victim)
            metrics.LIVE_DROPPED.inc()
        self._live.append(event)
        self._wake.set()

    def close(self, why: str = "session-over") -> None:
        self.closed = self.closed or why
        self._wake.set()

    async def next(self, timeout_seconds: float) -> Event | None:
        """The next event, changes before live updates; None when closed or when the time is over."""
        if not self._changes and not self._live and not self.closed:
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._wake.wait()
            except TimeoutError:
                return None
        if self.closed:
            return None
        if self._changes:
            return self._changes.popleft()
        return self._live.popleft() if self._live else None


class Fanout:
    """Every open desk hears of every change."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscriber, None] = {}  # the oldest first

    @contextmanager
    def subscribe(self, session_key: str) -> Iterator[Subscriber]:
        same = [s for s in self._subscribers if s.session_key == session_key and not s.closed]
        for oldest in same[: max(0, len(same) - STREAMS_PER_SESSION + 1)]:
            oldest.close("too-many")
        subscriber = Subscriber(session_key)
        self._subscribers[subscriber] = None
        metrics.DESKS_OPEN.set(len(self._subscribers))
        try:
            yield subscriber
        finally:
            self._subscribers.pop(subscriber, None)
            metrics.DESKS_OPEN.set(len(self._subscribers))

    def change(self, name: str, data: str) -> None:
        event = Event(name, data)
        for subscriber in self._subscribers:
            subscriber.change(event)

    def live(self, update: LiveUpdate) -> None:
        event = Event("live", update.model_dump_json(), partial=update.kind is LiveKind.PARTIAL)
        for subscriber in self._subscribers:
            subscriber.live(event)

    def close_session(self, session_key: str) -> None:
        """That session is over: its desks get `session-over` and the stream ends."""
        for subscriber in self._subscribers:
            if subscriber.session_key == session_key:
                subscriber.close()

    def close_all(self) -> None:
        for subscriber in self._subscribers:
            subscriber.close()
