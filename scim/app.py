"""Add the SCIM endpoints to aiohttp.

Both base URLs of design.md §6 are served; other likely paths are answered with a hint.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from scim2_models import (
    InvalidSyntaxException,
    NotFoundException,
    SCIMException,
    UnauthorizedException,
)
from scim2_server.cursor import Cursors
from scim2_server.errors import UnsupportedMediaTypeException
from scim2_server.service import is_json_media_type

from config.keys import DerivedKey, Purpose, derive, new_key
from scim.auth import oauth
from scim.auth.access_tokens import AccessTokens
from scim.auth.gate import Authenticator
from scim.cursors import RotatedCursors
from scim.errors import NotNow, refusal_of
from scim.http.body import read_body
from scim.http.connections import HANDLER_ARGS, Network, client_address
from scim.http.streaming import send, start_stream
from scim.limits import ScimLimits, setting_of
from scim.request import Principal, ScimRequest, ScimResponse, is_request_id
from scim.router import allowed_methods, handle, log_refusal
from scim.shared_load import SharedLoad
from store.database import Database
from store.errors import NeedsHuman
from store.keys import new_id
from store.records.names import is_storable

BASE = "/api/scim/v2"
CONNECTION_BASE = "/v1/admin/scim/{connection_id}"
FLAG = "aadoptscim062020"
"""Entra's feature flag at the end of a tenant URL, in lower case."""
SLOWEST_REFUSAL_S = 2.0
_ACTIVITY_ID = re.compile(r"ActivityId:\s*([0-9A-Fa-f-]{36})(?![0-9A-Fa-f-])", re.I | re.A)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScimServices:
    """Services of the endpoints. `public_url` has no final slash."""

    db: Database
    public_url: str
    limits: ScimLimits = field(default_factory=ScimLimits)
    cursor_keys: Sequence[DerivedKey] = field(default_factory=lambda: (derive(new_key(), Purpose.CURSORS),))
    """The first seals, all open.

    The same in every process that serves this database: each then accepts the cursors
    and access tokens of the others.
    """
    access_token_keys: Sequence[DerivedKey] = field(
        default_factory=lambda: (derive(new_key(), Purpose.ACCESS_TOKENS),)
    )
    trusted_proxies: tuple[Network, ...] = ()
    """Proxies from which X-Forwarded-For is accepted."""


@dataclass(frozen=True, slots=True)
class _ScimState:
    """The services, and the objects made from them once per process."""

    services: ScimServices
    authenticator: Authenticator
    access_tokens: AccessTokens
    cursors: Cursors
    load: SharedLoad = field(default_factory=SharedLoad)
    background: set[asyncio.Task[Any]] = field(default_factory=set)


SCIM = web.AppKey("scim", _ScimState)
GRANTS: web.AppKey[dict[str, oauth.Grant]] = web.AppKey("oauth_grants", dict)
"""Grants of `/oauth/token` that other rooms answer."""


CALLBACK_AS_BASE = "/v1/admin/openid/{callback_of}{tail:(?:/callback/login|/login)?/(?:Users|Groups).*}"


def add_routes(app: web.Application, services: ScimServices) -> None:
    """Add the SCIM endpoints to an application.

    It must have been created with `scim.http.connections`.
    """
    access_tokens = AccessTokens(services.access_token_keys)
    authenticator = Authenticator(services.db, services.limits, access_tokens)
    app[SCIM] = _ScimState(services, authenticator, access_tokens, RotatedCursors(services.cursor_keys))
    app[GRANTS] = {}
    app.router.add_post(oauth.PATH, issue_access_token)
    app.on_cleanup.append(_finish)
    for base in (BASE, CONNECTION_BASE):
        app.router.add_route("*", base + "{tail:(?:/.*)?}", serve)
    for elsewhere in (
        "/api/scim{tail:.*}",
        "/scim{tail:.*}",
        "/v1/admin/scim{tail:.*}",
        "/v1/admin/openid/scim{tail:.*}",
    ):
        app.router.add_route("*", elsewhere, refuse_path)
    app.router.add_route("*", CALLBACK_AS_BASE, refuse_callback)
    for endpoint in ("Users", "Groups"):
        app.router.add_route("*", f"/{endpoint}{{tail:.*}}", refuse_path)


def make_app(services: ScimServices) -> web.Application:
    """Return an application that serves SCIM and nothing else."""
    app = web.Application(handler_args=HANDLER_ARGS)
    add_routes(app, services)
    return app


