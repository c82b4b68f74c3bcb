"""What the parts of one cycle share, and how they work in parallel."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from simulator.directory import Directory
from simulator.provisioning.client import ScimClient
from simulator.provisioning.dialect import Dialect
from simulator.provisioning.errors import JobStopped
from simulator.provisioning.job import Job, ObjectKind
from simulator.provisioning.log import Attempt, ProvisioningLog

Item = TypeVar("Item")
RunKind = Literal["initial", "incremental", "on_demand"]


@dataclass(slots=True)
class Run:
    """One cycle, or one provisioning on demand."""

    directory: Directory
    job: Job
    client: ScimClient
    log: ProvisioningLog
    cycle_id: str
    kind: RunKind
    counts: Counter[str] = field(default_factory=Counter)
    newly_linked: set[str] = field(default_factory=set)
    """Source ids that got their target in this run."""

    def now(self) -> datetime:
        return self.directory.clock.now()

    @property
    def dialect(self) -> Dialect:
        """Provision on demand ignores the flag and always writes the old dialect
        (COMPAT).
        """
        return Dialect.DEFAULT if self.kind == "on_demand" else self.client.target.dialect

    def attempt(self, kind: ObjectKind, source_id: str, label: str) -> Attempt:
        link = self.job.links.get(source_id)
        target_id = link.target_id if link else None
        return Attempt(kind, source_id, label, self.cycle_id, self.now, target_id=target_id)


async def in_parallel(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], parallelism: int
) -> None:
    """Work on items, several at a time; after the first JobStopped begin no other, and
    raise it once those under way have ended.
    """
    queue = iter(items)
    stopped: list[JobStopped] = []

    async def worker(waiting: Iterator[Item]) -> None:
        for item in waiting:
            try:
                await work(item)
            except JobStopped as error:
                # A cancelled request would land at the app after the cycle has ended.
                stopped.append(error)
            if stopped:
                return

    async with asyncio.TaskGroup() as workers:
        for _ in range(parallelism):
            workers.create_task(worker(queue))
    if stopped:
        raise stopped[0]
