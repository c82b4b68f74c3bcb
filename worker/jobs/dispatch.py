"""Run a cycle or an on-demand request now: on a running worker, else in this process.

The lock that a worker holds (`worker.locks.worker_presence`) shows that it runs, so a
worker that was killed a moment ago is never waited for.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from store import errors as store_errors
from store.records import Connection, CycleId, CycleKind, HeldPlan, JsonValue
from store.sync import cycles
from store.sync.cycles import Progress
from store.tenancy import connections
from worker.cycle.report import CycleReport
from worker.cycle.run import CycleRequest
from worker.errors import DatabaseAway, NeedsHuman, Terminal, WorkerError, as_worker_error
from worker.jobs import retention
from worker.jobs.queue import Job, JobId, JobKind, JobQueue
from worker.jobs.runner import Runner
from worker.locks import worker_presence
from worker.locks.lease import for_a_command
from worker.on_demand.change_steps import not_reached
from worker.on_demand.provision import SUBJECTS
from worker.on_demand.report import OnDemandReport, OnDemandResult
from worker.progress import Watch, ignore_progress
from worker.services import WorkerServices

LOOK_EVERY_S = 0.3
ASK_ALIVE_EVERY_S = 2.0
WAITING = "waiting"
"""The phase of a request or a plan for which a cycle has yet to give way."""
OUTAGE_S = 90.0
"""How long to wait for a database that went away.

