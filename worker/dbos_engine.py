"""The job engine on DBOS Transact: the only module that imports `dbos`; import it only where jobs are used.

SQLite: DBOS keeps its tables in a file of its own beside the database, so that our writer never waits for it.
PostgreSQL: in the schema `dbos` of our database. What DBOS leaves to its proprietary Conductor we do here:
noticing dead workers and taking over their jobs (`_Runtime.bury_the_dead`).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from sqlalchemy.exc import ProgrammingError

from store.records import ConnectionId, JsonValue
from worker import liveness
from worker.engine import Job, JobId, JobKind, JobProgress, JobState, RunJob, Tick
from worker.errors import Yielded

APPLICATION = "leaver"
APPLICATION_VERSION = "1"
"""Constant on purpose: DBOS only runs jobs of its own version, so a new one would strand what is queued.

Raise it only together with a change of what `run_job` takes.
"""
SCHEMA = "dbos"

SCHEDULED_QUEUE = "scheduled"
LARGE_QUEUE = "scheduled_large"
ON_DEMAND_QUEUE = "on_demand"
RUN_JOB = "run_job"
TICK = "tick"

MAX_RECOVERY_ATTEMPTS = 10
"""A job that kills its worker this often is left alone; the connection's next slot is another job."""
PRUNE_BATCH = 500
TABLES_ATTEMPTS, TABLES_DELAY_S = 20, 0.5
"""How long a first worker may take to make the engine's tables."""

STATES = {
    "ENQUEUED": JobState.QUEUED,
    "DELAYED": JobState.QUEUED,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "CANCELLED": JobState.CANCELLED,
}
"""Any other state of DBOS is a failure."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine runs in this process; polled like this, on-demand work starts within 0.1 s (p50)."""

    database_url: str
    scheduled_at_once: int = 10
    large_at_once: int = 2
    on_demand_at_once: int = 30
    """Many, because most of them wait: for Graph, or for another request on the same connection."""
    scheduled_polling_s: float = 1.0
    on_demand_polling_s: float = 0.2
    tick_s: float = 5.0
    housekeeping_s: float = 1.0
    grace_s: float = 20.0
    """How long running jobs have to reach a safe point when the process stops."""
    keep_finished: timedelta = timedelta(hours=1)


class DbosEngine:
    """Implements `worker.engine.Engine`."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._lazy_client: DBOSClient | None = None

    def start(
        self, claim: liveness.Claim, run: RunJob, tick: Tick
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        return _working(_Runtime(self._settings, self.client, claim, run, tick))

    async def submit(self, job: Job) -> JobId:
        options = EnqueueOptions(
            workflow_name=RUN_JOB,
            queue_name=_queue(job),
            workflow_id=job.id,
            app_version=APPLICATION_VERSION,
        )
        # Not for scheduled work: a job stuck in a stopped process would hold up every later slot.
        if not job.is_scheduled:
            options["deduplication_id"] = job.coalescing_key
            options["duplication_policy"] = "return-existing"
            options["priority"] = 1 + await _once_there(lambda: self._pile(job.connection_id))
        handle: Any = await _once_there(lambda: self.client.enqueue_async(options, _job_to_json(job)))
        return JobId(handle.get_workflow_id())

    async def _pile(self, connection_id: ConnectionId) -> int:
        """How many requests of this connection wait or run: each waits behind as many of the others.

        So the first request of one tenant never waits for the hundred of another.
        """
        ahead = await self.client.list_workflows_async(
            workflow_id_prefix=f"{JobKind.ON_DEMAND}:{connection_id}:",
            status=["ENQUEUED", "PENDING"],
            load_input=False,
            load_output=False,
        )
        return len(ahead)

    async def progress(self, job_id: JobId) -> JobProgress:
        found: list[WorkflowStatus] = await _once_there(
            lambda: self.client.list_workflows_async(workflow_ids=[job_id], load_input=False)
        )
        if not found:
            return JobProgress(job_id, JobState.UNKNOWN)
        state = STATES.get(found[0].status, JobState.FAILED)
        return JobProgress(job_id, state, found[0].output if state is JobState.DONE else None)

    async def cancel(self, job_id: JobId) -> None:
        await self.client.cancel_workflow_async(job_id)

    @property
    def client(self) -> DBOSClient:
        """DBOS seen from outside: the same calls from the worker, the command line and the console."""
        if self._lazy_client is None:
            self._lazy_client = DBOSClient(
                system_database_url=jobs_database_url(self._settings.database_url),
                dbos_system_schema=SCHEMA,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
                lazy=True,
            )
        return self._lazy_client

    async def aclose(self) -> None:
        """Closes the connections of `submit`, `progress` and `cancel`."""
        if self._lazy_client is not None:
            await asyncio.to_thread(self._lazy_client.destroy)
            self._lazy_client = None


async def _once_there(ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Asks again for a while: a worker that starts on a new database holds its lock before its tables are made."""
    for _ in range(TABLES_ATTEMPTS):
        with suppress(ProgrammingError):
            return await ask()
        await asyncio.sleep(TABLES_DELAY_S)
    return await ask()


