"""The web application: API and desk on one service.

Run it with `aiohttp.web.AppRunner(app, access_log=None)`: requests are logged by `problems.answer_problems`, without
the query strings, which hold phone numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path

import structlog
from aiohttp import web

from cases.errors import CasesError
from cases.service import CasesService, producer_token
from cases.settings import CasesSettings
from cases.web import api_about, api_desk, api_producer, api_session, api_stream
from cases.web.auth import guard
from cases.web.desk import add_desk
from cases.web.keys import BEHIND_TLS, LOGIN_LIMIT, PRODUCER_TOKEN, SERVICE
from cases.web.login_limit import LoginLimit
from cases.web.openapi import add_routes
from cases.web.problems import add_security_headers, answer_problems

log = structlog.get_logger(__name__)

MAX_JSON_BYTES = 4 * 2**20  # a long call's draft with all its words is some 100 KiB
SWEEP_SECONDS = 30.0

ROUTES = (
    *api_producer.ROUTES,
    *api_session.ROUTES,
    *api_desk.ROUTES,
    *api_stream.ROUTES,
    *api_about.ROUTES,
)


@cache
def openapi_text() -> str:
    """The OpenAPI document; made when it is first asked for, it takes a third of a second."""
    return json.dumps(api_about.openapi(ROUTES), ensure_ascii=False)


def make_app(settings: CasesSettings, state_dir: Path, service: CasesService | None = None) -> web.Application:
    """The backend. Its database is made or migrated when the app starts, closed when it ends.

    `service`: an own one (tests: another clock). Raises CasesError when the settings cannot be used.
    """
    app = web.Application(middlewares=[answer_problems, guard], client_max_size=MAX_JSON_BYTES)
    app[SERVICE] = service or CasesService(settings, state_dir)
    app[PRODUCER_TOKEN] = producer_token(settings, state_dir)
    app[LOGIN_LIMIT] = LoginLimit()
    app[BEHIND_TLS] = settings.behind_tls
    make_document: Callable[[], str] = openapi_text
    app[api_about.DOCUMENT] = make_document
    add_routes(app, ROUTES)
    add_desk(app)
    app.on_response_prepare.append(add_security_headers)
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.append(_running)
    return app


async def _end_streams(app: web.Application) -> None:
    """Open streams would hold up the shutdown."""
    app[SERVICE].end_streams()


async def _running(app: web.Application) -> AsyncIterator[None]:
    service = app[SERVICE]
    await service.start()
    sweeper = asyncio.create_task(_sweep(service))
    yield
    sweeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeper
    await service.close()


async def _sweep(service: CasesService) -> None:
    while True:
        try:
            await service.sweep()
        except CasesError as error:
            log.warning("sweep_failed", code=error.code)
        except Exception:
            log.exception("sweep_failed")
        await asyncio.sleep(SWEEP_SECONDS)
