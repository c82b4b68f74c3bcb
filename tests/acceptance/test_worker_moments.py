"""A worker killed at random moments, and one frozen for a while: nobody entitled loses, nothing is done twice.

LEAVER_TEST_KILLS=50 LEAVER_TEST_FROZEN_S=60 .venv/bin/pytest tests/acceptance/test_worker_moments.py
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest
from pydantic import SecretStr

from config.settings import Settings
from simulator.faults import Fault
from simulator.server import running_simulator
from store.database import Database
from store.logs import provisioning_log
from store.records import Action, Ceilings, CycleStatus, LogStatus, UserId
from tests.builders.processes.python_process import Process, started
from tests.builders.processes.waiting import until
from tests.builders.simulated_connection import Pull
from tests.builders.simulated_tenant import SECRET_KEY, connect
from tests.databases.parameters import SQLITE
from worker.services import build_services

KILLS = int(os.environ.get("LEAVER_TEST_KILLS", "2"))
FROZEN_S = float(os.environ.get("LEAVER_TEST_FROZEN_S", "5"))
SEED = int(os.environ.get("LEAVER_TEST_SEED", "1"))
PEOPLE, LEAVE_AT_ONCE = 600, 5
LATEST_MOMENT_S = 3.0
LEASE_S = 2


@pytest.fixture
async def pull(database: Database, database_url: str) -> AsyncIterator[Pull]:
    """A reconciled company whose Graph takes its time."""
    async with running_simulator(users=PEOPLE, groups=4, seed=SEED) as simulator:
        settings = Settings(database_url=database_url, secret_key=(SecretStr(SECRET_KEY),), lease_s=LEASE_S)
        pull = Pull(
            simulator, build_services(settings, database), await connect(database, simulator, "Contoso")
        )
        await pull.set_policy(ceilings=Ceilings(floor=100_000))
        assert (await pull.cycle()).status is CycleStatus.APPLIED
        await pull.postpone()
        simulator.simulation.faults.arm(Fault(re.compile("GET .*(users|appRole|members)"), delay_s=0.2))
        yield pull


def worker(url: str) -> AbstractAsyncContextManager[Process]:
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": SECRET_KEY,
        "LEAVER_WORKER_TICK_S": "1",
        "LEAVER_LEASE_S": str(LEASE_S),
    }
    return started("-c", "from worker.process import main; main()", environment=environment, with_log=True)


async def test_a_worker_killed_at_any_moment_takes_nothing_and_does_nothing_twice(
    pull: Pull,
    database_url: str,
) -> None:
    """Issue 3: "SIGKILL at any of 50 random moments": nothing lost, nothing wrongly removed, nothing done twice."""
    dice = random.Random(SEED)
    leavers: set[str] = set()
    for number in range(KILLS):
        leavers |= some_life(pull, dice, number)
        await pull.make_due()
        async with worker(database_url) as doomed:
            await doomed.line_with("worker.started")
            await asyncio.sleep(dice.uniform(0, LATEST_MOMENT_S))
            doomed.kill()
            await doomed.ended()
        assert await pull.active() >= await already_here(pull), f"seed {SEED}, kill {number}"
    await pull.make_due()
    async with worker(database_url) as heir:
        await heir.line_with("cycle.ended", within_s=60)
        assert await is_as_in_entra(pull)
        assert await heir.stop() == 0
    disabled = await times_disabled(pull)
    assert disabled == dict.fromkeys(leavers, 1), "none twice, none lost"
    await pull.reload()
    assert pull.connection.quarantined_at is None


def some_life(pull: Pull, dice: random.Random, number: int) -> set[str]:
    """Some leave in the four ways, and one value of everybody changes; gives those who left.

    Of three attributes: the same one of most people at once would wait for a person.
    """
    entitled = sorted(pull.directory.entitled())
    leaving = dice.sample(entitled, LEAVE_AT_ONCE)
    for person in leaving:
        pull.lose(person, dice.choice(["disabled", "soft_deleted", "purged", "unassigned"]))
    for person in pull.directory.entitled():
        attribute = ("jobTitle", "department", "displayName")[int(person[-1], 16) % 3]
        pull.directory.change_user(person, {attribute: f"Grade {number} of {person}"})
    return set(leaving)


async def already_here(pull: Pull) -> set[str]:
    return set(pull.directory.entitled()) & set(await pull.users())


async def is_as_in_entra(pull: Pull) -> bool:
    cycle = await pull.latest_cycle()
    return cycle.status is CycleStatus.APPLIED and await pull.active() == set(pull.directory.entitled())


async def times_disabled(pull: Pull) -> Counter[str]:
    """How often each person lost access, by Entra's id."""
    connection = pull.connection
    names = {user.id: key for key, user in (await pull.users()).items()}
    async with pull.db.reading() as conn:
        page = await provisioning_log.search(
            conn,
            connection.tenant_id,
            connection.id,
            action=Action.DISABLE,
            status=LogStatus.SUCCESS,
            limit=100_000,
        )
    return Counter(names[UserId(entry.subject_id or "")] for entry in page.entries)


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_a_worker_that_was_frozen_goes_on_where_nobody_took_over(
    pull: Pull,
    database_url: str,
) -> None:
    """Issue 3: "SIGSTOP for 60 s and then SIGCONT": what it had begun is done, once."""
    leavers = some_life(pull, random.Random(SEED), 0)
    await pull.make_due()
    async with worker(database_url) as frozen:
        await until(lambda: has_a_holder(pull))
        frozen.signal(signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S)
        assert await pull.active() >= await already_here(pull)
        frozen.signal(signal.SIGCONT)
        await frozen.line_with("cycle.ended", within_s=60)
        assert await is_as_in_entra(pull)
        assert await frozen.stop() == 0
    assert await times_disabled(pull) == dict.fromkeys(leavers, 1)


async def has_a_holder(pull: Pull) -> bool:
    return bool(await pull.lease_holder())
