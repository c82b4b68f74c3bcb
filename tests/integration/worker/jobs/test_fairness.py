"""Fair to all: large directories are kept apart, and on-demand work cannot put a cycle off for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from store.records import CycleStatus
from store.sync import cycles, leases
from store.tenancy import connection_health
from tests.builders.simulated_connection import Pull
from worker.jobs.queue import Job, JobId, JobKind, JobProgress, JobState
from worker.jobs.runner import LARGE, MANY_PEOPLE, MOST_YIELDS, Runner, submit_due
from worker.locks.hold import LeaseSettings


class Noting:
    """An engine that only notes what it is given."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def submit(self, job: Job) -> JobId:
        self.jobs.append(job)
        return job.id

    async def progress(self, job_id: JobId) -> JobProgress:
        return JobProgress(job_id, JobState.UNKNOWN)

    async def cancel(self, job_id: JobId) -> None:
        raise AssertionError(job_id)

    def start(self, *_: object) -> None:
        raise AssertionError("nobody starts it")


async def test_a_cycle_leaves_behind_how_many_people_it_found(pull: Pull) -> None:
    """By it the next one is put among the large or the small."""
    assert pull.connection.people is None
    await pull.cycle()
    await pull.reload()
    assert pull.connection.people == len(pull.directory.entitled())


@pytest.mark.parametrize(
    ("people", "is_small", "is_large"),
    [
        (None, False, False),
        (MANY_PEOPLE - 1, True, False),
        (MANY_PEOPLE, False, False),
        (LARGE - 1, False, False),
        (LARGE, False, True),
    ],
)
async def test_small_and_large_directories_are_queued_apart(
    pull: Pull, people: int | None, is_small: bool, is_large: bool
) -> None:
    """A tenant with 1,000,000 users does not starve the small, of which many wait for Graph at once."""
    connection, now = pull.connection, pull.services.clock()
    await pull.db.write(
        lambda conn: connection_health.note_success(
            conn, connection.tenant_id, connection.id, now, now, people=people
        )
    )
    engine = Noting()
    await submit_due(pull.services, engine)  # type: ignore[arg-type]
    assert [(job.is_scheduled, job.is_small, job.is_large) for job in engine.jobs] == [
        (True, is_small, is_large)
    ]


async def test_a_cycle_that_gave_way_often_enough_comes_to_its_end(pull: Pull) -> None:
    """I2: every user not entitled is deprovisioned by the first complete cycle after; there has to be one."""
    connection = pull.connection

    async def ask_all_the_time() -> None:
        while True:
            await pull.db.write(lambda conn: leases.request_yield(conn, connection.tenant_id, connection.id))
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask_all_the_time())
    runner = Runner(replace(pull.services), LeaseSettings("worker:test", duration_s=30))
    try:
        async with asyncio.timeout(120):
            result = await runner.run(Job(JobKind.CYCLE, connection.id, "now"), asyncio.Event())
    finally:
        asking.cancel()
        await asyncio.wait([asking])
    assert "report" in result, result
    async with pull.db.reading() as conn:
        ran = await cycles.latest(conn, connection.tenant_id, connection.id)
    statuses = [cycle.status for cycle in ran]
    # Who gives way before the row of the cycle was written leaves none behind. Without an end to it nothing is applied.
    assert statuses == [CycleStatus.APPLIED] + [CycleStatus.YIELDED] * (len(ran) - 1)
    assert len(ran) <= 1 + MOST_YIELDS
