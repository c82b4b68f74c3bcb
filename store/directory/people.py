"""Find the accounts that stand, or once stood, for one person of a directory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import HolderBasis, TenantId, UserId

_u, _h = tables.users.c, tables.account_holders.c


@dataclass(frozen=True, slots=True)
class AccountHolder:
    """A person as a numbered holder of an account."""

    user_id: UserId
    number: int
    directory_id: str | None
    entra_object_id: str | None
    user_name: str
    """Of the account, as it was while the person held it."""
    basis: HolderBasis | None = None
    until: datetime | None = None
    """When another person came; None of the present holder."""


async def holders_of_account(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId
) -> list[AccountHolder]:
    """Return the present and all earlier holders of an account, by number."""
    return sorted(
        await _find(conn, tenant_id, _u.id == user_id, _h.user_id == user_id), key=lambda each: each.number
    )


async def accounts_of_person(
    conn: AsyncConnection, tenant_id: TenantId, directory_id: str | None, entra_object_id: str
) -> list[AccountHolder]:
    """Return every account of the tenant that this person holds or held.

    Another directory's object ids prove nothing about this one's.
    """
    found = await _find(
        *(conn, tenant_id),
        _u.entra_object_id == entra_object_id,
        _h.entra_object_id == entra_object_id,
    )
    same = [each for each in found if each.directory_id == directory_id]
    return sorted(same, key=lambda each: (each.user_id, each.number))


@dataclass(frozen=True, slots=True)
class ProvedHolder:
    """An account and number that a proof, not a name, gives to a person."""

    user_id: UserId
    number: int
    sealed_at: datetime | None = None
    """Since when it is not known whose the account is."""


async def proved_holders(
    conn: AsyncConnection, tenant_id: TenantId, directory_id: str, entra_object_id: str
) -> list[ProvedHolder]:
    """Return every account of the tenant, of all its connections, that this person
    holds or held by proof.
    """
    theirs = select(tables.connections.c.id).where(tables.connections.c.tenant_id == tenant_id)
    present = select(_u.id, _u.holder_number, _u.sealed_at).where(
        # By connection, since that is what the index on object ids begins with.
        _u.connection_id.in_(theirs),
        *(_u.tenant_id == tenant_id, _u.entra_object_id == entra_object_id),
        *(_u.directory_id == directory_id, _u.holder_basis == HolderBasis.PROOF.value),
    )
    earlier = select(_h.user_id, _h.number, _u.holder_number, _u.sealed_at)
    earlier = earlier.join(tables.users, (_u.id == _h.user_id) & (_u.tenant_id == _h.tenant_id)).where(
        *(_h.tenant_id == tenant_id, _h.entra_object_id == entra_object_id),
        *(_h.directory_id == directory_id, _h.basis == HolderBasis.PROOF.value),
    )
    found = {(row[0], row[1]): ProvedHolder(UserId(row[0]), *row[1:]) for row in await conn.execute(present)}
    for user_id, number, present_number, sealed_at in await conn.execute(earlier):
        is_sealed = sealed_at if number == present_number else None
        found.setdefault((user_id, number), ProvedHolder(UserId(user_id), number, is_sealed))
    return list(found.values())


async def _find(
    conn: AsyncConnection, tenant_id: TenantId, of_user: ColumnElement[bool], of_holder: ColumnElement[bool]
) -> list[AccountHolder]:
    present = select(_u.id, _u.holder_number, _u.directory_id, _u.entra_object_id, _u.user_name).where(
        _u.tenant_id == tenant_id, of_user
    )
    person = (_h.user_id, _h.number, _h.directory_id, _h.entra_object_id, _h.user_name, _h.basis, _h.until)
    earlier = select(*person).where(_h.tenant_id == tenant_id, of_holder)
    found: dict[tuple[str, int], AccountHolder] = {}
    for query in (earlier, present):
        for row in await conn.execute(query):
            basis = HolderBasis(row.basis) if query is earlier and row.basis else None
            until = row.until if query is earlier else None
            found[row[0], row[1]] = AccountHolder(
                UserId(row[0]), row[1], row[2], row[3], row[4], basis, until
            )
    return list(found.values())
