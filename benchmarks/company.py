"""Simulated Entra tenants of a wanted size, in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from simulator.seeding import Shape
from simulator.server import running_simulator

SHAPE = Shape(memberships_per_user=5.0, assigned_groups=1.0, nested_groups=0.0, outside=0.0)


@contextlib.contextmanager
def company(users: int, groups: int) -> Iterator[dict[str, Any]]:
    """Runs one tenant while the body does; gives its ready line."""
    with companies(1, users, groups) as [ready]:
        yield ready


@contextlib.contextmanager
def companies(number: int, users: int, groups: int) -> Iterator[list[dict[str, Any]]]:
    """Runs so many tenants of the same size; gives their ready lines."""
    command = [sys.executable, "-m", "benchmarks.company", str(number), str(users), str(groups)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield [json.loads(process.stdout.readline()) for _ in range(number)]
    finally:
        process.communicate()


async def _serve(number: int, users: int, groups: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for seed in range(1, number + 1):
            simulator = await stack.enter_async_context(
                running_simulator(users, groups, seed=seed, shape=SHAPE)
            )
            sys.stdout.write(json.dumps(simulator.ready()) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)  # until whoever started us closes our input


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
