"""Who may come in: users, passwords (argon2), server-side sessions, and the producers' token."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.errors import CasesError
from cases.lifecycle import Actor, Role
from cases.settings import CasesSettings
from cases.store import Database
from cases.tables import sessions, users

log = structlog.get_logger(__name__)

PASSWORD_MIN_CHARS = 8
PASSWORD_MAX_CHARS = 256
MAX_HASHING = 2  # argon2 takes 64 MiB and a core each
MAX_HASHING_WAITS = 32  # overflow: login-busy, try again
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_TOKEN_FILE = "producer.token"


@dataclass(frozen=True, slots=True)
class User:
    id: int
    name: str
    display_name: str
    role: Role
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in. `key` is the hash of the cookie's token, the token itself is nowhere."""

    key: str
    user: User
    csrf: str
    expires_at: datetime

    @property
    def actor(self) -> Actor:
        return Actor(self.user.id, self.user.name, self.user.display_name, self.user.role)


def token_key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def producer_token(settings: CasesSettings, state_dir: Path) -> str:
    """The bearer token of producers: from the settings, else made once in `<state>/producer.token` (mode 0600).

    The backend and a producer on the same machine may call this at the same time: one makes it, both get the same.
    """
    if settings.producer_token:
        return settings.producer_token
    path = state_dir / _TOKEN_FILE
    try:
        with contextlib.suppress(FileNotFoundError):
            if token := path.read_text("ascii").strip():
                return token
        state_dir.mkdir(parents=True, exist_ok=True)
        _make_token(path)
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError("producer-token", f"{path} cannot be read or made: {error}") from error


