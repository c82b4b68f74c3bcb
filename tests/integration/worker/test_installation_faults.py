"""What is wrong with the installation (its key, its disk, a command that was killed) costs no connection anything."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings
from simulator.server import Simulator
from store.database import open_database
from store.records import CycleStatus
from store.sync import leases
from store.tenancy import connection_health
from tests.builders.processes.waiting import until
from tests.builders.secret_keys import secret_key
from tests.builders.simulated_connection import Pull
from tests.builders.simulated_tenant import SECRET_KEY, connect
from tests.builders.small_disk import small_disk_at
from tests.databases.parameters import SQLITE
from worker.jobs.queue import Job, JobKind
from worker.jobs.runner import Runner
from worker.locks.hold import LeaseSettings
from worker.process import working
from worker.services import build_services

on_sqlite = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)


@on_sqlite
async def test_a_wrong_key_is_named_and_costs_the_connection_nothing(pull: Pull) -> None:
    """A wrong LEAVER_SECRET_KEY is a fault of the installation: no quarantine, no back-off, the beat stays."""
    await pull.cycle()
    settings = pull.services.settings.model_copy(update={"secret_key": (SecretStr(secret_key("another")),)})
    await pull.reload()
    before = pull.connection
    mistaken = replace(pull, services=build_services(settings, pull.db))
    for _ in range(connection_health.FAILURES_BEFORE_QUARANTINE):
        report = await mistaken.cycle()
        assert report.status is CycleStatus.FAILED
        assert "LEAVER_SECRET_KEY is wrong" in (report.error or "")
        assert "the key with which the credential was stored" in (report.remedy or "")
    assert mistaken.connection == before
    assert (await pull.cycle()).status is CycleStatus.APPLIED


@on_sqlite
async def test_a_wrong_key_is_named_on_demand_as_well(pull: Pull) -> None:
    person = sorted(pull.directory.entitled())[0]
    settings = pull.services.settings.model_copy(
        update={"secret_key": (SecretStr(secret_key("yet another")),)}
    )
    report = await replace(pull, services=build_services(settings, pull.db)).provision(person)
    assert "LEAVER_SECRET_KEY is wrong" in (report.error or "")
    assert report.remedy


@on_sqlite
async def test_a_command_that_was_killed_is_named_and_a_worker_takes_over_when_its_lease_ends(
    pull: Pull,
) -> None:
    """A killed command blocks its connection until its lease ends: said so, until when, and no longer."""
    connection, clock = pull.connection, pull.services.clock
    dead = await pull.db.write(
        lambda conn: leases.acquire(
            conn, connection.tenant_id, connection.id, "command:0123456789", clock(), 4
        )
    )
    assert dead is not None
    lease = LeaseSettings("worker:test", duration_s=30)
    job = Job(JobKind.CYCLE, connection.id, "20990101T000000Z", is_scheduled=True)
    result = await Runner(pull.services, lease).run(job, asyncio.Event())
    assert f"command 01234567 holds it until {dead.until:%H:%M:%S} UTC" in str(result["skipped"])
    await pull.reload()
    assert pull.connection.next_due_at == dead.until

    async with working(pull.services.settings, pull.db):
        await until(pull.active)
    assert clock() >= dead.until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB; only root may make one."""
    with small_disk_at(tmp_path / "disk", megabytes=6) as disk:
        yield disk


@pytest.fixture
async def crowded(small_disk: Path, sqlite_template: Path, simulator: Simulator) -> AsyncIterator[Pull]:
    """A company of 40, reconciled, on a database whose disk can be filled."""
    url = f"sqlite+aiosqlite:///{small_disk}/leaver.db"
    shutil.copy(sqlite_template, small_disk / "leaver.db")
    db = await open_database(url)
    settings = Settings(database_url=url, secret_key=(SecretStr(SECRET_KEY),))
    pull = Pull(simulator, build_services(settings, db), await connect(db, simulator, "Contoso"))
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    yield pull
    await db.close()


def fill(disk: Path, leave_bytes: int) -> Path:
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    filler.write_bytes(b"\0" * (free - leave_bytes))
    return filler


@pytest.mark.parametrize("leave_kb", [0, 64, 256])
async def test_a_full_disk_stops_a_cycle_and_takes_nothing(
    crowded: Pull, small_disk: Path, leave_kb: int
) -> None:
    """Issue 3, bad input: "a full disk": said so, nothing half-written, and work goes on once there is room."""
    leaver, *stay = sorted(crowded.directory.entitled())
    crowded.lose(leaver, "disabled")
    for number in range(30):  # three attributes: the same one of most people would wait for a person
        attribute = ("displayName", "jobTitle", "department")[number % 3]
        crowded.directory.change_user(stay[number], {attribute: "Long " * 3000})
    await crowded.reload()
    connection, before = crowded.connection, await crowded.users()
    filler = fill(small_disk, leave_kb * 1024)
    runner = Runner(crowded.services, LeaseSettings("worker:test", duration_s=30))
    result = await runner.run(Job(JobKind.CYCLE, connection.id, "one"), asyncio.Event())
    assert "disk of the database is full" in str(result)
    assert "make room" in str(result).lower()
    during = await crowded.users()
    assert {key: user.active for key, user in during.items() if key in stay} == dict.fromkeys(stay, True)

    filler.unlink()
    await crowded.reload()
    assert crowded.connection.quarantined_at is None
    assert crowded.connection.consecutive_failures == 0
    assert (await crowded.cycle()).status is CycleStatus.APPLIED
    assert await crowded.active() == set(stay)
    assert before.keys() == (await crowded.users()).keys()
