"""Browse users in the console: sorted pages, counts of states, groups and sign-ins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory.listing import UserFilter
from store.engine.streaming import of_tenant
from store.keys import search_key, to_group, to_user
from store.records import ConnectionId, Group, GroupId, TenantId, User, UserId

T = TypeVar("T")

_u, _g, _m, _s = tables.users.c, tables.groups.c, tables.memberships.c, tables.sessions.c


class UserSort(StrEnum):
    """The order of a list of users; each is an index, so that any page costs one
    step along it.
    """

    NAME = "name"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class SortedPage(Generic[T]):
    """Records in the order that was asked for."""

    items: tuple[T, ...]
    next: str | None = None
    """The `after` of the next page; None on the last."""


MOST_COUNTED = 10_000
"""Numbers above are not counted on: a page costs the same with a million users."""

MOST_FOUND = 100
"""Names that a search looks for in a column: a person writes more of the name then."""
LAST_CHARACTER = "\U0010ffff"
"""Sorts behind every other character."""


@dataclass(frozen=True, slots=True)
class FoundNames:
    """The users of a search by name."""

    seqs: frozenset[int]
    is_anywhere: bool
    """No name begins so, or it was asked for: the part may be anywhere in the name."""
    is_more: bool
    """There are more than were looked for."""


# In the words of their indexes: with bound values SQLite would read every row.
IS_ALIVE = text("users.deleted_at IS NULL")
IS_ACTIVE = text("users.deleted_at IS NULL AND users.active")
IS_INACTIVE = text("users.deleted_at IS NULL AND NOT users.active")
IS_DELETED = text("users.deleted_at IS NOT NULL")
IS_SEALED = text("users.deleted_at IS NULL AND users.sealed_at IS NOT NULL")


async def sorted_users(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    wanted: UserFilter,
    *,
    sort: UserSort = UserSort.NAME,
    after: str | None = None,
    limit: int = 50,
    found: FoundNames | None = None,
) -> SortedPage[User]:
    """Return a page of the users of a connection by userName, or the newest first;
    with `found` of these, in place of every name that has the part in it.
    """
    query = select(tables.users).where(
        _u.connection_id == of_tenant(tenant_id, connection_id), _condition(wanted)
    )
    if found is not None:
        query = query.where(_u.seq.in_(found.seqs))
    elif wanted.name:
        part = search_key(wanted.name)
        query = query.where(
            or_(*(each.contains(part, autoescape=True) for each in (_u.user_name_key, _u.display_name_key)))
        )
    if sort is UserSort.NAME:
        # userName is not unique among deleted users.
        key, _, seq = (after or "").rpartition(" ")
        if after is not None and seq.isdecimal():
            query = query.where(
                (_u.user_name_key > key) | (_u.user_name_key == key) & (_u.seq > int(seq)),
                _u.user_name_key >= key,
            )
        query = query.order_by(_u.user_name_key, _u.seq)
    else:
        if after is not None and after.isdecimal():
            query = query.where(_u.seq < int(after))
        query = query.order_by(_u.seq.desc())
    rows = list((await conn.execute(query.limit(limit + 1))).mappings())
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = f"{last['user_name_key']} {last['seq']}" if sort is UserSort.NAME else str(last["seq"])
    return SortedPage(tuple(map(to_user, rows[:limit])), following)


async def find_names(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    wanted: UserFilter,
    *,
    anywhere: bool | None = None,
) -> FoundNames:
    """Find users whose userName or displayName begins so, and where none does, those
    that have it anywhere; `anywhere` decides for one of the two.

    Each column is looked through in the index that holds it, apart from the rows.
    """
    ours, part = of_tenant(tenant_id, connection_id), search_key(wanted.name or "")
    for is_anywhere in (False, True) if anywhere is None else (anywhere,):
        seqs: set[int] = set()
        is_more = False
        for column in (_u.user_name_key, _u.display_name_key):
            has_it = _has(conn, column, part) if is_anywhere else _begins(conn, column, part)
            query = select(_u.seq).where(_u.connection_id == ours, _condition(wanted), has_it)
            rows = (await conn.execute(query.order_by(column).limit(MOST_FOUND + 1))).scalars().all()
            seqs.update(rows[:MOST_FOUND])
            is_more = is_more or len(rows) > MOST_FOUND
        if seqs:
            break
    return FoundNames(frozenset(seqs), is_anywhere, is_more)


def _has(conn: AsyncConnection, column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    if conn.dialect.name == "sqlite":  # takes half the time of LIKE
        return func.instr(column, part) > 0
    return column.contains(part, autoescape=True)


def _begins(conn: AsyncConnection, column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    if conn.dialect.name == "sqlite":  # it compares bytes: a beginning is a range of the index
        return and_(column >= part, column < f"{part}{LAST_CHARACTER}")
    return column.startswith(part, autoescape=True)


def _condition(wanted: UserFilter) -> Any:
    if wanted.deleted:
        return IS_DELETED
    if wanted.sealed:
        return IS_SEALED
    if wanted.active is None:
        return IS_ALIVE
    return IS_ACTIVE if wanted.active else IS_INACTIVE


async def count_states(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> Mapping[str, int]:
    """Count the users by state, each up to `MOST_COUNTED` + 1; a state of none is left
    out.
    """
    conditions = {
        "all": IS_ALIVE,
        "active": IS_ACTIVE,
        "inactive": IS_INACTIVE,
        "deleted": IS_DELETED,
        "sealed": IS_SEALED,
    }
    ours = _u.connection_id == of_tenant(tenant_id, connection_id)
    counted: Counter[str] = Counter()
    for state, condition in conditions.items():
        some = select(literal(1)).select_from(tables.users).where(ours, condition).limit(MOST_COUNTED + 1)
        counted[state] = int(
            (await conn.execute(select(func.count()).select_from(some.subquery()))).scalar_one()
        )
    return +counted


async def groups_of_users(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, user_ids: Collection[UserId]
) -> Mapping[UserId, list[str]]:
    """Return the names of the groups of some users, by user."""
    query = (
        select(_m.member_id, _g.display_name)
        .join(tables.groups, (_g.id == _m.group_id) & (_g.tenant_id == _m.tenant_id))
        .where(_m.tenant_id == tenant_id, _m.connection_id == connection_id, _m.member_id.in_(user_ids))
        .order_by(_g.display_name)
    )
    found: dict[UserId, list[str]] = {}
    for member_id, display_name in await conn.execute(query):
        found.setdefault(UserId(member_id), []).append(display_name)
    return found


MOST_MEMBERS_COUNTED = 1_000


async def count_members(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, group_ids: Collection[GroupId]
) -> Mapping[GroupId, int]:
    """Count the members of some groups, each up to `MOST_MEMBERS_COUNTED` + 1."""
    ours = _g.connection_id == of_tenant(tenant_id, connection_id)
    some = select(literal(1)).select_from(tables.memberships).where(_m.group_id == _g.id)
    some = some.limit(MOST_MEMBERS_COUNTED + 1).correlate(tables.groups)
    number = select(func.count()).select_from(some.subquery()).correlate(tables.groups).scalar_subquery()
    rows = await conn.execute(select(_g.id, number.label("number")).where(ours, _g.id.in_(group_ids)))
    return {GroupId(row.id): row.number for row in rows}


async def members_page(
    conn: AsyncConnection,
    tenant_id: TenantId,
    group_id: GroupId,
    *,
    after: str = "",
    limit: int = 50,
) -> SortedPage[User]:
    """Return users of a group in the order of their ids, that in which they came."""
    query = (
        select(tables.users)
        .join(tables.memberships, (_m.member_id == _u.id) & (_m.tenant_id == _u.tenant_id))
        .where(_m.tenant_id == tenant_id, _m.group_id == group_id, _m.member_id > after)
        .order_by(_m.member_id)
    )
    rows = list((await conn.execute(query.limit(limit + 1))).mappings())
    following = rows[limit - 1]["id"] if len(rows) > limit else None
    return SortedPage(tuple(map(to_user, rows[:limit])), following)


async def groups_inside(
    conn: AsyncConnection, tenant_id: TenantId, group_id: GroupId, limit: int = 100
) -> list[Group]:
    """Return the first groups inside a group, by name."""
    query = (
        select(tables.groups)
        .join(tables.memberships, (_m.member_id == _g.id) & (_m.tenant_id == _g.tenant_id))
        .where(_m.tenant_id == tenant_id, _m.group_id == group_id, _m.member_type == "group")
    )
    rows = await conn.execute(query.order_by(_g.display_name).limit(limit))
    return [to_group(row) for row in rows.mappings()]


async def last_sign_ins(
    conn: AsyncConnection, tenant_id: TenantId, user_ids: Collection[UserId]
) -> Mapping[UserId, datetime]:
    """Return when each of some users signed in last; one that never did is left out."""
    query = (
        select(_s.user_id, func.max(_s.created_at))
        .where(_s.tenant_id == tenant_id, _s.user_id.in_(user_ids))
        .group_by(_s.user_id)
    )
    return {UserId(user_id): at for user_id, at in await conn.execute(query)}
