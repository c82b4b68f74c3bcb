"""What happens between two cycles: life, pushes, time, people at the console, on-demand work, decisions."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from simulator.provisioning import Dialect
from simulator.provisioning.errors import NotPossible
from simulator.provisioning.faults import Gap
from store import lifecycle
from store.directory import assessment_results
from store.errors import AccessRefused, StoreError
from store.records import (
    Cause,
    Ceilings,
    ChangeUser,
    Command,
    CreateUser,
    DisableUser,
    MarkUser,
    MembershipMode,
    Mode,
    Origin,
    PlanStatus,
)
from store.sync import held_plans as plans
from store.tenancy import connections
from tests.builders.held_plans import approve_and_apply
from tests.simulation import ageing, promises, pushes, trouble, truth
from tests.simulation.door import Deed
from tests.simulation.picture import Picture
from tests.simulation.truth import Throughout
from tests.simulation.world import World
from worker.cycle import held_plans
from worker.errors import WorkerError
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.on_demand.provision import provision
from worker.on_demand.report import OnDemandReport, OnDemandResult

Step: TypeAlias = Callable[[World, Picture], Awaitable[None]]

WIDE = Ceilings(floor=1000)
GAPS = [gap for gap in Gap if gap not in (Gap.DEAD_ANCHOR, Gap.SILENCE, Gap.FROZEN_JOB)]


async def life(world: World, _: Picture) -> None:
    for _number in range(world.dice.choice([1, 1, 2, 3, 6, 12])):
        world.tell(world.life.happen())


async def provisioning(world: World, _: Picture) -> None:
    """One cycle of Entra's own push, now and then with a gap, a restart, or on demand."""
    dice, push = world.dice, world.push
    push.configure(dialect=dice.choice(list(Dialect)))
    gap = dice.choice(GAPS) if dice.random() < 0.5 else None
    if gap is not None:
        push.arm(gap, probability=dice.choice([0.3, 1.0]), minutes=30)
    if dice.random() < 0.1:
        await push.restart(full=dice.random() < 0.3)
    person = world.life.anybody()
    if person is not None and dice.random() < 0.15:
        try:
            await push.provision_on_demand(person)
        except NotPossible as refused:
            world.tell(f"Entra's own on demand: {refused}")
    report = await push.run_cycle()
    push.disarm()
    world.tell(f"push cycle{f' with {gap}' if gap else ''}: {report.state} {dict(report.counts)}")
    world.count(f"push cycle {report.state}")


async def single_push(world: World, picture: Picture) -> None:
    push = pushes.draw(world, picture)
    world.tell(push.told)
    await pushes.send(world, push)


async def time(world: World, _: Picture) -> None:
    """Time passes; rarely the machine's clock is set back."""
    seconds = world.dice.choice([60, 2400, 2400, 90_000, 90_000, 8 * 86_400, -300])
    await ageing.let_pass(world.db, seconds)
    world.ahead_s = max(0, world.ahead_s - seconds)
    if seconds > 0:
        world.directory.advance(float(seconds))
    world.tell(f"{seconds} s pass")


async def policy(world: World, _: Picture) -> None:
    dice = world.dice
    if not world.mapping.is_told and dice.random() < 0.3:
        await world.tell_mapping()
        return
    if world.policy.mode is Mode.REPORT:
        changed: dict[str, object] = {"mode": Mode.ENFORCE}
    else:
        changed = dice.choice(
            [
                {"mode": Mode.REPORT},
                {"membership": dice.choice(list(MembershipMode))},
                {"clear_emptied_attributes": dice.random() < 0.5},
                {"ceilings": dice.choice([WIDE, WIDE, Ceilings(), Ceilings(floor=2, percent=50.0)])},
                {"deprovision_local_accounts": dice.random() < 0.3},
            ]
        )
    await world.set_policy(**changed)
    world.tell(f"policy: {changed}")


