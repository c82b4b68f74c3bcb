"""A round of requests to a server of another process: rate, latency, and the server's processor time for each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from benchmarks.push.connection import Request, Wire


class Round(NamedTuple):
    rate: float
    """Requests a second."""
    p99_ms: float
    cpu_us: float
    """Of the server for each request, which other load lengthens less than the wall's time."""


async def measured_round(
    wires: Sequence[Wire], requests: Sequence[Request], pid: int, round_s: float, expected: bytes
) -> Round:
    """Send one request after the other on each wire; every answer is 200 and begins as expected."""
    taken: list[float] = []
    stream, until = cycle(requests), time.perf_counter() + round_s

    async def ask(wire: Wire) -> None:
        while (started := time.perf_counter()) < until:
            status, body = await wire.send(next(stream))
            assert status == 200, body
            assert body.startswith(expected), body
            taken.append(time.perf_counter() - started)

    began, cpu_s = time.perf_counter(), cpu_of(pid)
    await asyncio.gather(*(ask(wire) for wire in wires))
    rate = len(taken) / (time.perf_counter() - began)
    cpu_us = (cpu_of(pid) - cpu_s) / len(taken) * 1e6
    return Round(rate, sorted(taken)[int(len(taken) * 0.99)] * 1_000, cpu_us)


def cpu_of(pid: int) -> float:
    """Return the processor time of a process in seconds (proc(5): fields 14 and 15)."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
