"""What producers hand over: drafts, recordings, live updates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import sqlalchemy as sa
import structlog

from cases import draft_rows as rows
from cases import metrics, revisions
from cases.fields import summarise
from cases.lifecycle import OPEN, Action, Status
from cases.live import LiveBoard
from cases.recordings import RecordingFiles
from cases.revisions import Outcome
from cases.schema import ComplaintDraft, DraftReceipt, LiveUpdate, Recording
from cases.store import Database
from cases.tables import drafts, history, recordings
from cases.telling import Telling

log = structlog.get_logger(__name__)


class Intake:
    """Keeps what producers send, once, and tells the desks."""

    def __init__(
        self,
        db: Database,
        files: RecordingFiles,
        board: LiveBoard,
        telling: Telling,
        clock: Callable[[], datetime],
    ) -> None:
        self.db = db
        self.files = files
        self.board = board
        self.telling = telling
        self.clock = clock
        self._recording_turn = asyncio.Lock()

    async def receive_draft(self, draft: ComplaintDraft) -> DraftReceipt:
        """Keeps a draft once, however often it is sent. A higher revision replaces it, or is offered beside it."""
        now, draft_id = self.clock(), str(draft.draft_id)
        values = {
            "draft_id": draft_id,
            "call_id": draft.call_id,
            "received_at": draft.received_at,
            "stored_at": now,
            "draft": draft.model_dump_json(),
            "revision": draft.revision,
            "newest": draft.revision,
            "edits": {},
            "edits_count": 0,
            "status": Status.WAITING.value,
            "version": 1,
            "is_open": True,
            "ended": draft.ended.value,
            "complete": draft.complete,
            **rows.summary_values(summarise(draft, {})),
        }
        async with self.db.write() as tx:
            statement = self.db.insert(drafts).values(values).on_conflict_do_nothing(index_elements=["draft_id"])
            created = (await tx.execute(statement.returning(drafts.c.draft_id))).scalar() is not None
            outcome = Outcome.CREATED if created else await revisions.receive(tx, draft, now)
            if created:
                entry = {"at": now, "actor": "producer", "actor_name": draft.channel.value}
                steps = {"action": Action.RECEIVED.value, "to_status": Status.WAITING.value}
                await tx.execute(history.insert().values(draft_id=draft_id, **entry, **steps))
            status = (await tx.execute(sa.select(drafts.c.status).where(drafts.c.draft_id == draft_id))).scalar_one()
        metrics.DRAFTS_RECEIVED.labels(outcome.value).inc()
        names = {"draft_id": draft_id, "call_id": draft.call_id, "revision": draft.revision}
        log.info("draft_received", **names, outcome=outcome.value)
        if self.board.deliver(draft.call_id):
            self.telling.gone(draft.call_id)
        if outcome in (Outcome.REPLACED, Outcome.OFFERED):
            metrics.REVISIONS.labels(outcome.value).inc()
        if outcome is not Outcome.REPEATED:
            row_change = "added" if created else "changed" if Status(status) in OPEN else None
            await self.telling.draft(draft_id, row_change)
        return DraftReceipt(draft_id=draft.draft_id, created=created, status=status)

    async def receive_recording(
        self, call_id: str, chunks: AsyncIterator[bytes], sha256: str
    ) -> tuple[Recording, bool]:
        """(what is kept, whether it is new). A longer recording replaces a shorter one, never the other way."""
        stored = await self.files.receive(call_id, chunks, sha256)
        values = {
            "file": stored.file,
            "seconds": stored.seconds,
            "bytes": stored.size_bytes,
            "sha256": stored.sha256,
            "stored_at": self.clock(),
        }
        # The lock keeps `before` true; the statement alone decides, should another process write to PostgreSQL too.
        async with self._recording_turn, self.db.write() as tx:
            before = await rows.find_recording(tx, call_id)
            insert = self.db.insert(recordings).values(call_id=call_id, **values)
            upsert = insert.on_conflict_do_update(
                index_elements=["call_id"], set_=values, where=insert.excluded.seconds > recordings.c.seconds
            )
            keeps = (await tx.execute(upsert.returning(recordings.c.call_id))).scalar() is not None
            kept = rows.recording_of(await rows.find_recording(tx, call_id))
            ids = (await tx.execute(sa.select(drafts.c.draft_id).where(drafts.c.call_id == call_id))).scalars().all()
        assert kept is not None
        metrics.RECORDINGS.labels("kept" if keeps else "repeated").inc()
        log.info("recording_received", call_id=call_id, seconds=round(stored.seconds, 1), kept=keeps)
        if keeps:
            metrics.RECORDING_BYTES.inc(stored.size_bytes)
            if before is not None:
                await self.files.forget(before.file)
            for draft_id in ids:
                await self.telling.draft(draft_id, "changed")
        elif before is not None and before.file != stored.file:
            await self.files.forget(stored.file)
        return kept, keeps

    def receive_live(self, updates: list[LiveUpdate]) -> None:
        now = self.clock()
        for update in updates:
            fresh = self.board.apply(update, now)
            metrics.LIVE_UPDATES.labels("fresh" if fresh else "old").inc()
            if fresh:
                self.telling.fanout.live(update)
