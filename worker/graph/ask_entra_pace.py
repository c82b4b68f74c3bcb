"""Five calls in ten seconds: what Graph allows *Provision on demand*, kept to instead of being run into.

A 429 would hold up everything else this process asks of the same Entra tenant. So all who ask one tenant
share one pace, and each call waits for its turn.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

CALLS, WINDOW_S = 5, 10.0
"""graph-api, throttling limits: provisionOnDemand."""
_MARGIN_S = 0.25
"""Calls do not reach Graph at the distance they left at."""


class Pace:
    """At most `CALLS` turns in any `WINDOW_S`, first come, first served."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._given: deque[float] = deque(maxlen=CALLS)

    async def turn(self) -> None:
        """Waits until one more call may be made."""
        now = self._clock()
        oldest = self._given[0] if len(self._given) == CALLS else None
        at = now if oldest is None else max(now, oldest + WINDOW_S + _MARGIN_S)
        self._given.append(at)  # taken before it is waited for: whoever comes next waits behind it
        if at > now:
            await self._sleep(at - now)


_paces: dict[tuple[str, str], Pace] = {}


def pace_of(graph_url: str, entra_tenant_id: str) -> Pace:
    """The pace of one Entra tenant, the same for everybody in this process who asks it."""
    return _paces.setdefault((graph_url, entra_tenant_id.lower()), Pace())
