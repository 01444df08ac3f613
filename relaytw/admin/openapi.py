"""The route table as an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from relaytw.admin.routes import ACTOR_HEADER, Route
from relaytw.admin.shapes import ErrorBody

_REFERENCE = "#/components/schemas/{name}"


def document(routes: Sequence[Route], *, title: str, version: str) -> dict[str, Any]:
    """Describe the routes; a handler's docstring is the summary of what it does."""
    kinds = list(dict.fromkeys(_kinds(routes)))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _kinds(routes: Iterable[Route]) -> Iterable[Any]:
    yield ErrorBody
    for route in routes:
        yield from (kind for kind in (route.body, route.query, route.returns) if kind is not None)


def _operation(route: Route, schema_of: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    summary = (route.handler.__doc__ or "").strip().partition("\n")[0]
    if route.returns is None:
        answer = {"text/plain": {"schema": {"type": "string"}}}
    else:
        answer = _json(schema_of[route.returns])
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": summary,
        "responses": {
            str(route.success): {"description": summary, "content": answer},
            "default": {"description": "Refused.", "content": _json(schema_of[ErrorBody])},
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(schema_of[route.body])}
    if parameters := [*_in_path(route), *_in_query(route, components), *_in_headers(route)]:
        operation["parameters"] = parameters
    if route.open:
        operation["security"] = [{}, {"token": []}]
    return operation


def _in_path(route: Route) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(route: Route, components: dict[str, Any]) -> Iterable[dict[str, Any]]:
    if route.query is not None:
        described = components[route.query.__name__]
        for name, schema in described["properties"].items():
            required = name in described.get("required", ())
            yield {"name": name, "in": "query", "required": required, "schema": schema}


def _in_headers(route: Route) -> Iterable[dict[str, Any]]:
    if route.act:
        yield {"name": ACTOR_HEADER, "in": "header", "required": False, "schema": {"type": "string"}}


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
