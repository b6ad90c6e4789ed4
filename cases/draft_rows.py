"""The SQL of drafts: rows in and out, the queue's order and pages, history, case rows."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.errors import CasesError
from cases.fields import URGENT_RANKS, RowSummary
from cases.lifecycle import Actor, DraftState, Status, Transition
from cases.schema import Recording
from cases.tables import case_keys, cases, drafts, history, recordings, users
from cases.views import CaseView, HistoryEntry, QueueItem

Row = sa.Row[*tuple[Any, ...]]

_PHONE_LIKE = re.compile(r"[0-9+()-]+")
SEARCHED_CASES = 20_000  # a city's days; older ones are found by number, reference or phone

_HAS_RECORDING = sa.exists().where(recordings.c.call_id == drafts.c.call_id).label("has_recording")
# A newer revision lies beside the one that is shown, and no operator has said no to it.
_OFFERED = sa.and_(drafts.c.newest > drafts.c.revision, drafts.c.newest > drafts.c.dismissed).label("offered")
_TAKER = (users.c.name.label("taker"), users.c.display_name.label("taker_name"))
_ITEM = (
    *(drafts.c.draft_id, drafts.c.call_id, drafts.c.version, drafts.c.status, drafts.c.rank, drafts.c.subject),
    *(drafts.c.category, drafts.c.place, drafts.c.urgency, drafts.c.alerts, drafts.c.received_at, drafts.c.ended),
    *(drafts.c.complete, drafts.c.taken_at, drafts.c.unsure, drafts.c.pending, drafts.c.revision, drafts.c.newest),
    *(drafts.c.dismissed, drafts.c.edits_count, _OFFERED, _HAS_RECORDING, *_TAKER),
)
_WITH_TAKER = drafts.outerjoin(users, users.c.id == drafts.c.taken_by)


def state_of(row: Row) -> DraftState:
    return DraftState(
        status=Status(row.status),
        version=row.version,
        taken_by=row.taken_by,
        taken_at=row.taken_at,
        touched_at=row.touched_at,
        undo_until=row.undo_until,
        undo_by=row.undo_by,
        reject_reason=row.reject_reason,
        case_number=row.case_number,
    )


def state_values(state: DraftState) -> dict[str, Any]:
    return {**asdict(state), "status": state.status.value, "is_open": state.is_open}


def unknown(draft_id: str) -> CasesError:
    return CasesError("draft-unknown", f"there is no draft {draft_id}", status=404)


async def load(tx: AsyncConnection, draft_id: str, *, lock: bool = False) -> Row:
    """The whole row, with `taker`, `taker_name`, `has_recording`. Locked until the transaction ends, if asked.

    SQLite's writer has the whole database already; PostgreSQL locks the row.
    """
    query = sa.select(drafts, _HAS_RECORDING, *_TAKER).select_from(_WITH_TAKER).where(drafts.c.draft_id == draft_id)
    if lock:
        query = query.with_for_update(of=drafts)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise unknown(draft_id)
    return row


async def save(tx: AsyncConnection, draft_id: str, values: Mapping[str, Any]) -> None:
    await tx.execute(drafts.update().where(drafts.c.draft_id == draft_id).values(**values))


def summary_values(summary: RowSummary) -> dict[str, Any]:
    return asdict(summary)


async def write_history(
    tx: AsyncConnection, draft_id: str, actor: Actor, step: Transition, now: datetime, case_number: str | None
) -> None:
    await tx.execute(
        history.insert().values(
            draft_id=draft_id,
            at=now,
            actor=actor.name,
            actor_name=actor.display_name,
            action=step.action.value,
            from_status=step.before.status.value,
            to_status=step.state.status.value,
            reason=step.reason,
            case_number=case_number,
        )
    )


async def history_of(tx: AsyncConnection, draft_id: str) -> tuple[HistoryEntry, ...]:
    rows = await tx.execute(sa.select(history).where(history.c.draft_id == draft_id).order_by(history.c.id))
    names = HistoryEntry.model_fields
    return tuple(HistoryEntry(**{name: getattr(row, name) for name in names}) for row in rows)


def item_of(row: Row) -> QueueItem:
    return QueueItem(
        **{name: getattr(row, name) for name in QueueItem.model_fields if not name.startswith("taken_by")},
        taken_by=row.taker,
        taken_by_name=row.taker_name,
    )


async def queue_page(
    tx: AsyncConnection, *, q: str, after: str | None, limit: int
) -> tuple[list[QueueItem], str | None]:
    """Open drafts: urgent first, then oldest. `after` is the cursor that the page before gave."""
    query = sa.select(*_ITEM).select_from(_WITH_TAKER).where(drafts.c.is_open == sa.true())
    for word in q.lower().split():
        query = query.where(drafts.c.search.contains(word, autoescape=True))
    if after:
        rank, received_at, draft_id = _read_cursor(after)
        key = sa.tuple_(drafts.c.rank, drafts.c.received_at, drafts.c.draft_id)
        query = query.where(
            key > sa.tuple_(sa.literal(rank), sa.literal(received_at, drafts.c.received_at.type), sa.literal(draft_id))
        )
    query = query.order_by(drafts.c.rank, drafts.c.received_at, drafts.c.draft_id).limit(limit + 1)
    rows = (await tx.execute(query)).all()
    items = [item_of(row) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return items, _cursor(last.rank, last.received_at, last.draft_id) if last else None


async def queue_item(tx: AsyncConnection, draft_id: str) -> Row:
    query = sa.select(*_ITEM).select_from(_WITH_TAKER).where(drafts.c.draft_id == draft_id)
    return (await tx.execute(query)).one()


async def queue_counts(tx: AsyncConnection) -> tuple[int, int]:
    """(urgent, waiting) drafts that nobody has taken; read from the queue's index alone."""
    urgent = sa.func.sum(sa.case((drafts.c.rank <= URGENT_RANKS, 1), else_=0))
    query = sa.select(urgent, sa.func.count()).where(
        drafts.c.is_open == sa.true(), drafts.c.status == Status.WAITING.value
    )
    row = (await tx.execute(query)).one()
    return int(row[0] or 0), int(row[1])


