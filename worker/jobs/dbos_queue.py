"""Implement the job engine on DBOS Transact.

Import this module only where jobs are used: it loads `dbos`. SQLite: DBOS keeps its
tables in a file of its own beside the database, so that our writer never waits for it.
PostgreSQL: in the schema `dbos` of our database. The part of a worker process is in
`dbos_worker`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import datetime
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from store import write_check
from store.database import create_private_file, error_in_our_words, is_sqlite, jobs_database_url, jobs_path
from store.errors import SchemaOutOfDate, StoreError
from store.records import ConnectionId, JsonValue
from worker.errors import DatabaseAway, as_worker_error
from worker.jobs.dbos_settings import (
    APPLICATION,
    APPLICATION_VERSION,
    IDLE_TRANSACTION_TIMEOUT_S,
    LARGE_QUEUE,
    ON_DEMAND_QUEUE,
    RUN_JOB,
    SCHEDULED_QUEUE,
    SCHEMA,
    SMALL_QUEUE,
    STATES,
    TICK,
    DbosSettings,
    every,
    job_from_json,
    job_to_json,
    queue_of,
)
from worker.jobs.dbos_worker import WorkerRuntime
from worker.jobs.queue import Job, JobId, JobKind, JobProgress, JobState, RunJob, Tick
from worker.locks import worker_presence

TABLES_ATTEMPTS, TABLES_DELAY_S = 20, 0.5
"""How long a first worker may take to make the engine's tables."""
ANSWER_WITHIN_S = 15
"""Longer than that; a lock lasts tenths of a second."""


