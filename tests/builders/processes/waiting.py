"""Waiting for what other processes do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(
    is_so: Callable[[], Awaitable[object]], within_s: float = 60.0, every_s: float = 0.05
) -> None:
    """Asks again and again; fails where it does not become so in time."""
    deadline = time.monotonic() + within_s
    while not await is_so():
        assert time.monotonic() < deadline, f"waited {within_s} s in vain"
        await asyncio.sleep(every_s)
