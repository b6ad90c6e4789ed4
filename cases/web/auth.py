"""Nobody gets in without logging in: one guard in front of every route.

A route says whom it lets in (`Lets`); one that says nothing wants a session. Browser requests that change something
also carry the session's CSRF token, and come from our own pages.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from cases.accounts import Session
from cases.errors import CasesError
from cases.web.keys import BEHIND_TLS, PRODUCER_TOKEN, SERVICE
from cases.web.problems import Handler

SESSION_COOKIE = "hotline_session"
CSRF_HEADER = "X-CSRF-Token"
SESSION = web.RequestKey("session", Session)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE_MAX_CHARS = 128

H = TypeVar("H", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


class Lets(StrEnum):
    """Whom a route lets in."""

    SESSION = "session"
    PRODUCER = "producer"
    ANYONE = "anyone"
    LOG_IN = "log-in"  # anyone, but only from our own pages
    MONITOR = "monitor"  # this machine itself, or a producer's token


_LETS_IN: dict[Callable[[web.Request], Awaitable[web.StreamResponse]], Lets] = {}


def lets_in(handler: H, who: Lets) -> H:
    """Says whom a handler's route lets in."""
    _LETS_IN[handler] = who
    return handler


def who_may(request: web.Request) -> Lets:
    return _LETS_IN.get(request.match_info.handler, Lets.SESSION)


def session_of(request: web.Request) -> Session:
    """The session behind a request that the guard let in."""
    return request[SESSION]


async def find_session(request: web.Request) -> Session | None:
    """The living session of a request's cookie, else None."""
    token = request.cookies.get(SESSION_COOKIE, "")
    if not token or len(token) > _COOKIE_MAX_CHARS:
        return None
    service = request.app[SERVICE]
    return await service.accounts.session(token, now=service.clock())


def session_over() -> CasesError:
    return CasesError("session-over", "log in; what you have typed is kept", status=401)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    who = who_may(request)
    if request.match_info.http_exception is not None or who is Lets.ANYONE:
        return await handler(request)
    if who is Lets.PRODUCER or (who is Lets.MONITOR and not _is_this_machine(request)):
        _require_producer(request)
    elif who is Lets.LOG_IN:
        _require_own_page(request)
    elif who is Lets.SESSION:
        session = await find_session(request)
        if session is None:
            if not request.path.startswith("/api"):
                raise web.HTTPSeeOther("/login")
            raise session_over()
        if request.method not in SAFE_METHODS:
            _require_own_page(request)
            if not _same(request.headers.get(CSRF_HEADER, ""), session.csrf):
                raise CasesError("forbidden", f"the header {CSRF_HEADER} is missing or of another session", status=403)
        request[SESSION] = session
    return await handler(request)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _require_producer(request: web.Request) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not _same(token.strip(), request.app[PRODUCER_TOKEN]):
        raise CasesError(
            "producer-unknown",
            "send Authorization: Bearer with the producers' token (cases.producer_token or <state>/producer.token)",
            status=401,
        )


def _require_own_page(request: web.Request) -> None:
    """Browsers say where a request comes from; programs say nothing and need the tokens all the same."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc != request.host):
        raise CasesError("forbidden", "this request comes from another site", status=403)


def _is_this_machine(request: web.Request) -> bool:
    if request.headers.get("X-Forwarded-For") or request.headers.get("Forwarded"):
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def address_of(request: web.Request) -> str:
    """Where a log-in comes from; behind our TLS proxy the last hop that the proxy itself has written down."""
    if request.app[BEHIND_TLS] and (forwarded := request.headers.get("X-Forwarded-For")):
        return forwarded.rsplit(",", 1)[-1].strip()[:64]
    return request.remote or ""


def set_session_cookie(response: web.StreamResponse, token: str, *, max_age_seconds: int, secure: bool) -> None:
    response.set_cookie(
        SESSION_COOKIE, token, max_age=max_age_seconds, path="/", httponly=True, samesite="Strict", secure=secure
    )
