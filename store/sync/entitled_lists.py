"""The users that the last reading counted as entitled, each with the number of assigned
groups that hold the user.

An increment reads a few users: with this list it knows what each of them counted
before, and its totals are those of a full cycle. The list is kept in parts by a hash of
the object id, so that an increment reads and writes only the parts of its users.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import fetch_tuples
from store.records import ConnectionId, GraphId, TenantId

USERS_PER_PART = 200
"""An increment reads and writes 8 kB for each of its users; a million are 5,000
rows.
"""

_c = tables.entitled_lists.c
_TOTALS: Any = select(func.count(), func.sum(_c.users), func.sum(_c.memberships)).where(
    _c.tenant_id == bindparam("of_tenant"), _c.connection_id == bindparam("of_connection")
)


@dataclass(frozen=True, slots=True)
class EntitledTotals:
    users: int
    memberships: int


async def totals(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> EntitledTotals | None:
    """Return the sums over the list, or None where none was saved."""
    [row] = await fetch_tuples(conn, _TOTALS, {"of_tenant": tenant_id, "of_connection": connection_id})
    parts, people, memberships = row
    return EntitledTotals(int(people), int(memberships)) if parts else None


async def load_some(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, ids: Iterable[GraphId]
) -> dict[GraphId, int]:
    """Return which of these users are in the list, with the number of their groups."""
    wanted = frozenset(ids)
    number = await _number_of_parts(conn, tenant_id, connection_id) if wanted else 0
    if not number:
        return {}
    parts = await _load_parts(conn, tenant_id, connection_id, {_part_of(each, number) for each in wanted})
    listed = (_from_text(text) for text in parts.values())
    return {each: held for part in listed for each, held in part.items() if each in wanted}


async def put_all(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, listed: Mapping[GraphId, int]
) -> None:
    """Save the whole list in place of the earlier one; equal parts are not written
    again.
    """
    number = 1 + len(listed) // USERS_PER_PART
    before = await _number_of_parts(conn, tenant_id, connection_id)
    # With some slack: a list that grows by one user is not divided anew.
    if before and before <= number * 2 and number <= before * 2:
        number = before
    else:
        await drop(conn, tenant_id, connection_id)
    parts: list[list[GraphId]] = [[] for _ in range(number)]
    for each in listed:
        parts[_part_of(each, number)].append(each)
    digests = await _digests(conn, tenant_id, connection_id)
    for part, ids in enumerate(parts):
        people = {each: listed[each] for each in ids}
        await _put_part(conn, (tenant_id, connection_id, part), people, digests.get(part))


async def put_some(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    listed: Mapping[GraphId, int],
    looked_at: Collection[GraphId],
) -> None:
    """Save what these users count now: who is not in `listed` leaves the list."""
    number = await _number_of_parts(conn, tenant_id, connection_id) if looked_at else 0
    if not number:
        return
    by_part: defaultdict[int, set[GraphId]] = defaultdict(set)
    for each in looked_at:
        by_part[_part_of(each, number)].add(each)
    parts = await _load_parts(conn, tenant_id, connection_id, by_part)
    for part, ids in by_part.items():
        before = parts[part]
        people = {each: held for each, held in _from_text(before).items() if each not in ids}
        people |= {each: listed[each] for each in ids if each in listed}
        await _put_part(conn, (tenant_id, connection_id, part), people, _digest_of(before))


async def drop(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> None:
    await conn.execute(
        delete(tables.entitled_lists).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    )


def _part_of(graph_id: GraphId, number: int) -> int:
    return zlib.crc32(graph_id.encode()) % number if number > 1 else 0


async def _number_of_parts(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> int:
    query = select(func.count()).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    return int((await conn.execute(query)).scalar_one())


async def _digests(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> dict[int, str]:
    query = select(_c.part, _c.digest).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    return {row.part: row.digest for row in await conn.execute(query)}


async def _load_parts(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, parts: Iterable[int]
) -> dict[int, str]:
    query = select(_c.part, _c.listed).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.part.in_(sorted(parts))
    )
    return {row.part: row.listed for row in await conn.execute(query)}


async def _put_part(
    conn: AsyncConnection,
    key: tuple[TenantId, ConnectionId, int],
    people: Mapping[GraphId, int],
    digest_before: str | None,
) -> None:
    tenant_id, connection_id, part = key
    text = _to_text(people)
    digest = _digest_of(text)
    if digest == digest_before:
        return
    values: dict[str, Any] = {
        "users": len(people),
        "memberships": sum(people.values()),
        "digest": digest,
        "listed": text,
    }
    if digest_before is None:
        scope = {"tenant_id": tenant_id, "connection_id": connection_id, "part": part}
        await conn.execute(insert(tables.entitled_lists).values(**scope, **values))
        return
    mine = (_c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.part == part)
    await conn.execute(update(tables.entitled_lists).where(*mine).values(**values))


def _to_text(people: Mapping[GraphId, int]) -> str:
    return " ".join(f"{each}:{people[each]}" for each in sorted(people))


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _from_text(text: str) -> dict[GraphId, int]:
    words = text.replace(":", " ").split()  # object ids hold no colon
    return dict(zip(map(GraphId, words[::2]), map(int, words[1::2]), strict=True))
