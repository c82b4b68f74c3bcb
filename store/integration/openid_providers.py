"""Providers other than Entra by which people sign in, and accounts of their subjects.

A person is known by issuer and subject; both belong to one holder of an account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, TenantId, User, UserId

_p, _i = tables.openid_providers.c, tables.openid_identities.c


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A provider, and the claim that links a person at the first sign-in."""

    issuer: str
    client_id: str
    link_claim: str | None
    """A claim that holds an account's externalId or object id; None: by hand only."""


async def put(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    provider: OpenIdProvider,
    sealed_secret: str,
    now: datetime,
) -> None:
    """Store the provider of a connection in place of the one before."""
    await remove(conn, tenant_id, connection_id)
    await conn.execute(
        insert(tables.openid_providers).values(
            id=connection_id,
            tenant_id=tenant_id,
            connection_id=connection_id,
            issuer=provider.issuer,
            client_id=provider.client_id,
            secret=sealed_secret,
            link_claim=provider.link_claim,
            created_at=now,
        )
    )


async def get(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> tuple[OpenIdProvider, str] | None:
    """Return the provider of a connection and its sealed secret; None without one."""
    query = select(_p.issuer, _p.client_id, _p.link_claim, _p.secret)
    query = query.where(_p.tenant_id == tenant_id, _p.id == connection_id)
    row = (await conn.execute(query)).first()
    return None if row is None else (OpenIdProvider(row.issuer, row.client_id, row.link_claim), row.secret)


async def remove(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> int:
    """Sign people in by Entra again; links stay. Return how many providers went."""
    own = (_p.tenant_id == tenant_id, _p.id == connection_id)
    return (await conn.execute(delete(tables.openid_providers).where(*own))).rowcount


async def link(
    conn: AsyncConnection, tenant_id: TenantId, user: User, issuer: str, subject: str, by: str, now: datetime
) -> None:
    """Link a subject to the present holder of an account; an earlier link goes."""
    place = (_i.tenant_id == tenant_id, _i.connection_id == user.connection_id)
    await conn.execute(
        delete(tables.openid_identities).where(*place, _i.issuer == issuer, _i.subject == subject)
    )
    await conn.execute(
        insert(tables.openid_identities).values(
            connection_id=user.connection_id,
            issuer=issuer,
            subject=subject,
            tenant_id=tenant_id,
            user_id=user.id,
            holder_number=user.holder_number,
            linked_by=by,
            linked_at=now,
        )
    )


async def find(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, issuer: str, subject: str
) -> tuple[UserId, int] | None:
    """Return the account of a subject, and the number of the holder that it is."""
    place = (_i.tenant_id == tenant_id, _i.connection_id == connection_id)
    query = select(_i.user_id, _i.holder_number).where(*place, _i.issuer == issuer, _i.subject == subject)
    row = (await conn.execute(query)).first()
    return None if row is None else (UserId(row.user_id), row.holder_number)


async def has_subject(conn: AsyncConnection, tenant_id: TenantId, user: User, issuer: str) -> bool:
    """Return whether the account's present holder has a subject of this issuer."""
    place = (_i.tenant_id == tenant_id, _i.connection_id == user.connection_id, _i.issuer == issuer)
    query = select(_i.subject).where(*place, _i.user_id == user.id, _i.holder_number == user.holder_number)
    return (await conn.execute(query.limit(1))).first() is not None
