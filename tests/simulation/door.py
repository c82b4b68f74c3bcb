"""Moments at which something else happens: before the nth request, at the nth safe point of a cycle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from simulator.server import HOST, Simulator, build_app
from simulator.simulation import Simulation
from worker.locks.hold import Hold

Deed: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Door:
    """Lets deeds happen between the requests that reach the simulated Entra."""

    deeds: dict[int, Deed] = field(default_factory=dict)
    """By the number of the request, from 1, before which they happen."""
    _seen: int = 0

    def plan(self, deeds: dict[int, Deed]) -> None:
        self._seen = 0
        self.deeds = deeds

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._seen += 1
        deed = self.deeds.pop(self._seen, None)
        if deed is not None:
            await deed()
        return await handler(request)


@asynccontextmanager
async def serving(simulation: Simulation, door: Door) -> AsyncIterator[Simulator]:
    """Serves a simulation on 127.0.0.1 with a door before it."""
    app = build_app(simulation)
    app.middlewares.insert(0, door.middleware)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield Simulator(simulation, f"http://{HOST}:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class WatchedHold(Hold):
    """A hold at whose safe points something may happen; the lease is the one of `original`."""

    original: Hold | None = None
    deeds: dict[int, Deed] = field(default_factory=dict)
    passed: int = 0

    async def checkpoint_or_yield(self) -> None:
        self.passed += 1
        deed = self.deeds.pop(self.passed, None)
        if deed is not None:
            await deed()
        if self.original is not None:
            self.lease, self.is_lost = self.original.lease, self.original.is_lost
            self.is_wanted = self.original.is_wanted
        await Hold.checkpoint_or_yield(self)