class DbosQueue:
    """Implements `worker.jobs.queue.Engine`."""

    def __init__(self, settings: DbosSettings) -> None:
        self._settings = settings
        self._lazy_client: DBOSClient | None = None

    def start(
        self, presence: worker_presence.WorkerPresence, run: RunJob, tick: Tick
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        return working(WorkerRuntime(self._settings, self.client, presence, run, tick))

    async def submit(self, job: Job) -> JobId:
        options = EnqueueOptions(
            workflow_name=RUN_JOB,
            queue_name=queue_of(job),
            workflow_id=job.id,
            app_version=APPLICATION_VERSION,
        )
        # Not for scheduled work: a job stuck in a stopped process would hold up every
        # later slot.
        if not job.is_scheduled:
            await self._require_writable()  # a person waits
            options["deduplication_id"] = job.coalescing_key
            options["duplication_policy"] = "return-existing"
            options["priority"] = 1 + await _when_tables_exist(
                lambda: self._waiting_requests(job.connection_id)
            )
        handle: Any = await _when_tables_exist(lambda: self.client.enqueue_async(options, job_to_json(job)))
        return JobId(handle.get_workflow_id())

    async def _waiting_requests(self, connection_id: ConnectionId) -> int:
        """Return how many requests of this connection wait or run.

        Each request waits behind as many of other tenants, so that the first request of
        one tenant never waits for the hundred of another.
        """
        ahead = await self.client.list_workflows_async(
            workflow_id_prefix=f"{JobKind.ON_DEMAND}:{connection_id}:",
            status=["ENQUEUED", "PENDING"],
            load_input=False,
            load_output=False,
        )
        return len(ahead)

    async def progress(self, job_id: JobId) -> JobProgress:
        found: list[WorkflowStatus] = await _when_tables_exist(
            lambda: self.client.list_workflows_async(workflow_ids=[job_id], load_input=False)
        )
        if not found:
            return JobProgress(job_id, JobState.UNKNOWN)
        state = STATES.get(found[0].status, JobState.FAILED)
        return JobProgress(job_id, state, found[0].output if state is JobState.DONE else None)

    async def cancel(self, job_id: JobId) -> None:
        await self._require_writable()
        await _when_tables_exist(lambda: self.client.cancel_workflow_async(job_id))

    async def _require_writable(self) -> None:
        """Try a write, since DBOS waits for a locked file of SQLite without an end."""
        try:
            await write_check.check_jobs_write(self._settings.database_url)
        except StoreError as error:
            raise as_worker_error(type(error)(f"the database of the jobs: {error}")) from error

    @property
    def client(self) -> DBOSClient:
        """DBOS from outside: the same calls for worker, command line and console."""
        if self._lazy_client is None:
            if is_sqlite(self._settings.database_url):
                create_private_file(jobs_path(self._settings.database_url))
            self._lazy_client = DBOSClient(
                system_database_url=jobs_database_url(self._settings.database_url),
                dbos_system_schema=SCHEMA,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
                lazy=True,
                # DBOS would wait for the database, at last over a minute at a time.
                retry_connection_errors=False,
                sys_db_idle_transaction_timeout_sec=IDLE_TRANSACTION_TIMEOUT_S,
            )
        return self._lazy_client

    async def aclose(self) -> None:
        """Close the connections of `submit`, `progress` and `cancel`."""
        if self._lazy_client is not None:
            await asyncio.to_thread(self._lazy_client.destroy)
            self._lazy_client = None


async def _when_tables_exist(ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Repeat a call for a while if the engine's tables are missing.

    A worker that starts on a new database holds its lock before its tables are made.
    DBOS itself waits for a locked SQLite file without an end; this call does not.
    Raises `DatabaseAway`, `InstallationFault`.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await _asked_until_tables_exist(ask)
    except TimeoutError as error:
        raise DatabaseAway(
            f"the database of the jobs has not answered for {ANSWER_WITHIN_S} s: another process holds it (a backup, "
            "a tool that looks into it), or its disk is too slow. What was asked may still be done."
        ) from error
    except (DBAPIError, OSError) as error:
        raise _in_our_words(error) from error


async def _asked_until_tables_exist(ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    for _ in range(TABLES_ATTEMPTS):
        try:
            return await ask()
        except DBAPIError as error:
            if not isinstance(error_in_our_words(error), SchemaOutOfDate):
                raise
        await asyncio.sleep(TABLES_DELAY_S)
    return await ask()


def _in_our_words(error: Exception) -> Exception:
    """Return the error of the database of the jobs as that of the main one.

    Full disk, locked, read-only and away are no defects; others come back as they are.
    """
    ours = error_in_our_words(error)
    return error if ours is None else as_worker_error(type(ours)(f"the database of the jobs: {ours}"))


@asynccontextmanager
async def working(runtime: WorkerRuntime) -> AsyncIterator[asyncio.Event]:
    try:
        _prepare_sqlite(runtime.settings.database_url)
        await _launch(runtime)
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise _in_our_words(error) from error
    housekeeping = asyncio.create_task(runtime.housekeeping(), name="engine housekeeping")
    try:
        yield runtime.lost
    finally:
        housekeeping.cancel()
        await asyncio.wait([housekeeping])
        await _stop(runtime)


async def _launch(runtime: WorkerRuntime) -> None:
    """Start DBOS on the running loop, so that its workflows are tasks of this loop."""
    _route_logging()
    settings = runtime.settings
    DBOS(config=_config(settings, runtime.presence.executor_id))
    tick = _register(runtime)
    DBOS.launch()
    for name, at_once, polling_s in (
        (SCHEDULED_QUEUE, settings.scheduled_at_once, settings.scheduled_polling_s),
        (SMALL_QUEUE, settings.small_at_once, settings.small_polling_s),
        (LARGE_QUEUE, settings.large_at_once, settings.scheduled_polling_s),
        (ON_DEMAND_QUEUE, settings.on_demand_at_once, settings.on_demand_polling_s),
    ):
        await DBOS.register_queue_async(name, worker_concurrency=at_once, polling_interval_sec=polling_s)
    await DBOS.apply_schedules_async(
        [{"schedule_name": TICK, "workflow_fn": tick, "schedule": every(settings.tick_s)}]
    )


async def _stop(runtime: WorkerRuntime) -> None:
    """Ask running jobs to yield, and stop DBOS when they have, at most after the grace.

    `DBOS.destroy` stops its queues first, so that no job begins in place of one that
    yields. Nothing is cancelled: a task that is cancelled inside an aiosqlite
    transaction leaves the database locked.
    """
    runtime.is_stopping = True
    for halt in runtime.running.values():
        halt.set()
    grace_s = math.ceil(runtime.settings.grace_s)
    await asyncio.to_thread(DBOS.destroy, destroy_registry=True, workflow_completion_timeout_sec=grace_s)
    # DBOS made its own pool the loop's default one and has closed it now.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def _config(settings: DbosSettings, executor_id: str) -> DBOSConfig:
    return DBOSConfig(
        name=APPLICATION,
        system_database_url=jobs_database_url(settings.database_url),
        dbos_system_schema=SCHEMA,
        application_version=APPLICATION_VERSION,
        executor_id=executor_id,
        serializer=DBOSPortableJSONSerializer(),
        use_listen_notify=False,
        enable_otlp=False,
        log_level="WARNING",
        sys_db_pool_size=5,
        sys_db_idle_transaction_timeout_sec=IDLE_TRANSACTION_TIMEOUT_S,
    )


def _register(runtime: WorkerRuntime) -> Callable[[datetime, None], Coroutine[Any, Any, None]]:
    """Register the two workflows.

    Neither has steps: run again, each reads anew what is true then.
    """

    @DBOS.workflow(name=RUN_JOB, max_recovery_attempts=runtime.settings.max_recovery_attempts)
    async def run_job(key: dict[str, Any]) -> Mapping[str, JsonValue]:
        return await runtime.run_job(job_from_json(key))

    @DBOS.workflow(name=TICK)
    async def tick(scheduled_at: datetime, context: None) -> None:
        await runtime.tick_and_prune()

    return tick


def _route_logging() -> None:
    """Send DBOS's log records to our own log, instead of to a console handler."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # DBOS adds its handler only where there is none
        logger.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for DBOS's warning about a job that was handed back or cancelled.

    Both are intended, and logged by `dbos_worker`.
    """
    return not record.getMessage().startswith("Asyncio task cancelled")


def _prepare_sqlite(database_url: str) -> None:
    if not is_sqlite(database_url):
        return
    create_private_file(jobs_path(database_url))
    with closing(sqlite3.connect(jobs_path(database_url))) as connection:
        # Kept in the file: DBOS's threads and the command line read while another
        # writes.
        connection.execute("PRAGMA journal_mode = WAL")


def unixepoch(*modifiers: str) -> float:
    """Return the seconds since 1970, as SQLite 3.42 does for `'subsec'`."""
    return round(time.time(), 3) if "subsec" in modifiers else int(time.time())


def _define_unixepoch(connection: Any, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("unixepoch", -1, unixepoch)


# On Python 3.12 and newer DBOS takes SQLite for 3.42 or newer, and asks it for
# `unixepoch('subsec')`. Debian 12 has 3.40, which answers NULL: no worker would start.
if sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42):
    event.listen(Engine, "connect", _define_unixepoch)