def _make_token(path: Path) -> None:
    """Atomic, and never over another's token."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and not path.stat().st_size:
            path.unlink()  # an empty one is what a full disk left
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


class Accounts:
    """Users and sessions in the database."""

    def __init__(self, database: Database, session_hours: float, hasher: PasswordHasher | None = None) -> None:
        self._db = database
        self._session_hours = session_hours
        self._hasher = hasher or PasswordHasher()
        # An unknown user costs the same time as a wrong password.
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._hashing = asyncio.Semaphore(MAX_HASHING)
        self._hashing_waits = 0

    async def add_user(self, name: str, password: str, role: Role | str, display_name: str, *, now: datetime) -> User:
        """Raises CasesError user-name, user-role, password-short, user-exists."""
        if not _NAME.fullmatch(name):
            raise CasesError(
                "user-name", "a user's name has 1-32 of a-z 0-9 . _ - and starts with a letter or digit", status=422
            )
        role = _role(role)
        display_name = display_name.strip() or name
        if len(display_name) > 64 or not display_name.isprintable():
            raise CasesError("user-name", "a display name has at most 64 printable characters", status=422)
        row = {
            "name": name,
            "display_name": display_name,
            "role": role.value,
            "password_hash": await self._hash(_strong(password)),
            "disabled": False,
            "created_at": now,
        }
        try:
            async with self._db.write() as tx:
                made = (await tx.execute(users.insert().values(row).returning(users))).one()
        except IntegrityError as error:
            raise CasesError("user-exists", f"there is a user {name} already", status=409) from error
        log.info("user_added", name=name, role=role.value)
        return _user(made)

    async def users(self) -> list[User]:
        async with self._db.read() as tx:
            return [_user(row) for row in await tx.execute(sa.select(users).order_by(users.c.name))]

    async def disable_user(self, name: str, *, disabled: bool = True) -> None:
        """Ends the user's sessions too: open streams see it when they next ask. Raises CasesError `user-unknown`."""
        async with self._db.write() as tx:
            user_id = await self._id_of(tx, name)
            await tx.execute(users.update().where(users.c.id == user_id).values(disabled=disabled))
            if disabled:
                await self._end_sessions(tx, user_id)
        log.info("user_disabled" if disabled else "user_enabled", name=name)

    async def set_password(self, name: str, password: str) -> None:
        """Ends the user's sessions."""
        hashed = await self._hash(_strong(password))
        async with self._db.write() as tx:
            user_id = await self._id_of(tx, name)
            await tx.execute(users.update().where(users.c.id == user_id).values(password_hash=hashed))
            await self._end_sessions(tx, user_id)
        log.info("password_set", name=name)

    async def _id_of(self, tx: AsyncConnection, name: str) -> int:
        user_id = (await tx.execute(sa.select(users.c.id).where(users.c.name == name))).scalar()
        if user_id is None:
            raise CasesError("user-unknown", f"there is no user {name}", status=404)
        return int(user_id)

    async def _end_sessions(self, tx: AsyncConnection, user_id: int) -> None:
        await tx.execute(sessions.delete().where(sessions.c.user_id == user_id))

    async def log_in(self, name: str, password: str, *, now: datetime) -> tuple[str, Session]:
        """(the cookie's token, the session). CasesError `login-failed` says not whether the user exists."""
        row = None
        if _NAME.fullmatch(name):
            async with self._db.read() as tx:
                row = (await tx.execute(sa.select(users).where(users.c.name == name))).one_or_none()
        right = await self._verify(row.password_hash if row is not None else self._nobody, password)
        if row is None or not right or row.disabled:
            raise CasesError("login-failed", "the user name or the password is wrong", status=401)
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session = Session(token_key(token), _user(row), csrf, now + timedelta(hours=self._session_hours))
        rehashed = await self._hash(password) if self._hasher.check_needs_rehash(row.password_hash) else None
        async with self._db.write() as tx:
            await tx.execute(sessions.delete().where(sessions.c.expires_at <= now))
            values = {"user_id": row.id, "csrf": csrf, "created_at": now, "expires_at": session.expires_at}
            await tx.execute(sessions.insert().values(token_hash=session.key, **values))
            if rehashed:
                await tx.execute(users.update().where(users.c.id == row.id).values(password_hash=rehashed))
        return token, session

    async def session(self, token: str, *, now: datetime) -> Session | None:
        """The living session behind a cookie, else None."""
        return await self.session_by_key(token_key(token), now=now)

    async def session_by_key(self, key: str, *, now: datetime) -> Session | None:
        query = (
            sa.select(users, sessions.c.csrf, sessions.c.expires_at)
            .join(users, users.c.id == sessions.c.user_id)
            .where(sessions.c.token_hash == key)
        )
        async with self._db.read() as tx:
            row = (await tx.execute(query)).one_or_none()
        if row is None or row.expires_at <= now or row.disabled:
            return None
        return Session(key, _user(row), row.csrf, row.expires_at)

    async def log_out(self, key: str) -> None:
        async with self._db.write() as tx:
            await tx.execute(sessions.delete().where(sessions.c.token_hash == key))

    async def _hash(self, password: str) -> str:
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, hashed: str, password: str) -> bool:
        async with self._turn():
            try:
                return await asyncio.to_thread(self._hasher.verify, hashed, password)
            except (VerificationError, InvalidHashError):
                return False

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._hashing_waits >= MAX_HASHING_WAITS:
            raise CasesError(
                "login-busy", "too many log-ins at once, try again", status=503, recoverable=True, retry_after_seconds=2
            )
        self._hashing_waits += 1
        try:
            async with self._hashing:
                yield
        finally:
            self._hashing_waits -= 1


def _user(row: sa.Row[*tuple[Any, ...]]) -> User:
    return User(row.id, row.name, row.display_name, Role(row.role), row.disabled, row.created_at)


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError as error:
        raise CasesError("user-role", f"a role is one of {', '.join(Role)}", status=422) from error


def _strong(password: str) -> str:
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        raise CasesError(
            "password-short", f"a password has {PASSWORD_MIN_CHARS} to {PASSWORD_MAX_CHARS} characters", status=422
        )
    return password