def jobs_database_url(database_url: str) -> str:
    """Where DBOS keeps its tables, as a URL for its own drivers."""
    if liveness.is_sqlite(database_url):
        database = liveness.sqlite_path(database_url)
        return f"sqlite:///{database.with_name(database.name + '.jobs')}"
    url = liveness.libpq_url(database_url).set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


# --- This process as a worker


@dataclass(slots=True)
class _Runtime:
    """What one started engine knows of itself."""

    settings: EngineSettings
    client: DBOSClient
    claim: liveness.Claim
    run: RunJob
    tick: Tick
    is_stopping: bool = False
    running: dict[JobId, asyncio.Event] = field(default_factory=dict)
    """Jobs that run here, each with the event that asks it to end."""
    at_work: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    handed_back: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def run_job(self, job: Job) -> Mapping[str, JsonValue]:
        """Runs one job; one that yields because the process stops stays pending, for whoever comes next."""
        if self.is_stopping:
            await self._hand_back()
        halt = self.running[job.id] = asyncio.Event()
        try:
            with self._busy():
                return await self.run(job, halt)
        except Yielded as yielded:
            log.info("engine.job_ended_early", job=job.id, why=str(yielded))
        finally:
            del self.running[job.id]
        if self.is_stopping:
            await self._hand_back()
        raise asyncio.CancelledError  # the job was cancelled: its state says so already

    @contextmanager
    def _busy(self) -> Iterator[None]:
        self.at_work += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.at_work -= 1
            if not self.at_work:
                self.idle.set()

    async def _hand_back(self) -> None:
        """Holds the job's place, so that its queue gives us no more, and ends without an outcome.

        DBOS writes no outcome for a cancelled task: the job stays pending under this executor, and is resumed
        by the next process (SQLite) or by another worker (PostgreSQL).
        """
        await self.handed_back.wait()
        raise asyncio.CancelledError

    async def housekeeping(self) -> None:
        """Gives up if others may take us for dead, takes over from the dead, passes cancellations on."""
        while await self.claim.is_held():
            try:
                await self.bury_the_dead()
                await self.pass_on_cancellations()
            except Exception as error:  # the database may be away for a while: the next round tries again
                log.warning("engine.housekeeping_failed", error=type(error).__name__)
            await asyncio.sleep(self.settings.housekeeping_s)
        log.error("engine.lock_lost", executor=self.claim.executor_id)
        self.lost.set()

    async def bury_the_dead(self) -> None:
        """Resumes, each on its queue, the jobs of executors whose process is gone."""
        pending = await self.client.list_workflows_async(
            status="PENDING", load_input=False, load_output=False
        )
        others = {each.executor_id for each in pending if each.executor_id} - {self.claim.executor_id}
        for executor_id in sorted(others):
            async with self.claim.burying(executor_id) as is_dead:
                if is_dead:
                    await self._take_over(executor_id)

    async def _take_over(self, executor_id: str) -> None:
        left = await self.client.list_workflows_async(
            status="PENDING", executor_id=executor_id, load_input=False, load_output=False
        )
        for queue in sorted({each.queue_name for each in left if each.queue_name}):
            ids = [each.workflow_id for each in left if each.queue_name == queue]
            await self.client.resume_workflows_async(ids, queue_name=queue)
        log.warning("engine.took_over", executor=executor_id, jobs=len(left))

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
            await self._hand_back()
        try:
            with self._busy():
                await self.tick()
                await self.prune()
        except Exception as error:  # the next tick comes anyway
            log.warning("engine.tick_failed", error=type(error).__name__)

    async def prune(self) -> None:
        before = datetime.now(UTC) - self.settings.keep_finished
        old: list[WorkflowStatus] = await self.client.list_workflows_async(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            completed_before=before.isoformat(),
            limit=PRUNE_BATCH,
            load_input=False,
            load_output=False,
        )
        if old:
            await self.client.delete_workflows_async([each.workflow_id for each in old])


