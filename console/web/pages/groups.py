"""Groups: who is in them here, and why each member has access."""

from __future__ import annotations

from console.admin.people import groups
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import PAGE, Visit, read_cursor, write_cursor
from console.web.wording.explanations import ORIGINS, since, why
from store.directory.browsing import MOST_MEMBERS_COUNTED

routes = WebRoutes()


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
        "shown_number": shown_number,
        "name_part": visit.query("q"),
        "next": write_cursor(found.page.next),
        "origins": ORIGINS,
    }
    return WebPage("groups.html", values)


@routes.page("groups.show", f"{CONNECTION}/groups/{{group}}", "admin:group:read")
async def show(visit: Visit) -> WebAnswer:
    """Show a group with a page of its members."""
    after = read_cursor(visit.query("after")) or ""
    of = visit.services, visit.actor, visit.connection_id
    found = await groups.look(*of, visit.part("group"), after=after, limit=PAGE)
    values = {
        "found": found,
        "number": shown_number(found.number),
        "next": write_cursor(found.members.next),
        "why": why,
        "since": since,
    }
    return WebPage("group.html", values)


def shown_number(count: int) -> str:
    """Return a number of members; above `MOST_MEMBERS_COUNTED` it is not counted on."""
    return f"{MOST_MEMBERS_COUNTED:,}+" if count > MOST_MEMBERS_COUNTED else f"{count:,}"
