"""The ways into the console by a link, and out of it.

A GET only shows a button: scanners of mail follow links, and a link works once.
"""

from __future__ import annotations

from aiohttp import web

from console.admin.actor import Actor, ActorKind
from console.admin.sessions import console_access
from console.admin.sessions.errors import LinkProblem, LinkRefused
from console.browser import SESSION_COOKIE, drop_cookie, keeps_cookies, page_headers, set_cookie
from console.web.routes import SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from scim.app import peer_address
from store.access.records import LinkKind, Role
from store.records import SessionTerms

routes = WebRoutes()
DOOR = Actor(ActorKind.WEB, "one-time link")
SETUP_COOKIE_S = 3 * 86_400
LONGEST_AGENT = 200

REFUSALS = {
    LinkProblem.UNKNOWN: "This link is not known. Part of it may be missing: copy it whole.",
    LinkProblem.USED: "This link was opened before, and it works once.",
    LinkProblem.OVER: "This link is too old.",
    LinkProblem.REVOKED: "This link was revoked.",
}


@routes.page("enter.sign_in", "/sign-in/{secret}", None)
async def sign_in(visit: Visit) -> WebAnswer:
    """Ask to go on, where the link is good."""
    return await _ask(visit, LinkKind.SIGN_IN)


@routes.form("enter.signed_in", "/sign-in/{secret}", None, calls="sessions.console_access.redeem")
async def signed_in(visit: Visit) -> WebAnswer:
    """Sign the operator in."""
    return await _enter(visit, LinkKind.SIGN_IN)


@routes.page("enter.setup", "/setup/{secret}", None)
async def setup(visit: Visit) -> WebAnswer:
    """Ask to go on; the browser that opened a link goes back to its set-up."""
    return await _ask(visit, LinkKind.SETUP)


@routes.form("enter.setup_opened", "/setup/{secret}", None, calls="sessions.console_access.redeem")
async def setup_opened(visit: Visit) -> WebAnswer:
    """Open the set-up of one connection."""
    return await _enter(visit, LinkKind.SETUP)


@routes.page("me", "/me", "admin:connection:read")
async def me(visit: Visit) -> WebAnswer:
    """Show the person, the role, and the way out."""
    return WebPage("me.html")


@routes.form("enter.sign_out", "/sign-out", None, calls="sessions.console_access.sign_out")
async def sign_out(visit: Visit) -> WebAnswer:
    """End the session of this browser."""
    secret = visit.request.cookies.get(SESSION_COOKIE, "")
    if secret:
        await console_access.sign_out(visit.services, DOOR, secret)
    answer = _redirect(visit, "/signed-out")
    drop_cookie(answer, SESSION_COOKIE)
    return answer


@routes.page("enter.signed_out", "/signed-out", None)
async def signed_out(visit: Visit) -> WebAnswer:
    """Say that the session has ended."""
    return WebPage("signed_out.html")


async def _ask(visit: Visit, kind: LinkKind) -> WebAnswer:
    try:
        link = await console_access.look_at(visit.services, DOOR, visit.part("secret"), kind)
    except LinkRefused as refused:
        person = visit.person
        if refused.problem is LinkProblem.USED and person is not None and person.role is Role.SETUP:
            return SeeOther(f"/connections/{person.home}/setup")
        return _refused(refused, kind)
    return WebPage("enter.html", {"link": link, "keeps_cookies": keeps_cookies(visit.public_url)})


async def _enter(visit: Visit, kind: LinkKind) -> WebAnswer:
    settings = visit.services.settings
    terms = SessionTerms(
        lifetime_s=settings.session_hours * 3600,
        idle_s=None if kind is LinkKind.SETUP else settings.session_idle_minutes * 60,
        created_from=peer_address(visit.request),
        agent=visit.request.headers.get("User-Agent", "")[:LONGEST_AGENT] or None,
    )
    try:
        link, cookie = await console_access.redeem(visit.services, DOOR, visit.part("secret"), kind, terms)
    except LinkRefused as refused:
        return _refused(refused, kind)
    earlier = visit.request.cookies.get(SESSION_COOKIE)
    if earlier:
        await console_access.sign_out(visit.services, DOOR, earlier)
    is_setup = kind is LinkKind.SETUP
    answer = _redirect(visit, f"/connections/{link.connection_id}/setup" if is_setup else "/")
    set_cookie(answer, SESSION_COOKIE, cookie, SETUP_COOKIE_S if is_setup else int(terms.lifetime_s))
    return answer


def _refused(refused: LinkRefused, kind: LinkKind) -> WebPage:
    values = {"what": REFUSALS[refused.problem], "at": refused.at, "is_setup": kind is LinkKind.SETUP}
    return WebPage("link_refused.html", values, 404 if refused.problem is LinkProblem.UNKNOWN else 410)


def _redirect(visit: Visit, location: str) -> web.Response:
    return web.Response(status=303, headers={**page_headers(visit.public_url), "Location": location})
