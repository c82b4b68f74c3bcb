"""Serve the operations: authenticate, check, call, answer; every failure is a
problem.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson
import structlog
from aiohttp import web
from scim2_models import SCIMException, UnauthorizedException

from config.keys import Purpose
from console.admin.services import Services
from console.api import problems
from console.api.authentication import CHALLENGE, ApiAuthenticator
from console.api.contract import BASE, ApiOperation, Caller, Reply, arguments
from console.api.cursors import PageCursors
from console.api.idempotency import keyed
from console.api.openapi import describe
from console.api.problems import Problem
from console.api.reference_pages import add_pages
from console.api.refusals import problem_of
from console.api.routes import OPERATIONS, STREAMS
from console.api.stream import STOPPING, end_streams
from scim.app import SCIM, delay_guesses, peer_address
from scim.http.body import read_body
from scim.json_body import read_json
from store.keys import new_id
from store.records.names import is_storable

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 16
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,80}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ApiState:
    """What every operation is served with."""

    services: Services
    authenticator: ApiAuthenticator
    cursors: PageCursors
    validates_answers: bool
    """In tests: an answer that its schema does not allow is a failure."""


API = web.AppKey("admin_api", ApiState)


def add_routes(app: web.Application, services: Services, *, validates_answers: bool = False) -> None:
    """Add the admin API to an application that has the SCIM endpoints."""
    state = app[SCIM]
    authenticator = ApiAuthenticator(services.db, state.authenticator, state.services.limits)
    cursors = PageCursors(services.settings.derived_keys(Purpose.API_CURSORS))
    app[API] = ApiState(services, authenticator, cursors, validates_answers)
    app[STOPPING] = asyncio.Event()
    app.on_shutdown.append(end_streams)
    described = describe(OPERATIONS)
    document = orjson.dumps(described, option=orjson.OPT_INDENT_2)
    add_pages(app, described)
    app.router.add_get(f"{BASE}/openapi.json", partial(_document, document))
    for operation in OPERATIONS:
        app.router.add_route(operation.method, BASE + operation.path, partial(serve, operation))
    app.router.add_route("*", BASE + "{tail:.*}", _no_operation)


async def _document(document: bytes, _request: web.Request) -> web.Response:
    return web.Response(body=document, content_type="application/json")


async def serve(operation: ApiOperation, request: web.Request) -> web.StreamResponse:
    """Answer one request."""
    correlation_id = _correlation_id(request)
    try:
        caller = await _caller(request, operation)
        stream = STREAMS.get(operation.id)
        if stream is not None and "text/event-stream" in request.headers.get("Accept", ""):
            return await stream(request, caller)
        return await _answer(request, operation, caller, correlation_id)
    except Exception as error:
        if isinstance(error, UnauthorizedException):
            await delay_guesses(request)
        return refuse(error, correlation_id)


def refuse(error: Exception, correlation_id: str) -> web.Response:
    """Return the answer for an error; a defect of ours is logged with its traceback."""
    problem = problem_of(error)
    if problem.type == "internal":
        log.error("api.request_failed", correlation_id=correlation_id, exc_info=error)
    headers = {**problem.headers, "X-Request-Id": correlation_id, "Cache-Control": "no-store"}
    if problem.row.status == 401:
        headers |= CHALLENGE
    body = orjson.dumps(problem.document(correlation_id))
    return web.Response(
        status=problem.row.status, body=body, headers=headers, content_type=problems.MEDIA_TYPE
    )


async def _caller(request: web.Request, operation: ApiOperation) -> Caller:
    state = request.app[API]
    texts = (request.path, *request.query.keys(), *request.query.values())
    headers = (request.headers.get(name, "") for name in ("Authorization", "Idempotency-Key", "If-Match"))
    if not all(map(is_storable, (*texts, *headers))):
        raise Problem("invalid-request", "The request holds a NUL character, or is not in UTF-8.")
    identity = await state.authenticator.authenticate(
        request.headers.get("Authorization"), peer_address(request)
    )
    caller = Caller(
        services=state.services,
        actor=identity.actor,
        token_id=identity.token_id,
        permissions=identity.permissions,
        cursors=state.cursors,
        scope=f"{identity.actor.tenant or '*'} {request.path}",
        if_match=request.headers.get("If-Match"),
        stopping=request.app[STOPPING],
    )
    if operation.permission is not None:
        caller.require(operation.permission)
    return caller


async def _answer(
    request: web.Request, operation: ApiOperation, caller: Caller, correlation_id: str
) -> web.Response:
    body = await _body(request)
    path = {name: request.match_info[name] for name in operation.path_names}
    given = arguments(operation, path, list(request.query.items()), body)
    if operation.needs_version and caller.if_match is None:
        raise Problem("precondition-required")
    key = request.headers.get("Idempotency-Key") if operation.method in _UNSAFE else None
    keyed_request = keyed(caller.token_id, key, operation.method, request.path_qs, body)
    db = caller.services.db
    if keyed_request is not None:
        if (kept := await keyed_request.replay(db)) is not None:
            return _reply(kept[1], kept[0], kept[2], correlation_id)
        caller = replace(caller, services=keyed_request.claiming(caller.services))
    answer = await operation.handler(caller, **given)
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    status = reply.status or operation.status
    if request.app[API].validates_answers and operation.answer is not None:
        operation.answer.model_validate_json(orjson.dumps(reply.document))
    if keyed_request is not None and not operation.shows_secret:
        await keyed_request.keep(db, status, reply.document, dict(reply.headers))
    return _reply(reply.document, status, reply.headers, correlation_id)


def _reply(document: object, status: int, headers: object, correlation_id: str) -> web.Response:
    assert isinstance(headers, dict)
    sent = {**headers, "X-Request-Id": correlation_id, "Cache-Control": "no-store"}
    if document is None:
        return web.Response(status=status, headers=sent)
    return web.Response(
        status=status, body=orjson.dumps(document), headers=sent, content_type="application/json"
    )


async def _body(request: web.Request) -> bytes:
    """Read the body and refuse what is not unambiguous JSON."""
    if not request.can_read_body:
        return b""
    body = await read_body(request, MAX_BODY_BYTES, timeout_s=25.0)
    if not body:
        return b""
    if request.content_type != "application/json" and not request.content_type.endswith("+json"):
        raise Problem("unsupported-media-type")
    try:
        read_json(body, MAX_DEPTH)
    except SCIMException as error:
        raise Problem("invalid-request", error.detail) from error
    return body


async def _no_operation(request: web.Request) -> web.Response:
    """Answer a path or a method that does not exist."""
    methods = allowed_methods(request.path.removeprefix(BASE), OPERATIONS)
    if methods:
        return refuse(
            Problem("method-not-allowed", headers={"Allow": ", ".join(methods)}), _correlation_id(request)
        )
    return refuse(Problem("no-such-operation"), _correlation_id(request))


def allowed_methods(path: str, operations: Sequence[ApiOperation]) -> list[str]:
    """Return the methods that a path takes; none for an unknown path."""
    return sorted(
        {each.method for each in operations if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each.path), path)}
    )


def _correlation_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()