The job goes on when it is back, watched or not.
"""
WORKER_BACK_S = 20.0
"""After an outage workers take their locks again; only then ask whether one runs."""
SUBJECTS_IN_A_JOB = 50
"""A long list is handed over in pieces: jobs stay small, other requests get their turn.
"""

T = TypeVar("T")


async def sync(
    services: WorkerServices,
    connection: Connection,
    request: CycleRequest | None = None,
    watch: Watch = ignore_progress,
) -> CycleReport:
    """Run a cycle now and return its report.

    Raises `WorkerError` if it could not even begin.
    """
    request = request or CycleRequest()
    job = Job(
        JobKind.CYCLE, connection.id, _request_id(), is_full=request.is_full, is_dry_run=request.is_dry_run
    )
    done = await _done(services, connection, job, watch)
    return CycleReport.from_json(done["report"])


async def provision(
    services: WorkerServices, connection: Connection, reference: str, *, is_dry_run: bool = False
) -> OnDemandReport:
    """Provision one user or group now and return the steps.

    Raises `WorkerError` if it could not begin.
    """
    [report] = await provision_each(services, connection, [reference], is_dry_run=is_dry_run)
    return report


async def provision_each(
    services: WorkerServices,
    connection: Connection,
    references: Sequence[str],
    *,
    is_dry_run: bool = False,
    asks_entra: bool = False,
    while_paused: bool = False,
    watch: Watch = ignore_progress,
    actor: str | None = None,
) -> list[OnDemandReport]:
    """Provision subjects one after the other, a batch in one job.

    Between batches other requests get their turn. Raises `WorkerError` if the first
    batch could not begin; what stops a later batch fails the rest.
    """
    reports: list[OnDemandReport] = []
    for start in range(0, len(references), SUBJECTS_IN_A_JOB):
        batch = tuple(references[start : start + SUBJECTS_IN_A_JOB])
        job = Job(
            *(JobKind.ON_DEMAND, connection.id, _request_id()),
            subjects=batch,
            is_dry_run=is_dry_run,
            asks_entra=asks_entra,
            while_paused=while_paused,
            actor=actor,
        )
        try:
            done = await _done(services, connection, job, _further_on(watch, start, len(references)))
        except WorkerError as error:
            if not reports:
                raise
            return reports + [_not_begun(reference, error) for reference in references[start:]]
        reports += map(OnDemandReport.from_json, done["reports"])
    return reports


async def apply_plan(
    services: WorkerServices, plan: HeldPlan, actor: str, watch: Watch = ignore_progress
) -> None:
    """Apply an approved plan now. Raises `WorkerError` if it cannot be: it stays
    approved.
    """
    async with services.db.reading() as conn:
        connection = await connections.get(conn, plan.tenant_id, plan.connection_id)
    await _done(services, connection, Job.of_plan(plan, actor), watch)


def _further_on(watch: Watch, done: int, total: int) -> Watch:
    """Report progress through a batch as progress through the whole list."""

    def report_progress(how_far: Progress) -> None:
        is_place = how_far.phase == SUBJECTS
        watch(replace(how_far, done=done + how_far.done, total=total) if is_place else how_far)

    return watch if watch is ignore_progress else report_progress


def _not_begun(reference: str, error: WorkerError) -> OnDemandReport:
    remedy = error.remedy if isinstance(error, NeedsHuman) else None
    return OnDemandReport(
        reference, OnDemandResult.FAILED, tuple(not_reached([])), CycleId(""), str(error), remedy
    )


async def _done(
    services: WorkerServices, connection: Connection, job: Job, watch: Watch
) -> Mapping[str, Any]:
    url = services.settings.database_url
    result = await _run_remotely(services, connection, job, watch) if await _is_alive(url) else None
    if result is None:
        result = await _run_locally(services, job, watch)
    _raise_for(connection, result)
    return result


async def _run_locally(services: WorkerServices, job: Job, watch: Watch) -> Mapping[str, JsonValue]:
    runner = Runner(services, for_a_command(services.settings), watch)
    result = await _retry_through_outage(lambda: runner.run(job, asyncio.Event()))
    await retention.prune(services)  # where no worker runs, no other process does
    return result


async def _retry_through_outage(run: Callable[[], Awaitable[T]]) -> T:
    """Run again, for a while, if the database went away."""
    away_since: float | None = None
    while True:
        try:
            return await run()
        except DatabaseAway:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > OUTAGE_S:
                raise
        await asyncio.sleep(ASK_ALIVE_EVERY_S)


async def _run_remotely(
    services: WorkerServices, connection: Connection, job: Job, watch: Watch
) -> Mapping[str, JsonValue] | None:
    """Submit and watch the job until it ends; None if no worker runs any more."""
    from worker.jobs.dbos_queue import DbosQueue
    from worker.jobs.dbos_settings import DbosSettings

    queue = DbosQueue(DbosSettings(services.settings.database_url))
    try:
        watching = _JobWatcher(services, connection, job, watch, queue, await queue.submit(job))
        return await watching.to_the_end()
    finally:
        await queue.aclose()


@dataclass(slots=True)
class _JobWatcher:
    """A job in the hands of a worker, seen from the process that asked for it."""

    services: WorkerServices
    connection: Connection
    job: Job
    watch: Watch
    queue: JobQueue
    job_id: JobId
    asked_at: float = field(default_factory=time.monotonic)
    """Time of the last check whether a worker runs."""

    async def to_the_end(self) -> Mapping[str, JsonValue] | None:
        """Return the job's result.

        None if no worker runs any more: then the job is off the queue.
        """
        seen_at = time.monotonic()
        while True:
            try:
                progress = await self.queue.progress(self.job_id)
                if progress.has_ended:
                    return progress.result or {"error": f"The job ended as {progress.state}.", "remedy": None}
                if await self._is_abandoned():
                    await self.queue.cancel(self.job_id)
                    return None
                await _report_progress(self.services, self.connection, self.job, self.watch)
                seen_at = time.monotonic()
            except (DatabaseAway, store_errors.TryAgain) as error:
                if time.monotonic() - seen_at > OUTAGE_S:
                    raise as_worker_error(error) from error
                self.asked_at = time.monotonic() + WORKER_BACK_S
            await asyncio.sleep(LOOK_EVERY_S)

    async def _is_abandoned(self) -> bool:
        if time.monotonic() - self.asked_at <= ASK_ALIVE_EVERY_S:
            return False
        self.asked_at = time.monotonic()
        return not await _is_alive(self.services.settings.database_url)


async def _report_progress(services: WorkerServices, connection: Connection, job: Job, watch: Watch) -> None:
    if watch is ignore_progress:
        return
    async with services.db.reading() as conn:
        running = await cycles.running(conn, connection.tenant_id, connection.id)
    cycle, how_far = running or (None, None)
    if cycle is None or how_far is None:
        return
    is_another = job.kind is not JobKind.CYCLE and cycle.kind is not CycleKind.ON_DEMAND
    watch(replace(how_far, phase=WAITING) if is_another else how_far)


async def _is_alive(database_url: str) -> bool:
    return await worker_presence.is_worker_alive(database_url)


def _raise_for(connection: Connection, result: Mapping[str, Any]) -> None:
    """Raise the reason why a job has no report."""
    if "report" in result or "reports" in result:
        return
    if why := result.get("skipped"):
        raise Terminal(f"Connection {connection.name} was left alone: {why}.")
    error, remedy = str(result.get("error") or result.get("yielded")), result.get("remedy")
    raise NeedsHuman(error, str(remedy)) if remedy else Terminal(error)


def _request_id() -> str:
    return uuid.uuid4().hex
