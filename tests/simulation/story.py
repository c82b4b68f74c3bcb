"""One company's life from a seed: steps and cycles, and at its end everything comes to rest."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from store import lifecycle
from store.records import Cause, CycleStatus, MarkUser, Mode, Origin, PlanStatus, Policy
from store.sync import held_plans as plans
from tests.builders.held_plans import approve_and_apply
from tests.simulation import ageing, promises, pull, steps, trouble, truth
from tests.simulation.world import World, world_of
from worker.cycle.run import run_cycle
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding

CYCLES = 25
"""In one company's life: short enough to be read, long enough for things to pile up."""
REST = 6
"""Calm cycles, at most, until all is as Entra says."""


class StoryBroken(AssertionError):
    """A promise was not kept; the message has the seed and every step that led there."""


@dataclass(slots=True)
class Told:
    """What happened in one story."""

    cycles: int
    counts: Counter[str] = field(default_factory=Counter)


async def tell(seed: int, database_url: str, cycles: int = CYCLES) -> Told:
    """Plays the story of a seed on an empty database; raises `StoryBroken`."""
    dice = random.Random(f"policy {seed}")
    policy = Policy(**steps.first_policy(dice))  # type: ignore[arg-type]
    async with world_of(seed, database_url, policy) as world:
        try:
            played = await _play(world, seed, cycles)
        except Exception as error:
            told = "\n".join(f"  {line}" for line in world.story)
            raise StoryBroken(f"{error}\nseed {seed}, database {database_url}\n{told}") from error
        return Told(played, Counter(world.counts))


async def _play(world: World, seed: int, cycles: int) -> int:
    """Every round has dice of its own, so that a small difference in timing does not make another story."""
    await _begin(world)
    for number in range(cycles):
        world.dice.seed(f"{seed} {number}")
        before = await world.listener.look()
        for place, step in enumerate(steps.drawn(world.dice)):
            world.dice.seed(f"{seed} {number} {place}")
            await step(world, before)
            after = await world.listener.look()
            await promises.always(world, before, after)
            before = after
        world.dice.seed(f"{seed} {number} cycle")
        await pull.cycle(world, pull.draw(world))
    return cycles + await _rest(world) + 1


async def _begin(world: World) -> None:
    """Both tenants read the directory; the first by push or by pull."""
    other, settings = world.bystander, LeaseSettings("simulation", pull.LEASE_S)
    async with holding(world.db, world.clock, other.tenant_id, other.id, settings) as hold:
        report = await run_cycle(world.services, other, hold)
    promises.keep(report.status is CycleStatus.APPLIED, "calm", f"{report.status}: {report.error}")
    await world.remember_bystander()
    told = "" if world.mapping.is_told else ", which Leaver was not told of"
    shares = "; accounts of people who are gone are found again" if world.mapping.shares_anchors else ""
    world.tell(f"Entra's mapping: {world.mapping.name}{told}{shares}")
    if world.dice.random() < 0.6:
        await world.push.run_cycle()
        world.tell("begins with a push")


async def _rest(world: World) -> int:
    """With nothing going wrong any more, and all that waits approved, the store becomes what Entra says."""
    trouble.heal(world)
    await world.set_policy(mode=Mode.ENFORCE)
    world.tell("rest")
    for number in range(1, REST + 1):
        await ageing.let_pass(world.db, 90_000)
        world.ahead_s = 0
        report = await pull.cycle(world, pull.Plan())
        if report is not None and report.status is CycleStatus.APPLIED:
            return number
        await _approve_all(world)
    raise promises.Broken(f"rest: not settled after {REST} calm cycles")


async def _approve_all(world: World) -> None:
    tenant_id, connection_id = world.connection.tenant_id, world.connection.id
    async with world.db.reading() as conn:
        waiting = await plans.list_for(conn, tenant_id, connection_id, status=PlanStatus.HELD)
    for held in waiting:
        if held.expires_at <= world.clock():
            continue
        decided = await approve_and_apply(world.services, held, checksum=held.checksum, by="me")
        world.tell(f"plan approved: {held.reason}")
        if any("the last active admin" in why for why in decided.applied.details.values()):
            await _name_another_admin(world)


async def _name_another_admin(world: World) -> None:
    """As the refusal says (seed 61026)."""
    picture = await world.listener.look()
    entitled = truth.entitled(world.directory, world.policy)
    other = next((row for row in picture.live if row.active and row.entra_object_id in entitled), None)
    if other is None:
        return
    scope, cause = (world.connection.tenant_id, world.connection.id), Cause(Origin.CONSOLE, "rest", "me")
    await lifecycle.perform(world.db, *scope, [MarkUser(other.id, is_admin=True)], cause)
    world.tell(f"{other.user_name} is an admin too")