async def _finish(app: web.Application) -> None:
    """Wait for background tasks to end before the database is closed."""
    await asyncio.gather(*app[SCIM].background, return_exceptions=True)


async def serve(request: web.Request) -> web.StreamResponse:
    """Answer one SCIM request; every failure is answered with a SCIM error body."""
    state = request.app[SCIM]
    request_id = _request_id(request)
    try:
        refuse_undecodable(request)
        _refuse_path_in_query(request, state)
        if request.method == "OPTIONS":
            return await send(request, _options(request), request_id)
        response = await _in_time(_respond(request, state, request_id), state)
    except UnauthorizedException as error:
        await _slow_down(request, state)
        response = _refused(error)
    except Exception as error:
        response = _refused(error)
        if response.status == 500:
            log.exception("scim.request_failed", request_id=request_id, method=request.method)
        elif isinstance(error, NeedsHuman):
            log.error("scim.operator_needed", error=type(error).__name__, why=str(error))
    return await send(request, response, request_id)


async def issue_access_token(request: web.Request) -> web.StreamResponse:
    """Answer POST /oauth/token; repeated failures from one address are delayed."""
    state, grants = request.app[SCIM], request.app[GRANTS]
    response = await oauth.issue(
        request,
        _address(request, state),
        state.authenticator,
        state.access_tokens,
        state.services.limits,
        grants,
    )
    if response.status == 401:
        await _slow_down(request, state)
    return response


async def refuse_path(request: web.Request) -> web.StreamResponse:
    """Answer a request beside the base URL with the URL to use (design.md §6)."""
    url = request.app[SCIM].services.public_url
    error = NotFoundException(
        detail=f"There is no SCIM endpoint at this path. In Entra, set the tenant URL to {url}{BASE}"
    )
    return await send(request, _refused(error), _request_id(request))


async def refuse_callback(request: web.Request) -> web.StreamResponse:
    """Answer a request to the sign-in callback that was pasted as tenant URL.

    The admin did not replace `openid` by `scim`; the answer names the right URL.
    """
    base = f"{request.app[SCIM].services.public_url}/v1/admin/scim/{request.match_info['callback_of']}"
    error = NotFoundException(
        detail="This is the address of sign-in. For provisioning replace 'openid' by 'scim' and drop "
        f"/callback/login or /login: set the tenant URL to {base}"
    )
    return await send(request, _refused(error), _request_id(request))


async def _in_time(responding: Coroutine[Any, Any, ScimResponse], state: _ScimState) -> ScimResponse:
    """Wait for a response for at most `request_timeout_s`; raises NotNow after it.

    The task goes on in the background, also when its client hangs up: a task cancelled
    within a transaction costs its database connection, and on SQLite waits for its
    statement all the same.
    """
    task = asyncio.create_task(responding)
    _keep(task, state)
    done, _ = await asyncio.wait({task}, timeout=state.services.limits.request_timeout_s)
    if done:
        return task.result()
    raise NotNow("This takes too long; ask again, and see then what came of it.", 5)


def _keep(task: asyncio.Task[Any], state: _ScimState) -> None:
    """Hold a reference to a task until it ends, and retrieve its exception."""
    state.background.add(task)

    def look(ended: asyncio.Task[Any]) -> None:
        state.background.discard(ended)
        if not ended.cancelled():
            ended.exception()

    task.add_done_callback(look)


async def _respond(request: web.Request, state: _ScimState, request_id: str) -> ScimResponse:
    connection_id = request.match_info.get("connection_id")
    address = _address(request, state)
    authenticated = await state.authenticator.authenticate(
        request.headers.get("Authorization"), connection_id, address
    )
    if state.authenticator.due_touch(authenticated.token):
        _keep(asyncio.create_task(state.authenticator.touch(authenticated.token, address)), state)
    path = path_of(request)
    base = state.services.public_url + (BASE if connection_id is None else f"/v1/admin/scim/{connection_id}")
    given = partial(
        ScimRequest,
        Principal(authenticated.token, authenticated.connection, base, request_id, authenticated.declared),
        state.services.db,
        state.services.limits,
        "GET" if request.method == "HEAD" else request.method,
        path,
        request.query,
        request.headers,
        load=state.load,
        charge=partial(state.authenticator.rate.charge, authenticated.token.id),
    )
    try:
        body = await _body(request, state.services.limits, path)
    except SCIMException as error:
        await log_refusal(given(), error)
        raise
    tenant_id, limits = authenticated.connection.tenant_id, state.services.limits
    state.load.note_request(tenant_id)
    async with state.load.large_body(tenant_id, limits, body):
        return await start_stream(await handle(given(raw_body=body), state.cursors))


