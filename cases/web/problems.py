"""Every error of the API as problem+json (RFC 9457), and the headers that every answer carries."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from aiohttp import web
from pydantic import ValidationError

from cases import metrics
from cases.errors import CasesError

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SECURITY_HEADERS = {
    # Callers' words are hostile: even if one became markup, nothing could run, load or send.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SERVER = "hotline"
# Codes for what aiohttp refuses by itself.
_CODES = {
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "media-type",
    431: "header-too-large",
}


def problem_json(error: CasesError) -> dict[str, Any]:
    """cases.schema.Problem with the error's extension members."""
    title = HTTPStatus(error.status).phrase if error.status in HTTPStatus._value2member_map_ else "Error"
    return {
        **error.extra,
        "type": "about:blank",
        "title": title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "errors": error.errors,
    }


def problem_response(error: CasesError) -> web.Response:
    headers = {"Retry-After": str(error.retry_after_seconds)} if error.retry_after_seconds else None
    return web.Response(
        text=json.dumps(problem_json(error), ensure_ascii=False, default=str),
        status=error.status,
        content_type="application/problem+json",
        headers=headers,
    )


def from_validation(error: ValidationError, code: str, message: str) -> CasesError:
    """What pydantic refused, by field; the refused values themselves may be a caller's and are left out."""
    items = error.errors(include_url=False, include_input=False, include_context=False)
    if any(item["type"] == "json_invalid" for item in items):
        return CasesError("json-invalid", "the body is not valid JSON", status=400)
    errors = [
        {"field": ".".join(map(str, item["loc"]))[:200], "code": item["type"], "message": item["msg"][:300]}
        for item in items[:50]
    ]
    return CasesError(code, message, status=422, errors=errors)


def route_of(request: web.Request) -> str:
    """The route's pattern, never the address that was asked for: that may hold anything."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(none)"


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost: no error leaves as a crash, none as another shape, each is counted and timed."""
    began = time.perf_counter()
    try:
        response = await handler(request)
    except CasesError as error:
        response = problem_response(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = _CODES.get(error.status, "http-error")
        response = problem_response(CasesError(code, error.text or error.reason, status=error.status))
        if allow := error.headers.get("Allow"):
            response.headers["Allow"] = allow
    except (ConnectionResetError, TimeoutError):
        raise  # the peer went away, or stalled: nobody to answer
    except Exception:
        mark = uuid4().hex[:12]
        log.exception("request_failed", route=route_of(request), method=request.method, mark=mark)
        response = problem_response(
            CasesError("internal", f"something failed on our side; the log has it under {mark}", status=500)
        )
    seconds = time.perf_counter() - began
    route = route_of(request)
    if route != "/api/stream":
        metrics.REQUEST_SECONDS.labels(request.method, route, str(response.status)).observe(seconds)
    # No query string and no path: they may hold phone numbers and call ids.
    log.info(
        "request", method=request.method, route=route, status=response.status, milliseconds=round(seconds * 1000, 1)
    )
    return response


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """A signal (on_response_prepare), so that streams and files carry them too. A handler's own header wins."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER  # aiohttp's own names its versions
