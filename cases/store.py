"""The database's edge: engine, transactions, migrations at start, and one error for every way of being away.

SQLite by default (WAL, foreign keys, a writer waits for a writer), PostgreSQL by URL.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InvalidRequestError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cases import migrations
from cases.errors import CasesError
from cases.tables import counters

log = structlog.get_logger(__name__)

BUSY_TIMEOUT_MS = 3000
POOL_TIMEOUT_SECONDS = 5.0
WRITER_WAIT_SECONDS = 5.0
RETRY_AFTER_SECONDS = 2


def database_away(cause: BaseException) -> CasesError:
    # The cause's own words may hold parameters (phone numbers); its type and the driver's text are enough.
    said = str(getattr(cause, "orig", None) or cause)
    log.warning("database_away", cause=type(cause).__name__, said=said[:200])
    return CasesError(
        "database-away",
        "the database does not answer; what you sent is not stored yet, send it again",
        status=503,
        recoverable=True,
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def _is_away(error: BaseException) -> bool:
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | OSError | sqlite3.OperationalError):
        return True
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated
        or (isinstance(error.orig, sqlite3.DatabaseError | OSError) and not _is_ours(error))
    )


def _is_ours(error: DBAPIError) -> bool:
    return isinstance(error.orig, sqlite3.IntegrityError | sqlite3.ProgrammingError)


class Database:
    """Transactions on one database. `read()` and `write()` give a connection inside a transaction.

    Writers of this process queue fairly on a lock when the database is SQLite, which has one writer; writers of
    other processes (the command line) wait up to BUSY_TIMEOUT_MS. Who waits longer hears `database-away`.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
            self.is_sqlite = self.url.get_backend_name() == "sqlite"
            options: dict[str, Any] = {"pool_timeout": POOL_TIMEOUT_SECONDS}
            if self.is_sqlite:
                options |= {"pool_size": 8, "max_overflow": 0}
                if self.url.database in (None, "", ":memory:"):
                    raise ArgumentError("SQLite needs a file")
            else:
                options |= {"pool_pre_ping": True, "pool_size": 10}
            self.engine: AsyncEngine = create_async_engine(self.url, **options)
        except (ArgumentError, InvalidRequestError, ImportError, ValueError) as error:
            raise CasesError(
                "database-url",
                f"cases.database_url cannot be used ({error}); say sqlite+aiosqlite:///FILE or "
                "postgresql+asyncpg://USER:PASSWORD@HOST/NAME (pip install 'hotline[postgresql]')",
            ) from error
        self._write_engine = self.engine.execution_options(cases_write=True)
        self._writer = asyncio.Lock()
        if self.is_sqlite:
            sa.event.listen(self.engine.sync_engine, "connect", _sqlite_connected)
            sa.event.listen(self.engine.sync_engine, "begin", _sqlite_begins)

    async def start(self) -> None:
        """Make or migrate the tables. Raises CasesError `database-away` (wait) or `database-refused` (mend)."""
        if self.is_sqlite and self.url.database:
            await asyncio.to_thread(_make_file, Path(self.url.database))
        try:
            async with self.write() as tx:
                await tx.run_sync(migrations.upgrade)
        except (SQLAlchemyError, CommandError, CasesError) as error:
            cause = error.__cause__ if isinstance(error, CasesError) else error
            said = str(getattr(cause, "orig", None) or cause)
            if isinstance(error, CasesError) and type(getattr(cause, "orig", None)) is not sqlite3.DatabaseError:
                raise
            # No such database, a wrong password, a file that is none, tables of a newer version: waiting mends nothing.
            raise CasesError("database-refused", f"the database cannot be used: {said.splitlines()[0]}") from error

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self.engine.connect() as tx:
                yield tx
        except BaseException as error:
            if _is_away(error):
                raise database_away(error) from error
            raise

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Commits when the block ends, rolls back when it raises."""
        try:
            async with AsyncExitStack() as stack:
                if self.is_sqlite:
                    await self._wait_for_turn(stack)
                yield await stack.enter_async_context(self._write_engine.begin())
        except BaseException as error:
            if _is_away(error):
                raise database_away(error) from error
            raise

    async def _wait_for_turn(self, stack: AsyncExitStack) -> None:
        # Bounded: behind a locked file each writer waits BUSY_TIMEOUT_MS, and the last of many must not wait for all.
        async with asyncio.timeout(WRITER_WAIT_SECONDS):
            await self._writer.acquire()
        stack.callback(self._writer.release)

    async def ping(self) -> None:
        async with self.read() as tx:
            await tx.execute(sa.text("SELECT 1"))

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT of the database's own dialect, for ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    async def next_number(self, tx: AsyncConnection, name: str) -> int:
        """The next value of a counter, from 1; each value once, however many ask at the same time."""
        statement = self.insert(counters).values(name=name, value=1)
        statement = statement.on_conflict_do_update(
            index_elements=[counters.c.name], set_={"value": counters.c.value + 1}
        )
        return int((await tx.execute(statement.returning(counters.c.value))).scalar_one())


def _make_file(path: Path) -> None:
    """The database holds callers' numbers: nobody else reads it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise database_away(error) from error


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are ours: the driver's own begin comes too late
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # a receipt must survive a power cut
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begins(connection: sa.Connection) -> None:
    # A writer takes the lock at its start: a read that turns into a write would fail at once, not wait.
    writes = connection.get_execution_options().get("cases_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
