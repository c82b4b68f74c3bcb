"""A lease that this process holds, and when its work has to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from store.records import Fence, Lease
from worker.errors import LeaseLost, Yielded

IsGone: TypeAlias = Callable[[str], Awaitable[bool]]
"""Returns whether the named holder is known to be dead.

Its lease then need not run out.
"""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """How a lease is taken and held."""

    holder: str
    """Names the kind of process and the process."""
    duration_s: float
    """How long the lease outlives a holder whose death is not noticed."""
    gives_way: bool = False
    """A cycle yields to on-demand work; on-demand work is short and does not yield."""
    wait_s: float = 0.0
    """How long to ask for the lease before `Busy` is raised."""
    halt: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to make the work end at its next safe point."""
    is_gone: IsGone | None = None


@dataclass(slots=True)
class Hold:
    """A lease that is held now."""

    lease: Lease
    settings: LeaseSettings
    is_lost: bool = False
    is_wanted: bool = False
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the work is to give way, or has lost the lease."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the lease was given back."""

    @property
    def fence(self) -> Fence:
        return self.lease.fence

    def see(self, lease: Lease | None) -> None:
        """Update from the lease in the database; None if another process holds it."""
        if lease is None or (lease.token, lease.holder) != (self.lease.token, self.lease.holder):
            self.is_lost = True
        else:
            self.lease = lease
        if self.is_lost:
            self.interrupted.set()
        elif self.lease.wanted:
            self.request_yield()

    def request_yield(self) -> None:
        """Ask the work to yield; a cycle does, on-demand work does not."""
        self.is_wanted = True
        if self.settings.gives_way:
            self.interrupted.set()

    async def run_interruptible(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a read-only coroutine; cancel it as soon as this run has to end.

        Raises as `checkpoint_or_yield` does. A directory may take minutes to read, and
        on-demand work should wait for a second.
        """
        try:
            await self.checkpoint_or_yield()
        except BaseException:
            work.close()
            raise
        doing = asyncio.create_task(work)
        events = [asyncio.create_task(event.wait()) for event in (self.interrupted, self.settings.halt)]
        try:
            await asyncio.wait([doing, *events], return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                await self.checkpoint_or_yield()
            return await doing
        finally:
            for task in (doing, *events):
                task.cancel()
            await asyncio.gather(doing, *events, return_exceptions=True)

    async def checkpoint_or_yield(self) -> None:
        """Raise if the run has to end; call it where no work is left half done.

        Raises `Yielded` if the work has to yield, `LeaseLost` if another process has
        taken over.
        """
        if self.is_lost:
            raise LeaseLost("Another process has taken this connection over; this run writes nothing more.")
        if self.settings.halt.is_set():
            raise Yielded("The worker is stopping, or the job was cancelled.")
        if self.is_wanted and self.settings.gives_way:
            raise Yielded("On-demand work asked for this connection.")
