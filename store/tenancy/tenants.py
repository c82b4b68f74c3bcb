"""Tenants: the vendor's customers."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import InvalidRecord, NotFound, UniquenessConflict
from store.keys import new_id, utc_now
from store.records import ConnectionId, Tenant, TenantId


@dataclass(frozen=True, slots=True)
class ConnectionNames:
    """What people call a connection and its tenant."""

    connection_id: ConnectionId
    tenant: str
    """The slug."""
    name: str


def _to_tenant(row: RowMapping) -> Tenant:
    return Tenant(id=TenantId(row["id"]), name=row["name"], slug=row["slug"], created_at=row["created_at"])


def slug_of(name: str) -> str:
    """Return the name as it appears in commands and URLs.

    Raises `InvalidRecord` where no letter or digit is left of it.
    """
    latin = unicodedata.normalize("NFKD", name.translate(_LATIN)).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", latin.lower()).strip("-")[:MOST_SLUG_CHARACTERS].strip("-")
    if not slug:
        raise InvalidRecord(
            f"the name {name!r} has no letter a-z and no digit to type in commands: choose some with --slug, "
            "for example `--slug contoso`"
        )
    return slug


MOST_SLUG_CHARACTERS = 63

_LATIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ı": "i"}
)
"""Latin letters that Unicode does not take apart."""


def check_slug(slug: str) -> str:
    """Return a slug that a person chose. Raises `InvalidRecord`."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) or len(slug) > MOST_SLUG_CHARACTERS:
        raise InvalidRecord(
            f"the slug {slug[:MOST_SLUG_CHARACTERS]!r} is refused: it has letters a-z, digits and single - between "
            "them, for example `contoso`"
        )
    return slug


async def create(
    conn: AsyncConnection, name: str, *, slug: str | None = None, now: datetime | None = None
) -> Tenant:
    """Create a tenant; raise `UniquenessConflict` if one of the same slug exists.

    Without `slug` it is made from the name. Raises `InvalidRecord`.
    """
    slug = slug_of(name) if slug is None else check_slug(slug)
    tenant = Tenant(id=TenantId(new_id()), name=name, slug=slug, created_at=now or utc_now())
    t = tables.tenants.c
    if (await conn.execute(select(t.id).where(t.slug == tenant.slug, t.deleted_at.is_(None)))).first():
        raise UniquenessConflict("slug", tenant.slug)
    try:
        await conn.execute(
            insert(tables.tenants).values(
                id=tenant.id, name=tenant.name, slug=tenant.slug, created_at=tenant.created_at
            )
        )
    except IntegrityError as error:
        raise UniquenessConflict("slug", tenant.slug) from error
    return tenant


async def get(conn: AsyncConnection, tenant_id: TenantId) -> Tenant:
    """Return the tenant; raise `NotFound`."""
    return await find(conn, tenant_id)


async def find(conn: AsyncConnection, reference: str) -> Tenant:
    """Return the tenant with this id, slug or name; raise `NotFound`."""
    t = tables.tenants.c
    query = select(tables.tenants).where(
        or_(t.id == reference, t.slug == reference.casefold(), t.name == reference), t.deleted_at.is_(None)
    )
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound(f"no tenant is called {reference!r}: `leaver tenant list` shows all")
    return _to_tenant(row)


async def find_deleted(conn: AsyncConnection, tenant_id: str) -> Tenant | None:
    """Return the deleted tenant with this id: its logs are kept."""
    t = tables.tenants.c
    query = select(tables.tenants).where(t.id == tenant_id, t.deleted_at.is_not(None))
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else _to_tenant(row)


async def list_all(conn: AsyncConnection) -> list[Tenant]:
    t = tables.tenants.c
    rows = await conn.execute(select(tables.tenants).where(t.deleted_at.is_(None)).order_by(t.name))
    return [_to_tenant(row) for row in rows.mappings()]


async def connection_names(conn: AsyncConnection, most: int) -> list[ConnectionNames]:
    """Return the names of the connections of all tenants, the oldest first."""
    c = tables.connections.c
    query = select(c.id, tables.tenants.c.slug, c.name).join(
        tables.tenants, tables.tenants.c.id == c.tenant_id
    )
    rows = await conn.execute(query.order_by(c.created_at, c.id).limit(most))
    return [ConnectionNames(ConnectionId(row.id), row.slug, row.name) for row in rows]
