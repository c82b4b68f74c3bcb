"""Groups: who is in them here, and why each member has access."""

from __future__ import annotations

from collections.abc import AsyncIterator

from console.admin.people import groups
from console.admin.people.groups import GroupMembers
from console.documents import people as documents
from console.documents.values import JsonDocument
from console.web.exports import ExportFormat, export
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import PAGE, Visit, read_cursor, write_cursor
from console.web.wording.explanations import ORIGINS, since, why
from store.directory.browsing import MOST_MEMBERS_COUNTED

routes = WebRoutes()
EXPORTED_AT_ONCE = 500


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


@routes.page("groups.export", f"{CONNECTION}/groups.{{format:csv|json}}", "admin:group:read")
async def export_groups(visit: Visit) -> WebAnswer:
    """Export the groups of the filter."""
    columns = ("display_name", "members", "origin", "entra_object_id", "created_at", "last_modified", "id")
    return await export(visit, ExportFormat(visit.part("format")), "groups", columns, _every_group(visit))


async def _every_group(visit: Visit) -> AsyncIterator[JsonDocument]:
    of, after = (visit.services, visit.actor, visit.connection_id), 0
    while True:
        found = await groups.list_page(*of, name=visit.query("q"), after=after, limit=EXPORTED_AT_ONCE)
        for group in found.page.items:
            yield documents.group(group, found.members.get(group.id, 0))
        if found.page.next is None:
            return
        after = found.page.next


@routes.page(
    "groups.members.export", f"{CONNECTION}/groups/{{group}}/members.{{format:csv|json}}", "admin:group:read"
)
async def export_members(visit: Visit) -> WebAnswer:
    """Export the people of a group, each with why the account has access."""
    columns = ("user_name", "display_name", "state", "why", "entra_object_id", "since", "id")
    first = await groups.look(
        visit.services, visit.actor, visit.connection_id, visit.part("group"), limit=EXPORTED_AT_ONCE
    )
    return await export(
        visit, ExportFormat(visit.part("format")), "members", columns, _every_member(visit, first)
    )


async def _every_member(visit: Visit, first: GroupMembers) -> AsyncIterator[JsonDocument]:
    of, found = (visit.services, visit.actor, visit.connection_id, first.group.id), first
    while True:
        for user in found.members.items:
            yield {**documents.user(user), "why": why(user), "since": since(user).isoformat()}
        if found.members.next is None:
            return
        found = await groups.look(*of, after=found.members.next, limit=EXPORTED_AT_ONCE)


def shown_number(count: int) -> str:
    """Return a number of members; above `MOST_MEMBERS_COUNTED` it is not counted on."""
    return f"{MOST_MEMBERS_COUNTED:,}+" if count > MOST_MEMBERS_COUNTED else f"{count:,}"
