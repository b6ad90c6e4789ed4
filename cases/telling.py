"""Telling every open desk what has changed, after the commit that changed it."""

from __future__ import annotations

import json

import structlog

from cases import draft_rows as rows
from cases import lifecycle
from cases.errors import CasesError
from cases.live import Fanout
from cases.store import Database
from cases.views import DraftChange, QueueChange

log = structlog.get_logger(__name__)


class Telling:
    """Reads a draft's row as it stands now and hands it to the fan-out. Never raises for a database that is away."""

    def __init__(self, db: Database, fanout: Fanout) -> None:
        self.db = db
        self.fanout = fanout

    def gone(self, call_id: str) -> None:
        """A live call's row goes: its draft is here, or nothing was heard of it for long."""
        self.fanout.change("live-gone", json.dumps({"call_id": call_id}))

    async def draft(self, draft_id: str, change: str | None) -> None:
        """Tells every desk of a draft, and of its row when that has `change`d (added or changed)."""
        try:
            async with self.db.read() as tx:
                row = await rows.queue_item(tx, draft_id)
                urgent, waiting = await rows.queue_counts(tx)
        except CasesError as error:  # what happened is committed: whoever did it must not hear that it failed
            log.warning("desks_not_told", draft_id=draft_id, code=error.code)
            self.fanout.change("resync", "{}")
            return
        item = rows.item_of(row)
        is_open = item.status in lifecycle.OPEN
        if change is not None:
            shown = QueueChange(
                change=change if is_open else "removed",
                draft_id=draft_id,
                item=item if is_open else None,
                urgent=urgent,
                waiting=waiting,
            )
            self.fanout.change("queue", shown.model_dump_json())
        draft_change = DraftChange(
            draft_id=draft_id,
            version=item.version,
            status=item.status,
            edits_count=row.edits_count,
            taken_by=item.taken_by,
            taken_by_name=item.taken_by_name,
            has_recording=item.has_recording,
            revision=item.revision,
            newest=row.newest,
            dismissed=row.dismissed,
        )
        self.fanout.change("draft", draft_change.model_dump_json())
