"""Name what the engine's modules share: DBOS names, settings, a job as JSON.

It does not load `dbos`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from store.records import ConnectionId, JsonValue
from worker.jobs.queue import Job, JobKind, JobState

APPLICATION = "leaver"
APPLICATION_VERSION = "1"
"""Constant on purpose: DBOS only runs jobs of its own version.

A new version would strand what is queued. Raise it only together with a change of what
`run_job` takes.
"""
SCHEMA = "dbos"

SCHEDULED_QUEUE = "scheduled"
SMALL_QUEUE = "scheduled_small"
LARGE_QUEUE = "scheduled_large"
ON_DEMAND_QUEUE = "on_demand"
RUN_JOB = "run_job"
TICK = "tick"

IDLE_TRANSACTION_TIMEOUT_S = 10
"""After which PostgreSQL ends a transaction of DBOS that a stopped process left open.

It keeps jobs and queues locked for all others. DBOS itself waits for a minute, within
which another worker is to have done the work.
"""

STATES = {
    "ENQUEUED": JobState.QUEUED,
    "DELAYED": JobState.QUEUED,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "CANCELLED": JobState.CANCELLED,
}
"""Any other state of DBOS is a failure."""


@dataclass(frozen=True, slots=True)
class DbosSettings:
    """Settings of the engine in this process.

    With these polling intervals on-demand work starts within 0.1 s (p50).
    """

    database_url: str
    scheduled_at_once: int = 10
    small_at_once: int = 40
    """Of small connections, whose cycles mostly wait for Graph: ten thousand of them
    are due 33 times a second.
    """
    large_at_once: int = 2
    on_demand_at_once: int = 30
    """High, because most requests wait for Graph or for the connection."""
    scheduled_polling_s: float = 1.0
    small_polling_s: float = 0.4
    """Each look starts as many as have ended since the last one: with one a second, 24
    cycles a second ran on PostgreSQL where 33 were due, and the worker had time to
    spare.
    """
    on_demand_polling_s: float = 0.2
    tick_s: float = 5.0
    housekeeping_s: float = 1.0
    grace_s: float = 20.0
    """How long running jobs have to reach a safe point when the process stops."""
    max_recovery_attempts: int = 10
    """Limit of further starts of a job whose process has gone; then it is failed.

    The connection's next slot is another job. A start after a graceful stop counts as
    well.
    """
    keep_finished: timedelta = timedelta(hours=1)


def every(seconds: float) -> str:
    """Return a cron expression with seconds.

    The period divides a minute, and is at least one second.
    """
    return f"*/{max(1, round(seconds))} * * * * *" if seconds < 60 else "0 * * * * *"


def job_to_json(job: Job) -> dict[str, JsonValue]:
    return asdict(job)


def queue_of(job: Job) -> str:
    if not job.is_scheduled:
        return ON_DEMAND_QUEUE
    if job.is_small:
        return SMALL_QUEUE
    return LARGE_QUEUE if job.is_large else SCHEDULED_QUEUE


def job_from_json(key: dict[str, Any]) -> Job:
    """Parse a job that any version wrote.

    The first version had a single `subject`. Unknown fields of later versions are
    ignored.
    """
    known = {field.name for field in fields(Job)}
    values = {name: value for name, value in key.items() if name in known}
    values |= {"kind": JobKind(key["kind"]), "connection_id": ConnectionId(key["connection_id"])}
    subject = key.get("subject")
    values["subjects"] = tuple(values.get("subjects") or ([subject] if subject else []))
    return Job(**values)
