"""Serve the console: find the person, check permission and origin, call, render."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from aiohttp import web

from console.admin.actor import Actor, ActorKind
from console.admin.services import Services
from console.admin.sessions import console_access
from console.admin.sessions.console_access import ConsolePerson
from console.admin.sessions.sent_forms import SentForm
from console.browser import SESSION_COOKIE, is_same_origin, page_headers
from console.web import navigation, refusals, rendering
from console.web.live import LOOKS, SharedLooks
from console.web.pages import (
    drift,
    enter,
    groups,
    logs,
    operator,
    overview,
    person,
    plans,
    provision,
    run,
    status,
    users,
)
from console.web.pages.setup import guide, mapping, provider, settings, tokens, webhooks
from console.web.refusals import PageRefusal, WebRefused, refusal_of
from console.web.rendering import environment, render
from console.web.routes import SeeOther, WebAnswer, WebPage, WebRoute
from console.web.visit import Visit
from console.web.wording.notices import NOTICES
from store.keys import new_id, utc_now
from store.records.names import is_storable

PAGES = (
    *(overview.routes, users.routes, person.routes, groups.routes, logs.routes, drift.routes),
    *(plans.routes, provision.routes, run.routes),
    *(guide.routes, tokens.routes, mapping.routes, settings.routes, provider.routes),
    *(webhooks.routes, enter.routes, operator.routes, status.routes),
)
ROUTES: tuple[WebRoute, ...] = tuple(route for page in PAGES for route in page.routes)
"""Every address of the console."""

AT_THE_DOOR = Actor(ActorKind.WEB, "console")
ZONE_COOKIE = "leaver-zone"
RECENT_SIGN_IN_S = 900.0
MAX_FORM_BYTES = 262_144
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,80}")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,80}")
UTC_ZONE = ZoneInfo("UTC")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebState:
    """What every page is served with; `public_url` has no final slash."""

    services: Services
    public_url: str
    routes: Mapping[str, WebRoute]
    headers: Mapping[str, str]
    stopping: asyncio.Event


WEB = web.AppKey("console", WebState)


def add_routes(app: web.Application, services: Services, public_url: str) -> None:
    """Add the console to an application; its last route answers unknown addresses."""
    environment()
    app[WEB] = WebState(
        services,
        public_url,
        {route.name: route for route in ROUTES},
        page_headers(public_url),
        asyncio.Event(),
    )
    app[LOOKS] = SharedLooks()
    app.on_shutdown.append(_stop_streams)
    rendering.add_assets(app)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, partial(serve, route))
    app.router.add_get("/{tail:.*}", _unknown)


async def _stop_streams(app: web.Application) -> None:
    app[WEB].stopping.set()


async def serve(route: WebRoute, request: web.Request) -> web.StreamResponse:
    """Answer one request; every failure is a page that says what to do."""
    state = request.app[WEB]
    given = request.headers.get("X-Request-Id", "")
    visit = Visit(
        request,
        state.services,
        state.public_url,
        None,
        _zone(request),
        given if _REQUEST_ID.fullmatch(given) else new_id(),
        state.stopping,
    )
    try:
        answer = await _answer(route, visit)
        return _response(route, visit, answer)
    except web.HTTPException:
        raise
    except Exception as error:
        refusal = refusal_of(error)
        if refusal.is_defect:
            log.error(
                "console.page_failed", page=route.name, correlation_id=visit.correlation_id, exc_info=error
            )
        return _refused(visit, refusal)


async def _answer(route: WebRoute, visit: Visit) -> WebAnswer:
    request = visit.request
    if not all(map(is_storable, (request.path, *request.query.keys(), *request.query.values()))):
        raise WebRefused(refusals.NOT_FOUND)
    if route.is_form and not is_same_origin(request, visit.public_url):
        raise WebRefused(refusals.FOREIGN)
    visit.person = await _person(visit)
    if route.permission is not None and visit.person is None:
        raise WebRefused(refusals.SESSION_ENDED if SESSION_COOKIE in request.cookies else refusals.SIGN_IN)
    if "connection" in request.match_info and visit.person is not None:
        await visit.place()  # another tenant's connection is not found, even before permissions
    if not visit.may(route.permission):
        raise WebRefused(refusals.NOT_ALLOWED)
    if route.needs_recent_sign_in:
        _check_recent(visit.person)
    if not route.is_form:
        return await route.handler(visit)
    visit.form = await _form(request)
    return await _once(route, visit)


async def _person(visit: Visit) -> ConsolePerson | None:
    secret = visit.request.cookies.get(SESSION_COOKIE, "")
    return await console_access.identify(visit.services, AT_THE_DOOR, secret) if secret else None


def _check_recent(person: ConsolePerson | None) -> None:
    if person is None or (utc_now() - person.signed_in_at).total_seconds() > RECENT_SIGN_IN_S:
        raise WebRefused(refusals.TOO_OLD_SIGN_IN)


async def _form(request: web.Request) -> Mapping[str, list[str]]:
    """Return the fields of a form. Raises `WebRefused`."""
    if request.content_type not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise WebRefused(refusals.UNREADABLE)
    if (request.content_length or 0) > MAX_FORM_BYTES:
        raise WebRefused(refusals.UNREADABLE)
    sent = await request.post()
    fields: dict[str, list[str]] = {}
    for name, value in sent.items():
        text = value if isinstance(value, str) else _file_text(value)
        if not is_storable(text) or not is_storable(name):
            raise WebRefused(refusals.UNREADABLE)
        fields.setdefault(name, []).append(text.replace("\r\n", "\n"))
    return fields


def _file_text(field: Any) -> str:
    if not isinstance(field, web.FileField):
        raise WebRefused(refusals.UNREADABLE)
    try:
        return field.file.read(MAX_FORM_BYTES).decode()
    except UnicodeDecodeError as error:
        raise WebRefused(refusals.UNREADABLE) from error


async def _once(route: WebRoute, visit: Visit) -> WebAnswer:
    """Carry out a form that has a number once; a second sending goes where the first
    went.
    """
    key = visit.sent("once")
    if not key or visit.person is None:
        return await route.handler(visit)
    if not _KEY.fullmatch(key):
        raise WebRefused(refusals.UNREADABLE)
    # The session's secret, hashed: forms of one browser have their own numbers.
    session_id = hashlib.sha256(visit.request.cookies[SESSION_COOKIE].encode()).hexdigest()[:36]
    sent = SentForm(visit.services, session_id, key)
    if not await sent.claim(route.name):
        location = await sent.led_to()
        if location is None:
            raise WebRefused(refusals.SENT_TWICE)
        return SeeOther(location)
    answer = await route.handler(visit)
    if isinstance(answer, SeeOther):
        await sent.keep(_with_notice(answer))
    return answer


def _response(route: WebRoute, visit: Visit, answer: WebAnswer) -> web.StreamResponse:
    if isinstance(answer, SeeOther):
        headers = {**visit.request.app[WEB].headers, "Location": _with_notice(answer)}
        return web.Response(status=303, headers=headers)
    if isinstance(answer, WebPage):
        return _rendered(visit, answer, route)
    return answer


def _with_notice(answer: SeeOther) -> str:
    if answer.notice is None:
        return answer.location
    join = "&" if "?" in answer.location else "?"
    return f"{answer.location}{join}notice={answer.notice}"


def _rendered(visit: Visit, page: WebPage, route: WebRoute | None) -> web.Response:
    state = visit.request.app[WEB]
    values = {
        **page.values,
        "visit": visit,
        "place": visit.known_place,
        "navigation": navigation.links(visit, route, state.routes),
        "notice": NOTICES.get(visit.request.query.get("notice", "")),
        "zone": visit.zone,
        "has_route": state.routes.__contains__,
        "once": secrets.token_urlsafe(18),
    }
    text = render(page.template, values)
    headers = {**state.headers, **page.headers, "X-Request-Id": visit.correlation_id}
    answer = web.Response(
        status=page.status, text=text, content_type="text/html", charset="utf-8", headers=headers
    )
    if not page.is_secret:  # a compressed secret can be guessed by its length (BREACH)
        answer.enable_compression()
    return answer


def _refused(visit: Visit, refusal: PageRefusal) -> web.Response:
    """Return the page of a refusal.

    The 404 page is the same for every address: no navigation, no name, no id in it.
    """
    if refusal.status == 404:
        visit = Visit(visit.request, visit.services, visit.public_url, None, UTC_ZONE, "", visit.stopping)
    values = {"refusal": refusal, "sign_in": _sign_in_path(visit), "correlation_id": visit.correlation_id}
    return _rendered(visit, WebPage("refusal.html", values, refusal.status), None)


def _sign_in_path(visit: Visit) -> str | None:
    """Return where the connection in the address signs people in, and back to it."""
    request = visit.request
    connection = request.match_info.get("connection")
    if connection is None or not re.fullmatch(r"[0-9a-f-]{36}", connection):
        return None
    back = (
        request.path_qs
        if request.method in ("GET", "HEAD")
        else urlsplit(request.path).path.rpartition("/")[0]
    )
    return f"/v1/admin/openid/{connection}/login?return_to={quote(back, safe='')}"


async def _unknown(request: web.Request) -> web.StreamResponse:
    """Answer an address that is not known: a page for a browser."""
    if "text/html" not in request.headers.get("Accept", ""):
        raise web.HTTPNotFound
    state = request.app[WEB]
    visit = Visit(request, state.services, state.public_url, None, UTC_ZONE, "", state.stopping)
    return _refused(visit, refusals.NOT_FOUND)


def _zone(request: web.Request) -> ZoneInfo:
    """Return the viewer's zone, which the script put into a cookie; else UTC.

    The server writes it: a time that a script rewrites would move the page.
    """
    name = request.cookies.get(ZONE_COOKIE, "")
    if not re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", name):
        return UTC_ZONE
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC_ZONE