def path_of(request: web.Request) -> str:
    """Return the path below the base URL."""
    return "/" + "/".join(part for part in request.match_info["tail"].split("/") if part)


def refuse_undecodable(request: web.Request) -> None:
    """Refuse a request whose address or headers are no text that a database can keep.

    Raises scim2_models.InvalidSyntaxException, or UnauthorizedException for a token.
    """
    address = (request.path, *request.query.keys(), *request.query.values())
    if is_storable("".join((*address, *request.headers.values()))):
        return
    if not all(map(is_storable, address)):
        raise InvalidSyntaxException(detail="The address holds a NUL character, or is not in UTF-8.")
    for name, value in request.headers.items():
        if is_storable(value):
            continue
        if name.lower() == "authorization":
            raise UnauthorizedException(detail="The API token is not in UTF-8: paste it whole into Entra.")
        raise InvalidSyntaxException(detail=f"The header {name[:50]!r} is not in UTF-8.")


def _refuse_path_in_query(request: web.Request, state: _ScimState) -> None:
    """Refuse `…/v2?aadOptscim062020/Users`: a client put its path behind Entra's flag.

    Answered as the base URL it would list all users. Raises
    scim2_models.NotFoundException.
    """
    if any(name.lower().startswith(f"{FLAG}/") for name in request.query):
        url = state.services.public_url
        raise NotFoundException(
            detail=f"The path stands behind '?{FLAG}', which only Entra takes apart again. Set the tenant URL to "
            f"{url}{BASE} without the flag, or write it with '?{FLAG}' in Entra alone."
        )


def _options(request: web.Request) -> ScimResponse:
    """Answer OPTIONS with the methods that a path takes (RFC 9110 §9.3.7)."""
    return ScimResponse(204, headers={"Allow": ", ".join(allowed_methods(path_of(request)))})


def _address(request: web.Request, state: _ScimState) -> str | None:
    trusted = state.services.trusted_proxies
    if not trusted:
        return request.remote
    return client_address(request.remote, request.headers.getall("X-Forwarded-For", ()), trusted)


async def _body(request: web.Request, limits: ScimLimits, path: str) -> bytes:
    """Read the body up to the limit of its endpoint."""
    if not request.can_read_body:
        return b""
    content_type = request.headers.get("Content-Type")
    if content_type and not is_json_media_type(content_type):
        raise UnsupportedMediaTypeException
    limit = _body_limit(path)
    return await read_body(request, getattr(limits, limit), setting_of(limit), limits.body_timeout_s)


def _body_limit(path: str) -> str:
    """Return the name of the limit on a body sent to a path."""
    lowered = path.lower()
    if lowered == "/bulk":
        return "max_bulk_body_bytes"
    return "max_group_body_bytes" if lowered.startswith("/groups") else "max_body_bytes"


def _request_id(request: web.Request) -> str:
    """Return Entra's id of the request, else the client's X-Request-Id, else a new id.

    Entra sends `ADSCIMVersion: Date:…, ActivityId:…` with every request (captures of
    2026).
    """
    activity = _ACTIVITY_ID.search(request.headers.get("ADSCIMVersion", ""))
    if activity:
        return activity[1]
    given = request.headers.get("X-Request-Id", "")
    return given if is_request_id(given) else new_id()


def peer_address(request: web.Request) -> str | None:
    """Return the address of the client, for the other parts of the application."""
    return _address(request, request.app[SCIM])


async def delay_guesses(request: web.Request) -> None:
    """Delay the answer to a refused token of the admin API as that of SCIM."""
    await _slow_down(request, request.app[SCIM])


async def _slow_down(request: web.Request, state: _ScimState) -> None:
    """Delay the answer to a refused token, longer with each from the same address."""
    beyond = (
        state.authenticator.failed_attempts(_address(request, state))
        - state.services.limits.guesses_before_slowing
    )
    if beyond > 0:
        await asyncio.sleep(min(SLOWEST_REFUSAL_S, 0.1 * beyond))


def _refused(error: Exception) -> ScimResponse:
    refusal = refusal_of(error)
    return ScimResponse(refusal.status, refusal.body, refusal.headers)
