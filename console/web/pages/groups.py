"""Groups: who is in them here, and why each member has access."""

from __future__ import annotations

from console.admin.people import groups
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import PAGE, Visit, read_cursor, write_cursor
from console.web.wording.explanations import ORIGINS, since, why

routes = WebRoutes()
SHOWN_MEMBERS = 200


@routes.page("groups", f"{CONNECTION}/groups", "admin:group:read")
async def list_groups(visit: Visit) -> WebAnswer:
    """List groups, in the order in which they came."""
    after = read_cursor(visit.query("after")) or ""
    found, number = await groups.browse(
        *(visit.services, visit.actor, visit.connection_id),
        name=visit.query("q"),
        after=int(after) if after.isdecimal() else 0,
        limit=PAGE,
    )
    values = {
        "found": found,
        "number": number,
        "name_part": visit.query("q"),
        "next": write_cursor(found.page.next),
        "origins": ORIGINS,
    }
    return WebPage("groups.html", values)


@routes.page("groups.show", f"{CONNECTION}/groups/{{group}}", "admin:group:read")
async def show(visit: Visit) -> WebAnswer:
    """Show a group with its members; those without access first."""
    found = await groups.show(visit.services, visit.actor, visit.connection_id, visit.part("group"))
    members = sorted(found.users, key=lambda user: (user.active, user.user_name))
    values = {
        "found": {"group": found.group, "users": members, "groups": found.groups},
        "most": SHOWN_MEMBERS,
        "why": why,
        "since": since,
    }
    return WebPage("group.html", values)
