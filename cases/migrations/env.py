"""alembic's entry: runs on the connection that the backend hands over, or on `-x url=…` from the command line."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from cases.tables import metadata


def run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("say which database: alembic -x url=sqlite:///… (the backend itself migrates at start)")
    with sa.create_engine(url).begin() as own:
        run(own)