async def console(world: World, picture: Picture) -> None:
    """A person at the console changes an account, or makes one that Entra knows nothing of."""
    dice = world.dice
    user = dice.choice(picture.live) if picture.live else None
    if user is None or dice.random() < 0.3:
        command: Command = CreateUser({"userName": f"local{dice.randrange(10_000)}@vendor.example"})
    else:
        commands: list[Command] = [
            MarkUser(user.id, is_protected=not user.is_protected),
            MarkUser(user.id, is_admin=not user.is_admin),
            DisableUser(user.id),
            ChangeUser(user.id, lambda document: {**document, "active": True}),
            ChangeUser(user.id, lambda document: {**document, "title": "from the console"}),
        ]
        command = dice.choice(commands)
    world.tell(f"console: {type(command).__name__} {user.user_name[:40] if user else ''}")
    try:
        await lifecycle.perform(
            world.db,
            world.connection.tenant_id,
            world.connection.id,
            [command],
            Cause(Origin.CONSOLE, "console", "me"),
        )
    except StoreError as error:
        world.tell(f"  refused: {error}")


async def people_work(world: World, picture: Picture) -> None:
    """Some sign in and get tokens of their own, some get a result into their history."""
    dice, tenant_id = world.dice, world.connection.tenant_id
    for user in dice.sample(picture.live, min(4, len(picture.live))):
        try:
            await world.keys.issue(user)
        except AccessRefused:
            promises.keep(not user.active, "I3", f"{user.user_name} is active and cannot sign in")
        await world.db.write(
            lambda conn, user=user: assessment_results.add(
                conn, tenant_id, user.id, "Quiz", dice.randrange(100)
            )  # type: ignore[misc]
        )
    await promises.nobody_locked_out_signs_in(world, picture)


async def on_demand(world: World, before: Picture) -> None:
    """One user or group at once, half of the time in trouble or with a push that lands meanwhile."""
    dice = world.dice
    reference, person = _reference(world, before)
    if reference is None:
        return
    true = Throughout(world.directory, world.policy)
    wrong = trouble.draw(dice) if dice.random() < 0.3 else None
    push = pushes.draw(world, before) if dice.random() < 0.3 else None
    if wrong:
        trouble.arm(world, wrong)
    landed: list[int] = []
    if push is not None:
        world.door.plan({dice.randint(3, 10): _landing(world, push, landed)})
    world.tell(f"on demand: {reference[:60]} {wrong.told if wrong else ''} {push.told if push else ''}")
    try:
        report = await _provision(world, reference)
    finally:
        world.door.plan({})
        trouble.heal(world)
    world.tell(f"  -> {report.result} {report.error or ''}")
    world.count(f"on demand {report.result}")
    after = await world.listener.look()
    await promises.always(world, before, after)
    done = promises.by_this(after, report.cycle_id)
    promises.nobody_entitled_lost_access(world, before, after, done, true)
    promises.no_push_was_overwritten(after, report.cycle_id)
    promises.keep("fault of its own" not in (report.error or ""), "no fault of ours", str(report.error))
    if push is not None and landed and landed[0] < 300 and promises.was_pushed(after, push.subject):
        promises.keep(push.claims(after), "I7", f"not so after on demand: {push.told}")
    if wrong is None and push is None and person is not None:
        _is_settled(world, after, person, report)


def _landing(world: World, push: pushes.Push, landed: list[int]) -> Deed:
    async def land() -> None:
        landed.append((await pushes.send(world, push)).status)

    return land


async def _provision(world: World, reference: str) -> OnDemandReport:
    connection, settings = world.connection, LeaseSettings("simulation", 30.0)
    async with holding(world.db, world.clock, connection.tenant_id, connection.id, settings) as hold:
        return await provision(world.services, connection, hold, reference)


def _reference(world: World, picture: Picture) -> tuple[str | None, str | None]:
    """What an admin might type, and the person it surely means."""
    dice, directory = world.dice, world.directory
    kind = dice.randrange(6)
    if kind == 0:
        group = world.life.group()
        return (dice.choice([group, directory.groups[group].display_name]) if group else None), None
    if kind == 1:
        return (dice.choice(picture.live).user_name if picture.live else None), None
    if kind == 2:
        gone = sorted({*directory.deleted_users, *directory.purged_users})
        person = dice.choice(gone) if gone else None
        return person, person
    person = world.life.anybody()
    if person is not None and kind == 3:
        return directory.users[person].user_principal_name, person
    return person, person


