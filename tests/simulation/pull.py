"""One cycle of the worker, calm or in trouble, with everything that must hold of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store.records import Action, CycleKind, CycleStatus, Lease, Mode
from store.sync import cycles, leases
from tests.simulation import ageing, agreement, promises, pushes, trouble
from tests.simulation.door import Deed, WatchedHold
from tests.simulation.picture import Picture, without_notes
from tests.simulation.trouble import Trouble
from tests.simulation.truth import Throughout
from tests.simulation.undecided import Undecided, goes_on
from tests.simulation.world import World
from worker.cycle.report import CycleReport
from worker.cycle.run import CycleRequest, run_cycle
from worker.errors import LeaseLost, Yielded
from worker.locks.hold import Hold, LeaseSettings
from worker.locks.lease import holding

LEASE_S = 30.0
MOST_REQUESTS = 18
MOST_SAFE_POINTS = 8
FREEZES_S = (45, 400, 7200)
"""Longer than a lease, than evidence is good for, and than anybody would wait."""


@dataclass(slots=True)
class Plan:
    """What is to happen around one cycle; drawn before it begins."""

    trouble: Trouble | None = None
    at_request: dict[int, str] = field(default_factory=dict)
    at_safe_point: dict[int, str] = field(default_factory=dict)
    skew_s: float = 0.0
    is_full: bool = False
    """Everything is read, due or not; else the cycle is an increment where it can be."""
    is_killed: bool = False
    """The process dies: nobody gives the lease back."""

    @property
    def is_calm(self) -> bool:
        return not (self.trouble or self.at_request or self.at_safe_point or self.skew_s)


@dataclass(slots=True)
class Running:
    """A cycle under way, for those who interfere with it."""

    world: World
    true: Throughout
    before: Picture
    halt: asyncio.Event = field(default_factory=asyncio.Event)
    hold: Hold | None = None
    task: asyncio.Task[CycleReport] | None = None
    beside: list[asyncio.Task[None]] = field(default_factory=list)
    landed: dict[str, pushes.Push] = field(default_factory=dict)
    """Pushes that were answered with success, the last for each subject."""
    others: set[str] = field(default_factory=set)
    """Cycles of another worker meanwhile."""
    has_ended_early: bool = False
    slept_s: int = 0
    """For how long the process was frozen."""


def draw(world: World) -> Plan:
    """Draws what happens around the next cycle; half of all are left in peace."""
    dice, plan = world.dice, Plan()
    plan.is_full = dice.random() < 0.25
    if dice.random() < 0.45:
        return plan
    if dice.random() < 0.5:
        plan.trouble = trouble.draw(dice)
    if not plan.trouble or dice.random() < 0.4:
        for _ in range(dice.choice([1, 1, 2, 3])):
            what = dice.choice(_KINDS)
            if dice.random() < 0.5 and what not in ("halt", "want"):
                plan.at_request[dice.randint(3, MOST_REQUESTS)] = what
            else:
                plan.at_safe_point[dice.choice([1, 2, 2, 3, 3, 4, 4, 5, 6, MOST_SAFE_POINTS])] = what
    if dice.random() < 0.1:
        plan.skew_s = dice.choice([-600.0, 600.0, 5 * 3600.0, 7 * 3600.0])
    plan.is_killed = "kill" in (*plan.at_request.values(), *plan.at_safe_point.values())
    return plan


async def cycle(world: World, plan: Plan) -> CycleReport | None:
    """Runs one cycle as planned and checks all that was promised; None where it did not come to its end."""
    await world.reload()
    before = await world.listener.look()
    running = Running(world, Throughout(world.directory, world.policy), before)
    world.tell(_told(plan))
    if plan.trouble:
        trouble.arm(world, plan.trouble)
    world.clock.skew_s = plan.skew_s
    world.door.plan({n: _deed(running, what) for n, what in plan.at_request.items()})
    try:
        report = await _run(running, plan)
    finally:
        world.door.plan({})
        while unfinished := [task for task in running.beside if not task.done()]:
            await asyncio.gather(*unfinished)
        world.clock.skew_s = 0.0
        if running.slept_s:  # what was written since is of now
            await ageing.let_pass(world.db, running.slept_s)
        trouble.heal(world)
    if plan.is_killed:
        await ageing.let_pass(world.db, int(LEASE_S + max(plan.skew_s, 0)) + 1)
        await _take_over(world)
    if plan.trouble and plan.trouble.leaves_out_members:
        world.are_members_left_out = True
    await _check(running, plan, report)
    return report


def _told(plan: Plan) -> str:
    what = ["full cycle" if plan.is_full else "cycle"]
    what += [", ".join(plan.trouble.told)] if plan.trouble else []
    what += [f"{what} at request {n}" for n, what in sorted(plan.at_request.items())]
    what += [f"{what} at safe point {n}" for n, what in sorted(plan.at_safe_point.items())]
    what += [f"clock {plan.skew_s:+} s"] if plan.skew_s else []
    return "; ".join(what)


async def _run(running: Running, plan: Plan) -> CycleReport | None:
    world = running.world
    deeds = {n: _deed(running, what) for n, what in plan.at_safe_point.items()}
    settings = LeaseSettings("simulation", LEASE_S, gives_way=True, halt=running.halt)
    body = _killable if plan.is_killed else _held
    running.task = asyncio.create_task(body(running, settings, deeds, CycleRequest(is_full=plan.is_full)))
    try:
        report = await running.task
    except (Yielded, LeaseLost, asyncio.CancelledError) as error:
        promises.keep(
            running.has_ended_early, "a cycle ends", f"{type(error).__name__} for no reason: {error}"
        )
        world.tell(f"  -> {type(error).__name__}")
        world.count(f"cycle {type(error).__name__}")
        return None
    world.tell(
        f"  -> {report.kind} {report.status} {report.applied or ''} {report.error or report.why_full or ''}"
    )
    world.count(f"cycle {report.status}")
    world.count(f"{report.kind} cycle")
    return report


async def _held(
    running: Running, settings: LeaseSettings, deeds: dict[int, Deed], wish: CycleRequest
) -> CycleReport:
    world, connection = running.world, running.world.connection
    async with holding(world.db, world.clock, connection.tenant_id, connection.id, settings) as hold:
        running.hold = watched = WatchedHold(hold.lease, settings, original=hold, deeds=deeds)
        return await run_cycle(world.services, connection, watched, wish)


async def _killable(
    running: Running, settings: LeaseSettings, deeds: dict[int, Deed], wish: CycleRequest
) -> CycleReport:
    """The same without giving the lease back at the end."""
    world, connection = running.world, running.world.connection

    async def take(conn: AsyncConnection) -> Lease | None:
        now = await leases.database_time(conn, world.clock())  # as every worker does (seed 66064)
        scope = connection.tenant_id, connection.id
        return await leases.acquire(conn, *scope, settings.holder, now, settings.duration_s)

    lease = await world.db.write(take)
    assert lease is not None, "nobody else holds it"
    running.hold = watched = WatchedHold(lease, settings, deeds=deeds)
    return await run_cycle(world.services, connection, watched, wish)


async def _take_over(world: World) -> None:
    """A lease that nobody renews is free once it has run out."""
    connection = world.connection
    lease = await world.db.write(
        lambda conn: leases.acquire(conn, connection.tenant_id, connection.id, "next", world.clock(), LEASE_S)
    )
    promises.keep(lease, "a lease runs out", "it did not")
    assert lease is not None
    await world.db.write(lambda conn: leases.release(conn, connection.tenant_id, lease))


# --- what happens meanwhile ---


def _deed(running: Running, what: str) -> Deed:
    """A deed comes to its end even where the request during which it happens is given up."""
    body = _body(running, what)

    async def happen() -> None:
        task = asyncio.create_task(body())
        running.beside.append(task)
        await asyncio.shield(task)

    return happen


def _body(running: Running, what: str) -> Callable[[], Coroutine[Any, Any, None]]:
    """Draws what is needed now, for later."""
    world = running.world
    if what == "push":
        some = [pushes.draw(world, running.before) for _ in range(world.dice.choice([1, 1, 2, 5]))]
        return lambda: _push(running, some)
    if what == "life":
        dice = random.Random(world.dice.random())
        return lambda: _life(running, dice)
    kinds: dict[str, Callable[[Running], Coroutine[Any, Any, None]]] = {
        "provisioning": _provisioning,
        "halt": _halt,
        "want": _want,
        "thief": _thief,
        "freeze": _freeze,
        "freeze, and another takes over": _freeze_and_lose,
        "cancel": _cancel,
        "kill": _cancel,
        "tokens expire": _expire,
    }
    return lambda: kinds[what](running)


_KINDS = (
    *["push"] * 6,
    *["life"] * 5,
    *["provisioning"] * 2,
    "halt",
    "want",
    "thief",
    *["freeze"] * 2,
    *["freeze, and another takes over"] * 2,
    "cancel",
    "kill",
    "tokens expire",
)


async def _push(running: Running, some: Sequence[pushes.Push]) -> None:
    for push in some:
        running.world.tell(f"  {push.told}")
        answered = await pushes.send(running.world, push)
        if answered.status < 300:  # a POST may bring back whom another push deleted
            running.landed[answered.subject] = push


async def _life(running: Running, dice: random.Random) -> None:
    running.world.tell(f"  {running.world.life.happen(dice)}")
    running.true.look()


async def _provisioning(running: Running) -> None:
    async def push() -> None:
        await running.world.push.run_cycle()
        running.landed.clear()

    running.beside.append(asyncio.create_task(push()))


async def _halt(running: Running) -> None:
    running.has_ended_early = True
    running.halt.set()


async def _want(running: Running) -> None:
    """Somebody asks for the lease; the hold sees it as it would with its next beat."""
    world, connection = running.world, running.world.connection
    running.has_ended_early = True
    await world.db.write(lambda conn: leases.request_yield(conn, connection.tenant_id, connection.id))
    if isinstance(running.hold, WatchedHold):
        (running.hold.original or running.hold).request_yield()


async def _freeze(running: Running) -> None:
    """The process stands still for a while, and goes on with what it read before."""
    running.has_ended_early = True
    seconds = FREEZES_S[len(running.world.story) % len(FREEZES_S)]
    running.slept_s += seconds
    running.world.clock.skew_s += seconds
    running.world.tell(f"  frozen for {seconds} s")


async def _freeze_and_lose(running: Running) -> None:
    """The lease ran out meanwhile, and another worker did the work before the process wakes."""
    await _freeze(running)
    await _work_of_another(running, running.world.clock())


async def _thief(running: Running) -> None:
    """Another worker, whose clock is ahead, takes the connection over and runs a cycle of its own."""
    await _work_of_another(running, running.world.clock() + timedelta(seconds=2 * LEASE_S))


async def _work_of_another(running: Running, later: datetime) -> None:
    world, connection = running.world, running.world.connection
    running.has_ended_early = True
    lease = await world.db.write(
        lambda conn: leases.acquire(conn, connection.tenant_id, connection.id, "thief", later, LEASE_S)
    )
    if lease is None:
        return
    try:
        report = await run_cycle(world.services, connection, Hold(lease, LeaseSettings("thief", LEASE_S)))
        world.tell(f"  the other worker: {report.status} {report.applied or ''}")
        running.others.add(report.cycle_id)
    except LeaseLost:
        world.tell("  the other worker lost it again")
    finally:
        await world.db.write(lambda conn: leases.release(conn, connection.tenant_id, lease))


async def _cancel(running: Running) -> None:
    running.has_ended_early = True
    if running.task is not None:
        running.task.cancel()
    await asyncio.sleep(0)


async def _expire(running: Running) -> None:
    running.world.simulation.authority.signer.cut_off()


# --- what must hold afterwards ---


async def _check(running: Running, plan: Plan, report: CycleReport | None) -> None:
    world, before = running.world, running.before
    after = await world.listener.look()
    await promises.always(world, before, after)
    done = [e for e in after.entries if e["origin"] == "graph" and e["status"] == "success"]
    promises.nobody_entitled_lost_access(world, before, after, done, running.true)
    async with world.db.reading() as conn:
        newest = await cycles.latest(conn, world.connection.tenant_id, world.connection.id, limit=3)
    for each in newest:
        if each.id not in running.others:  # a push may land just before their reading begins
            promises.no_push_was_overwritten(after, each.id)
    for push in running.landed.values() if not running.others else ():
        is_kept = not promises.was_pushed(after, push.subject) or push.claims(after)
        promises.keep(is_kept, "I7", f"not so after the cycle: {push.told}")
    if report is None:
        return
    promises.keep("fault of its own" not in (report.error or ""), "no fault of ours", str(report.error))
    own = promises.by_this(after, report.cycle_id)
    promises.report_is_what_was_done(report, own)
    promises.guard_was_heard(world, report, before, after, own)
    if plan.is_calm:
        await _check_calm(running, after, report)


async def _check_calm(running: Running, after: Picture, report: CycleReport) -> None:
    world = running.world
    world.count("calm")
    if world.ahead_s:
        return  # rows from the future are left alone until the clock has caught up
    promises.keep(report.error is None, "calm", f"{report.status}: {report.error}")
    promises.keep(report.complete, "calm", f"the reading was incomplete: {report.reasons}")
    is_settled = report.status is CycleStatus.APPLIED and world.policy.mode is Mode.ENFORCE
    if is_settled:
        refused = promises.refused(after, report.cycle_id)
        if (
            refused
            and (report.applied.get(Action.DELETE) or report.applied.get(Action.CHANGE_HOLDER))
            and all("the group is at" in each for each in refused)
        ):
            # A group that goes, or an account that changes its holder, moves the groups it was in: what they need
            # waits for the next cycle.
            world.count("moved by a deletion of its own")
            return
        promises.keep(not refused and not report.skipped, "calm", f"not carried out: {refused}")
        if report.kind is not CycleKind.INCREMENTAL:
            world.are_members_left_out = False
        undecided = await agreement.as_entra_says(world, after, report)
        if world.dice.random() < 0.4 and not world.are_members_left_out:
            await _again(world, after, undecided, is_first_whole=report.kind is not CycleKind.INCREMENTAL)


async def _again(world: World, settled: Picture, undecided: Undecided, *, is_first_whole: bool) -> None:
    """I6: the same once more changes nothing; and where everything is read, nothing was missed.

    A full reading may go on with what was told as undecided (`tests.simulation.undecided`), asked for or not: after
    an incomplete cycle that began by a clock that was ahead, everything is read until that time has come (seed 45008).
    """
    connection = world.connection
    settings, is_asked = LeaseSettings("simulation", LEASE_S), world.dice.random() < 0.7
    async with holding(world.db, world.clock, connection.tenant_id, connection.id, settings) as hold:
        report = await run_cycle(world.services, connection, hold, CycleRequest(is_full=is_asked))
    is_full = report.kind is not CycleKind.INCREMENTAL
    after = await world.listener.look()
    world.count("again, in full" if is_full else "again")
    taken = [e for e in after.entries if e["origin"] == "graph" and e["status"] == "success"]
    true = Throughout(world.directory, world.policy)
    promises.nobody_entitled_lost_access(world, settled, after, taken, true)
    if is_full and promises.only_forgot_managers(after, report.cycle_id):
        world.count("managers who were deleted")  # decision 9: no delta tells their reports
        return
    done = promises.by_this(after, report.cycle_id)
    if is_full and goes_on(world, settled, after, done, undecided, is_first_whole=is_first_whole):
        world.count("went on with what was undecided")
        return
    promises.keep(not report.applied, "I6", f"the second cycle ({report.kind}) applied {report.applied}")
    is_same = (without_notes(after), after.groups, after.members) == (
        without_notes(settled),
        settled.groups,
        settled.members,
    )
    promises.keep(
        is_same and not after.events, "I6", f"the second cycle changed {_changed(settled, after) or 'events'}"
    )


def _changed(settled: Picture, after: Picture) -> str:
    """Names of the rows that differ between two pictures."""
    before = without_notes(settled)
    users = [row.user_name for key, row in without_notes(after).items() if row != before.get(key)]
    groups = [row.display_name for key, row in after.groups.items() if row != settled.groups.get(key)]
    members = [str(key) for key, held in after.members.items() if held != settled.members.get(key)]
    return ", ".join([*users, *groups, *members])
