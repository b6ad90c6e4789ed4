"""A draft that was heard again: words that came late, or a second pass that understood more.

A producer sends the whole draft with a higher `revision`. Where no operator was at it, it replaces what the queue shows
and what it replaced is kept for "what changed". Where one was, nothing of hers changes: the newer one is offered, and
the draft's taker adopts it, whole or (as edits) field by field, or dismisses it. What operators typed lies beside every revision and stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from cases import draft_rows as rows
from cases.errors import CasesError
from cases.fields import summarise
from cases.lifecycle import Action, DraftState, Status
from cases.schema import ComplaintDraft
from cases.tables import draft_revisions, history
from cases.what_changed import Rehearing, what_changed

KEPT_BEFORE = 8  # a draft is heard again once or twice; more of it would be a producer's fault, and bounded


class Outcome(StrEnum):
    """What became of a draft that a producer sent."""

    CREATED = "created"
    REPEATED = "repeated"  # this revision, or a higher one, is here already
    REPLACED = "replaced"
    OFFERED = "offered"


def decide(state: DraftState, edits_count: int, newest: int, incoming: int, now: datetime) -> Outcome:
    """Pure. A draft that somebody gave back without a word typed is nobody's again, once that cannot be undone."""
    if incoming <= newest:
        return Outcome.REPEATED
    may_be_undone = state.undo_until is not None and now <= state.undo_until
    untouched = state.status is Status.WAITING and edits_count == 0 and not may_be_undone
    return Outcome.REPLACED if untouched else Outcome.OFFERED


async def receive(tx: AsyncConnection, draft: ComplaintDraft, now: datetime) -> Outcome:
    """A draft whose id is known already. The row stays locked until the transaction ends, so no step comes between."""
    draft_id = str(draft.draft_id)
    row = await rows.load(tx, draft_id, lock=True)
    outcome = decide(rows.state_of(row), row.edits_count, row.newest, draft.revision, now)
    if outcome is Outcome.REPEATED:
        return outcome
    if draft.call_id != row.call_id:
        fault = {"field": "call_id", "code": "revision-call", "message": "not the call of this draft"}
        raise CasesError("revision-call", "a revision is of the same call as its draft", status=409, errors=[fault])
    if outcome is Outcome.REPLACED:
        await tx.execute(draft_revisions.delete().where(_above(draft_id, row.revision)))  # offered, and nobody took it
        await _keep(tx, draft_id, row.revision, row.draft, now)
        await rows.save(tx, draft_id, {**_shown_values(draft, row.edits), "newest": draft.revision})
    else:
        await _keep(tx, draft_id, draft.revision, draft.model_dump_json(), now)
        await rows.save(tx, draft_id, {"newest": draft.revision})
    await _prune(tx, draft_id)
    action = Action.REVISED if outcome is Outcome.REPLACED else Action.OFFERED
    steps = f"{row.revision} → {draft.revision}"
    await _note(tx, row, now, ("producer", draft.channel.value), action, steps)
    return outcome


# What a taker does with another revision of his draft: (tx, the locked row, revision, who, now) -> what to count it as,
# or None if nothing changed.
Change = Callable[[AsyncConnection, rows.Row, int, tuple[str, str], datetime], Awaitable[str | None]]


async def adopt(tx: AsyncConnection, row: rows.Row, revision: int, who: tuple[str, str], now: datetime) -> str | None:
    """Shows another revision that is kept; the one shown so far is kept in its place. CasesError `revision-unknown`."""
    if revision == row.revision:
        return None
    query = sa.select(draft_revisions.c.draft).where(_is(row.draft_id, revision))
    kept = (await tx.execute(query)).scalar_one_or_none()
    if kept is None:
        raise CasesError("revision-unknown", "there is no such revision (any more); load the draft again", status=409)
    draft = ComplaintDraft.model_validate_json(kept)
    await tx.execute(draft_revisions.delete().where(_is(row.draft_id, revision)))
    await _keep(tx, row.draft_id, row.revision, row.draft, now)
    await rows.save(tx, row.draft_id, {**_shown_values(draft, row.edits), "touched_at": now})
    await _note(tx, row, now, who, Action.ADOPT, f"{row.revision} → {revision}")
    return "adopted" if revision > row.revision else "put_back"


