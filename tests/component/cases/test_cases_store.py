"""The database: migrations, a database that is away, a backend that is killed, ten thousand waiting drafts."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cases import draft_rows
from cases.errors import CasesError
from cases.schema import draft_id_of
from cases.service import CasesService, open_service
from cases.settings import CasesSettings
from cases.store import Database, sqlite_url
from cases.tables import drafts, metadata


async def test_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "100% new" / "cases.db"))
    await database.start()
    await database.start()  # again: nothing to do

    def differences(connection: sa.Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    async with database.read() as tx:
        assert await tx.run_sync(differences) == []
        assert (await tx.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await tx.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1
        assert (await tx.exec_driver_sql("PRAGMA busy_timeout")).scalar() == 3000
    await database.close()
    assert stat.S_IMODE((tmp_path / "100% new" / "cases.db").stat().st_mode) == 0o600


async def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "cases.db"))
    await database.start()

    async def fail_after_a_number() -> None:
        async with database.write() as tx:
            assert await database.next_number(tx, "x") == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_after_a_number()
    async with database.write() as tx:
        assert await database.next_number(tx, "x") == 1
    await database.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "nosuchdb://x/y", "sqlite:///x.db"]
)
def test_a_database_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(CasesError) as error:
        Database(url)
    assert error.value.code == "database-url"


async def test_a_locked_database_is_told_and_the_same_request_works_later(
    start_backend: Any, make_draft: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cases.store.BUSY_TIMEOUT_MS", 50)
    backend = await start_backend(database_url="")
    desk = await backend.log_in()
    with closing(sqlite3.connect(tmp_path / "state" / "cases.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        answer = await backend.deliver(make_draft())
        assert (answer.status, answer.code) == (503, "database-away")
        assert int(answer.headers["Retry-After"]) > 0
        assert (await desk.get("/api/queue")).status == 200  # readers go on
        holder.execute("ROLLBACK")
    assert (await backend.deliver(make_draft())).status == 201


async def test_a_writer_waits_for_another_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cases.store.WRITER_WAIT_SECONDS", 0.05)
    database = Database(sqlite_url(tmp_path / "cases.db"))
    await database.start()
    async with database.write():
        with pytest.raises(CasesError) as error:
            async with database.write():
                pass
        assert error.value.code == "database-away"
    async with database.write() as tx:  # the turn was given back
        assert await database.next_number(tx, "x") == 1
    await database.close()


async def test_a_database_that_is_gone_is_told(
    start_backend: Any, make_draft: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await start_backend()
    desk = await backend.log_in()
    real = backend.service.db.engine.sync_engine.pool
    monkeypatch.setattr(real, "_do_get", _refuse)
    for answer in (await desk.get("/api/queue"), await backend.deliver(make_draft())):
        assert (answer.status, answer.code) == (503, "database-away")
    assert (await desk.get("/healthz")).status == 503
    async with backend.client().get("/healthz") as response:
        assert await response.json() == {"status": "degraded", "database": "away"}
    monkeypatch.undo()
    assert (await desk.get("/healthz")).status == 200
    assert (await backend.deliver(make_draft())).status == 201


def _refuse() -> Any:
    raise ConnectionRefusedError(111, "Connection refused")


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "cases.db"))
    await database.start()
    async with database.write() as tx:
        await tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CasesError) as error:
        await database.start()
    assert error.value.code == "database-refused"
    await database.close()


async def test_a_broken_database_file_says_so_at_start(tmp_path: Path) -> None:
    (tmp_path / "cases.db").write_bytes(b"this is no database" * 1000)
    service = CasesService(CasesSettings(), tmp_path)
    with pytest.raises(CasesError) as error:
        await service.start()
    assert error.value.code == "database-refused"
    await service.close()


BACKEND = """
import asyncio, sys
from pathlib import Path
from aiohttp import web
from cases.settings import CasesSettings
from cases.web.app import make_app

async def main():
    runner = web.AppRunner(make_app(CasesSettings(producer_token="t"), Path(sys.argv[1])), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("port", runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_process(state: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BACKEND, str(state), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if line.startswith("port "):
                return process, f"http://127.0.0.1:{line.split()[1]}"
    raise AssertionError("the backend ended before it listened")


async def test_a_killed_backend_keeps_every_draft_that_it_acknowledged_once(tmp_path: Path, make_draft: Any) -> None:
    all_drafts = [make_draft(f"call-{number}") for number in range(30)]
    acknowledged: set[str] = set()
    enough = asyncio.Event()
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}

    async def deliver(session: aiohttp.ClientSession, url: str, draft: Any) -> None:
        body = draft.model_dump_json().encode()
        async with session.post(f"{url}/api/drafts", data=body, headers=headers) as response:
            created = (await response.json())["created"]
            assert not (created and str(draft.draft_id) in acknowledged)
            acknowledged.add(str(draft.draft_id))
            if len(acknowledged) >= 5:
                enough.set()

    process, url = await start_process(tmp_path)
    async with aiohttp.ClientSession() as session:
        deliveries = [asyncio.create_task(deliver(session, url, draft)) for draft in all_drafts]
        await enough.wait()
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*deliveries, return_exceptions=True)
    before = set(acknowledged)
    with closing(sqlite3.connect(tmp_path / "cases.db")) as database:
        kept = {row[0] for row in database.execute("SELECT draft_id FROM drafts")}
        assert before <= kept
    process, url = await start_process(tmp_path)
    try:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(deliver(session, url, draft) for draft in all_drafts))
    finally:
        process.terminate()
        await process.wait()
    with closing(sqlite3.connect(tmp_path / "cases.db")) as database:
        count = database.execute("SELECT count(*), count(DISTINCT draft_id) FROM drafts").fetchone()
        assert count == (30, 30)
        assert database.execute("SELECT count(*) FROM history WHERE action = 'received'").fetchone() == (30,)


async def test_ten_thousand_waiting_drafts_are_read_by_their_index(tmp_path: Path, make_draft: Any) -> None:
    draft = make_draft()
    async with open_service(CasesSettings(), tmp_path) as service:
        await service.intake.receive_draft(draft)
        async with service.db.write() as tx:
            row = dict((await tx.execute(sa.select(drafts))).mappings().one())
            copies = [
                {**row, "draft_id": str(draft_id_of(f"n{n}")), "call_id": f"n{n}", "rank": n % 4} for n in range(9_999)
            ]
            await tx.execute(drafts.insert(), copies)
            await tx.exec_driver_sql("ANALYZE")
        page = await service.queue()
        assert (len(page.items), page.waiting) == (50, 10_000)
        assert page.urgent == sum(n % 4 <= 2 for n in range(9_999))
        seen, after = 0, None
        for _ in range(60):
            page = await service.queue(after=after, limit=200)
            seen, after = seen + len(page.items), page.next
            if after is None:
                break
        assert seen == 10_000
        async with service.db.read() as tx:
            plans = await _plans(tx)
    # the page: in index order, nothing sorted; the counts: from the index alone
    assert any("ix_drafts_queue" in line for line in plans["page"])
    assert not any("USE TEMP B-TREE" in line for line in plans["page"])
    assert any("COVERING INDEX ix_drafts_queue" in line for line in plans["counts"])


async def _plans(tx: Any) -> dict[str, list[str]]:
    statements: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    engine = tx.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    await draft_rows.queue_page(tx, q="", after=None, limit=50)
    await draft_rows.queue_counts(tx)
    sa.event.remove(engine, "before_cursor_execute", note)
    plans = []
    for statement, parameters in statements:
        rows = await tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.append([row[-1] for row in rows])
    return dict(zip(("page", "counts"), plans, strict=True))
