"""A simulated Entra tenant of a wanted size, in a process of its own."""

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
    """Runs the tenant while the body does; gives its ready line."""
    command = [sys.executable, "-m", "benchmarks.company", str(users), str(groups)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate()


async def _serve(users: int, groups: int) -> None:
    async with running_simulator(users, groups, seed=1, shape=SHAPE) as simulator:
        sys.stdout.write(json.dumps(simulator.ready()) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)  # until whoever started us closes our input


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
