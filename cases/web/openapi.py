"""Routes that declare their models, and the OpenAPI document made of them. Nothing is served that is not in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import models_json_schema

from cases.errors import CasesError
from cases.schema import Problem
from cases.web.auth import CSRF_HEADER, SESSION_COOKIE, Lets, lets_in
from cases.web.problems import from_validation

REF = "#/components/schemas/{model}"
_SECURITY: dict[Lets, list[dict[str, list[str]]]] = {
    Lets.SESSION: [{"session": []}],
    Lets.PRODUCER: [{"producer": []}],
    Lets.MONITOR: [{}, {"producer": []}],
    Lets.ANYONE: [{}],
    Lets.LOG_IN: [{}],
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter."""

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `answers`: status -> model, list[model], media type, or None for nothing.

    `body`: a model, list[model], or a media type. `problems`: the codes it may answer beside the common ones.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    who: Lets
    answers: dict[int, Any]
    body: Any = None
    query: tuple[Query, ...] = ()
    problems: tuple[str, ...] = ()


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    for route in routes:
        app.router.add_route(route.method, route.path, lets_in(route.handler, route.who))


async def read_body(request: web.Request, model: type[B], code: str = "body-invalid") -> B:
    """The request's JSON as a model; CasesError media-type, json-invalid, or `code` that names the fields."""
    raw = await read_json(request)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise from_validation(error, code, "the body does not fit its schema (GET /api/openapi.json)") from error


async def read_json(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise CasesError("media-type", "send application/json", status=415)
    return await request.read()


def int_query(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and low <= int(text) <= high):
        error = {"field": name, "code": "range", "message": f"a whole number from {low} to {high}"}
        raise CasesError("query-invalid", f"{name} is a whole number from {low} to {high}", status=400, errors=[error])
    return int(text)


def json_response(model: BaseModel, *, status: int = 200) -> web.Response:
    return web.Response(text=model.model_dump_json(), status=status, content_type="application/json")


def _models_of(routes: Iterable[Route]) -> list[type[BaseModel]]:
    found: dict[type[BaseModel], None] = {Problem: None}
    for route in routes:
        for shape in (route.body, *route.answers.values()):
            for item in getattr(shape, "__args__", (shape,)):
                if isinstance(item, type) and issubclass(item, BaseModel):
                    found[item] = None
    return list(found)


def document(routes: tuple[Route, ...], extra_models: tuple[type[BaseModel], ...] = ()) -> dict[str, Any]:
    """The OpenAPI 3.1 document. `extra_models`: shapes that only events carry."""
    both = [(model, mode) for model in (*_models_of(routes), *extra_models) for mode in ("validation",)]
    _, schemas = models_json_schema(both, ref_template=REF)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hotline cases",
            "version": metadata.version("hotline"),
            "description": "Drafts from producers, the operators' desk, cases. Errors are problem+json with a stable code.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
                "producer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    for query in route.query:
        parameters.append({"name": query.name, "in": "query", "description": query.description, "schema": query.schema})
    if route.who is Lets.SESSION and route.method not in ("GET", "HEAD"):
        parameters.append({"name": CSRF_HEADER, "in": "header", "required": True, "schema": {"type": "string"}})
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "security": _SECURITY[route.who],
        "parameters": parameters,
        "responses": {str(status): _answer(shape) for status, shape in route.answers.items()},
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    codes = f" Codes: {', '.join(route.problems)}." if route.problems else ""
    operation["responses"]["default"] = {
        "description": f"A problem.{codes}",
        "content": {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}},
    }
    return operation


def _answer(shape: Any) -> dict[str, Any]:
    if shape is None:
        return {"description": "Nothing to say."}
    return {"description": "As asked.", "content": _content(shape)}


def _content(shape: Any) -> dict[str, Any]:
    if isinstance(shape, str):
        binary = not shape.startswith(("text/", "application/"))
        return {shape: {"schema": {"type": "string", "format": "binary"} if binary else {}}}
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        schema: dict[str, Any] = {"$ref": REF.format(model=shape.__name__)}
    else:
        schema = TypeAdapter(shape).json_schema(ref_template=REF)
        schema.pop("$defs", None)
    return {"application/json": {"schema": schema}}
