"""Operations on the accounts and groups of a connection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from console.admin.people import groups, users
from console.api.contract import Caller, Cursor, Limit, Routes
from console.api.problems import Problem
from console.api.schemas import people as schemas
from console.documents import people as documents
from console.documents.values import JsonDocument
from store.directory.listing import UserFilter

routes = Routes("People")

Part = Annotated[str | None, Field(max_length=200, description="A part of the name, in any case.")]


@routes.add("GET", "/connections/{connection}/users", "admin:user:read", problems=("not-found",))
async def list_users(
    caller: Caller,
    connection: str,
    name: Part = None,
    active: bool | None = None,
    deleted: bool = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Annotated[JsonDocument, schemas.UserPage]:
    """List the accounts of a connection, in the order in which they came.

    `deleted=true` lists the deleted ones alone.
    """
    found = await users.list_page(
        caller.services,
        caller.actor,
        connection,
        UserFilter(name=name, active=active, deleted=deleted),
        after=caller.number(cursor) or 0,
        limit=limit,
    )
    return caller.page(map(documents.user, found.items), found.next)


@routes.add("GET", "/connections/{connection}/users/{user}", "admin:user:read", problems=("not-found",))
async def get_user(
    caller: Caller, connection: str, user: str
) -> Annotated[JsonDocument, schemas.UserDetailsAnswer]:
    """Read an account by id, userName or Entra object id, a deleted one too."""
    found = await users.show(caller.services, caller.actor, connection, user)
    return documents.user_details(found.user, found.groups, found.sessions, found.changes)


@routes.add(
    "PATCH",
    "/connections/{connection}/users/{user}",
    "admin:connection:update",
    problems=("not-found", "conflict"),
)
async def mark_user(
    caller: Caller, connection: str, user: str, body: schemas.MarksBody
) -> Annotated[JsonDocument, schemas.UserAnswer]:
    """Set or take away the marks `protected` and `admin`, which guard an account.

    The permission is one that Entra's own token has not.
    """
    if body.protected is None and body.admin is None:
        raise Problem("invalid-request", "The request names no value that is to be changed.")
    found = await users.mark(
        caller.services, caller.actor, connection, user, is_protected=body.protected, is_admin=body.admin
    )
    return documents.user(found)


@routes.add("GET", "/connections/{connection}/groups", "admin:group:read", problems=("not-found",))
async def list_groups(
    caller: Caller, connection: str, name: Part = None, cursor: Cursor = None, limit: Limit = 50
) -> Annotated[JsonDocument, schemas.GroupPage]:
    """List the groups of a connection, in the order in which they came."""
    found = await groups.list_page(
        caller.services,
        caller.actor,
        connection,
        name=name,
        after=caller.number(cursor) or 0,
        limit=limit,
    )
    listed = (documents.group(each, found.members.get(each.id, 0)) for each in found.page.items)
    return caller.page(listed, found.page.next)


@routes.add("GET", "/connections/{connection}/groups/{group}", "admin:group:read", problems=("not-found",))
async def get_group(
    caller: Caller, connection: str, group: str
) -> Annotated[JsonDocument, schemas.GroupDetailsAnswer]:
    """Read a group by id, displayName or Entra object id, with its direct members."""
    found = await groups.show(caller.services, caller.actor, connection, group)
    return documents.group_details(found.group, found.users, found.groups)
