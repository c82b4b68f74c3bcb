"""A lease that is held now: who holds it, and when its work has to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from store.records import Fence, Lease
from worker.errors import LeaseLost, Yielded

IsGone: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether the holder of that name is known to be dead; its lease need not run out then."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Who wants the lease, and how it is held."""

    holder: str
    """Names the kind of process and the process."""
    duration_s: float
    """How long the lease outlives a holder of whose death nobody knows (a command line that was killed)."""
    gives_way: bool = False
    """A cycle gives way to on-demand work; on-demand work, being short, to nobody."""
    wait_s: float = 0.0
    """How long to ask for the lease before `Busy` is raised."""
    halt: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by whoever wants the work to end at its next safe point."""
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
        """Takes note of the lease as it stands in the database; None: another has it."""
        if lease is None or (lease.token, lease.holder) != (self.lease.token, self.lease.holder):
            self.is_lost = True
        else:
            self.lease = lease
        if self.is_lost:
            self.interrupted.set()
        elif self.lease.wanted:
            self.request_yield()

    def request_yield(self) -> None:
        """Asks the work to give way; it does so if it is of the kind that does."""
        self.is_wanted = True
        if self.settings.gives_way:
            self.interrupted.set()

    async def run_interruptible(self, work: Coroutine[Any, Any, T]) -> T:
        """Does work that writes nothing, and breaks it off as soon as this run has to end.

        Raises then as `safe_point` does: a directory may take minutes to read, and a person waits for a second.
        """
        try:
            await self.checkpoint_or_yield()
        except BaseException:
            work.close()
            raise
        doing = asyncio.create_task(work)
        told = [asyncio.create_task(event.wait()) for event in (self.interrupted, self.settings.halt)]
        try:
            await asyncio.wait([doing, *told], return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                await self.checkpoint_or_yield()
            return await doing
        finally:
            for task in (doing, *told):
                task.cancel()
            await asyncio.gather(doing, *told, return_exceptions=True)

    async def checkpoint_or_yield(self) -> None:
        """Called where the work may end and leave nothing half done.

        Raises `Yielded` where the work is to give way, `LeaseLost` where another has taken over.
        """
        if self.is_lost:
            raise LeaseLost("Another process has taken this connection over; this run writes nothing more.")
        if self.settings.halt.is_set():
            raise Yielded("The worker is stopping, or the job was cancelled.")
        if self.is_wanted and self.settings.gives_way:
            raise Yielded("On-demand work asked for this connection.")
