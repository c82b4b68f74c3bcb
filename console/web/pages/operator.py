"""Operator: all connections, the worst first; and the people who may enter."""

from __future__ import annotations

from console.admin.errors import UnknownReference
from console.admin.operators import people
from console.admin.reports import status
from console.admin.reports.status import Level
from console.documents.connections import connection_state
from console.web import refusals
from console.web.refusals import WebRefused
from console.web.routes import SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from store.access.records import Role
from store.tenancy.credential_expiry import credential_state

routes = WebRoutes()
SHOWN = 100
LEVELS = {"failed": Level.FAILED, "warning": Level.WARNING, "ok": Level.OK}


@routes.page("operator", "/operator", "admin:connection:read")
async def operator(visit: Visit) -> WebAnswer:
    """List the connections, the worst first, with the reason in words."""
    wanted, page = visit.query("level") or "", visit.query("page") or "1"
    number = max(1, int(page)) if page.isdecimal() and len(page) < 9 else 1
    found = await status.urgent(
        visit.services,
        visit.actor,
        level=LEVELS.get(wanted),
        name=visit.query("q"),
        skip=(number - 1) * SHOWN,
        limit=SHOWN,
    )
    rows = [
        {
            "each": each,
            "state": connection_state(each.connection),
            "open": (each.standing.findings or {}).get("open", 0),
            "credential": credential_state(each.connection, found.at).value,
        }
        for each in found.connections
    ]
    values = {
        "found": found,
        "workload": found.workload,
        "rows": rows,
        "counts": {name: found.counts[level] for name, level in LEVELS.items()},
        "level": wanted if wanted in LEVELS else None,
        "total": sum(found.counts.values()),
        "part": visit.query("q") or "",
        "next": number + 1 if found.has_more else None,
    }
    return WebPage("operator.html", values)


@routes.page("operators", "/operators", "admin:operator:read")
async def operators(visit: Visit) -> WebAnswer:
    """List the people who enter by an invitation."""
    found = await people.list_all(visit.services, visit.actor)
    return WebPage("operators.html", {"found": found, "roles": list(Role)[:3]})


@routes.form(
    "operators.invite", "/operators", "admin:operator:create", calls="operators.people.invite", recent=True
)
async def invite(visit: Visit) -> WebAnswer:
    """Make a sign-in link and show it once."""
    role = visit.sent("role")
    if role and role not in [each.value for each in Role][:3]:
        raise WebRefused(refusals.UNREADABLE)
    tenant = visit.sent("tenant").strip() or None
    wanted = Role(role) if role else None
    try:
        made = await people.invite(visit.services, visit.actor, visit.sent("name"), wanted, tenant)
    except UnknownReference:
        raise WebRefused(refusals.NO_SUCH_TENANT) from None
    values = {
        "url": f"{visit.public_url}/sign-in/{made.secret}",
        "link": made.link,
        "heading": "Sign-in link made",
        "back": "/operators",
    }
    return WebPage("setup/link_made.html", values, is_secret=True)


@routes.form(
    "operators.remove",
    "/operators/{operator}/remove",
    "admin:operator:revoke",
    calls="operators.people.remove",
    recent=True,
)
async def remove(visit: Visit) -> WebAnswer:
    """End the access of an operator."""
    await people.remove(visit.services, visit.actor, visit.part("operator"))
    return SeeOther("/operators", "operator-removed")
