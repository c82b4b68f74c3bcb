"""The port to the job engine: `start`, `submit`, `progress`, `cancel`. Behind it is `worker.jobs.dbos_queue`.

Jobs are keys, never payloads: whoever runs one reads what is true then, so that running it twice, late or
elsewhere is harmless. Equal keys that wait are one job. Exclusion and protection from late writers are no
business of the engine: they rest on the connection's lease (`worker.locks.lease`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol, TypeAlias

from store.records import ConnectionId, JsonValue
from worker.locks.worker_presence import WorkerPresence

JobId = NewType("JobId", str)


class JobKind(StrEnum):
    CYCLE = "cycle"
    ON_DEMAND = "on_demand"


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work by its key."""

    kind: JobKind
    connection_id: ConnectionId
    slot: str
    """What makes this run this run: the due time of a scheduled cycle, a request id otherwise."""
    is_scheduled: bool = False
    """Scheduled work waits behind on-demand work and gives way to it."""
    is_large: bool = False
    """Scheduled: the cycle is long and takes much memory; few of these run at once, beside the others."""
    subjects: tuple[str, ...] = ()
    """On demand: the users and groups asked for, as the admin wrote them; a few, never a whole list."""
    is_full: bool = False
    is_dry_run: bool = False
    asks_entra: bool = False
    """On demand: Entra's provisioning service is asked to do the same afterwards."""

    @property
    def id(self) -> JobId:
        """`cycle:{connection}:{slot}`: a slot runs once."""
        return JobId(f"{self.kind}:{self.connection_id}:{self.slot}")

    @property
    def coalescing_key(self) -> str:
        """Jobs of one queue that have not ended and share this key are one job; subjects appear hashed."""
        subjects = hashlib.sha256("\n".join(self.subjects).encode()).hexdigest()[:16]
        flags = f"{self.is_full}:{self.is_dry_run}:{self.asks_entra}"
        return f"{self.kind}:{self.connection_id}:{subjects}:{flags}"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """Never submitted, or ended so long ago that it was pruned."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    id: JobId
    state: JobState
    result: Mapping[str, JsonValue] | None = None
    """What the run returned; only when done."""

    @property
    def has_ended(self) -> bool:
        return self.state not in (JobState.QUEUED, JobState.RUNNING)


RunJob: TypeAlias = Callable[[Job, asyncio.Event], Awaitable[Mapping[str, JsonValue]]]
"""Runs one job to its end and returns a small JSON report.

The event is set when the job should end at its next safe point (the process stops, the job was cancelled); it
then raises `worker.errors.Yielded`, and a job that was not cancelled is handed back. Where the run raises
`worker.errors.DatabaseAway`, the job begins again.
"""

Tick: TypeAlias = Callable[[], Awaitable[None]]
"""Called every few seconds in one of the worker processes: submits what is due."""


class JobQueue(Protocol):
    """Durable jobs. `submit`, `progress`, `cancel` work from any process; `start` makes this one a worker.

    All raise `worker.errors.DatabaseAway` where the database does not answer.
    """

    def start(
        self, claim: WorkerPresence, run: RunJob, tick: Tick
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        """Runs jobs until the context is left; then takes no more, and hands back what has not ended.

        The event given is set when others may take this process for dead: leave context and claim, and start
        again.
        """
        ...

    async def submit(self, job: Job) -> JobId:
        """Queues the job, or finds the equal one that waits or runs already; returns that one's id."""
        ...

    async def progress(self, job_id: JobId) -> JobProgress:
        """How far a job is."""
        ...

    async def cancel(self, job_id: JobId) -> None:
        """Takes a job off the queue; one that runs ends at its next safe point and is not run again."""
        ...
