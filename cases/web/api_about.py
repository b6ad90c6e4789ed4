"""What the backend says about itself: schema, OpenAPI document, health, metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cases.errors import CasesError
from cases.schema import LiveUpdate, draft_json_schema
from cases.views import DraftChange, Health, QueueChange
from cases.web.auth import Lets
from cases.web.keys import SERVICE
from cases.web.openapi import Route, document, json_response

DOCUMENT: web.AppKey[Callable[[], str]] = web.AppKey("openapi_document")


async def get_draft_schema(_request: web.Request) -> web.Response:
    text = json.dumps(draft_json_schema(), ensure_ascii=False)
    return web.Response(text=text, content_type="application/schema+json")


async def get_openapi(request: web.Request) -> web.Response:
    return web.Response(text=request.app[DOCUMENT](), content_type="application/json")


async def get_health(request: web.Request) -> web.Response:
    try:
        await request.app[SERVICE].db.ping()
    except CasesError:
        return json_response(Health(status="degraded", database="away"), status=503)
    return json_response(Health(status="ok", database="ok"))


async def get_metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def openapi(routes: tuple[Route, ...]) -> dict[str, Any]:
    return document(routes, (LiveUpdate, QueueChange, DraftChange))


ROUTES = (
    Route(
        "GET",
        "/api/schema/complaint-draft.json",
        get_draft_schema,
        "JSON Schema of a draft",
        Lets.ANYONE,
        {200: "application/schema+json"},
    ),
    Route("GET", "/api/openapi.json", get_openapi, "This document", Lets.ANYONE, {200: "application/json"}),
    Route("GET", "/healthz", get_health, "Health", Lets.ANYONE, {200: Health, 503: Health}),
    Route("GET", "/metrics", get_metrics, "Prometheus metrics", Lets.MONITOR, {200: "text/plain"}),
)
