"""The list of accounts: who is here, active or not, why and since when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from enum import StrEnum

from console.admin.people import users
from console.documents import people as documents
from console.web.exports import ExportFormat, export
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import PAGE, Visit, read_cursor, write_cursor
from console.web.wording.explanations import ORIGINS, since, why
from store.directory.browsing import MOST_COUNTED, MOST_FOUND, UserSort
from store.directory.listing import UserFilter
from store.records import User

routes = WebRoutes()


class UserListState(StrEnum):
    """The filters above the list."""

    ALL = "all"
    ACTIVE = "active"
    INACTIVE = "inactive"
    DELETED = "deleted"
    SEALED = "sealed"


@routes.page("users", f"{CONNECTION}/users", "admin:user:read")
async def list_users(visit: Visit) -> WebAnswer:
    """List accounts by state, name and order."""
    state = visit.choice("state", UserListState) or UserListState.ALL
    sort = visit.choice("sort", UserSort) or UserSort.NAME
    found = await users.browse(
        *(visit.services, visit.actor, visit.connection_id, _filter(visit, state)),
        sort=sort,
        after=read_cursor(visit.query("after")),
        limit=PAGE,
        anywhere=visit.query("anywhere") is not None or None,
    )
    values = {
        "found": found,
        "state": state,
        "sort": sort,
        "tabs": _tabs(visit, state, found.counts),
        "name_part": visit.query("q"),
        "next": write_cursor(found.page.next),
        "why": why,
        "since": since,
        "origins": ORIGINS,
        "most": MOST_FOUND,
        "is_filtered": state is not UserListState.ALL or visit.query("q") is not None,
    }
    return WebPage("users.html", values)


@routes.page("users.export", f"{CONNECTION}/users.{{format:csv|json}}", "admin:user:read")
async def export_users(visit: Visit) -> WebAnswer:
    """Export the accounts of the filter."""
    state = visit.choice("state", UserListState) or UserListState.ALL
    columns = ("user_name", "display_name", "state", "why", "origin", "entra_object_id", "since", "id")
    rows = (
        {**documents.user(user), "why": why(user), "since": since(user).isoformat()}
        async for user in _every(visit, _filter(visit, state))
    )
    return await export(visit, ExportFormat(visit.part("format")), "users", columns, rows)


async def _every(visit: Visit, wanted: UserFilter) -> AsyncIterator[User]:
    after = None
    while True:
        found = await users.browse(
            visit.services, visit.actor, visit.connection_id, wanted, after=after, limit=500, whole=True
        )
        for user in found.page.items:
            yield user
        if found.page.next is None:
            return
        after = found.page.next


def _filter(visit: Visit, state: UserListState) -> UserFilter:
    wanted = UserFilter(name=visit.query("q"))
    match state:
        case UserListState.ACTIVE:
            return replace(wanted, active=True)
        case UserListState.INACTIVE:
            return replace(wanted, active=False)
        case UserListState.DELETED:
            return replace(wanted, deleted=True)
        case UserListState.SEALED:
            return replace(wanted, sealed=True)
        case _:
            return wanted


def _tabs(
    visit: Visit, current: UserListState, counts: Mapping[str, int]
) -> list[tuple[str, str, str, bool]]:
    """Return label, count, address and whether it is chosen, of each filter."""
    shown = [each for each in UserListState if each is not UserListState.SEALED or counts["sealed"]]
    return [
        (
            each.value.capitalize(),
            counted(counts[each.value]),
            visit.address(state=None if each is UserListState.ALL else each.value, after=None),
            each is current,
        )
        for each in shown
    ]


def counted(count: int) -> str:
    """Return a count; above `MOST_COUNTED` it is not counted on."""
    return f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}"
