"""What the backend does, free of HTTP: drafts in, the queue, one draft's life, cases, recordings, live calls.

One `CasesService` per process. Every change of a draft is one transaction: state, history and case number together;
desks are told after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import stamina
import structlog
from argon2 import PasswordHasher
from sqlalchemy.ext.asyncio import AsyncConnection

from cases import draft_rows as rows
from cases import lifecycle, metrics, revisions
from cases.accounts import Accounts, producer_token
from cases.case_number import case_number, check_template, counter_name
from cases.categories import category_exists
from cases.confidential import case_search, hide_in_case, hide_in_draft, is_confidential, sees_confidential
from cases.errors import CasesError
from cases.fields import (
    FIELD_PATHS,
    Sureness,
    case_fields,
    case_keys,
    check_edits,
    check_ready,
    summarise,
    values_of,
    view_fields,
)
from cases.intake import Intake
from cases.lifecycle import SYSTEM, Actor, Rules, Status, Transition
from cases.live import Fanout, LiveBoard
from cases.recordings import CALL_ID, RecordingFiles
from cases.schema import ComplaintDraft
from cases.settings import CasesSettings
from cases.store import Database, sqlite_url
from cases.tables import case_keys as keys_table
from cases.tables import cases, drafts
from cases.telling import Telling
from cases.views import (
    CasePage,
    CaseView,
    DraftView,
    EditBody,
    EditReceipt,
    LiveCallView,
    QueuePage,
)

__all__ = ["CasesService", "open_service", "producer_token"]

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
Decide = Callable[[lifecycle.DraftState, datetime], Transition | None]

START_ATTEMPTS = 6
SWEEP_BATCH = 200


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CasesService:
    """See the module. `clock` gives aware datetimes; tests hand in their own, and a quicker hasher."""

    def __init__(
        self,
        settings: CasesSettings,
        state_dir: Path,
        clock: Clock = _utc_now,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.rules = Rules(undo_seconds=settings.undo_seconds, take_minutes=settings.take_minutes)
        self.zone = ZoneInfo(settings.timezone)
        check_template(settings.case_number)
        self.db = Database(settings.database_url or sqlite_url(state_dir / "cases.db"))
        self.accounts = Accounts(self.db, settings.session_hours, hasher)
        self.files = RecordingFiles(settings.recordings_dir or state_dir / "recordings", settings.max_recording_bytes)
        self.fanout = Fanout()
        self.board = LiveBoard()
        self.telling = Telling(self.db, self.fanout)
        self.intake = Intake(self.db, self.files, self.board, self.telling, clock)
        self.closing = False

    async def start(self) -> None:
        """Folders and tables. A database that starts beside us is waited for, some seconds."""
        await asyncio.to_thread(self.files.start)
        async for attempt in stamina.retry_context(on=_is_away, attempts=START_ATTEMPTS, wait_max=4.0, timeout=30.0):
            with attempt:
                await self.db.start()

    def end_streams(self) -> None:
        """The process ends: open streams close without telling anybody that his session is over."""
        self.closing = True
        self.fanout.close_all()

    async def close(self) -> None:
        self.end_streams()
        await self.db.close()

    # --- the queue and one draft -----------------------------------------------------------------------------------

    async def queue(self, *, q: str = "", after: str | None = None, limit: int = 50) -> QueuePage:
        async with self.db.read() as tx:
            items, cursor = await rows.queue_page(tx, q=q, after=after, limit=limit)
            urgent, waiting = await rows.queue_counts(tx)
        names = LiveCallView.model_fields
        live = [LiveCallView(**{name: getattr(call, name) for name in names}) for call in self.board.calls()]
        return QueuePage(urgent=urgent, waiting=waiting, items=tuple(items), live=tuple(live), next=cursor)

    async def draft(self, draft_id: str, actor: Actor) -> DraftView:
        async with self.db.read() as tx:
            row = await rows.load(tx, draft_id)
            entries = await rows.history_of(tx, draft_id)
            recording = rows.recording_of(await rows.find_recording(tx, row.call_id))
            before, above = await revisions.rehearings(tx, row)
        now, state = self.clock(), rows.state_of(row)
        draft = ComplaintDraft.model_validate_json(row.draft)
        open_undo = state.undo_until is not None and now <= state.undo_until
        others = state.status is Status.TAKEN and state.taken_by != actor.user_id
        view = DraftView(
            draft=draft,
            fields=view_fields(draft, row.edits),
            status=state.status,
            version=state.version,
            edits_count=row.edits_count,
            taken_by=row.taker,
            taken_by_name=row.taker_name,
            taken_at=state.taken_at,
            recording=recording,
            case_number=state.case_number,
            reject_reason=state.reject_reason,
            undo_until=state.undo_until if open_undo else None,
            may_undo=open_undo and state.undo_by == actor.user_id,
            may_take_over=others
            and (actor.role in lifecycle.MAY_TAKE_OVER or lifecycle.is_stale(state, self.rules, now)),
            history=entries,
            dismissed=row.dismissed,
            **(await revisions.compare(draft, row, before, above) if before or above else {}),
        )
        return view if state.is_open or view.may_undo or sees_confidential(actor.role) else hide_in_draft(view)

    async def take(self, draft_id: str, actor: Actor, version: int, *, force: bool = False) -> DraftView:
        """Taking what one has already is a sign of life and changes nothing else."""
        return await self._step(
            draft_id, actor, lambda s, now: lifecycle.take(s, actor, version, now, self.rules, force=force)
        )

    async def give_back(self, draft_id: str, actor: Actor, version: int, reason: str | None = None) -> DraftView:
        return await self._step(
            draft_id, actor, lambda s, now: lifecycle.give_back(s, actor, version, now, self.rules, reason)
        )

    async def confirm(self, draft_id: str, actor: Actor, version: int) -> DraftView:
        """The draft becomes a case. CasesError `fields-missing` names what is still needed."""
        return await self._step(draft_id, actor, lambda s, now: lifecycle.confirm(s, actor, version, now, self.rules))

    async def reject(self, draft_id: str, actor: Actor, version: int, reason: str) -> DraftView:
        return await self._step(
            draft_id, actor, lambda s, now: lifecycle.reject(s, actor, version, now, self.rules, reason)
        )

    async def undo(self, draft_id: str, actor: Actor, version: int) -> DraftView:
        return await self._step(draft_id, actor, lambda s, now: lifecycle.undo(s, actor, version, now, self.rules))

    async def adopt(self, draft_id: str, actor: Actor, version: int, revision: int) -> DraftView:
        """The taker's draft is shown as another revision has it. What was typed stays; so does the life cycle's state."""
        return await self._change_offer(draft_id, actor, version, revision, revisions.adopt)

    async def dismiss(self, draft_id: str, actor: Actor, version: int, revision: int) -> DraftView:
        """The taker wants nothing up to `revision`; with 0 what was dismissed is offered again."""
        return await self._change_offer(draft_id, actor, version, revision, revisions.dismiss)

    async def _change_offer(
        self, draft_id: str, actor: Actor, version: int, revision: int, change: revisions.Change
    ) -> DraftView:
        now = self.clock()
        async with self.db.write() as tx:
            row = await self._taken(tx, draft_id, actor, version, now)
            done = await change(tx, row, revision, (actor.name, actor.display_name), now)
        if done:
            metrics.REVISIONS.labels(done).inc()
            log.info("revision_answered", draft_id=draft_id, actor=actor.name, done=done, revision=revision)
            await self.telling.draft(draft_id, "changed")
        return await self.draft(draft_id, actor)

    async def _taken(self, tx: AsyncConnection, draft_id: str, actor: Actor, version: int, now: datetime) -> rows.Row:
        """The locked row of a draft that this actor has, at the version that they know."""
        row = await rows.load(tx, draft_id, lock=True)
        state = rows.state_of(row)
        with _naming_taker(row):
            lifecycle.require_taker(state, actor, self.rules, now)
        if version != state.version:
            raise lifecycle.changed(state)
        return row

    async def edit(self, draft_id: str, actor: Actor, body: EditBody) -> EditReceipt:
        """Keeps what the taker typed. The version is the take's, so his edits never conflict with each other."""
        kept = check_edits(body.edits, category_exists)
        if wrong := [path for path in body.revert if path not in FIELD_PATHS]:
            errors = [{"field": path[:80], "code": "unknown-field", "message": "no such field"} for path in wrong]
            raise CasesError("edits-invalid", "there are no such fields", status=422, errors=errors)
        now = self.clock()
        async with self.db.write() as tx:
            row = await self._taken(tx, draft_id, actor, body.version, now)
            draft = ComplaintDraft.model_validate_json(row.draft)
            edits = {path: value for path, value in row.edits.items() if path not in body.revert} | kept
            values = {"edits": edits, "edits_count": row.edits_count + 1, "touched_at": now}
            summary = rows.summary_values(summarise(draft, edits))
            shown = any(getattr(row, name) != value for name, value in summary.items() if name != "search")
            await rows.save(tx, draft_id, {**values, **summary})
        metrics.EDITS.inc()
        await self.telling.draft(draft_id, "changed" if shown else None)
        fields = view_fields(draft, edits)
        return EditReceipt(
            draft_id=draft_id,
            version=body.version,
            revision=row.revision,
            edits_count=row.edits_count + 1,
            unsure=sum(view.sureness is Sureness.CHECK for view in fields),
            fields=fields,
        )

    async def _step(self, draft_id: str, actor: Actor, decide: Decide) -> DraftView:
        if await self._transit(draft_id, actor, decide) is not None:
            await self.telling.draft(draft_id, "changed")
        return await self.draft(draft_id, actor)

    async def _transit(self, draft_id: str, actor: Actor, decide: Decide) -> Transition | None:
        now = self.clock()
        async with self.db.write() as tx:
            row = await rows.load(tx, draft_id, lock=True)
            with _naming_taker(row):
                step = decide(rows.state_of(row), now)
            if step is None:
                await rows.save(tx, draft_id, {"touched_at": now})
                return None
            values, number = rows.state_values(step.state), step.voids_case
            if step.opens_case:
                number = await self._open_case(tx, row, actor, now)
                values["case_number"] = number
            if step.voids_case:
                await tx.execute(cases.update().where(cases.c.number == step.voids_case).values(voided_at=now))
            await rows.save(tx, draft_id, values)
            await rows.write_history(tx, draft_id, actor, step, now, number)
        metrics.TRANSITIONS.labels(step.action.value).inc()
        log.info("draft_moved", draft_id=draft_id, action=step.action.value, actor=actor.name, case_number=number)
        return step

    async def _open_case(self, tx: AsyncConnection, row: rows.Row, actor: Actor, now: datetime) -> str:
        draft = ComplaintDraft.model_validate_json(row.draft)
        values = values_of(draft, row.edits)
        check_ready(values)
        today = now.astimezone(self.zone)
        sequence = await self.db.next_number(tx, counter_name(today))
        number = case_number(self.settings.case_number, today, sequence)
        fields = case_fields(draft, values, row.received_at)
        secret = is_confidential(fields)
        await tx.execute(
            cases.insert().values(
                number=number,
                draft_id=row.draft_id,
                call_id=row.call_id,
                opened_at=now,
                opened_by=actor.user_id,
                fields=fields,
                edited=sorted(row.edits),
                search=case_search(number, fields) if secret else f"{number}\n{row.search}",
            )
        )
        keys = case_keys(number, fields).items()
        rows_of_keys = [{"key": key, "number": number, "secret": secret and own} for key, own in keys]
        await tx.execute(keys_table.insert(), rows_of_keys)
        return number

    async def sweep(self) -> int:
        """Gives back what nobody is at, forgets quiet calls, counts. Called every half minute; how many went back."""
        now = self.clock()
        for call_id in self.board.expire(now):
            self.telling.gone(call_id)
        metrics.LIVE_CALLS.set(len(self.board.calls()))
        query = sa.select(drafts.c.draft_id).where(drafts.c.status == Status.TAKEN.value)
        query = query.where(drafts.c.touched_at <= lifecycle.stale_before(self.rules, now)).limit(SWEEP_BATCH)
        async with self.db.read() as tx:
            stale = [row.draft_id for row in await tx.execute(query)]
            urgent, waiting = await rows.queue_counts(tx)
            metrics.PENDING.set(await rows.pending_count(tx))
        metrics.WAITING.labels("urgent").set(urgent)
        metrics.WAITING.labels("routine").set(waiting - urgent)
        gone = 0
        for draft_id in stale:
            if await self._transit(draft_id, SYSTEM, lambda s, at: lifecycle.go_stale(s, at, self.rules)):
                await self.telling.draft(draft_id, "changed")
                gone += 1
        return gone

    # --- cases and recordings --------------------------------------------------------------------------------------

    async def cases(self, actor: Actor, *, q: str = "", after: str | None = None, limit: int = 50) -> CasePage:
        sees = sees_confidential(actor.role)
        async with self.db.read() as tx:
            items, cursor, since = await rows.case_page(tx, q=q, after=after, limit=limit, secrets=sees)
        shown = items if sees else [hide_in_case(item) for item in items]
        return CasePage(items=tuple(shown), next=cursor, searched_since=since)

    async def case(self, number: str, actor: Actor) -> CaseView:
        async with self.db.read() as tx:
            view = await rows.case_by_number(tx, number)
        return view if sees_confidential(actor.role) else hide_in_case(view)

    async def recording_file(self, call_id: str) -> Path:
        """Where a call's recording lies. CasesError `recording-unknown` when it is not here (yet)."""
        row = None
        if CALL_ID.fullmatch(call_id):
            async with self.db.read() as tx:
                row = await rows.find_recording(tx, call_id)
        if row is None:
            raise CasesError("recording-unknown", "the recording of this call is not here (yet)", status=404)
        path = self.files.path(row.file)
        if not await asyncio.to_thread(path.is_file):
            log.error("recording_gone", call_id=call_id, file=row.file)
            raise CasesError("recording-unknown", "the recording's file is gone from the disk", status=404)
        return path


class _naming_taker:
    """Adds to a `draft-taken` who has it: the life cycle knows ids, the row knows names."""

    def __init__(self, row: rows.Row) -> None:
        self._row = row

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, CasesError) and error.code == "draft-taken":
            error.extra.pop("taken_by_id", None)
            error.extra |= {"taken_by": self._row.taker, "taken_by_name": self._row.taker_name}


def _is_away(error: Exception) -> bool:
    return isinstance(error, CasesError) and error.code == "database-away"


@asynccontextmanager
async def open_service(
    settings: CasesSettings, state_dir: Path, clock: Clock = _utc_now
) -> AsyncIterator[CasesService]:
    """A service with its database ready, for the command line: `async with open_service(…) as s: s.accounts.…`."""
    service = CasesService(settings, state_dir, clock)
    try:
        await service.start()
        yield service
    finally:
        await service.close()
