"""What producers (ivr, web forms, imports) send: drafts, recordings, live updates."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from cases.errors import CasesError
from cases.recordings import CALL_ID, not_a_wav, too_large
from cases.schema import ComplaintDraft, DraftReceipt, LiveUpdate, Recording
from cases.web.auth import Lets
from cases.web.keys import SERVICE
from cases.web.openapi import Route, json_response, read_body, read_json
from cases.web.problems import from_validation

DIGEST_HEADER = "X-Content-SHA256"
WAV_TYPES = ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
MAX_LIVE_BATCH = 500
_CHUNK_BYTES = 1 << 16
_LIVE = TypeAdapter(list[LiveUpdate])


async def post_draft(request: web.Request) -> web.Response:
    draft = await read_body(request, ComplaintDraft, "draft-invalid")
    _require_storable(draft)
    receipt = await request.app[SERVICE].intake.receive_draft(draft)
    return json_response(receipt, status=201 if receipt.created else 200)


def _require_storable(draft: ComplaintDraft) -> None:
    """What the schema lets through and no database gives back: infinite numbers, times before the first year."""
    try:
        ComplaintDraft.model_validate_json(draft.model_dump_json())
    except ValidationError as error:
        raise from_validation(error, "draft-invalid", "the draft holds numbers that JSON cannot carry") from error
    try:
        draft.received_at.astimezone(UTC)
    except OverflowError as error:
        fault = {"field": "received_at", "code": "range", "message": "not a time that there was in UTC"}
        raise CasesError("draft-invalid", "received_at cannot be", status=422, errors=[fault]) from error


async def put_recording(request: web.Request) -> web.Response:
    service, call_id = request.app[SERVICE], request.match_info["call_id"]
    if not CALL_ID.fullmatch(call_id):
        raise CasesError("call-id-invalid", "a call id has 1-64 of A-Z a-z 0-9 . _ -", status=400)
    if request.content_type not in WAV_TYPES:
        raise not_a_wav("send it as audio/wav")
    sha256 = request.headers.get(DIGEST_HEADER, "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise CasesError("digest-missing", f"send {DIGEST_HEADER}: the SHA-256 of the body in hexadecimal", status=400)
    if (request.content_length or 0) > service.files.max_bytes:
        raise too_large(service.files.max_bytes)
    recording, new = await service.intake.receive_recording(call_id, _chunks(request), sha256)
    return json_response(recording, status=201 if new else 200)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
        yield chunk


async def post_live(request: web.Request) -> web.Response:
    raw = await read_json(request)
    try:
        updates = _LIVE.validate_json(raw)
    except ValidationError as error:
        raise from_validation(error, "live-invalid", "the body is a JSON list of LiveUpdate") from error
    if len(updates) > MAX_LIVE_BATCH:
        raise CasesError("live-invalid", f"at most {MAX_LIVE_BATCH} updates at once", status=422)
    request.app[SERVICE].intake.receive_live(updates)
    return web.Response(status=204)


ROUTES = (
    Route(
        "POST",
        "/api/drafts",
        post_draft,
        "Hand over a draft; again it changes nothing, with a higher revision it replaces an untouched one",
        Lets.PRODUCER,
        {201: DraftReceipt, 200: DraftReceipt},
        body=ComplaintDraft,
        problems=("draft-invalid", "json-invalid", "body-too-large", "database-away", "revision-call"),
    ),
    Route(
        "PUT",
        "/api/recordings/{call_id}",
        put_recording,
        f"Hand over a recording with {DIGEST_HEADER}; a longer one replaces a shorter one",
        Lets.PRODUCER,
        {201: Recording, 200: Recording},
        body="audio/wav",
        problems=("not-a-wav", "digest-missing", "digest-wrong", "recording-too-large", "call-id-invalid", "disk-full"),
    ),
    Route(
        "POST",
        "/api/live",
        post_live,
        "Tell the desks of live calls; lossy on purpose",
        Lets.PRODUCER,
        {204: None},
        body=list[LiveUpdate],
        problems=("live-invalid",),
    ),
)
