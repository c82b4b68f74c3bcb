"""The state of one connection for the vendor's own admin pages, by a status link."""

from __future__ import annotations

from aiohttp import web

from console.admin import runs
from console.admin.actor import Actor, ActorKind
from console.admin.reports import status
from console.admin.reports.status import ConnectionStatus
from console.admin.sessions.errors import LinkRefused
from console.admin.setup import links
from console.admin.setup.links import OpenedStatus
from console.browser import page_headers
from console.documents.values import iso
from console.web import refusals
from console.web.refusals import WebRefused
from console.web.routes import SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from worker.cycle.run import CycleRequest

routes = WebRoutes()
DOOR = Actor(ActorKind.WEB, "status link")


@routes.page("status", "/status/{secret}", None)
async def show(visit: Visit) -> WebAnswer:
    """Show the state; the origins that the link names may put it into a frame."""
    opened, found = await _found(visit)
    values = {
        "found": found,
        "may_sync": opened.link.may_sync,
        "at": opened.at,
        "open": (found.standing.findings or {}).get("open", 0),
        "secret": visit.part("secret"),
    }
    return WebPage("status.html", values, headers=_framed(visit, opened))


@routes.page("status.export", "/status/{secret}/status.json", None)
async def document(visit: Visit) -> WebAnswer:
    """Return the same as JSON."""
    opened, found = await _found(visit)
    body = {
        "at": iso(opened.at),
        "level": found.level.name.lower(),
        "reasons": [each.sentence for each in found.concerns],
        "mode": found.connection.policy.mode.value,
        "last_push_at": iso(found.standing.last_push_at),
        "last_complete_at": iso(found.connection.last_complete_at),
        "next_due_at": iso(found.connection.next_due_at),
        "open_findings": (found.standing.findings or {}).get("open", 0),
        "held_rows": found.standing.held_rows,
        "may_sync": opened.link.may_sync,
    }
    return web.json_response(body, headers={**page_headers(visit.public_url), **_readable(visit, opened)})


@routes.form("status.sync", "/status/{secret}/sync", None, calls="runs.request_cycle")
async def sync(visit: Visit) -> WebAnswer:
    """Ask for a cycle, where the link allows it."""
    opened, found = await _found(visit)
    await runs.request_cycle(visit.services, opened.actor, found.connection.id, CycleRequest())
    return SeeOther(f"/status/{visit.part('secret')}", "sync-requested")


async def _found(visit: Visit) -> tuple[OpenedStatus, ConnectionStatus]:
    try:
        opened = await links.open_status(visit.services, DOOR, visit.part("secret"))
    except LinkRefused:
        raise WebRefused(refusals.NOT_FOUND) from None
    found = await status.status(visit.services, opened.actor)
    if not found.connections:
        raise WebRefused(refusals.NOT_FOUND)
    return opened, found.connections[0]


def _readable(visit: Visit, opened: OpenedStatus) -> dict[str, str]:
    """Let scripts of the origins that the link names read the document (CORS)."""
    origin = visit.request.headers.get("Origin", "")
    if origin not in opened.link.frame_ancestors:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Vary": "Origin",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }


def _framed(visit: Visit, opened: OpenedStatus) -> dict[str, str]:
    origins = opened.link.frame_ancestors
    if not origins:
        return {}
    policy = page_headers(visit.public_url)["Content-Security-Policy"]
    allowed = f"frame-ancestors {' '.join(origins)}"
    return {
        "Content-Security-Policy": policy.replace("frame-ancestors 'none'", allowed),
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