def _is_settled(world: World, after: Picture, person: str, report: OnDemandReport) -> None:
    """I2 for one: who is entitled has access, who is not has none."""
    if report.result in (OnDemandResult.FAILED, OnDemandResult.SKIPPED):
        return
    if world.ahead_s:
        return  # rows from the future are left alone until the clock has caught up
    row = next((row for row in after.live if row.entra_object_id == person), None)
    is_entitled = person in truth.entitled(world.directory, world.policy)
    if is_entitled:
        promises.keep(
            row is not None and row.active, "I2", f"{person} is entitled; on demand: {report.result}"
        )
    elif row is not None and not row.is_protected and not row.is_admin:
        promises.keep(not row.active, "I2", f"{row.user_name} is not entitled; on demand: {report.result}")


async def decisions(world: World, before: Picture) -> None:
    """Somebody looks at what waits, and approves it whole or in part, or rejects it."""
    dice, connection = world.dice, world.connection
    async with world.db.reading() as conn:
        waiting = await plans.list_for(conn, connection.tenant_id, connection.id, status=PlanStatus.HELD)
    if not waiting or waiting[0].expires_at <= world.clock():
        return
    held = waiting[0]
    changes = held.body["changes"]
    assert isinstance(changes, Sequence)
    rows = None if dice.random() < 0.7 else dice.sample(range(len(changes)), dice.randint(1, len(changes)))
    if dice.random() < 0.15:
        await held_plans.reject(world.services, held, checksum=held.checksum, by="me")
        world.tell("plan rejected")
        return
    true = Throughout(world.directory, world.policy)
    wrong = trouble.draw(dice) if dice.random() < 0.2 else None
    if wrong:
        trouble.arm(world, wrong)
    world.tell(f"plan approved: {rows or 'whole'} {wrong.told if wrong else ''}")
    try:
        decided = await approve_and_apply(world.services, held, checksum=held.checksum, by="me", rows=rows)
    except (WorkerError, StoreError) as error:
        world.tell(f"  -> {error}")
        world.count(f"approval {type(error).__name__}")
    else:
        world.tell(f"  -> {decided.applied.counts}, {len(decided.dropped)} dropped")
        world.count("approval")
    finally:
        trouble.heal(world)
    after = await world.listener.look()
    await promises.always(world, before, after)
    done = [e for e in after.entries if e["origin"] == Origin.GRAPH and e["status"] == "success"]
    promises.nobody_entitled_lost_access(world, before, after, done, true)


async def credential(world: World, _: Picture) -> None:
    """The credential is set anew: the next cycle is not trusted with removals."""
    connection = world.connection
    async with world.db.reading() as conn:
        sealed = await connections.sealed_credential(conn, connection.tenant_id, connection.id)
    await world.db.write(
        lambda conn: connections.set_credential(conn, connection.tenant_id, connection.id, sealed)
    )
    world.tell("the credential is set anew")


_STEPS: Sequence[tuple[Step, float]] = (
    (life, 0.8),
    (provisioning, 0.45),
    (single_push, 0.2),
    (time, 0.35),
    (policy, 0.06),
    (console, 0.12),
    (people_work, 0.3),
    (on_demand, 0.25),
    (decisions, 0.6),
    (credential, 0.02),
)


def drawn(dice: random.Random) -> list[Step]:
    """What happens before the next cycle, in any order."""
    steps = [step for step, probability in _STEPS if dice.random() < probability]
    dice.shuffle(steps)
    return steps


def first_policy(dice: random.Random) -> dict[str, object]:
    """The policy a connection begins with."""
    return {
        "mode": Mode.ENFORCE,
        "membership": dice.choice([MembershipMode.DIRECT] * 3 + [MembershipMode.TRANSITIVE]),
        "ceilings": dice.choice([WIDE, WIDE, Ceilings()]),
        "clear_emptied_attributes": dice.random() < 0.2,
        # A story packs the pushes of months into seconds.
        "brake_push": False,
        "protect_from_push": False,
    }