async def pending_count(tx: AsyncConnection) -> int:
    """Open drafts that wait for words."""
    query = sa.select(sa.func.count()).where(drafts.c.is_open == sa.true(), drafts.c.pending == sa.true())
    return int((await tx.execute(query)).scalar_one())


def _cursor(*parts: Any) -> str:
    text = json.dumps([part.isoformat() if isinstance(part, datetime) else part for part in parts])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        rank, at, last = json.loads(text)
        if not (rank in range(10) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", last)):
            raise ValueError(cursor)
        received_at = datetime.fromisoformat(at)
        if received_at.tzinfo is None:
            raise ValueError(cursor)
        received_at = received_at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise CasesError("cursor-invalid", "`after` is not a page's `next`", status=400) from error
    return rank, received_at, last


def recording_of(row: Row | None) -> Recording | None:
    if row is None or row.sha256 is None:
        return None
    return Recording(uri=f"/api/recordings/{row.call_id}", seconds=row.seconds, sha256=row.sha256)


async def find_recording(tx: AsyncConnection, call_id: str) -> Row | None:
    return (await tx.execute(sa.select(recordings).where(recordings.c.call_id == call_id))).one_or_none()


_CASE = (
    *(cases.c.number, cases.c.draft_id, cases.c.call_id, cases.c.opened_at, cases.c.voided_at),
    *(cases.c.fields, cases.c.edited, users.c.name.label("opener"), users.c.display_name.label("opener_name")),
    *(recordings.c.seconds, recordings.c.sha256),
)
_CASE_FROM = cases.join(users, users.c.id == cases.c.opened_by).outerjoin(
    recordings, recordings.c.call_id == cases.c.call_id
)


def case_of(row: Row) -> CaseView:
    return CaseView(
        number=row.number,
        draft_id=row.draft_id,
        call_id=row.call_id,
        opened_at=row.opened_at,
        opened_by=row.opener,
        opened_by_name=row.opener_name,
        voided_at=row.voided_at,
        fields=row.fields,
        edited=tuple(row.edited),
        recording=recording_of(row),
    )


async def case_page(
    tx: AsyncConnection, *, q: str, after: str | None, limit: int, secrets: bool
) -> tuple[list[CaseView], str | None, datetime | None]:
    """Cases, the newest first, void ones among them; `secrets`: also by the phones of confidential callers.

    Whole numbers are found by their index. Words are looked for one case after another, so only in the latest
    SEARCHED_CASES; the third part is then the time of the last that was left out.
    """
    query = sa.select(*_CASE).select_from(_CASE_FROM)
    since, found_by_key = None, False
    for word in q.lower().split():
        as_key = re.sub(r"[+()-]", "", word) if _PHONE_LIKE.fullmatch(word) else word
        key = sa.select(case_keys.c.number).where(case_keys.c.key.in_({word, as_key}))
        if not secrets:
            key = key.where(case_keys.c.secret == sa.false())
        if any(char.isdigit() for char in word) and (await tx.execute(key.limit(1))).first() is not None:
            found_by_key = True
            query = query.where(cases.c.number.in_(key))
        else:
            query = query.where(cases.c.search.contains(word, autoescape=True))
    if q.split() and not found_by_key:
        oldest = sa.select(cases.c.opened_at).order_by(cases.c.opened_at.desc()).offset(SEARCHED_CASES).limit(1)
        since = (await tx.execute(oldest)).scalar()
    if since is not None:
        query = query.where(cases.c.opened_at > since)
    if after:
        _, opened_at, number = _read_cursor(after)
        query = query.where(
            sa.tuple_(cases.c.opened_at, cases.c.number)
            < sa.tuple_(sa.literal(opened_at, cases.c.opened_at.type), sa.literal(number))
        )
    query = query.order_by(cases.c.opened_at.desc(), cases.c.number.desc()).limit(limit + 1)
    rows = (await tx.execute(query)).all()
    items = [case_of(row) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return items, _cursor(0, last.opened_at, last.number) if last else None, since


async def case_by_number(tx: AsyncConnection, number: str) -> CaseView:
    row = (await tx.execute(sa.select(*_CASE).select_from(_CASE_FROM).where(cases.c.number == number))).one_or_none()
    if row is None:
        raise CasesError("case-unknown", "there is no case with this number", status=404)
    return case_of(row)
