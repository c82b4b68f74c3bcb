"""Run jobs in this process, hand them back, reclaim those of dead workers, prune.

Noticing dead workers and taking over their jobs is part of DBOS's proprietary
Conductor; here it is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, repeat

import structlog
from dbos import DBOS, DBOSClient, WorkflowStatus

from store.records import JsonValue
from worker.errors import DatabaseAway, Yielded
from worker.jobs.dbos_settings import DbosSettings
from worker.jobs.queue import Job, JobId, RunJob, Tick
from worker.locks import worker_presence

PRUNE_BATCH = 500
FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
AGAIN_AFTER_S = (1.0, 2.0, 5.0, 10.0, 20.0)
"""When a job begins again under which the database went away; the last one for ever."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WorkerRuntime:
    """The state of one started engine."""

    settings: DbosSettings
    client: DBOSClient
    presence: worker_presence.WorkerPresence
    run: RunJob
    tick: Tick
    is_stopping: bool = False
    running: dict[JobId, asyncio.Event] = field(default_factory=dict)
    """Jobs that run here, each with the event that asks it to end."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def run_job(self, job: Job) -> Mapping[str, JsonValue]:
        """Run one job and return its report.

        Raises `asyncio.CancelledError` for a job that yielded: DBOS writes no outcome
        then. A cancelled job keeps that state. A job that yields because the process
        stops stays pending under this executor, and is run by the next process (SQLite)
        or by another worker (PostgreSQL).
        """
        if self.is_stopping:
            raise asyncio.CancelledError
        halt = self.running[job.id] = asyncio.Event()
        try:
            return await self._run_through_outages(job, halt)
        except Yielded as yielded:
            log.info("engine.job_ended_early", job=job.id, why=str(yielded))
            raise asyncio.CancelledError from None
        finally:
            del self.running[job.id]

    async def _run_through_outages(self, job: Job, halt: asyncio.Event) -> Mapping[str, JsonValue]:
        """Run the job again after each outage of the database."""
        for pause_s in chain(AGAIN_AFTER_S, repeat(AGAIN_AFTER_S[-1])):
            try:
                return await self.run(job, halt)
            except DatabaseAway as away:
                log.warning("engine.job_interrupted", job=job.id, why=str(away), again_in_s=pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(halt.wait(), pause_s)
            if halt.is_set():
                break
        raise Yielded("The database is away.")

    async def housekeeping(self) -> None:
        """Reclaim dead workers' jobs and pass cancellations on, until cancelled.

        Ends and sets `lost` if this process no longer holds its lock: other workers
        then take it for dead.
        """
        while await self.presence.is_held():
            try:
                await self.reclaim_dead_jobs()
                await self.pass_on_cancellations()
            except Exception as error:  # the database may be away for a while: the next round tries again
                log.warning("engine.housekeeping_failed", error=type(error).__name__)
            await asyncio.sleep(self.settings.housekeeping_s)
        log.error("engine.lock_lost", executor=self.presence.executor_id)
        self.lost.set()

    async def reclaim_dead_jobs(self) -> None:
        """Queue the jobs of dead executors again.

        DBOS counts each start of a job, so that a job which kills its workers ends as
        `MAX_RECOVERY_ATTEMPTS_EXCEEDED`. The public `resume_workflows` would reset that
        count.
        """
        pending = await self.client.list_workflows_async(
            status="PENDING", load_input=False, load_output=False
        )
        others = {each.executor_id for each in pending if each.executor_id} - {self.presence.executor_id}
        for executor_id in sorted(others):
            async with self.presence.reap_lock(executor_id) as is_dead:
                if is_dead:
                    jobs = await asyncio.to_thread(DBOS._recover_pending_workflows, [executor_id])
                    log.warning("engine.took_over", executor=executor_id, jobs=len(jobs))

    async def pass_on_cancellations(self) -> None:
        if not self.running:
            return
        cancelled = await self.client.list_workflows_async(
            workflow_ids=list(self.running), status="CANCELLED", load_input=False, load_output=False
        )
        for each in cancelled:
            if halt := self.running.get(JobId(each.workflow_id)):
                halt.set()

    async def tick_and_prune(self) -> None:
        if self.is_stopping:
            raise asyncio.CancelledError
        try:
            await self.tick()
            await self.prune()
        except Exception as error:  # the next tick comes anyway
            log.warning("engine.tick_failed", error=type(error).__name__)

    async def prune(self) -> None:
        before = datetime.now(UTC) - self.settings.keep_finished
        old: list[WorkflowStatus] = await self.client.list_workflows_async(
            status=FINISHED,
            completed_before=before.isoformat(),
            limit=PRUNE_BATCH,
            load_input=False,
            load_output=False,
        )
        if old:
            await self.client.delete_workflows_async([each.workflow_id for each in old])
