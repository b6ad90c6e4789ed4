"""What the desk reads and does: the queue, one draft's life, cases, recordings, categories."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from cases.categories import categories
from cases.errors import CasesError
from cases.views import (
    AdoptBody,
    CasePage,
    CaseView,
    CategoriesView,
    DismissBody,
    DraftView,
    EditBody,
    EditReceipt,
    QueuePage,
    RejectBody,
    ReturnBody,
    TakeBody,
    VersionBody,
)
from cases.web.auth import Lets, session_of
from cases.web.keys import SERVICE
from cases.web.openapi import Query, Route, int_query, json_response, read_body

PAGE_MAX = 200
Q_MAX_CHARS = 100


def _paging(request: web.Request) -> dict[str, object]:
    """`q`, `after`, `limit` of the query string."""
    q = request.query.get("q", "")
    if len(q) > Q_MAX_CHARS:
        raise CasesError("query-invalid", f"q has at most {Q_MAX_CHARS} characters", status=400)
    limit = int_query(request, "limit", 50, 1, PAGE_MAX)
    return {"q": q.replace("\0", " "), "after": request.query.get("after") or None, "limit": limit}


def _draft_id(request: web.Request) -> str:
    try:
        return str(UUID(request.match_info["draft_id"]))
    except ValueError as error:
        raise CasesError("draft-unknown", "a draft's id is a UUID", status=404) from error


async def get_queue(request: web.Request) -> web.Response:
    return json_response(await request.app[SERVICE].queue(**_paging(request)))  # type: ignore[arg-type]


async def get_draft(request: web.Request) -> web.Response:
    return json_response(await request.app[SERVICE].draft(_draft_id(request), session_of(request).actor))


async def take_draft(request: web.Request) -> web.Response:
    body, actor = await read_body(request, TakeBody), session_of(request).actor
    return json_response(await request.app[SERVICE].take(_draft_id(request), actor, body.version, force=body.force))


async def return_draft(request: web.Request) -> web.Response:
    body, actor = await read_body(request, ReturnBody), session_of(request).actor
    return json_response(await request.app[SERVICE].give_back(_draft_id(request), actor, body.version, body.reason))


async def confirm_draft(request: web.Request) -> web.Response:
    body, actor = await read_body(request, VersionBody), session_of(request).actor
    return json_response(await request.app[SERVICE].confirm(_draft_id(request), actor, body.version))


async def reject_draft(request: web.Request) -> web.Response:
    body, actor = await read_body(request, RejectBody), session_of(request).actor
    return json_response(await request.app[SERVICE].reject(_draft_id(request), actor, body.version, body.reason))


async def undo_draft(request: web.Request) -> web.Response:
    body, actor = await read_body(request, VersionBody), session_of(request).actor
    return json_response(await request.app[SERVICE].undo(_draft_id(request), actor, body.version))


async def adopt_revision(request: web.Request) -> web.Response:
    body, actor = await read_body(request, AdoptBody), session_of(request).actor
    return json_response(await request.app[SERVICE].adopt(_draft_id(request), actor, body.version, body.revision))


async def dismiss_offer(request: web.Request) -> web.Response:
    body, actor = await read_body(request, DismissBody), session_of(request).actor
    return json_response(await request.app[SERVICE].dismiss(_draft_id(request), actor, body.version, body.revision))


async def edit_draft(request: web.Request) -> web.Response:
    body, actor = await read_body(request, EditBody), session_of(request).actor
    return json_response(await request.app[SERVICE].edit(_draft_id(request), actor, body))


async def get_cases(request: web.Request) -> web.Response:
    actor = session_of(request).actor
    return json_response(await request.app[SERVICE].cases(actor, **_paging(request)))  # type: ignore[arg-type]


async def get_case(request: web.Request) -> web.Response:
    number = request.match_info["number"].replace("\0", "")
    return json_response(await request.app[SERVICE].case(number, session_of(request).actor))


async def get_recording(request: web.Request) -> web.StreamResponse:
    path = await request.app[SERVICE].recording_file(request.match_info["call_id"])
    # Ranges and revalidation are FileResponse's. A recording may be replaced by a longer one: ask again each time.
    return web.FileResponse(
        path,
        headers={"Content-Type": "audio/wav", "Cache-Control": "private, no-cache", "Content-Disposition": "inline"},
    )


async def get_categories(_request: web.Request) -> web.Response:
    return json_response(categories())


_PAGING = (
    Query(
        "q",
        "words that must all occur: subject, place, phone, reference, number",
        {"type": "string", "maxLength": Q_MAX_CHARS},
    ),
    Query("after", "a page's `next`"),
    Query("limit", "rows", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": 50}),
)
_STEP = ("draft-changed", "draft-taken", "draft-not-taken", "draft-unknown")
_DRAFT = "/api/drafts/{draft_id}"
_S = Lets.SESSION
_VIEW = {200: DraftView}

ROUTES = (
    Route("GET", "/api/queue", get_queue, "The queue: urgent first, then oldest", _S, {200: QueuePage}, query=_PAGING),
    Route("GET", _DRAFT, get_draft, "One draft", _S, _VIEW, problems=("draft-unknown",)),
    Route(
        "PATCH",
        _DRAFT,
        edit_draft,
        "Keep what was typed",
        _S,
        {200: EditReceipt},
        EditBody,
        (),
        (*_STEP, "edits-invalid"),
    ),
    Route("POST", f"{_DRAFT}/take", take_draft, "Take it; again: still here", _S, _VIEW, TakeBody, (), _STEP),
    Route("POST", f"{_DRAFT}/return", return_draft, "Back to the queue", _S, _VIEW, ReturnBody, (), _STEP),
    Route(
        "POST",
        f"{_DRAFT}/confirm",
        confirm_draft,
        "It becomes a case",
        _S,
        _VIEW,
        VersionBody,
        (),
        (*_STEP, "fields-missing", "fields-invalid"),
    ),
    Route("POST", f"{_DRAFT}/reject", reject_draft, "Reject it", _S, _VIEW, RejectBody, (), (*_STEP, "reason-missing")),
    Route(
        "POST",
        f"{_DRAFT}/undo",
        undo_draft,
        "Take back the last step",
        _S,
        _VIEW,
        VersionBody,
        (),
        ("undo-over", "undo-not-yours"),
    ),
    Route(
        "POST",
        f"{_DRAFT}/adopt",
        adopt_revision,
        "Show the revision that is offered, or the one before again; what was typed stays",
        _S,
        _VIEW,
        AdoptBody,
        (),
        (*_STEP, "revision-unknown"),
    ),
    Route(
        "POST",
        f"{_DRAFT}/dismiss",
        dismiss_offer,
        "Offer nothing up to this revision any more; 0 offers it again",
        _S,
        _VIEW,
        DismissBody,
        (),
        _STEP,
    ),
    Route(
        "GET",
        "/api/recordings/{call_id}",
        get_recording,
        "The recording; ranges",
        _S,
        {200: "audio/wav", 206: "audio/wav"},
        problems=("recording-unknown",),
    ),
    Route("GET", "/api/cases", get_cases, "Cases, the newest first", _S, {200: CasePage}, query=_PAGING),
    Route("GET", "/api/cases/{number}", get_case, "One case", _S, {200: CaseView}, problems=("case-unknown",)),
    Route("GET", "/api/categories", get_categories, "The table of categories", _S, {200: CategoriesView}),
)
