"""Many objects, a few at a time: chunks that fit a `$batch`, several under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_AT_ONCE = 8
"""Round trips overlap; how many really do is for the budget of the Entra tenant to say."""


async def for_each_chunk(
    items: Sequence[T], size: int, work: Callable[[Sequence[T]], Awaitable[None]]
) -> None:
    """Runs `work` on every chunk of at most `size` items; the first error ends the others and is raised."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(chunk: Sequence[T]) -> None:
        async with slots:
            await work(chunk)

    async with asyncio.TaskGroup() as tasks:
        for start in range(0, len(items), size):
            tasks.create_task(one(items[start : start + size]))
