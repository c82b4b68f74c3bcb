"""Holders of accounts that a person declared to be one person (identity.md, W4).

A holder is an account and its number. Each sees the history of the other, until the
decision is taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound
from store.keys import utc_now
from store.records import ConnectionId, GraphId, TenantId, UserId

MOST_ROUNDS = 20
"""Joins from one holder to the next that are followed."""

_c = tables.joined_holders.c
_h = tables.account_holders.c
_u = tables.users.c


class Holder(NamedTuple):
    """An account, and which of the people it stood for."""

    user_id: UserId
    number: int


@dataclass(frozen=True, slots=True)
class EarlierHolder:
    """A person who held an account before."""

    holder: Holder
    user_name: str
    directory_id: str | None


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    one: Holder,
    other: Holder,
    by: str,
    unsealed: Iterable[UserId] = (),
    *,
    now: datetime | None = None,
) -> bool:
    """Join two holders; return False if they are joined already.

    `unsealed` are the accounts whose seal the decision lifted.
    """
    if other in await same_person(conn, tenant_id, one):
        return False
    first, second = sorted((one, other))
    row = {
        **_key(tenant_id, first, second),
        "by": by,
        "unsealed": sorted(unsealed),
        "at": now or utc_now(),
    }
    await conn.execute(insert(tables.joined_holders).values(row))
    return True


async def remove(
    conn: AsyncConnection, tenant_id: TenantId, one: Holder, other: Holder
) -> tuple[UserId, ...]:
    """Separate two holders and return the accounts that the join had unsealed.

    Raises `NotFound` if these two were not joined.
    """
    first, second = sorted((one, other))
    mine = [_c[name] == value for name, value in _key(tenant_id, first, second).items()]
    removed = delete(tables.joined_holders).where(_c.tenant_id == tenant_id, *mine)
    row = (await conn.execute(removed.returning(_c.unsealed))).first()
    if row is None:
        raise NotFound("these two are not joined")
    return tuple(map(UserId, row.unsealed))


def _key(tenant_id: TenantId, first: Holder, second: Holder) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "user_id": first.user_id,
        "number": first.number,
        "other_user_id": second.user_id,
        "other_number": second.number,
    }


async def same_person(conn: AsyncConnection, tenant_id: TenantId, one: Holder) -> frozenset[Holder]:
    """Return every other holder that is the same person, joined directly or through
    others.
    """
    known = frozenset({one})
    new = known
    for _ in range(MOST_ROUNDS):
        query = select(_c.user_id, _c.number, _c.other_user_id, _c.other_number).where(
            _c.tenant_id == tenant_id, or_(*_any_of(new))
        )
        rows = (await conn.execute(query)).all()
        found = {Holder(UserId(row[at]), row[at + 1]) for row in rows for at in (0, 2)}
        new = frozenset(found) - known
        if not new:
            break
        known |= new
    return known - {one}


def _any_of(holders: Collection[Holder]) -> Iterable[ColumnElement[bool]]:
    for user_id, number in sorted(holders):
        yield and_(_c.user_id == user_id, _c.number == number)
        yield and_(_c.other_user_id == user_id, _c.other_number == number)


async def find_earlier(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, object_id: GraphId
) -> EarlierHolder | None:
    """Return the holder with this object id of an account that stands for another
    person now.
    """
    query = (
        select(_h.user_id, _h.number, _h.user_name, _h.directory_id)
        .join(tables.users, (_u.id == _h.user_id) & (_u.tenant_id == _h.tenant_id))
        .where(_h.tenant_id == tenant_id, _u.connection_id == connection_id)
        .where(_h.entra_object_id == object_id, _h.number != _u.holder_number)
        .order_by(_h.until.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).first()
    if row is None:
        return None
    return EarlierHolder(Holder(UserId(row.user_id), row.number), row.user_name, row.directory_id)
