"""What the requests of one tenant or token may cost others: searches that read every
row wait for their turn, refused writes are logged one by one up to a number a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from scim.errors import TooManySearches
from scim.limits import ScimLimits, setting_of

WAITING_PER_TURN = 16
"""Searches that may wait for each that runs; one more is answered with 429."""
LARGE_BODY_BYTES = 32_768
"""Bodies from this size on are taken one after another for each tenant."""
MANY_OPERATIONS = 10
"""So are bodies with more operations than this."""
LARGE_PAGE = 200
"""So are pages of more resources than this, one after another among themselves."""
MINUTE_S = 60.0
_MEMORY_SIZE = 10_000

log = structlog.get_logger()


@dataclass(slots=True)
class _Turns:
    running: asyncio.Semaphore
    asked: int = 0


@asynccontextmanager
async def _one_at_a_time(waiting: dict[str, _Turns], tenant_id: str) -> AsyncIterator[None]:
    turns = waiting.setdefault(tenant_id, _Turns(asyncio.Semaphore(1)))
    turns.asked += 1
    try:
        async with turns.running:
            yield
    finally:
        turns.asked -= 1
        if not turns.asked:
            waiting.pop(tenant_id, None)


@dataclass(slots=True)
class _Refusals:
    since: float
    logged: int = 0
    counted: int = 0


@dataclass(slots=True)
class SharedLoad:
    """Counts of one process, by tenant and by token."""

    clock: Callable[[], float] = time.monotonic
    _turns: dict[str, _Turns] = field(default_factory=dict)
    _bodies: dict[str, _Turns] = field(default_factory=dict)
    _pages: dict[str, _Turns] = field(default_factory=dict)
    _refusals: dict[str, _Refusals] = field(default_factory=dict)
    _rows: dict[str, tuple[float, Mapping[str, int]]] = field(default_factory=dict)

    @asynccontextmanager
    async def search(self, tenant_id: str, limits: ScimLimits) -> AsyncIterator[None]:
        """Wait for a turn to read every row; raises TooManySearches if many wait."""
        turns = self._turns.setdefault(tenant_id, _Turns(asyncio.Semaphore(limits.max_searches)))
        if turns.asked >= limits.max_searches * (1 + WAITING_PER_TURN):
            raise TooManySearches(setting_of("max_searches"))
        turns.asked += 1
        try:
            async with turns.running:
                yield
        finally:
            turns.asked -= 1
            if not turns.asked:
                self._turns.pop(tenant_id, None)

    @asynccontextmanager
    async def large_body(self, tenant_id: str, body: bytes) -> AsyncIterator[None]:
        """Wait until no other large body of the tenant is in hand.

        Each is one piece of work of the server's one thread: others would wait for all
        of them.
        """
        if len(body) < LARGE_BODY_BYTES and body.count(b'"op"') <= MANY_OPERATIONS:
            yield
            return
        async with _one_at_a_time(self._bodies, tenant_id):
            yield

    @asynccontextmanager
    async def large_page(self, tenant_id: str, size: int) -> AsyncIterator[None]:
        """Wait until no other large page of the tenant is read and written."""
        if size <= LARGE_PAGE:
            yield
            return
        async with _one_at_a_time(self._pages, tenant_id):
            yield

    def known_rows(self, connection_id: str) -> Mapping[str, int] | None:
        """Return what `note_rows` was told within the last minute."""
        noted = self._rows.get(connection_id)
        return noted[1] if noted and self.clock() - noted[0] < MINUTE_S else None

    def note_rows(self, connection_id: str, rows: Mapping[str, int]) -> None:
        """Note how many rows of each resource type a connection has."""
        if len(self._rows) >= _MEMORY_SIZE:
            self._rows.clear()
        self._rows[connection_id] = (self.clock(), rows)

    def note_refusal(self, token_id: str, limits: ScimLimits) -> int | None:
        """Note a refused write of a token.

        Returns None if it is only counted, else how many were only counted since the
        last one that was logged.
        """
        now = self.clock()
        if len(self._refusals) >= _MEMORY_SIZE:
            self._refusals.clear()
        noted = self._refusals.setdefault(token_id, _Refusals(now))
        if now - noted.since >= MINUTE_S:
            noted.since, noted.logged = now, 0
        if noted.logged < limits.max_logged_refusals:
            noted.logged += 1
            counted, noted.counted = noted.counted, 0
            return counted
        if not noted.counted:
            log.warning("scim.refusals_only_counted", token_id=token_id, logged=noted.logged)
        noted.counted += 1
        return None
