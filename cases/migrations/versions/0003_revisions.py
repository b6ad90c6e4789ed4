"""A draft heard again: what was shown before and what is offered are kept beside it; turns may wait for their words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("drafts", sa.Column("revision", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("drafts", sa.Column("newest", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("drafts", sa.Column("dismissed", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("drafts", sa.Column("pending", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "draft_revisions",
        sa.Column("draft_id", sa.String(36), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("draft", sa.Text, nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("draft_id", "revision", name="pk_draft_revisions"),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.draft_id"], name="fk_draft_revisions_draft_id"),
    )


def downgrade() -> None:
    op.drop_table("draft_revisions")
    for column in ("pending", "dismissed", "newest", "revision"):
        op.drop_column("drafts", column)
