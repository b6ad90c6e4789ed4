"""The tables, as SQLAlchemy Core sees them. How a database comes to have them: `migrations/`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Aware datetimes, kept in UTC. SQLite has no zone, so there the zone is dropped and put back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: which zone is it?")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _column(name: str, type_: Any, *args: Any, **kwargs: Any) -> sa.Column[Any]:
    kwargs.setdefault("nullable", False)
    return sa.Column(name, type_, *args, **kwargs)


users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _column("name", sa.String(64), unique=True),
    _column("display_name", sa.String(64)),
    _column("role", sa.String(16)),
    _column("password_hash", sa.String(256)),
    _column("disabled", sa.Boolean),
    _column("created_at", UtcDateTime),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),  # SHA-256 of the cookie: a stolen table opens nothing
    _column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True),
    _column("csrf", sa.String(64)),
    _column("created_at", UtcDateTime),
    _column("expires_at", UtcDateTime, index=True),
)

drafts = sa.Table(
    "drafts",
    metadata,
    sa.Column("draft_id", sa.String(36), primary_key=True),
    _column("call_id", sa.String(64), index=True),
    _column("received_at", UtcDateTime),
    _column("stored_at", UtcDateTime),
    _column("draft", sa.Text),  # the producer's JSON as shown now: never edited, only replaced by another revision
    _column("revision", sa.Integer, server_default=sa.text("0")),  # of the draft that is shown
    _column("newest", sa.Integer, server_default=sa.text("0")),  # the highest revision that came: above, it is offered
    _column("dismissed", sa.Integer, server_default=sa.text("0")),  # an operator wants nothing up to this one
    _column("edits", sa.JSON),  # field path -> value as typed (null: emptied)
    _column("edits_count", sa.Integer),
    _column("status", sa.String(16)),
    _column("version", sa.Integer),  # rises with the status only, so that fast typing never meets its own edits
    _column("is_open", sa.Boolean),  # waiting or taken: in the queue
    _column("taken_by", sa.Integer, sa.ForeignKey("users.id"), nullable=True),
    _column("taken_at", UtcDateTime, nullable=True),
    _column("touched_at", UtcDateTime, nullable=True),  # the taker's last sign of life
    _column("undo_until", UtcDateTime, nullable=True),
    _column("undo_by", sa.Integer, sa.ForeignKey("users.id"), nullable=True),
    _column("reject_reason", sa.Text, nullable=True),
    _column("case_number", sa.String(64), nullable=True),
    # What the queue shows, kept beside the draft so that a row needs no parsing.
    _column("rank", sa.Integer),  # 0 alert, 1 emergency, 2 urgent, 3 routine
    _column("subject", sa.String(64)),
    _column("category", sa.String(256)),
    _column("place", sa.String(512)),
    _column("urgency", sa.String(16)),
    _column("alerts", sa.JSON),
    _column("ended", sa.String(16)),
    _column("complete", sa.Boolean),
    _column("unsure", sa.Integer),
    _column("pending", sa.Boolean, server_default=sa.false()),  # something was recorded and not yet transcribed
    _column("search", sa.Text),
    sa.Index("ix_drafts_queue", "is_open", "rank", "received_at", "draft_id", "status"),
    sa.Index("ix_drafts_taken", "status", "touched_at"),
)

# The other revisions of a draft: what was shown before, and a newer one that is only offered. Some rows a draft at most.
draft_revisions = sa.Table(
    "draft_revisions",
    metadata,
    sa.Column("draft_id", sa.String(36), sa.ForeignKey("drafts.draft_id"), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    _column("draft", sa.Text),  # the producer's JSON
    _column("stored_at", UtcDateTime),  # when it came as an offer, or stopped being the one that is shown
)

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("number", sa.String(64), primary_key=True),
    _column("draft_id", sa.String(36), sa.ForeignKey("drafts.draft_id"), index=True),
    _column("call_id", sa.String(64)),
    _column("opened_at", UtcDateTime, index=True),
    _column("opened_by", sa.Integer, sa.ForeignKey("users.id")),
    _column("fields", sa.JSON),
    _column("edited", sa.JSON),
    _column("voided_at", UtcDateTime, nullable=True),
    _column("search", sa.Text),
)

# What a case is found by at once: its number, its reference, its phones' digits. `secret`: not for operators.
case_keys = sa.Table(
    "case_keys",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("number", sa.String(64), sa.ForeignKey("cases.number"), primary_key=True),
    _column("secret", sa.Boolean),
)

recordings = sa.Table(
    "recordings",
    metadata,
    sa.Column("call_id", sa.String(64), primary_key=True),
    _column("file", sa.String(256)),  # relative to the recordings folder
    _column("seconds", sa.Float),
    _column("bytes", sa.BigInteger),
    _column("sha256", sa.String(64)),
    _column("stored_at", UtcDateTime),
)

history = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _column("draft_id", sa.String(36), sa.ForeignKey("drafts.draft_id"), index=True),
    _column("at", UtcDateTime),
    _column("actor", sa.String(64)),  # a user's name, or "producer" or "system"
    _column("actor_name", sa.String(64)),
    _column("action", sa.String(16)),
    _column("from_status", sa.String(16), nullable=True),
    _column("to_status", sa.String(16)),
    _column("reason", sa.Text, nullable=True),
    _column("case_number", sa.String(64), nullable=True),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    _column("value", sa.BigInteger),
)
