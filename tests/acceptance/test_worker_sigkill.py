"""SIGKILL in the middle of applying, then a start: the same end as an undisturbed run, on both databases.

Nothing helps the killer: it watches the database from outside and strikes when some of the changes are there
and others are not. The worker that is started next finds its predecessor's job and lease and goes on.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import Settings
from simulator.server import Simulator, running_simulator
from store.database import Database
from store.directory import users
from store.logs import provisioning_log
from store.records import Ceilings, CycleStatus, LogStatus
from store.sync import cycles
from tests.builders.processes.python_process import started
from tests.builders.processes.waiting import until
from tests.builders.simulated_connection import Pull
from tests.builders.simulated_tenant import SECRET_KEY, connect
from worker.apply.commands import MEMBERSHIP
from worker.services import build_services

PEOPLE, GROUPS = 2000, 30
WORKER = ("-c", "from worker.process import main; main()")


@pytest.fixture
async def pulls(database: Database, database_url: str) -> Any:
    """Two tenants that read the same directory: one will be disturbed, the other not."""
    async with running_simulator(users=PEOPLE, groups=GROUPS, seed=7) as simulator:
        yield [await pull_of(database, database_url, simulator, name) for name in ("Disturbed", "Quiet")]


async def pull_of(db: Database, url: str, simulator: Simulator, name: str) -> Pull:
    settings = Settings(database_url=url, secret_key=(SecretStr(SECRET_KEY),))
    pull = Pull(simulator, build_services(settings, db), await connect(db, simulator, name))
    await pull.set_policy(ceilings=Ceilings(floor=100_000))
    await pull.postpone()
    return pull


def worker(url: str) -> Any:
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": SECRET_KEY,
        "LEAVER_WORKER_TICK_S": "1",
    }
    return started(*WORKER, environment=environment)


async def killed_in_the_middle(pull: Pull, url: str) -> None:
    """Lets a worker begin a cycle, kills it while it applies, and lets another bring it to its end."""
    before = await active(pull)
    await pull.make_due()
    async with worker(url) as doomed:
        await until(lambda: differs(pull, before), every_s=0.005)
        doomed.kill()
        await doomed.ended()
    left = await active(pull)
    assert (await pull.latest_cycle()).status is CycleStatus.RUNNING, "killed after it had ended"
    async with worker(url) as heir:
        await until(lambda: is_done(pull))
        assert await heir.stop() == 0
    assert left not in (before, await active(pull)), "killed before or after applying"


async def active(pull: Pull) -> int:
    async with pull.db.reading() as conn:
        return await users.count_active(conn, pull.connection.tenant_id, pull.connection.id)


async def differs(pull: Pull, number: int) -> bool:
    return await active(pull) != number


async def is_done(pull: Pull) -> bool:
    async with pull.db.reading() as conn:
        running = await cycles.latest(conn, pull.connection.tenant_id, pull.connection.id, finished=False)
    return not running and (await pull.latest_cycle()).status is CycleStatus.APPLIED


async def log_of(pull: Pull) -> Counter[str]:
    """How many changes of each kind took effect, by the provisioning log."""
    async with pull.db.reading() as conn:
        page = await provisioning_log.search(
            conn, pull.connection.tenant_id, pull.connection.id, status=LogStatus.SUCCESS, limit=100_000
        )
    counts: Counter[str] = Counter()
    for entry in page.entries:
        counts[entry.action] += len(entry.modified) if entry.action in MEMBERSHIP else 1
    return counts


async def end_state(pull: Pull) -> Any:
    """Everything a person could tell the two by, without our own ids and times."""
    people = {
        key: (user.user_name, user.active, user.deprovision_reason, user.document.get("title"))
        for key, user in (await pull.users()).items()
    }
    return (
        people,
        {key: group.display_name for key, group in (await pull.groups()).items()},
        await pull.members(),
    )


async def test_a_worker_killed_in_the_middle_of_applying_ends_where_a_quiet_one_does(
    pulls: list[Pull],
    database_url: str,
) -> None:
    """Killing the worker in the middle of applying, then starting it again, ends in the same state."""
    disturbed, quiet = pulls
    await killed_in_the_middle(disturbed, database_url)
    await quiet.cycle()
    assert await end_state(disturbed) == await end_state(quiet)

    for person in sorted(disturbed.directory.entitled())[:750]:
        disturbed.lose(person, "disabled")
    await killed_in_the_middle(disturbed, database_url)
    await quiet.cycle()
    assert await end_state(disturbed) == await end_state(quiet)
    assert await disturbed.active() == set(disturbed.directory.entitled())
    assert await log_of(disturbed) == await log_of(quiet), "no change applied twice, none lost"
