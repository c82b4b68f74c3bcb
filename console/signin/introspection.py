"""`POST /oauth/introspect` (RFC 7662): the vendor's app asks whether a session is live.

The app authenticates with an API token that has `admin:session:introspect`, as bearer
token or as client secret; an operator's token asks about the sessions of all tenants.
Nothing is cached: a session is dead in the answer from the
commit on that ended it (design.md §7, I3).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import orjson
import structlog
from aiohttp import web
from scim2_models import SCIMException, UnauthorizedException

from console.admin.services import Services
from console.admin.sessions.session_check import SessionDesk
from console.documents.sessions import INACTIVE, introspection
from console.signin.calling_apps import ACTION, SECTION, CallingApp, CallingApps
from scim.app import SCIM, delay_guesses, peer_address
from scim.auth.request_rate import RequestRate
from scim.errors import refusal_of
from scim.http.body import read_body
from store.errors import StoreError
from store.keys import utc_now
from store.records import JsonValue

PATH = "/oauth/introspect"
MAX_BODY_BYTES = 16_384
LONGEST_MAX_AGE_S = 86_400.0
WRITE_SEEN_EVERY_S = 5.0
_BODY_TIMEOUT_S = 10.0

_TOKEN_ALONE = re.compile(rb"token=([A-Za-z0-9_.~-]{1,1000})")
"""A form of one parameter in which nothing is encoded, as nearly all are."""
_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store"}

log = structlog.get_logger()


class InvalidIntrospection(Exception):
    """A request that cannot be understood; the message says which parameter."""


@dataclass(frozen=True, slots=True)
class Introspection:
    """What a question needs; `issuer` is this server's public URL."""

    desk: SessionDesk
    callers: CallingApps
    rate: RequestRate
    issuer: str


INTROSPECTION = web.AppKey("introspection", Introspection)


def add_routes(app: web.Application, services: Services, public_url: str) -> None:
    """Add introspection to an application that serves SCIM: they share its tokens."""
    state, per_s = app[SCIM], services.settings.introspections_per_s
    limits = state.services.limits
    app[INTROSPECTION] = Introspection(
        SessionDesk(services),
        CallingApps(services.db, state.authenticator, limits.token_memory_s),
        RequestRate(replace(limits, requests_per_s=per_s, burst=int(2 * per_s))),
        public_url,
    )
    app.router.add_post(PATH, introspect)
    app.cleanup_ctx.append(_writing_seen)


async def _writing_seen(app: web.Application) -> AsyncIterator[None]:
    """Write the last uses of sessions every few seconds, many at a time."""
    desk = app[INTROSPECTION].desk
    task = asyncio.create_task(_write_seen_for_ever(desk))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await desk.close()


async def _write_seen_for_ever(desk: SessionDesk) -> None:
    while True:
        await asyncio.sleep(WRITE_SEEN_EVERY_S)
        try:
            await desk.write_seen()
        except StoreError as error:  # they count as unused for a moment longer
            log.warning("session.seen_not_written", error=type(error).__name__)


async def introspect(request: web.Request) -> web.StreamResponse:
    """Answer about one session; 401 is about the caller's own token only."""
    state = request.app[INTROSPECTION]
    try:
        form = await _form(request)
        caller = await _caller(request, state.callers)
        if not caller.may_introspect:
            return _answer(403, _error("insufficient_scope", f"The token lacks {SECTION}:{ACTION}."))
        state.rate.count(caller.token_id)
        found = await state.desk.check(caller.actor, form["token"], _max_age_s(form))
    except InvalidIntrospection as error:
        return _answer(400, _error("invalid_request", str(error)))
    except UnauthorizedException as error:
        await delay_guesses(request)
        return _answer(401, _error("invalid_client", error.detail), {"WWW-Authenticate": "Bearer"})
    except (SCIMException, StoreError) as error:
        refusal = refusal_of(error)
        return _answer(refusal.status, _error("access_denied", str(refusal.body["detail"])), refusal.headers)
    if found is None:
        return _answer(200, INACTIVE)
    return _answer(200, introspection(found, utc_now(), state.issuer))


async def _form(request: web.Request) -> dict[str, str]:
    """Read the form; the token is in the body and never in the URL (RFC 7662 §2.1)."""
    if request.content.is_eof() and "Content-Encoding" not in request.headers:
        try:
            body = request.content.read_nowait()  # all of it is here: no timer, no task
        except web.RequestPayloadError as error:
            raise InvalidIntrospection("The body was cut off on the way.") from error
        if len(body) > MAX_BODY_BYTES:
            raise InvalidIntrospection("The body is too large.")
    else:
        body = await read_body(request, MAX_BODY_BYTES, timeout_s=_BODY_TIMEOUT_S)
    if plain := _TOKEN_ALONE.fullmatch(body):
        return {"token": plain[1].decode()}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise InvalidIntrospection("The body is not a form.") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise InvalidIntrospection("A parameter is repeated.")
    if not form.get("token"):
        raise InvalidIntrospection("token is missing: send it as a form (application/x-www-form-urlencoded).")
    return form


def _max_age_s(form: Mapping[str, str]) -> float | None:
    wanted = form.get("max_age_s")
    if wanted is None:
        return None
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= LONGEST_MAX_AGE_S:
        raise InvalidIntrospection(f"max_age_s is a number of seconds from 1 to {LONGEST_MAX_AGE_S:g}.")
    return seconds


async def _caller(request: web.Request, apps: CallingApps) -> CallingApp:
    """Return the app that asks: by a bearer or a Basic header (§2.1)."""
    authorization, address = request.headers.get("Authorization", ""), peer_address(request)
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "basic":
        return await apps.basic(rest, address)
    return await apps.bearer(authorization, address)


def _error(code: str, description: str) -> dict[str, JsonValue]:
    return {"error": code, "error_description": description}


def _answer(
    status: int, body: Mapping[str, JsonValue], headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(body), headers={**_JSON, **headers} if headers else _JSON
    )
