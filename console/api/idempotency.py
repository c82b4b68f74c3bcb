"""Carry out a write once for each Idempotency-Key.

The key is claimed in the first transaction of the deed, so that a deed that was
committed has its key, and one that was not has none. A request that a crash cut off
after that is answered `answer-not-kept`, and never done twice.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.services import Services
from console.api.problems import Problem
from console.documents.values import JsonDocument
from console.transactions import guarded
from store.database import Database
from store.errors import VersionMoved
from store.integration import idempotency_keys

_FORM = re.compile(r"[!-~]{1,80}")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A write with an Idempotency-Key, and what makes it the same request."""

    token_id: str
    key: str
    digest: str

    async def replay(self, db: Database) -> tuple[int, JsonDocument | None, dict[str, str]] | None:
        """Return the kept answer; None for a new key. Raises `Problem`."""
        async with db.reading(single_statement=True) as conn:
            kept = await idempotency_keys.find(conn, self.token_id, self.key)
        if kept is None:
            return None
        if kept.digest != self.digest:
            raise Problem("idempotency-key-reused", "The key was sent before with another path or body.")
        if kept.status is None:
            raise Problem("answer-not-kept")
        return kept.status, kept.body, {**(kept.headers or {}), "Idempotency-Replayed": "true"}

    def claiming(self, services: Services) -> Services:
        """Return the services with the claim of the key in the first write."""

        async def claim(conn: AsyncConnection) -> None:
            try:
                await idempotency_keys.claim(conn, self.token_id, self.key, self.digest)
            except VersionMoved as error:
                raise Problem("idempotency-key-in-use", headers={"Retry-After": "1"}) from error

        return guarded(services, claim)

    async def keep(self, db: Database, status: int, body: Any, headers: dict[str, str]) -> None:
        """Keep the answer for a repeated request."""
        await db.write(
            lambda conn: idempotency_keys.keep(conn, self.token_id, self.key, status, body, headers)
        )


def keyed(token_id: str, key: str | None, method: str, path: str, body: bytes) -> KeyedRequest | None:
    """Return the keyed request; None without a key. Raises `Problem` for a key that is
    none.
    """
    if key is None:
        return None
    if not _FORM.fullmatch(key):
        raise Problem("invalid-request", "Idempotency-Key is 1 to 80 visible ASCII characters.")
    digest = hashlib.sha256(b"\n".join([method.encode(), path.encode(), body])).hexdigest()
    return KeyedRequest(token_id, key, digest)
