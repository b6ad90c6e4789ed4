"""The published documents: valid, and saying what is served."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from cases.schema import ComplaintDraft


async def document(backend: Any) -> Any:
    async with backend.client().get("/api/openapi.json") as response:
        assert response.status == 200
        return await response.json()


async def test_the_document_is_valid_openapi(backend: Any) -> None:
    OpenAPIV31SpecValidator(await document(backend)).validate()


async def test_every_api_route_is_in_the_document_and_nothing_else(backend: Any) -> None:
    described = {(m.upper(), path) for path, item in (await document(backend))["paths"].items() for m in item}
    served = {
        (route.method, route.resource.canonical)
        for route in backend.server.app.router.routes()
        if route.method != "HEAD" and not route.resource.canonical.startswith(("/static/", "/login", "/desk"))
    }
    assert described == served - {("GET", "/")}


async def test_answers_are_as_the_document_says(backend: Any, make_draft: Any, make_wav: Any) -> None:
    doc = await document(backend)
    draft = make_draft()
    desk = await backend.log_in()
    answers = [("POST", "/api/drafts", await backend.deliver(draft))]
    answers += [("PUT", "/api/recordings/{call_id}", await backend.put_recording("call-1", make_wav()))]
    path = "/api/drafts/{draft_id}"
    answers += [("POST", f"{path}/take", await desk.step(draft.draft_id, "take", 1))]
    answers += [("PATCH", path, await desk.edit(draft.draft_id, 2, subject="改"))]
    answers += [("GET", path, await desk.get(f"/api/drafts/{draft.draft_id}"))]
    answers += [("GET", "/api/queue", await desk.get("/api/queue"))]
    answers += [("POST", f"{path}/confirm", await desk.step(draft.draft_id, "confirm", 2))]
    number = answers[-1][2].body["case_number"]
    answers += [("GET", "/api/cases", await desk.get("/api/cases"))]
    answers += [("GET", "/api/cases/{number}", await desk.get(f"/api/cases/{number}"))]
    answers += [("GET", "/api/session", await desk.get("/api/session"))]
    answers += [("GET", "/healthz", await desk.get("/healthz"))]
    answers += [("GET", "/api/categories", await desk.get("/api/categories"))]
    answers += [("GET", path, await desk.get("/api/drafts/x"))]  # a problem
    for method, route, answer in answers:
        responses = doc["paths"][route][method.lower()]["responses"]
        said = responses.get(str(answer.status)) or responses["default"]
        (content,) = said["content"].values()
        jsonschema.validate(answer.body, {**content["schema"], "components": doc["components"]})


@pytest.fixture
async def published(backend: Any) -> Any:
    async with backend.client().get("/api/schema/complaint-draft.json") as response:
        assert response.status == 200
        return await response.json(content_type="application/schema+json")


def test_the_published_schema_fits_what_it_describes(published: Any, make_draft: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(published)
    check = jsonschema.Draft202012Validator(published)
    good = make_draft().model_dump(mode="json")
    check.validate(good)
    assert ComplaintDraft.model_validate(good)
    for broken in (
        {**good, "call_id": "a/b"},
        {**good, "extra": 1},
        {k: v for k, v in good.items() if k != "draft_id"},
    ):
        assert not check.is_valid(broken)
