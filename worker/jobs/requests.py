"""Hand a cycle or an on-demand request to a running worker without waiting for it.

`worker.jobs.dispatch` waits, and runs the work itself where no worker runs; a server
that answers requests does neither.
"""

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.exc import OperationalError, ProgrammingError

from store.records import Connection, HeldPlan
from store.sync import held_plans
from worker.cycle.run import CycleRequest
from worker.errors import WorkerError
from worker.jobs.queue import Job, JobId, JobKind, JobProgress, JobQueue, JobState
from worker.locks import worker_presence
from worker.services import WorkerServices


class NoWorkerRuns(WorkerError):
    """No worker would take the job."""


async def request_cycle(services: WorkerServices, connection: Connection, request: CycleRequest) -> JobId:
    """Queue a cycle; return the id of the job, or of an equal one that waits.

    Raises `NoWorkerRuns`.
    """
    return await _submit(
        services,
        Job(
            *(JobKind.CYCLE, connection.id, uuid.uuid4().hex),
            is_full=request.is_full,
            is_dry_run=request.is_dry_run,
        ),
    )


async def request_provisioning(
    services: WorkerServices,
    connection: Connection,
    subjects: Sequence[str],
    *,
    is_dry_run: bool = False,
    asks_entra: bool = False,
    actor: str | None = None,
) -> JobId:
    """Queue a few subjects for on-demand provisioning. Raises `NoWorkerRuns`."""
    return await _submit(
        services,
        Job(
            *(JobKind.ON_DEMAND, connection.id, uuid.uuid4().hex),
            subjects=tuple(subjects),
            is_dry_run=is_dry_run,
            asks_entra=asks_entra,
            actor=actor,
        ),
    )


async def require_worker(services: WorkerServices) -> None:
    """Raise `NoWorkerRuns` if no worker would take a job now."""
    if not await worker_presence.is_worker_alive(services.settings.database_url):
        raise NoWorkerRuns("No worker runs that could take the request.")


async def request_plan(services: WorkerServices, plan: HeldPlan, actor: str) -> JobId:
    """Queue an approved plan, and note the job with it. Raises `NoWorkerRuns`.

    A plan whose job could not be queued stays approved, and can be requested again.
    """
    job_id = await _submit(services, Job.of_plan(plan, actor))
    await services.db.write(lambda conn: held_plans.note_job(conn, plan.tenant_id, plan.id, job_id))
    return job_id


async def look(services: WorkerServices, job_id: JobId) -> JobProgress:
    """Return the state of a job, with its result once it is done.

    A job is unknown where no worker ever ran: the engine has no tables then.
    """
    async with _queue(services) as queue:
        try:
            return await queue.progress(job_id)
        except (OperationalError, ProgrammingError):
            return JobProgress(job_id, JobState.UNKNOWN)


async def _submit(services: WorkerServices, job: Job) -> JobId:
    await require_worker(services)
    async with _queue(services) as queue:
        return await queue.submit(job)


@asynccontextmanager
async def _queue(services: WorkerServices) -> AsyncIterator[JobQueue]:
    # Loading the engine takes a second: not on the loop that answers other requests.
    await asyncio.to_thread(importlib.import_module, "worker.jobs.dbos_queue")
    from worker.jobs.dbos_queue import DbosQueue
    from worker.jobs.dbos_settings import DbosSettings

    queue = DbosQueue(DbosSettings(services.settings.database_url))
    try:
        yield queue
    finally:
        await queue.aclose()
