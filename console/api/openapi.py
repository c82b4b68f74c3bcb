"""Describe the operations as an OpenAPI 3.1 document, from the code alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from console.api.contract import BASE, ApiOperation
from console.api.problems import MEDIA_TYPE, TYPES

_REF = "#/components/schemas/{model}"
ALWAYS = ("invalid-request", "unauthenticated", "token-refused", "too-many-requests", "internal", "not-now")
"""Problems that every operation can answer."""

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "remedy", "correlation_id"],
    "properties": {
        "type": {"type": "string", "enum": [f"/problems/{name}" for name in TYPES]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "remedy": {"type": "string", "description": "What to do."},
        "correlation_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "detail": {"type": "string"},
                    "pointer": {"type": "string", "description": "Place in the body (RFC 6901)."},
                    "parameter": {"type": "string"},
                },
            },
        },
    },
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request is carried out once, within 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 80},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag that was read.",
    "schema": {"type": "string"},
}


def describe(operations: Sequence[ApiOperation]) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(BASE + operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leaver admin API",
            "version": version("leaver"),
            "description": "Everything an operator or a tenant's admin can do. A list is"
            ' `{"items": [...], "next": cursor or null}`; a refusal is a problem (RFC 9457).',
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": _problem_responses(),
            "schemas": {"Problem": PROBLEM_SCHEMA, **_schemas(operations)},
        },
    }


def _schemas(operations: Iterable[ApiOperation]) -> dict[str, Any]:
    bodies = {each.body[1] for each in operations if each.body}
    answers = {each.answer for each in operations if each.answer}
    ordered = sorted(bodies | answers, key=lambda model: model.__name__)
    _, document = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    schemas: dict[str, Any] = document.get("$defs", {})
    return dict(sorted(schemas.items()))


def _operation(operation: ApiOperation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    permission = f"Needs the permission `{operation.permission}`." if operation.permission else ""
    if text := " ".join(part for part in (operation.description, permission) if part):
        found["description"] = text
    if operation.body is not None:
        name = operation.body[1].__name__
        found["requestBody"] = {
            "required": any(field.is_required() for field in operation.body[1].model_fields.values()),
            "content": {"application/json": {"schema": {"$ref": _REF.format(model=name)}}},
        }
    return found


def _parameters(operation: ApiOperation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in operation.path_names
    ]
    schema = _inlined(operation.query)
    for name, each in schema.get("properties", {}).items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "schema": _without_null(each)}
        if name in schema.get("required", ()):
            parameter["required"] = True
        found.append(parameter)
    if operation.needs_version:
        found.append(_IF_MATCH)
    if operation.method in ("POST", "PUT", "PATCH", "DELETE"):
        found.append(_KEY)
    return found


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of parameters with its enumerations in place."""
    schema = model.model_json_schema()
    known = schema.pop("$defs", {})
    for each in schema.get("properties", {}).values():
        for part in [each, *each.get("anyOf", ())]:
            if reference := part.pop("$ref", None):
                part.update(known[reference.rpartition("/")[2]])
    return schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional parameter: it is left out, never null."""
    kept = {name: value for name, value in schema.items() if name not in ("title", "anyOf")}
    if kept.get("default", ...) is None:
        del kept["default"]
    for part in schema.get("anyOf", ()):
        if part.get("type") != "null":
            kept |= {name: value for name, value in part.items() if name != "title"}
    return kept


def _responses(operation: ApiOperation) -> dict[str, Any]:
    found: dict[str, Any] = {str(operation.status): _success(operation)}
    by_status: dict[int, list[str]] = {}
    names = (*ALWAYS, *operation.problems, *_implied(operation))
    for name in dict.fromkeys(names):
        by_status.setdefault(TYPES[name].status, []).append(name)
    for status, kinds in sorted(by_status.items()):
        reference = f"#/components/responses/Problem{status}"
        found[str(status)] = {"$ref": reference, "description": ", ".join(kinds)}
    return found


def _problem_responses() -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for name, row in TYPES.items():
        by_status.setdefault(row.status, []).append(f"`{name}`: {row.title}.")
    return {
        f"Problem{status}": {
            "description": " ".join(texts),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, texts in sorted(by_status.items())
    }


def _implied(operation: ApiOperation) -> list[str]:
    """Return the problems that follow from the shape of an operation."""
    implied = ["permission-missing"] if operation.permission else []
    if "cursor" in operation.query.model_fields:
        implied.append("invalid-cursor")
    if operation.needs_version:
        implied += ["precondition-required", "precondition-failed"]
    if operation.method != "GET":
        implied += ["idempotency-key-in-use", "answer-not-kept", "idempotency-key-reused"]
        implied += ["too-large", "unsupported-media-type"]
    return implied


def _success(operation: ApiOperation) -> dict[str, Any]:
    found: dict[str, Any] = {"description": operation.summary}
    if operation.answer is None:
        return found
    schema = {"$ref": _REF.format(model=operation.answer.__name__)}
    found["content"] = {"application/json": {"schema": schema}}
    if operation.id == "get_run":
        found["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    if operation.status == 202:
        found["headers"] = {"Location": {"schema": {"type": "string"}}}
    return found


if __name__ == "__main__":
    import json
    import sys

    from console.api.routes import OPERATIONS

    sys.stdout.write(json.dumps(describe(OPERATIONS), indent=1, ensure_ascii=False) + "\n")
