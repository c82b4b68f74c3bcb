"""The keys of the installation that sign security events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound
from store.records import JsonValue, SigningKey

_c = tables.signing_keys.c
_PUBLIC = [column for column in _c if column.name not in ("private", "tenant_id")]


def _to_key(row: RowMapping) -> SigningKey:
    fields: dict[str, Any] = {name: row[name] for name in (column.name for column in _PUBLIC)}
    return SigningKey(**fields)


async def published(conn: AsyncConnection, now: datetime) -> list[SigningKey]:
    """Return the keys that receivers may verify with, the newest first."""
    query = select(*_PUBLIC).where(or_(_c.published_until.is_(None), _c.published_until > now))
    rows = await conn.execute(query.order_by(_c.created_at.desc(), _c.id))
    return [_to_key(row) for row in rows.mappings()]


async def current(conn: AsyncConnection, now: datetime) -> tuple[SigningKey, str]:
    """Return the key that signs now, and its sealed private part.

    Raises `NotFound` before there is one.
    """
    query = select(*_PUBLIC, _c.private).where(
        _c.signs_from <= now, or_(_c.published_until.is_(None), _c.published_until > now)
    )
    row = (await conn.execute(query.order_by(_c.signs_from.desc()).limit(1))).mappings().first()
    if row is None:
        raise NotFound("no key signs security events yet: the first stream makes one")
    return _to_key(row), row["private"]


async def retire(conn: AsyncConnection, until: datetime) -> None:
    """Publish every key until this time at the latest."""
    stays = or_(_c.published_until.is_(None), _c.published_until > until)
    await conn.execute(update(tables.signing_keys).where(stays).values(published_until=until))


async def add(
    conn: AsyncConnection,
    key_id: str,
    algorithm: str,
    public: Mapping[str, JsonValue],
    sealed: str,
    signs_from: datetime,
    now: datetime,
) -> SigningKey:
    """Store a new key."""
    made = SigningKey(key_id, algorithm, public, now, signs_from, None)
    await conn.execute(
        insert(tables.signing_keys).values(
            id=key_id,
            tenant_id=None,
            algorithm=algorithm,
            public=dict(public),
            private=sealed,
            created_at=now,
            signs_from=signs_from,
            published_until=None,
        )
    )
    return made
