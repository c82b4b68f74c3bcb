"""List and show groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import browsing, groups, listing, memberships, users
from store.directory.browsing import SortedPage
from store.directory.listing import DirectoryPage
from store.records import Connection, GraphId, Group, GroupId, User
from store.sync import delta_links


@dataclass(frozen=True, slots=True)
class GroupList:
    """A page of groups, and how many members each has."""

    page: DirectoryPage[Group]
    members: Mapping[GroupId, int]
    """An empty group is left out."""
    assigned: frozenset[GraphId] = frozenset()
    """Object ids of the groups that the last reading that was kept found assigned."""


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
    """Return a page of the groups, and how many there are; members are counted up to
    `MOST_MEMBERS_COUNTED` + 1.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        of = found.tenant_id, found.id
        number = await groups.count(conn, *of)
        page = await listing.groups(conn, *of, name=name, after=after, limit=limit)
        counts = await browsing.count_members(conn, *of, [group.id for group in page.items])
        assigned = await delta_links.counted_groups(conn, *of)
    return GroupList(page, counts, assigned), number


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """A group with a page of its members."""

    group: Group
    members: SortedPage[User]
    number: int
    """Of members, up to `MOST_MEMBERS_COUNTED` + 1."""
    groups: Sequence[Group]
    """The first groups inside this one."""


async def look(
    services: Services, actor: Actor, connection: str, group: str, *, after: str = "", limit: int = 50
) -> GroupMembers:
    """Return a group by displayName, id or Entra object id, with a page of its members.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        of = found.tenant_id, found.id
        first = await _find(conn, found, group)
        counts = await browsing.count_members(conn, *of, [first.id])
        return GroupMembers(
            first,
            await browsing.members_page(conn, found.tenant_id, first.id, after=after, limit=limit),
            counts.get(first.id, 0),
            await browsing.groups_inside(conn, found.tenant_id, first.id),
        )


async def show(services: Services, actor: Actor, connection: str, group: str) -> GroupDetails:
    """Return a group by displayName, id or Entra object id, with its members.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        of = found.tenant_id, found.id
        first = await _find(conn, found, group)
        ids = [member.member_id for member in await memberships.of_group(conn, found.tenant_id, first.id)]
        people = await users.load_some(conn, *of, ids=ids)
        inside = await groups.load_some(conn, *of, ids=ids)
    return GroupDetails(
        first,
        sorted(people.values(), key=lambda user: user.user_name),
        sorted(inside.values(), key=lambda each: each.display_name),
    )


async def _find(conn: AsyncConnection, connection: Connection, reference: str) -> Group:
    of = conn, connection.tenant_id, connection.id
    known = await groups.load_some(*of, ids=[reference], objects=[reference.lower()], names=[reference])
    alive = [each for each in known.values() if each.deleted_at is None]
    if not alive:
        raise UnknownReference(Noun.GROUP, reference, connection_name=connection.name)
    return min(alive, key=lambda each: each.id != reference)