async def dismiss(tx: AsyncConnection, row: rows.Row, revision: int, who: tuple[str, str], now: datetime) -> str | None:
    """Nothing up to `revision` is offered any more. What has not come yet cannot be dismissed."""
    revision = min(revision, row.newest)
    if revision == row.dismissed:
        return None
    await rows.save(tx, row.draft_id, {"dismissed": revision, "touched_at": now})
    await _note(tx, row, now, who, Action.DISMISS, str(revision))
    return "dismissed" if revision > row.dismissed else "offered_again"


async def rehearings(tx: AsyncConnection, row: rows.Row) -> tuple[sa.Row[Any] | None, sa.Row[Any] | None]:
    """The revisions kept beside the one shown: (the one before, the newest above)."""
    if row.newest == 0:
        return None, None
    query = sa.select(draft_revisions).where(draft_revisions.c.draft_id == row.draft_id)
    kept = (await tx.execute(query.order_by(draft_revisions.c.revision))).all()
    before = [one for one in kept if one.revision < row.revision]
    above = [one for one in kept if one.revision > row.revision]
    return (before[-1] if before else None), (above[-1] if above else None)


async def compare(
    shown: ComplaintDraft, row: rows.Row, before: sa.Row[Any] | None, above: sa.Row[Any] | None
) -> dict[str, Rehearing]:
    """`replaced` and `offered` of a DraftView. In a thread: the comparison of long texts is slow."""
    return await asyncio.to_thread(_compare, shown, row, before, above)


def _compare(
    shown: ComplaintDraft, row: rows.Row, before: sa.Row[Any] | None, above: sa.Row[Any] | None
) -> dict[str, Rehearing]:
    found = {}
    for name, other in (("replaced", before), ("offered", above)):
        if other is not None:
            draft = ComplaintDraft.model_validate_json(other.draft)
            pair = (draft, shown) if name == "replaced" else (shown, draft)
            turns, fields = what_changed(*pair, row.edits)
            found[name] = Rehearing(revision=other.revision, at=other.stored_at, turns=turns, fields=fields)
    return found


def _shown_values(draft: ComplaintDraft, edits: dict[str, Any]) -> dict[str, Any]:
    return {
        "draft": draft.model_dump_json(),
        "revision": draft.revision,
        "ended": draft.ended.value,
        "complete": draft.complete,
        **rows.summary_values(summarise(draft, edits)),
    }


def _is(draft_id: str, revision: int) -> sa.ColumnElement[bool]:
    return sa.and_(draft_revisions.c.draft_id == draft_id, draft_revisions.c.revision == revision)


def _above(draft_id: str, revision: int) -> sa.ColumnElement[bool]:
    return sa.and_(draft_revisions.c.draft_id == draft_id, draft_revisions.c.revision > revision)


async def _keep(tx: AsyncConnection, draft_id: str, revision: int, draft: str, now: datetime) -> None:
    values = {"draft_id": draft_id, "revision": revision, "draft": draft, "stored_at": now}
    await tx.execute(draft_revisions.insert().values(values))


async def _prune(tx: AsyncConnection, draft_id: str) -> None:
    """Of what a draft was before: the first and the latest KEPT_BEFORE; of what is offered: the newest."""
    row = await rows.load(tx, draft_id)
    query = sa.select(draft_revisions.c.revision).where(draft_revisions.c.draft_id == draft_id)
    kept = sorted((await tx.execute(query)).scalars())
    before = [revision for revision in kept if revision < row.revision]
    above = [revision for revision in kept if revision > row.revision]
    old = [*before[1:-KEPT_BEFORE], *above[:-1]]
    if old:
        which = sa.and_(draft_revisions.c.draft_id == draft_id, draft_revisions.c.revision.in_(old))
        await tx.execute(draft_revisions.delete().where(which))


async def _note(
    tx: AsyncConnection, row: rows.Row, now: datetime, who: tuple[str, str], action: Action, steps: str
) -> None:
    entry = {"draft_id": row.draft_id, "at": now, "actor": who[0], "actor_name": who[1], "action": action.value}
    await tx.execute(history.insert().values(**entry, from_status=row.status, to_status=row.status, reason=steps))
