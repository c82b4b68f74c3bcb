"""What follows an event: Entra's push, the worker's cycle, or one person on demand."""

from __future__ import annotations

import asyncio

from simulator.provisioning.decide import user_source
from simulator.provisioning.mapping import map_attributes
from store.directory import users
from store.records import User
from store.sync import leases
from tests.simulation.door import WatchedHold
from tests.stories.company import World
from worker.cycle.report import CycleReport
from worker.cycle.run import CycleRequest, run_cycle
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.on_demand.provision import provision as provision_subject
from worker.on_demand.report import OnDemandReport

LEASE = LeaseSettings("stories", 30.0)
FULL = CycleRequest(is_full=True)
BETWEEN_PUSHES_S = 2400.0


async def push(world: World) -> None:
    """One cycle of Entra's job."""
    world.directory.clock.advance(BETWEEN_PUSHES_S)
    await world.push.run_cycle()


async def pull(world: World, request: CycleRequest = FULL) -> CycleReport:
    await world.reload()
    connection = world.connection
    async with holding(world.db, world.services.clock, connection.tenant_id, connection.id, LEASE) as hold:
        return await run_cycle(world.services, connection, hold, request)


async def killed_pull(world: World) -> None:
    """A cycle that dies after its first batch; its lease runs out at once."""
    await world.reload()
    connection = world.connection
    lease = await world.db.write(
        lambda conn: leases.acquire(
            conn, connection.tenant_id, connection.id, "killed", world.services.clock(), LEASE.duration_s
        )
    )
    assert lease is not None, "no other has it"

    async def die() -> None:
        cycle.cancel()
        await asyncio.sleep(0)

    hold = WatchedHold(lease, LEASE, deeds={2: die})
    cycle = asyncio.create_task(run_cycle(world.services, connection, hold, FULL))
    await asyncio.wait([cycle])
    if not cycle.cancelled():
        cycle.result()
    await world.db.write(lambda conn: leases.release(conn, connection.tenant_id, lease))


async def provision(world: World, reference: str) -> OnDemandReport:
    await world.reload()
    connection = world.connection
    async with holding(world.db, world.services.clock, connection.tenant_id, connection.id, LEASE) as hold:
        return await provision_subject(world.services, connection, hold, reference)


async def accounts(world: World) -> list[User]:
    """Every account that is not deleted."""
    async with world.db.reading() as conn:
        found = await users.load_state(conn, world.connection.tenant_id, world.connection.id)
    return sorted((row for row in found.values() if row.deleted_at is None), key=lambda row: row.user_name)


async def account_of(world: World, person: str) -> User | None:
    return stands_for(world, await accounts(world), person)


def stands_for(world: World, rows: list[User], person: str) -> User | None:
    """The account a person works with: the one that stands for them, else the one Entra anchored them to."""
    own = next((row for row in rows if row.entra_object_id == person), None)
    if own is not None:
        return own
    return next((row for row in rows if not row.entra_object_id and is_anchored(world, row, person)), None)


def is_anchored(world: World, row: User, person: str) -> bool:
    """Whether Entra's job is linked to this account for the person, or would find it: it forgot, and was restarted."""
    link = world.push.job.links.get(person)
    if link is not None:
        return row.id == link.target_id
    user = world.directory.users.get(person)
    if user is None or person not in world.directory.entitled():
        return False
    sent = map_attributes(world.facts.setting.user_mapping, user_source(user, soft_deleted=False))
    return row.user_name.lower() == sent.get("userName", "").lower()
