"""The SCIM endpoints as aiohttp routes: both base URLs of design.md §6, and a hint wherever else a client may
knock."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
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

from scim.auth import oauth
from scim.auth.access_tokens import AccessTokens
from scim.auth.gate import Authenticator
from scim.errors import NotNow, refusal_of
from scim.http.aiohttp_settings import HANDLER_ARGS
from scim.http.body import read_body
from scim.http.client_address import Network, client_address
from scim.http.streaming import send, start_stream
from scim.limits import ScimLimits
from scim.request import Principal, ScimRequest, ScimResponse
from scim.router import handle, log_refusal
from store.database import Database
from store.errors import NeedsHuman
from store.keys import new_id

BASE = "/api/scim/v2"
CONNECTION_BASE = "/v1/admin/scim/{connection_id}"
SLOWEST_REFUSAL_S = 2.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,80}")
_ACTIVITY_ID = re.compile(r"ActivityId:\s*([0-9A-Fa-f-]{36})(?![0-9A-Fa-f-])", re.I)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScimServices:
    """What the endpoints need. `public_url` is what the world calls us by, without a slash at its end."""

    db: Database
    public_url: str
    limits: ScimLimits = field(default_factory=ScimLimits)
    cursor_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """The same in every process that serves this database: cursors and access tokens of one are good in
    another."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose X-Forwarded-For is believed."""


@dataclass(frozen=True, slots=True)
class _Room:
    """The services, and what is made of them once per process."""

    services: ScimServices
    gate: Authenticator
    access_tokens: AccessTokens
    cursors: Cursors
    background: set[asyncio.Task[Any]] = field(default_factory=set)


SCIM = web.AppKey("scim", _Room)


CALLBACK_AS_BASE = "/v1/admin/openid/{callback_of}{tail:(?:/callback/login|/login)?/(?:Users|Groups).*}"


def add_routes(app: web.Application, services: ScimServices) -> None:
    """Add the SCIM endpoints to an application, which must have been made with `scim.http.aiohttp_settings`."""
    access_tokens = AccessTokens(services.cursor_secret)
    gate = Authenticator(services.db, services.limits, access_tokens)
    app[SCIM] = _Room(services, gate, access_tokens, Cursors(services.cursor_secret))
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
    """Let what still runs behind come to its end before the database is closed."""
    await asyncio.gather(*app[SCIM].background, return_exceptions=True)


async def serve(request: web.Request) -> web.StreamResponse:
    """Answer one SCIM request; whatever goes wrong is answered by a SCIM error body."""
    room = request.app[SCIM]
    request_id = _request_id(request)
    try:
        answer = await _in_time(_answer(request, room, request_id), room)
    except UnauthorizedException as error:
        await _slow_down(request, room)
        answer = _refused(error)
    except Exception as error:
        answer = _refused(error)
        if answer.status == 500:
            log.exception("scim.request_failed", request_id=request_id, method=request.method)
        elif isinstance(error, NeedsHuman):
            log.error("scim.operator_needed", error=type(error).__name__, why=str(error))
    return await send(request, answer, request_id)


async def issue_access_token(request: web.Request) -> web.StreamResponse:
    """Answer POST /oauth/token; guessing is slowed down here too."""
    room = request.app[SCIM]
    lifetime_s = room.services.limits.access_token_s
    answer = await oauth.issue(request, _address(request, room), room.gate, room.access_tokens, lifetime_s)
    if answer.status == 401:
        await _slow_down(request, room)
    return answer


async def refuse_path(request: web.Request) -> web.StreamResponse:
    """Answer a request that knocked beside the base URL with the URL to use (design.md §6)."""
    url = request.app[SCIM].services.public_url
    error = NotFoundException(
        detail=f"There is no SCIM endpoint at this path. In Entra, set the tenant URL to {url}{BASE}"
    )
    return await send(request, _refused(error), _request_id(request))


async def refuse_callback(request: web.Request) -> web.StreamResponse:
    """Answer who pasted the callback of sign-in as tenant URL, and did not replace `openid` by `scim`."""
    base = f"{request.app[SCIM].services.public_url}/v1/admin/scim/{request.match_info['callback_of']}"
    error = NotFoundException(
        detail="This is the address of sign-in. For provisioning replace 'openid' by 'scim' and drop "
        f"/callback/login or /login: set the tenant URL to {base}"
    )
    return await send(request, _refused(error), _request_id(request))


