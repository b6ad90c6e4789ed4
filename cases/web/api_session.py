"""Logging in and out."""

from __future__ import annotations

import structlog
from aiohttp import web

from cases import metrics
from cases.accounts import Session
from cases.errors import CasesError
from cases.views import Credentials, SessionView, UserView
from cases.web.auth import SESSION_COOKIE, Lets, address_of, session_of, set_session_cookie
from cases.web.keys import BEHIND_TLS, LOGIN_LIMIT, SERVICE
from cases.web.openapi import Route, json_response, read_body

log = structlog.get_logger(__name__)


def _view(session: Session) -> SessionView:
    user = UserView(name=session.user.name, display_name=session.user.display_name, role=session.user.role)
    return SessionView(user=user, csrf=session.csrf, expires_at=session.expires_at)


async def log_in(request: web.Request) -> web.Response:
    asked = await read_body(request, Credentials)
    service, limit, address = request.app[SERVICE], request.app[LOGIN_LIMIT], address_of(request)
    if wait_seconds := limit.begin(asked.username, address, service.clock()):
        metrics.LOGINS.labels("limited").inc()
        raise CasesError(
            "login-limited",
            f"too many wrong passwords; try again in {wait_seconds} s",
            status=429,
            recoverable=True,
            retry_after_seconds=wait_seconds,
        )
    try:
        token, session = await service.accounts.log_in(asked.username, asked.password, now=service.clock())
    except CasesError as error:
        if error.code == "login-failed":
            metrics.LOGINS.labels("failed").inc()
            log.warning("login_failed", address=address)
        else:  # too busy, or the database is away: no guess was answered
            limit.not_tried(asked.username, address)
        raise
    limit.succeeded(asked.username, address)
    metrics.LOGINS.labels("succeeded").inc()
    log.info("logged_in", user=session.user.name)
    response = json_response(_view(session))
    seconds = int(service.settings.session_hours * 3600)
    set_session_cookie(response, token, max_age_seconds=seconds, secure=request.app[BEHIND_TLS])
    return response


async def who_am_i(request: web.Request) -> web.Response:
    return json_response(_view(session_of(request)))


async def log_out(request: web.Request) -> web.Response:
    service, session = request.app[SERVICE], session_of(request)
    await service.accounts.log_out(session.key)
    service.fanout.close_session(session.key)
    log.info("logged_out", user=session.user.name)
    response = web.Response(status=204)
    response.del_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Strict", secure=request.app[BEHIND_TLS])
    return response


ROUTES = (
    Route(
        "POST",
        "/api/session",
        log_in,
        "Log in: sets the cookie, gives the CSRF token",
        Lets.LOG_IN,
        {200: SessionView},
        body=Credentials,
        problems=("login-failed", "login-limited", "login-busy"),
    ),
    Route("GET", "/api/session", who_am_i, "Who am I", Lets.SESSION, {200: SessionView}, problems=("session-over",)),
    Route("DELETE", "/api/session", log_out, "Log out", Lets.SESSION, {204: None}),
)
