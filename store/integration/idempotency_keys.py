"""Idempotency keys of API requests: each is claimed in the transaction of its deed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import VersionMoved
from store.keys import utc_now

_c = tables.idempotency_keys.c


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A request that was carried out, and its answer where that is kept."""

    digest: str
    status: int | None
    body: dict[str, Any] | None
    headers: dict[str, str] | None


async def find(conn: AsyncConnection, token_id: str, key: str) -> KeptAnswer | None:
    """Return what is known of the request with this key of this token."""
    query = select(_c.digest, _c.status, _c.body, _c.headers).where(_c.token_id == token_id, _c.key == key)
    row = (await conn.execute(query)).first()
    return None if row is None else KeptAnswer(*row)


async def claim(conn: AsyncConnection, token_id: str, key: str, digest: str) -> None:
    """Claim a key. Raises `VersionMoved` if another request has it, which undoes the
    caller's transaction.
    """
    try:
        await conn.execute(
            insert(tables.idempotency_keys).values(token_id=token_id, key=key, digest=digest, at=utc_now())
        )
    except IntegrityError as error:
        raise VersionMoved("another request with this Idempotency-Key is being carried out") from error


async def keep(
    conn: AsyncConnection,
    token_id: str,
    key: str,
    status: int,
    body: dict[str, Any] | None,
    headers: dict[str, str],
) -> None:
    """Keep the answer of the request that claimed the key."""
    await conn.execute(
        update(tables.idempotency_keys)
        .where(_c.token_id == token_id, _c.key == key)
        .values(status=status, body=body, headers=headers)
    )
