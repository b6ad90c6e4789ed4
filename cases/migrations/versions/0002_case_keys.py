"""Cases are found by phone, reference and number through an index; confidential ones no more by their caller's words."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keys = op.create_table(
        "case_keys",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("secret", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("key", "number", name="pk_case_keys"),
        sa.ForeignKeyConstraint(["number"], ["cases.number"], name="fk_case_keys_number"),
    )
    cases = sa.table(
        "cases", sa.column("number", sa.String), sa.column("fields", sa.JSON), sa.column("search", sa.Text)
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(cases.c.number, cases.c.fields, cases.c.search)).all():
        rows = _keys(row.number, row.fields)
        connection.execute(keys.insert(), rows)
        if row.fields.get("caller.confidential") is True:
            search = row.search
            for secret in [r["key"] for r in rows if r["secret"]] + [row.fields.get("caller.name") or ""]:
                search = search.replace(secret.lower(), "") if secret else search
            connection.execute(cases.update().where(cases.c.number == row.number).values(search=search))


def _keys(number: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    phones = [re.sub(r"\D", "", fields.get(path) or "") for path in ("caller.number", "caller.callback_number")]
    secret = fields.get("caller.confidential") is True
    found = {phone[:64]: secret for phone in phones if phone}
    found |= {key[:64]: False for key in (number.lower(), fields.get("reference") or "") if key}
    return [{"key": key, "number": number, "secret": hidden} for key, hidden in found.items()]


def downgrade() -> None:
    op.drop_table("case_keys")