async def _in_time(answering: Coroutine[Any, Any, ScimResponse], room: _Room) -> ScimResponse:
    """Wait for an answer, but not for ever.

    What takes too long, or whose client hangs up, goes on behind: a task cancelled within a transaction costs
    its database connection.
    """
    task = asyncio.create_task(answering)
    _keep(task, room)
    done, _ = await asyncio.wait({task}, timeout=room.services.limits.request_timeout_s)
    if done:
        return task.result()
    raise NotNow("This takes too long; ask again, and see then what came of it.", 5)


def _keep(task: asyncio.Task[Any], room: _Room) -> None:
    """Hold on to a task nobody waits for until it has ended, and look at how it ended."""
    room.background.add(task)

    def look(ended: asyncio.Task[Any]) -> None:
        room.background.discard(ended)
        if not ended.cancelled():
            ended.exception()

    task.add_done_callback(look)


async def _answer(request: web.Request, room: _Room, request_id: str) -> ScimResponse:
    connection_id = request.match_info.get("connection_id")
    address = _address(request, room)
    admission = await room.gate.authenticate(request.headers.get("Authorization"), connection_id, address)
    if room.gate.due_touch(admission.token):
        _keep(asyncio.create_task(room.gate.touch(admission.token, address)), room)
    path = "/" + "/".join(part for part in request.match_info["tail"].split("/") if part)
    base = room.services.public_url + (BASE if connection_id is None else f"/v1/admin/scim/{connection_id}")
    call = ScimRequest(
        Principal(admission.token, admission.connection, base, request_id, admission.declared),
        room.services.db,
        room.services.limits,
        request.method,
        path,
        request.query,
        request.headers,
    )
    _refuse_nul(call)
    try:
        body = await _body(request, room.services.limits, path)
    except SCIMException as error:
        await log_refusal(call, error)
        raise
    return await start_stream(await handle(replace(call, raw_body=body) if body else call, room.cursors))


def _refuse_nul(call: ScimRequest) -> None:
    """Raise scim2_models.InvalidSyntaxException for what no database keeps, not even in its log."""
    if "\0" in call.path or any("\0" in value for value in call.query.values()):
        raise InvalidSyntaxException(detail="The address holds a NUL character.")


def _address(request: web.Request, room: _Room) -> str | None:
    trusted = room.services.trusted_proxies
    if not trusted:
        return request.remote
    return client_address(request.remote, request.headers.getall("X-Forwarded-For", ()), trusted)


async def _body(request: web.Request, limits: ScimLimits, path: str) -> bytes:
    """Read the body, and no more of it than is allowed."""
    if not request.can_read_body:
        return b""
    content_type = request.headers.get("Content-Type")
    if content_type and not is_json_media_type(content_type):
        raise UnsupportedMediaTypeException
    most = limits.max_bulk_body_bytes if path.lower() == "/bulk" else limits.max_body_bytes
    return await read_body(request, most)


def _request_id(request: web.Request) -> str:
    """Return what the request is called in Entra's logs, else by who sent it, else a name of our own.

    Entra sends `ADSCIMVersion: Date:…, ActivityId:…` with every call (captures of 2026).
    """
    activity = _ACTIVITY_ID.search(request.headers.get("ADSCIMVersion", ""))
    if activity:
        return activity[1]
    given = request.headers.get("X-Request-Id", "")
    return given if given and _REQUEST_ID.fullmatch(given) else new_id()


async def _slow_down(request: web.Request, room: _Room) -> None:
    """Let whoever guesses tokens wait longer with each guess."""
    beyond = room.gate.failed_attempts(_address(request, room)) - room.services.limits.guesses_before_slowing
    if beyond > 0:
        await asyncio.sleep(min(SLOWEST_REFUSAL_S, 0.1 * beyond))


def _refused(error: Exception) -> ScimResponse:
    refusal = refusal_of(error)
    return ScimResponse(refusal.status, refusal.body, refusal.headers)
