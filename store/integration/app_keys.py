"""Sessions and API keys that the vendor's app keeps itself, and registered here.

`store.lifecycle` ends them in the transaction that ends access: they stand in its
receipt, and the app ends them and acknowledges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import AccessRefused, NotFound
from store.keys import new_id
from store.records import AppKey, AppKeyKind, JsonValue, TenantId, UserId

_c, _u = tables.app_keys.c, tables.users.c


@dataclass(frozen=True, slots=True)
class NewAppKey:
    """What an app registers."""

    kind: AppKeyKind
    reference: str
    label: str | None = None
    expires_at: datetime | None = None


def _to_app_key(row: RowMapping) -> AppKey:
    return AppKey(**{**row, "kind": AppKeyKind(row["kind"])})


async def register(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId, wanted: NewAppKey, now: datetime
) -> AppKey:
    """Register a key for the account's present holder; the same one again gives the
    first.

    Raises `AccessRefused` for an account without access. Its row is locked as when a
    session begins: a registration and a deprovision cannot miss each other.
    """
    query = select(_u.connection_id, _u.holder_number, _u.period).where(
        _u.id == user_id, _u.tenant_id == tenant_id, _u.active, _u.deleted_at.is_(None)
    )
    user = (await conn.execute(query.with_for_update(read=True))).mappings().first()
    if user is None:
        raise AccessRefused("this account is not active: nothing may be begun for it, and what there is ends")
    known = (_c.kind == wanted.kind.value, _c.reference == wanted.reference, _c.ended_at.is_(None))
    found = await _read(conn, tenant_id, _c.user_id == user_id, *known)
    if found:
        return found[0]
    key_id = new_id()
    await conn.execute(
        insert(tables.app_keys).values(
            id=key_id,
            tenant_id=tenant_id,
            user_id=user_id,
            kind=wanted.kind.value,
            reference=wanted.reference,
            label=wanted.label,
            expires_at=wanted.expires_at,
            registered_at=now,
            **user,
        )
    )
    return await get(conn, tenant_id, key_id)


async def get(conn: AsyncConnection, tenant_id: TenantId, key_id: str) -> AppKey:
    """Return a key, an ended one too. Raises `NotFound`."""
    found = await _read(conn, tenant_id, _c.id == key_id)
    if not found:
        raise NotFound("the app has registered no such session or key")
    return found[0]


async def list_for_user(conn: AsyncConnection, tenant_id: TenantId, user_id: UserId) -> list[AppKey]:
    """Return all keys of an account, ended ones too, the newest first."""
    return await _read(conn, tenant_id, _c.user_id == user_id)


async def end(
    conn: AsyncConnection, tenant_id: TenantId, key_ids: Sequence[str], reason: str, now: datetime
) -> list[AppKey]:
    """End keys; return those that worked until then."""
    live = await _read(conn, tenant_id, _c.id.in_(key_ids), _c.ended_at.is_(None))
    ending = update(tables.app_keys).where(_c.tenant_id == tenant_id, _c.id.in_([each.id for each in live]))
    await conn.execute(ending.values(ended_at=now, end_reason=reason))
    return [each for each in live if each.expires_at is None or each.expires_at > now]


def ended_part(key_id: str, kind: str, reference: str, label: str | None) -> dict[str, JsonValue]:
    """Return how a receipt names a key: the app finds it by its own reference."""
    return {"kind": kind, "id": key_id, "reference": reference, "label": label}


async def _read(conn: AsyncConnection, tenant_id: TenantId, *conditions: ColumnElement[bool]) -> list[AppKey]:
    query = select(tables.app_keys).where(_c.tenant_id == tenant_id, *conditions)
    rows = await conn.execute(query.order_by(_c.registered_at.desc(), _c.id))
    return [_to_app_key(row) for row in rows.mappings()]