@asynccontextmanager
async def _working(runtime: _Runtime) -> AsyncIterator[asyncio.Event]:
    _prepare_sqlite(runtime.settings.database_url)
    await _launch(runtime)
    housekeeping = asyncio.create_task(runtime.housekeeping(), name="engine housekeeping")
    try:
        yield runtime.lost
    finally:
        housekeeping.cancel()
        await asyncio.wait([housekeeping])
        await _stop(runtime)


async def _launch(runtime: _Runtime) -> None:
    """Starts DBOS on the running loop, so that its workflows are tasks of it like any other of ours."""
    _route_logging()
    settings = runtime.settings
    DBOS(config=_config(settings, runtime.claim.executor_id))
    tick = _register(runtime)
    DBOS.launch()
    for name, at_once, polling_s in (
        (SCHEDULED_QUEUE, settings.scheduled_at_once, settings.scheduled_polling_s),
        (LARGE_QUEUE, settings.large_at_once, settings.scheduled_polling_s),
        (ON_DEMAND_QUEUE, settings.on_demand_at_once, settings.on_demand_polling_s),
    ):
        await DBOS.register_queue_async(name, worker_concurrency=at_once, polling_interval_sec=polling_s)
    await DBOS.apply_schedules_async(
        [{"schedule_name": TICK, "workflow_fn": tick, "schedule": _every(settings.tick_s)}]
    )


async def _stop(runtime: _Runtime) -> None:
    """Asks running jobs to end, waits for it within the grace, and leaves the rest to whoever recovers it.

    Nothing is cancelled: a task cancelled inside an aiosqlite transaction leaves the database locked.
    """
    runtime.is_stopping = True
    for halt in runtime.running.values():
        halt.set()
    if runtime.at_work:
        with suppress(TimeoutError):
            await asyncio.wait_for(runtime.idle.wait(), runtime.settings.grace_s)
    # A second for DBOS to write the outcomes of jobs that have just ended.
    await asyncio.to_thread(DBOS.destroy, destroy_registry=True, workflow_completion_timeout_sec=1)
    runtime.handed_back.set()
    # DBOS made its own pool the loop's default one and has closed it now.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def _every(seconds: float) -> str:
    """A cron expression, with seconds; they go into a minute, and a tick is a second at least."""
    return f"*/{max(1, round(seconds))} * * * * *" if seconds < 60 else "0 * * * * *"


def _config(settings: EngineSettings, executor_id: str) -> DBOSConfig:
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
    )


def _register(runtime: _Runtime) -> Callable[[datetime, None], Coroutine[Any, Any, None]]:
    """Registers the two workflows. Neither has steps: run again, each reads anew what is true then."""

    @DBOS.workflow(name=RUN_JOB, max_recovery_attempts=MAX_RECOVERY_ATTEMPTS)
    async def run_job(key: dict[str, Any]) -> Mapping[str, JsonValue]:
        return await runtime.run_job(_job_from_json(key))

    @DBOS.workflow(name=TICK)
    async def tick(scheduled_at: datetime, context: None) -> None:
        await runtime.tick_and_prune()

    return tick


def _route_logging() -> None:
    """Sends what DBOS logs the way of our own log, instead of to a console handler of its own."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # DBOS adds its handler only where there is none
        logger.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """False for DBOS's warning about a job that was handed back or cancelled: both are meant, and told by us."""
    return not record.getMessage().startswith("Asyncio task cancelled")


def _prepare_sqlite(database_url: str) -> None:
    if not liveness.is_sqlite(database_url):
        return
    path = jobs_database_url(database_url).removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        # Kept in the file: DBOS's threads and the command line read while another writes.
        connection.execute("PRAGMA journal_mode = WAL")


# --- Jobs as JSON


def _job_to_json(job: Job) -> dict[str, JsonValue]:
    return asdict(job)


def _queue(job: Job) -> str:
    if not job.is_scheduled:
        return ON_DEMAND_QUEUE
    return LARGE_QUEUE if job.is_large else SCHEDULED_QUEUE


def _job_from_json(key: dict[str, Any]) -> Job:
    """Reads a job of any version: the first knew a single `subject`, and a later one may say what we do not know."""
    known = {field.name for field in fields(Job)}
    values = {name: value for name, value in key.items() if name in known}
    values |= {"kind": JobKind(key["kind"]), "connection_id": ConnectionId(key["connection_id"])}
    subject = key.get("subject")
    values["subjects"] = tuple(values.get("subjects") or ([subject] if subject else []))
    return Job(**values)
