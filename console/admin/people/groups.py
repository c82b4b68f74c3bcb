"""List and show groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import groups, listing, memberships, users
from store.directory.listing import DirectoryPage
from store.records import Group, GroupId, User


@dataclass(frozen=True, slots=True)
class GroupList:
    """A page of groups, and how many members each has."""

    page: DirectoryPage[Group]
    members: Mapping[GroupId, int]
    """An empty group is left out."""


@dataclass(frozen=True, slots=True)
class GroupDetails:
    """A group with its direct members."""

    group: Group
    users: Sequence[User]
    groups: Sequence[Group]
    """Groups inside this one."""


@requires("admin:group:read")
async def list_page(
    services: Services,
    actor: Actor,
    connection: str,
    *,
    name: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> GroupList:
    """Return a page of the groups of a connection. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        of = found.tenant_id, found.id
        page = await listing.groups(conn, *of, name=name, after=after, limit=limit)
        counts = await listing.count_members(conn, *of, [group.id for group in page.items])
        return GroupList(page, counts)


async def browse(
    services: Services, actor: Actor, connection: str, *, name: str | None, after: int = 0, limit: int = 50
) -> tuple[GroupList, int]:
    """Return a page of the groups, and how many there are.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        number = await groups.count(conn, found.tenant_id, found.id)
    page = await list_page(services, actor, connection, name=name, after=after, limit=limit)
    return page, number


async def show(services: Services, actor: Actor, connection: str, group: str) -> GroupDetails:
    """Return a group by displayName, id or Entra object id, with its members.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        of = found.tenant_id, found.id
        known = await groups.load_some(conn, *of, ids=[group], objects=[group.lower()], names=[group])
        alive = [each for each in known.values() if each.deleted_at is None]
        if not alive:
            raise UnknownReference(Noun.GROUP, group, connection_name=found.name)
        [first, *_] = sorted(alive, key=lambda each: each.id != group)
        ids = [member.member_id for member in await memberships.of_group(conn, found.tenant_id, first.id)]
        people = await users.load_some(conn, *of, ids=ids)
        inside = await groups.load_some(conn, *of, ids=ids)
    return GroupDetails(
        first,
        sorted(people.values(), key=lambda user: user.user_name),
        sorted(inside.values(), key=lambda each: each.display_name),
    )
