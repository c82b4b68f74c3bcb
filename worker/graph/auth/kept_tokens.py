"""Keep the access tokens of a worker's connections from one increment to the next.

Every five minutes a new token would be a quarter of what an increment asks for. Graph
honours a token for an hour, also when the app is changed meanwhile: a kept one reads
what its roles say. A cycle that reads everything, and one after a failure, takes a new
one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import blake2b

KEPT_S = 1800.0
"""New permissions are known after half an hour at the latest."""
MOST = 20_000


@dataclass(frozen=True, slots=True)
class HeldToken:
    token: str
    fresh_until: float
    """By the monotonic clock: the wall clock may jump."""
    taken_at: float = 0.0


class KeptTokens:
    """The tokens of one process."""

    def __init__(self) -> None:
        self._held: dict[bytes, HeldToken] = {}

    def find(self, key: bytes) -> HeldToken | None:
        """Return a token that is fresh and not older than half an hour."""
        now, held = time.monotonic(), self._held.get(key)
        return held if held and now < min(held.fresh_until, held.taken_at + KEPT_S) else None

    def keep(self, key: bytes, held: HeldToken) -> None:
        if len(self._held) >= MOST:
            self._held.clear()
        self._held[key] = held

    def drop(self, key: bytes) -> None:
        self._held.pop(key, None)


def key_of(*parts: str) -> bytes:
    """Return the key of a token: its app, and how it was asked for."""
    return blake2b("\0".join(parts).encode(), digest_size=16).digest()
