"""The port to the job engine: `start`, `submit`, `progress`, `cancel`.

Behind it is `worker.jobs.dbos_queue`. Jobs are keys, never payloads: a run reads what
is true then, so that running a job twice, late or elsewhere is harmless. Equal keys
that wait are one job. The engine does not exclude runs or protect from late writers:
the connection's lease does (`worker.locks.lease`).
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol, TypeAlias

from store.records import ConnectionId, HeldPlan, JsonValue, PlanId
from worker.locks.worker_presence import WorkerPresence

JobId = NewType("JobId", str)


class JobKind(StrEnum):
    CYCLE = "cycle"
    ON_DEMAND = "on_demand"
    PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work by its key."""

    kind: JobKind
    connection_id: ConnectionId
    slot: str
    """Tells two jobs apart: the due time of a scheduled cycle, else a request id."""
    is_scheduled: bool = False
    """Scheduled work waits behind on-demand work and gives way to it."""
    is_large: bool = False
    """Scheduled: the cycle is long and takes much memory, so few of these run at once.
    """
    is_small: bool = False
    """Scheduled: the cycle mostly waits for Graph, so many of these run at once."""
    subjects: tuple[str, ...] = ()
    """On demand: the users and groups asked for, as the admin wrote them.

    A few, never a whole list.
    """
    is_full: bool = False
    is_dry_run: bool = False
    asks_entra: bool = False
    """On demand: Entra's provisioning service is asked to do the same afterwards."""
    while_paused: bool = False
    """On demand, and a plan: it is to be done although the connection is paused."""
    actor: str | None = None
    """The person who asked, for the log and the finding."""
    plan_id: PlanId | None = None
    """Plan: the approved plan that is to be applied."""

    @classmethod
    def of_plan(cls, plan: HeldPlan, actor: str) -> Job:
        """Return the job that applies an approved plan; a pause does not hold it up."""
        key = JobKind.PLAN, plan.connection_id, uuid.uuid4().hex
        return cls(*key, while_paused=True, actor=actor, plan_id=plan.id)

    @property
    def id(self) -> JobId:
        """`cycle:{connection}:{slot}`: a slot runs once."""
        return JobId(f"{self.kind}:{self.connection_id}:{self.slot}")

    @property
    def coalescing_key(self) -> str:
        """The key that equal jobs of one queue share while they have not ended.

        Such jobs are one job. Subjects appear hashed.
        """
        subjects = hashlib.sha256("\n".join(self.subjects).encode()).hexdigest()[:16]
        flags = f"{self.is_full}:{self.is_dry_run}:{self.asks_entra}:{self.while_paused}:{self.actor or ''}"
        return f"{self.kind}:{self.connection_id}:{self.plan_id or subjects}:{flags}"


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

The event is set when the job should end at its next safe point (the process stops, the
job was cancelled). The run then raises `worker.errors.Yielded`, and a job that was not
cancelled is handed back. If the run raises `worker.errors.DatabaseAway`, the job begins
again.
"""

Tick: TypeAlias = Callable[[], Awaitable[None]]
"""Called every few seconds in one of the worker processes: submits what is due."""


class JobQueue(Protocol):
    """Durable jobs.

    `submit`, `progress`, `cancel` work from any process; `start` makes this process a
    worker. All raise `worker.errors.DatabaseAway` if the database does not answer.
    """

    def start(
        self, presence: WorkerPresence, run: RunJob, tick: Tick
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        """Run jobs until the context is left; then hand back those that have not ended.

        The event is set when other workers may take this process for dead: leave
        context and presence, and start again.
        """
        ...

    async def submit(self, job: Job) -> JobId:
        """Queue the job and return its id.

        If an equal job waits or runs already, return the id of that one.
        """
        ...

    async def progress(self, job_id: JobId) -> JobProgress:
        """Return the state of a job, and its result if it is done."""
        ...

    async def cancel(self, job_id: JobId) -> None:
        """Take a job off the queue.

        A running job ends at its next safe point and is not run again.
        """
        ...
