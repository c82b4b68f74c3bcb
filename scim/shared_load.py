"""What the requests of one tenant or token may cost others: large ones wait for their
turn, refused writes are logged one by one up to a number a minute.

Large are searches that no index answers, large bodies and large pages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf

import structlog

from scim.errors import TooManyLargeRequests
from scim.limits import ScimLimits, setting_of

WAITING_PER_TURN = 16
"""Large requests that may wait for each that runs; one more is answered with 429."""
LARGE_BODY_BYTES = 32_768
"""A body from this size on is large."""
MANY_OPERATIONS = 10
"""So is a body with more operations than this."""
OPERATIONS_WITHOUT_PAUSE = 40
"""A PATCH of Entra's has one for each mapped attribute; of these customers must be able
to send 25 a second (App Gallery requirements).
"""
LARGE_PAGE = 200
"""So is a page of more resources than this."""
PAUSE_TIMES = 9.0
"""While other tenants are served, a tenant's large requests take a tenth of the time:
each is one piece of work, and what comes meanwhile waits for the whole of it.
"""
LONGEST_PAUSE_S = 0.5
NOT_LARGE_S = 0.005
"""What took no longer delays others as a few small requests do."""
OTHERS_WITHIN_S = 1.0
"""Others are served if one asked so shortly before a large request, or since."""
MINUTE_S = 60.0
_MEMORY_SIZE = 10_000
_AT_ONCE = nullcontext()

_has_turn: ContextVar[bool] = ContextVar("has_turn_of_large_request", default=False)

log = structlog.get_logger()


@dataclass(slots=True)
class _Turns:
    running: asyncio.Semaphore
    asked: int = 0


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
    _latest: tuple[str, float] = ("", -inf)
    """The tenant of the last request, and when it came."""
    _before: tuple[str, float] = ("", -inf)
    """The same of the last one of another tenant than that."""
    _refusals: dict[str, _Refusals] = field(default_factory=dict)
    _rows: dict[str, tuple[float, Mapping[str, int]]] = field(default_factory=dict)

    def note_request(self, tenant_id: str) -> None:
        """Note that a tenant is served."""
        if tenant_id != self._latest[0]:
            self._before = self._latest
        self._latest = (tenant_id, self.clock())

    @asynccontextmanager
    async def large_request(
        self, tenant_id: str, limits: ScimLimits, *, pauses: bool = True
    ) -> AsyncIterator[None]:
        """Wait for the turn of a large request; raises TooManyLargeRequests if many
        wait.

        The turn of the next begins with a pause while other tenants are served. Work
        within a request that has its turn goes on.
        """
        if _has_turn.get():
            yield
            return
        turns = self._turns.setdefault(tenant_id, _Turns(asyncio.Semaphore(limits.max_large_requests)))
        if turns.asked >= limits.max_large_requests * (1 + WAITING_PER_TURN):
            raise TooManyLargeRequests(setting_of("max_large_requests"))
        turns.asked += 1
        try:
            await turns.running.acquire()
        except BaseException:
            self._leave(tenant_id, turns)
            raise
        mark, began = _has_turn.set(True), self.clock()
        try:
            yield
        finally:
            _has_turn.reset(mark)
            self._end_turn(tenant_id, turns, self._pause_s(tenant_id, began) if pauses else 0.0)

    def large_body(
        self, tenant_id: str, limits: ScimLimits, body: bytes
    ) -> AbstractAsyncContextManager[None]:
        """Wait for a turn if the body is large."""
        operations, is_short = body.count(b'"op"'), len(body) < LARGE_BODY_BYTES
        if is_short and operations <= MANY_OPERATIONS:
            return _AT_ONCE
        pauses = not is_short or operations > OPERATIONS_WITHOUT_PAUSE
        return self.large_request(tenant_id, limits, pauses=pauses)

    def large_page(self, tenant_id: str, limits: ScimLimits, size: int) -> AbstractAsyncContextManager[None]:
        """Wait for a turn if the page is large."""
        return _AT_ONCE if size <= LARGE_PAGE else self.large_request(tenant_id, limits)

    def _pause_s(self, tenant_id: str, began: float) -> float:
        """Return for how long a tenant's next large request has to wait after one."""
        took_s = self.clock() - began
        _, others_at = self._before if self._latest[0] == tenant_id else self._latest
        if took_s <= NOT_LARGE_S or others_at < began - OTHERS_WITHIN_S:
            return 0.0
        return min(PAUSE_TIMES * took_s, LONGEST_PAUSE_S)

    def _end_turn(self, tenant_id: str, turns: _Turns, after_s: float) -> None:
        if after_s > 0:
            asyncio.get_running_loop().call_later(after_s, self._end_turn, tenant_id, turns, 0.0)
            return
        turns.running.release()
        self._leave(tenant_id, turns)

    def _leave(self, tenant_id: str, turns: _Turns) -> None:
        turns.asked -= 1
        if not turns.asked:
            self._turns.pop(tenant_id, None)

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
