"""Limit requests to one Entra tenant: resource units, requests at once, priorities.

Graph meters an app's reads of a directory in resource units over ten seconds (Graph,
"Throttling limits"), so all connections of this process that read one Entra tenant
share one throttle. Scheduled work keeps to a part of the quota and leaves room for work
that a person waits for. The number of requests at once grows with each good answer, and
is halved when Graph throttles or says that the quota is nearly used. Nothing is retried
here: `worker.graph.http.retry` does that, and asks for another slot.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum

from worker import metrics
from worker.graph.errors import throttled_until
from worker.graph.network import HttpOrigin

WINDOW_S = 10.0
NEARLY_USED = 0.8
"""From here on Graph sends `x-ms-throttle-limit-percentage`."""
FIRST_AT_ONCE, MOST_AT_ONCE = 4.0, 16.0
LONGEST_PAUSE_S = 86_400.0
"""What Graph can ask for at most: hours have been seen."""
ONE_BACK_OFF_S = 1.0
"""Minimum time between two reductions.

Requests under way together are refused together: that is one reason to slow down, not
several.
"""


class Priority(IntEnum):
    """Priority of a request; the lower number goes first."""

    ON_DEMAND = 0
    SCHEDULED = 1

    @property
    def header(self) -> str:
        """`x-ms-throttle-priority`: what Graph itself throttles last and first."""
        return "high" if self is Priority.ON_DEMAND else "low"


SHARE = {Priority.ON_DEMAND: 0.95, Priority.SCHEDULED: 0.75}
"""How much of the quota either may use up."""


def quota_of(users: int) -> int:
    """Return the quota for a tenant of this size.

    In resource units in ten seconds, per app and tenant (Graph, "Throttling limits").
    """
    return 3500 if users < 50 else 5000 if users <= 500 else 8000


@dataclass(slots=True)
class Slot:
    """One request under way.

    `units` is the expected cost until Graph answers with the real one.
    """

    units: int
    at: float


@dataclass(order=True, slots=True)
class _QueuedRequest:
    priority: Priority
    number: int
    units: int = field(compare=False)
    patience_s: float = field(compare=False)
    admitted: asyncio.Future[Slot] = field(compare=False)


class Throttle:
    """Limit the requests to one Entra tenant.

    Belongs to one event loop while requests wait.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, window_s: float = WINDOW_S) -> None:
        self._clock = clock
        self._window_s = window_s
        self._quota = quota_of(0)
        self._slots: deque[Slot] = deque()
        self._under_way = 0
        self._at_once = FIRST_AT_ONCE
        self._paused_until = 0.0
        self._backed_off_at = float("-inf")
        self._waiting: list[_QueuedRequest] = []
        self._numbers = itertools.count()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def at_once(self) -> int:
        """How many requests may be under way together."""
        return int(self._at_once)

    @property
    def paused_s(self) -> float:
        """How long Graph still wants nothing to be read; 0 if it does not."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def used(self) -> int:
        """Resource units of the last ten seconds."""
        self._forget()
        return sum(slot.units for slot in self._slots)

    def set_tenant_size(self, users: int) -> None:
        """Use the quota of a tenant of this size; before, the smallest is assumed."""
        self._quota = quota_of(users)
        self._serve()

    @asynccontextmanager
    async def slot(
        self, units: int, priority: Priority, patience_s: float = float("inf")
    ) -> AsyncIterator[Slot]:
        """Wait until a request of about `units` may be sent.

        It is under way while the body of the context runs. Raises `Throttled` at once
        if Graph asked for a pause that is longer than `patience_s`.
        """
        slot = await self._admission(units, priority, patience_s)
        try:
            yield slot
        finally:
            self._under_way -= 1
            self._serve()

    def note_success(self, slot: Slot, headers: Mapping[str, str]) -> None:
        """Record the real cost of a request, and allow a little more at once."""
        cost = _number(headers.get("x-ms-resource-unit"))
        slot.units = slot.units if cost is None else int(cost)
        metrics.GRAPH_UNITS.inc(slot.units)
        if not self.note_fill(headers):
            self._at_once = min(MOST_AT_ONCE, self._at_once + 1 / self._at_once)

    def note_fill(self, headers: Mapping[str, str]) -> bool:
        """Slow down if the quota is nearly used. Return whether it is."""
        fill = _number(headers.get("x-ms-throttle-limit-percentage"))
        is_nearly_used = fill is not None and fill >= NEARLY_USED
        if is_nearly_used:
            self._back_off()
        return is_nearly_used

    def note_throttled(self, retry_after_s: float | None) -> None:
        """Pause all requests until Graph's time, then send fewer at once."""
        metrics.GRAPH_THROTTLED.inc()
        pause_s = min(retry_after_s or 0.0, LONGEST_PAUSE_S)
        self._paused_until = max(self._paused_until, self._clock() + pause_s)
        self._back_off()
        self._refuse_impatient()

    def _refuse_impatient(self) -> None:
        """Tell requests that wait already that the pause is too long for them."""
        pause_s = self.paused_s
        for waiting in self._waiting:
            if waiting.patience_s < pause_s and not waiting.admitted.done():
                waiting.admitted.set_exception(throttled_until(pause_s, datetime.now(UTC)))
        self._waiting = [waiting for waiting in self._waiting if not waiting.admitted.done()]
        heapq.heapify(self._waiting)

    def _back_off(self) -> None:
        now = self._clock()
        if now - self._backed_off_at >= ONE_BACK_OFF_S:
            self._backed_off_at = now
            self._at_once = max(1.0, self._at_once / 2)

    async def _admission(self, units: int, priority: Priority, patience_s: float) -> Slot:
        if self.paused_s > patience_s:
            raise throttled_until(self.paused_s, datetime.now(UTC))
        if not self._waiting and self._wait_s(units, priority) <= 0:
            return self._admit(units)
        admitted: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        waiting = _QueuedRequest(priority, next(self._numbers), units, patience_s, admitted)
        heapq.heappush(self._waiting, waiting)
        self._serve()
        try:
            return await admitted
        except asyncio.CancelledError:
            self._withdraw(waiting)
            raise

    def _admit(self, units: int) -> Slot:
        slot = Slot(units, self._clock())
        self._slots.append(slot)
        self._under_way += 1
        return slot

    def _withdraw(self, waiting: _QueuedRequest) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            heapq.heapify(self._waiting)
        # Let in, but cancelled before it knew.
        elif not waiting.admitted.cancelled() and waiting.admitted.exception() is None:
            waiting.admitted.result().units = 0
            self._under_way -= 1
        self._serve()

    def _serve(self) -> None:
        """Admit waiting requests in order.

        Sets an alarm if time alone makes room for the next one.
        """
        while self._waiting:
            first = self._waiting[0]
            if first.admitted.cancelled():
                heapq.heappop(self._waiting)
                continue
            wait_s = self._wait_s(first.units, first.priority)
            if wait_s > 0:
                self._come_back_in(wait_s)
                return
            heapq.heappop(self._waiting)
            first.admitted.set_result(self._admit(first.units))

    def _come_back_in(self, wait_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if wait_s != float("inf"):
            self._alarm = asyncio.get_running_loop().call_later(wait_s, self._serve)

    def _wait_s(self, units: int, priority: Priority) -> float:
        """Return the seconds until a request may start.

        0 is now; infinity is until another request has ended.
        """
        if self._under_way >= self.at_once:
            return float("inf")
        return max(self._paused_until - self._clock(), self._until_room_s(units, priority))

    def _until_room_s(self, units: int, priority: Priority) -> float:
        now = freed_at = self._clock()
        excess = self.used + units - self._quota * SHARE[priority]
        for slot in self._slots:
            if excess <= 0:
                break
            excess -= slot.units
            freed_at = slot.at + self._window_s
        return max(0.0, freed_at - now)

    def _forget(self) -> None:
        while self._slots and self._slots[0].at <= self._clock() - self._window_s:
            self._slots.popleft()


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


_throttles: dict[tuple[str, str], Throttle] = {}


def throttle_for(graph: HttpOrigin, entra_tenant_id: str) -> Throttle:
    """Return the throttle that this process shares for one Entra tenant."""
    return _throttles.setdefault((str(graph), entra_tenant_id.lower()), Throttle())
