"""The first tables: users, sessions, drafts, cases, recordings, history, counters."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A revision stands on its own: it must still make these very tables when `cases.tables` has moved on.
AT = sa.DateTime(timezone=True)


def _column(name: str, type_: Any, *args: Any, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, type_, *args, nullable=nullable)


def _accounts() -> None:
    op.create_table(
        "users",
        _column("id", sa.Integer),
        _column("name", sa.String(64)),
        _column("display_name", sa.String(64)),
        _column("role", sa.String(16)),
        _column("password_hash", sa.String(256)),
        _column("disabled", sa.Boolean),
        _column("created_at", AT),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "sessions",
        _column("token_hash", sa.String(64)),
        _column("user_id", sa.Integer),
        _column("csrf", sa.String(64)),
        _column("created_at", AT),
        _column("expires_at", AT),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def _drafts() -> None:
    op.create_table(
        "drafts",
        _column("draft_id", sa.String(36)),
        _column("call_id", sa.String(64)),
        _column("received_at", AT),
        _column("stored_at", AT),
        _column("draft", sa.Text),
        _column("edits", sa.JSON),
        _column("edits_count", sa.Integer),
        _column("status", sa.String(16)),
        _column("version", sa.Integer),
        _column("is_open", sa.Boolean),
        _column("taken_by", sa.Integer, nullable=True),
        _column("taken_at", AT, nullable=True),
        _column("touched_at", AT, nullable=True),
        _column("undo_until", AT, nullable=True),
        _column("undo_by", sa.Integer, nullable=True),
        _column("reject_reason", sa.Text, nullable=True),
        _column("case_number", sa.String(64), nullable=True),
        _column("rank", sa.Integer),
        _column("subject", sa.String(64)),
        _column("category", sa.String(256)),
        _column("place", sa.String(512)),
        _column("urgency", sa.String(16)),
        _column("alerts", sa.JSON),
        _column("ended", sa.String(16)),
        _column("complete", sa.Boolean),
        _column("unsure", sa.Integer),
        _column("search", sa.Text),
        sa.PrimaryKeyConstraint("draft_id", name="pk_drafts"),
        sa.ForeignKeyConstraint(["taken_by"], ["users.id"], name="fk_drafts_taken_by"),
        sa.ForeignKeyConstraint(["undo_by"], ["users.id"], name="fk_drafts_undo_by"),
    )
    op.create_index("ix_drafts_call_id", "drafts", ["call_id"])
    op.create_index("ix_drafts_queue", "drafts", ["is_open", "rank", "received_at", "draft_id", "status"])
    op.create_index("ix_drafts_taken", "drafts", ["status", "touched_at"])
    op.create_table(
        "history",
        _column("id", sa.Integer),
        _column("draft_id", sa.String(36)),
        _column("at", AT),
        _column("actor", sa.String(64)),
        _column("actor_name", sa.String(64)),
        _column("action", sa.String(16)),
        _column("from_status", sa.String(16), nullable=True),
        _column("to_status", sa.String(16)),
        _column("reason", sa.Text, nullable=True),
        _column("case_number", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.draft_id"], name="fk_history_draft_id"),
    )
    op.create_index("ix_history_draft_id", "history", ["draft_id"])


def _cases() -> None:
    op.create_table(
        "cases",
        _column("number", sa.String(64)),
        _column("draft_id", sa.String(36)),
        _column("call_id", sa.String(64)),
        _column("opened_at", AT),
        _column("opened_by", sa.Integer),
        _column("fields", sa.JSON),
        _column("edited", sa.JSON),
        _column("voided_at", AT, nullable=True),
        _column("search", sa.Text),
        sa.PrimaryKeyConstraint("number", name="pk_cases"),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.draft_id"], name="fk_cases_draft_id"),
        sa.ForeignKeyConstraint(["opened_by"], ["users.id"], name="fk_cases_opened_by"),
    )
    op.create_index("ix_cases_draft_id", "cases", ["draft_id"])
    op.create_index("ix_cases_opened_at", "cases", ["opened_at"])
    op.create_table(
        "recordings",
        _column("call_id", sa.String(64)),
        _column("file", sa.String(256)),
        _column("seconds", sa.Float),
        _column("bytes", sa.BigInteger),
        _column("sha256", sa.String(64)),
        _column("stored_at", AT),
        sa.PrimaryKeyConstraint("call_id", name="pk_recordings"),
    )
    op.create_table(
        "counters",
        _column("name", sa.String(64)),
        _column("value", sa.BigInteger),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )


def upgrade() -> None:
    _accounts()
    _drafts()
    _cases()


def downgrade() -> None:
    for table in ("counters", "recordings", "cases", "history", "drafts", "sessions", "users"):
        op.drop_table(table)
