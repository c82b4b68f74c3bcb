"""The job engine: what we rely on of DBOS, and what we do in its place, on both databases.

This is the contract test on the engine's calls: features have left DBOS's free core between versions.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from dbos import EnqueueOptions

from store.records import ConnectionId, JsonValue
from tests.builders.processes.python_process import engine_process
from tests.databases.parameters import ASYNCPG, SQLITE
from worker.errors import DatabaseAway, Yielded
from worker.jobs.dbos_queue import DbosQueue, unixepoch
from worker.jobs.dbos_settings import APPLICATION_VERSION, ON_DEMAND_QUEUE, RUN_JOB, DbosSettings
from worker.jobs.queue import Job, JobId, JobKind, JobProgress, JobState
from worker.locks import worker_presence
from worker.locks.worker_presence import AnotherWorker

CONTOSO = ConnectionId("contoso")


def cycle(slot: str, connection_id: ConnectionId = CONTOSO) -> Job:
    return Job(JobKind.CYCLE, connection_id, slot, is_scheduled=True)


def request(slot: str, subject: str = "ada@example.com") -> Job:
    return Job(JobKind.ON_DEMAND, CONTOSO, slot, subjects=(subject,))


@pytest.fixture
def settings(database_url: str) -> DbosSettings:
    return DbosSettings(
        database_url,
        scheduled_polling_s=0.1,
        on_demand_polling_s=0.1,
        housekeeping_s=0.2,
        tick_s=1,
        grace_s=5,
    )


@pytest.fixture
async def engine(settings: DbosSettings) -> AsyncIterator[DbosQueue]:
    made = DbosQueue(settings)
    yield made
    await made.aclose()


class Work:
    """Jobs that ran here; each waits until it is let go."""

    def __init__(self) -> None:
        self.ran: list[Job] = []
        self.gave_way: list[Job] = []
        self.ticks = 0
        self.outages = 0
        """How many runs meet a database that is away."""
        self.go = asyncio.Event()

    async def run(self, job: Job, halt: asyncio.Event) -> Mapping[str, JsonValue]:
        self.ran.append(job)
        if self.outages:
            self.outages -= 1
            raise DatabaseAway("for a moment")
        go, told = asyncio.create_task(self.go.wait()), asyncio.create_task(halt.wait())
        await asyncio.wait([go, told], return_when=asyncio.FIRST_COMPLETED)
        go.cancel(), told.cancel()
        if halt.is_set():
            self.gave_way.append(job)
            raise Yielded("told to")
        return {"slot": job.slot}

    async def tick(self) -> None:
        self.ticks += 1


@asynccontextmanager
async def working(engine: DbosQueue, work: Work, database_url: str) -> AsyncIterator[asyncio.Event]:
    async with (
        worker_presence.announce_worker(database_url) as presence,
        engine.start(presence, work.run, work.tick) as lost,
    ):
        yield lost


async def until(is_so: Callable[[], bool], within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.05)


async def ended(engine: DbosQueue, job_id: JobId, within_s: float = 20.0) -> JobProgress:
    deadline = time.monotonic() + within_s
    while not (progress := await engine.progress(job_id)).has_ended:
        assert time.monotonic() < deadline, f"job {job_id} has not ended"
        await asyncio.sleep(0.05)
    return progress


async def test_a_job_runs_and_its_report_comes_back(engine: DbosQueue, database_url: str) -> None:
    """submit and progress: the whole key arrives, the report is what the run returned."""
    work = Work()
    work.go.set()
    async with working(engine, work, database_url):
        job = replace(request("r1"), is_dry_run=True)
        progress = await ended(engine, await engine.submit(job))
    assert (progress.state, progress.result) == (JobState.DONE, {"slot": "r1"})
    assert work.ran == [job]


async def test_a_slot_runs_once(engine: DbosQueue, database_url: str) -> None:
    """One tick enqueues what is due with the slot as workflow id, so a slot runs once."""
    work = Work()
    work.go.set()
    async with working(engine, work, database_url):
        await ended(engine, await engine.submit(cycle("10:00")))
        again = await engine.submit(cycle("10:00"))
        assert (await engine.progress(again)).state is JobState.DONE
        await ended(engine, await engine.submit(cycle("10:40")))
    assert [job.slot for job in work.ran] == ["10:00", "10:40"]


async def test_equal_requests_that_wait_are_one_job(engine: DbosQueue, database_url: str) -> None:
    """On demand: equal keys coalesce; another subject is another job."""
    work = Work()
    async with working(engine, work, database_url):
        first = await engine.submit(request("r1"))
        assert await engine.submit(request("r2")) == first
        other = await engine.submit(request("r3", subject="bob@example.com"))
        assert other != first
        work.go.set()
        await ended(engine, first)
        await ended(engine, other)
    assert sorted(job.slot for job in work.ran) == ["r1", "r3"]


async def test_a_job_stuck_in_a_stopped_process_does_not_hold_up_later_slots(
    engine: DbosQueue, database_url: str
) -> None:
    """Scheduled slots do not coalesce: a process under SIGSTOP keeps its job for as long as it likes."""
    work = Work()
    async with working(engine, work, database_url):
        await engine.submit(cycle("10:00"))
        await engine.submit(cycle("10:40"))
        await until(lambda: len(work.ran) == 2)
        work.go.set()


async def test_the_tick_comes_by_itself(engine: DbosQueue, database_url: str) -> None:
    """One schedule for all connections."""
    work = Work()
    async with working(engine, work, database_url):
        await until(lambda: work.ticks >= 2)


async def test_a_cancelled_job_ends_at_its_next_safe_point(engine: DbosQueue, database_url: str) -> None:
    """cancel: one that runs ends at its next safe point and is not run again."""
    work = Work()
    async with working(engine, work, database_url):
        job_id = await engine.submit(cycle("10:00"))
        await until(lambda: bool(work.ran))
        await engine.cancel(job_id)
        assert (await ended(engine, job_id)).state is JobState.CANCELLED
        await until(lambda: work.gave_way == work.ran)
        await asyncio.sleep(0.6)
    assert len(work.ran) == 1


async def test_a_job_under_which_the_database_went_away_begins_again(
    engine: DbosQueue, database_url: str
) -> None:
    """An outage ends no job: what it was asked for is as true afterwards."""
    work = Work()
    work.outages = 1
    work.go.set()
    async with working(engine, work, database_url):
        progress = await ended(engine, await engine.submit(cycle("10:00")))
    assert progress.state is JobState.DONE
    assert [job.slot for job in work.ran] == ["10:00", "10:00"]


async def test_a_job_that_waits_for_the_database_is_handed_back(
    engine: DbosQueue, settings: DbosSettings, database_url: str
) -> None:
    """Who stops during an outage leaves the job to whoever comes next."""
    first, second = Work(), Work()
    first.outages = 1_000
    async with working(engine, first, database_url):
        job_id = await engine.submit(cycle("10:00"))
        await until(lambda: bool(first.ran))
    second.go.set()
    async with working(engine, second, database_url):
        assert (await ended(engine, job_id)).state is JobState.DONE
    assert [job.slot for job in second.ran] == ["10:00"]


async def test_stopping_hands_work_back(engine: DbosQueue, settings: DbosSettings, database_url: str) -> None:
    """Graceful stop hands work back: the next process runs what this one did not end."""
    first, second = Work(), Work()
    async with working(engine, first, database_url):
        job_id = await engine.submit(cycle("10:00"))
        await until(lambda: bool(first.ran))
    second.go.set()
    async with working(engine, second, database_url):
        assert (await ended(engine, job_id)).state is JobState.DONE
    assert [job.slot for job in second.ran] == ["10:00"]


async def test_finished_jobs_are_pruned(engine: DbosQueue, settings: DbosSettings, database_url: str) -> None:
    """Finished workflows are pruned."""
    work = Work()
    work.go.set()
    pruning = DbosQueue(replace(settings, keep_finished=timedelta(0)))
    async with working(pruning, work, database_url):
        job_id = await engine.submit(cycle("10:00"))
        await until(lambda: bool(work.ran))
        deadline = time.monotonic() + 15
        while (await engine.progress(job_id)).state is not JobState.UNKNOWN:
            assert time.monotonic() < deadline, "not pruned"
            await asyncio.sleep(0.2)
    await pruning.aclose()


async def test_what_is_not_known_is_said_so(engine: DbosQueue, database_url: str) -> None:
    """progress of a job that was never submitted, or pruned."""
    async with working(engine, Work(), database_url):
        assert (await engine.progress(JobId("cycle:nobody:never"))).state is JobState.UNKNOWN


async def test_a_living_worker_is_seen_and_a_stopped_one_not(engine: DbosQueue, database_url: str) -> None:
    """Whether a worker lives is told by its lock, not guessed."""
    assert not await worker_presence.is_worker_alive(database_url)
    async with working(engine, Work(), database_url):
        assert await worker_presence.is_worker_alive(database_url)
    assert not await worker_presence.is_worker_alive(database_url)


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_two_workers_on_one_sqlite_file_the_second_refuses(database_url: str) -> None:
    """Two workers started on one SQLite file: the second refuses with a clear error."""
    async with worker_presence.announce_worker(database_url):
        with pytest.raises(AnotherWorker, match="already runs") as refused:
            async with worker_presence.announce_worker(database_url):
                pass
        assert "PostgreSQL" in refused.value.remedy


@pytest.mark.parametrize("database_url", [ASYNCPG], indirect=True)
async def test_postgresql_takes_many_workers(database_url: str) -> None:
    """Many workers share one PostgreSQL, each under an executor id of its own."""
    async with (
        worker_presence.announce_worker(database_url) as one,
        worker_presence.announce_worker(database_url) as two,
    ):
        assert one.executor_id != two.executor_id
        async with one.reap_lock(two.process_id) as is_gone:
            assert not is_gone


async def test_a_job_of_a_killed_worker_is_run_by_the_next(engine: DbosQueue, database_url: str) -> None:
    """Workers that die are noticed and their work recovered within 60 s."""
    async with engine_process(database_url, seconds_per_job=60) as doomed:
        await doomed.says("ready")
        job_id = await engine.submit(cycle("10:00"))
        await doomed.says("run 10:00")
        doomed.kill()
        async with engine_process(database_url, seconds_per_job=0.1) as heir:
            await heir.says("run 10:00", within_s=30)
            assert (await ended(engine, job_id)).state is JobState.DONE


@pytest.mark.parametrize("database_url", [ASYNCPG], indirect=True)
async def test_a_living_worker_takes_over_from_a_killed_one(engine: DbosQueue, database_url: str) -> None:
    """SIGKILL of one worker in mid-cycle: its work is taken over within 60 s, by one of the others only."""
    async with engine_process(database_url, seconds_per_job=60) as doomed:
        await doomed.says("ready")
        job_id = await engine.submit(cycle("10:00"))
        await doomed.says("run 10:00")
        async with engine_process(database_url, 0.1) as one, engine_process(database_url, 0.1) as two:
            await one.says("ready")
            await two.says("ready")
            doomed.kill()
            assert (await ended(engine, job_id)).state is JobState.DONE
            await asyncio.sleep(1.0)
            assert (one.lines + two.lines).count("run 10:00") == 1


async def test_a_job_that_kills_its_workers_is_given_up(engine: DbosQueue, database_url: str) -> None:
    """A poisonous job ends as failed after so many starts, and the worker goes on with the others."""
    for _ in range(2):
        async with engine_process(database_url, seconds_per_job=60, max_recovery_attempts=1) as doomed:
            await doomed.says("ready")
            job_id = await engine.submit(cycle("10:00"))
            await doomed.says("run 10:00", within_s=30)
            doomed.kill()
    async with engine_process(database_url, seconds_per_job=0.1, max_recovery_attempts=1) as heir:
        assert (await ended(engine, job_id, within_s=30)).state is JobState.FAILED
        assert (await ended(engine, await engine.submit(cycle("10:40")))).state is JobState.DONE
        assert "run 10:00" not in heir.lines


async def test_large_directories_leave_slots_to_the_small(settings: DbosSettings, database_url: str) -> None:
    """Fair: a tenant with 1,000,000 users does not starve the small."""
    narrow = DbosQueue(replace(settings, scheduled_at_once=1, large_at_once=1))
    work = Work()
    async with working(narrow, work, database_url):
        for number in range(3):
            giant = Job(
                JobKind.CYCLE, ConnectionId(f"giant{number}"), "10:00", is_scheduled=True, is_large=True
            )
            await narrow.submit(giant)
        await until(lambda: bool(work.ran))
        await narrow.submit(cycle("10:00", ConnectionId("small")))
        await until(lambda: len(work.ran) == 2)
        assert [job.connection_id for job in work.ran] == ["giant0", "small"]
        work.go.set()
        await until(lambda: len(work.ran) == 4)
    await narrow.aclose()


async def test_one_tenant_s_many_requests_do_not_hold_up_another_s_first(
    settings: DbosSettings, database_url: str
) -> None:
    """Fair: whoever asks for a hundred people waits behind whoever asks for one."""
    narrow = DbosQueue(replace(settings, on_demand_at_once=1))
    work = Work()
    async with working(narrow, work, database_url):
        for number in range(4):
            await narrow.submit(request(f"r{number}", subject=f"person{number}@example.com"))
        await until(lambda: bool(work.ran))
        await narrow.submit(
            Job(JobKind.ON_DEMAND, ConnectionId("fabrikam"), "r9", subjects=("ben@example.com",))
        )
        work.go.set()
        await until(lambda: len(work.ran) == 5)
    await narrow.aclose()
    order = [job.slot for job in work.ran]
    assert order.index("r9") <= 1, order


async def test_a_deployment_does_not_strand_what_is_queued(engine: DbosQueue, database_url: str) -> None:
    """Versions are pinned: a job that an older version queued, or a newer one with a field more, is run."""
    options = EnqueueOptions(
        workflow_name=RUN_JOB,
        queue_name=ON_DEMAND_QUEUE,
        workflow_id="on_demand:contoso:old",
        app_version=APPLICATION_VERSION,
    )
    key = {"kind": "on_demand", "connection_id": "contoso", "slot": "old", "subject": "ada@example.com"}
    async with working(engine, Work(), database_url):
        pass  # a worker of the other version has been here
    await engine.client.enqueue_async(options, {**key, "of_a_later_version": True})
    work = Work()
    work.go.set()
    async with working(engine, work, database_url):
        assert (await ended(engine, JobId("on_demand:contoso:old"))).state is JobState.DONE
    assert [job.subjects for job in work.ran] == [("ada@example.com",)]


def test_the_version_of_the_engine_does_not_change_with_ours() -> None:
    """DBOS runs jobs of its own version only: whoever raises it must see to what is queued under the old one."""
    assert APPLICATION_VERSION == "1"


def test_an_old_sqlite_tells_milliseconds_as_the_engine_asks_for_them() -> None:
    """SQLite 3.42: "subsec" expands the resolution; Debian 12 has 3.40, on which no worker of Python 3.12 started."""
    connection = sqlite3.connect(":memory:")
    connection.create_function("unixepoch", -1, unixepoch)
    before = time.time()
    [exact, whole] = connection.execute("SELECT unixepoch('subsec'), unixepoch()").fetchone()
    assert abs(exact - before) < 1
    assert isinstance(whole, int)
    assert abs(whole - before) < 2
    connection.close()
