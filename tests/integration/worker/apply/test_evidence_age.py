"""What was true is checked again when it is written: valid lease, fresh evidence, abandoned cycles taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store import lifecycle
from store.errors import EvidenceTooOld, FencedOut
from store.records import (
    Action,
    Cause,
    CycleKind,
    DisableUser,
    DriftKind,
    EvidenceAge,
    Fence,
    GraphId,
    JsonValue,
    Origin,
    Reason,
    SubjectType,
)
from store.sync import cycles, held_plans, leases
from store.tenancy import connections
from tests.builders.simulated_connection import Pull
from worker.apply.apply_plan import NOT_CONFIRMED_AGAIN, Applied, apply
from worker.apply.removal_evidence import evidence_age, reverification
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.reconcile.plan import Change, Plan, Subject
from worker.reconcile.plan_json import plan_from_json

LONG_AGO = timedelta(minutes=10)


async def _held(pull: Pull, leavers: int) -> tuple[Plan, list[str]]:
    """Return a held plan that disables as many people as said, above the ceilings."""
    await pull.cycle()
    people = sorted(await pull.active())[:leavers]
    for person in people:
        pull.lose(person, "disabled")
    report = await pull.cycle()
    assert report.held_plan is not None
    async with pull.db.reading() as conn:
        held = await held_plans.get(conn, pull.connection.tenant_id, report.held_plan.id)
    return plan_from_json(held.body), people


async def _apply(pull: Pull, plan: Plan, taken_at: datetime, *, batch_size: int = 500) -> Applied:
    connection = pull.connection
    settings = LeaseSettings("test", duration_s=30)
    async with holding(pull.db, pull.services.clock, connection.tenant_id, connection.id, settings) as hold:
        age = EvidenceAge(taken_at, connection.policy.evidence_max_age_s)
        return await apply(
            pull.db,
            connection,
            plan.changes,
            Cause(Origin.GRAPH, "cycle", "test", hold.fence, age),
            lambda _done: hold.checkpoint_or_yield(),
            batch_size=batch_size,
            clock=pull.services.clock,
            reverify=reverification(pull.services, connection, plan),
        )


async def test_a_removal_on_old_evidence_is_read_again_and_spares_who_was_enabled_meanwhile(
    pull: Pull,
) -> None:
    """Issue 9, row 7: 600 of 600 people enabled again in Entra were disabled by a worker that had slept."""
    plan, people = await _held(pull, 12)
    for person in people:
        pull.directory.change_user(person, {"accountEnabled": True})
    applied = await _apply(pull, plan, datetime.now(UTC) - LONG_AGO)
    assert set(people) <= await pull.active()
    assert set(applied.details.values()) == {NOT_CONFIRMED_AGAIN}
    assert applied.counts == {}


async def test_a_removal_on_old_evidence_that_still_holds_is_written(pull: Pull) -> None:
    """Issue 9, Age: "older evidence is taken again, one by one, before the batch"."""
    plan, people = await _held(pull, 12)
    kept, gone = people[:3], people[3:]
    for person in kept:
        pull.directory.change_user(person, {"accountEnabled": True})
    await _apply(pull, plan, datetime.now(UTC) - LONG_AGO, batch_size=5)
    active = await pull.active()
    assert set(kept) <= active
    assert not set(gone) & active


async def test_an_account_is_not_handed_over_on_old_evidence_nor_written_for_the_other_person(
    pull: Pull,
) -> None:
    """W3: a worker that slept ends no keys and writes none of the other person's values into the account."""
    await pull.cycle()
    holder, account = sorted((await pull.users()).items())[0]
    other = "7b1e0c52-0000-4000-8000-000000000001"
    subject = Subject(SubjectType.USER, GraphId(other), account.id, account.user_name)
    after: dict[str, JsonValue] = {"holder": other, "holderBasis": "proof", "keepGroups": []}
    version = account.version
    changes = (
        Change(
            DriftKind.HOLDER_CHANGED, Action.CHANGE_HOLDER, subject, after=after, expected_version=version
        ),
        Change(
            DriftKind.ATTRIBUTE_MISMATCH,
            Action.UPDATE,
            subject,
            after={"title": "New"},
            expected_version=version,
        ),
    )
    applied = await _apply(pull, Plan(pull.connection.id, changes), datetime.now(UTC) - LONG_AGO)
    assert applied.counts == {}
    assert (await pull.users())[holder] == account


async def test_fresh_evidence_is_not_asked_for_twice(pull: Pull) -> None:
    """The check costs no request while nothing slept."""
    plan, people = await _held(pull, 12)

    async def never(changes: Sequence[Change]) -> tuple[Sequence[bool], EvidenceAge]:
        raise AssertionError(f"evidence was fresh for {changes}")

    connection, settings = pull.connection, LeaseSettings("test", duration_s=30)
    async with holding(pull.db, pull.services.clock, connection.tenant_id, connection.id, settings) as hold:
        age = await evidence_age(pull.services, connection)
        cause = Cause(Origin.GRAPH, "cycle", "test", hold.fence, age)
        await apply(
            pull.db,
            connection,
            plan.changes,
            cause,
            lambda _done: hold.checkpoint_or_yield(),
            clock=pull.services.clock,
            reverify=never,
        )
    assert not set(people) & await pull.active()


async def _fence(pull: Pull, duration_s: float) -> Fence:
    connection = pull.connection
    taken = await pull.db.write(
        lambda conn: leases.acquire(
            conn, connection.tenant_id, connection.id, "worker:frozen", datetime.now(UTC), duration_s
        )
    )
    assert taken is not None
    return taken.fence


async def test_no_removal_is_written_under_a_lease_that_ran_out(pull: Pull) -> None:
    """Issue 9, Age: "a lease that is valid by the database's clock in the same transaction"."""
    await pull.cycle()
    user = next(iter((await pull.users()).values()))
    fence = await _fence(pull, 0.05)
    await asyncio.sleep(0.1)
    command = DisableUser(user.id, Reason.DISABLED, None)
    with pytest.raises(FencedOut, match="ran out"):
        await lifecycle.perform(
            pull.db, user.tenant_id, user.connection_id, [command], Cause(Origin.GRAPH, "c", "w", fence)
        )
    assert (await pull.users())[user.entra_object_id or ""].active


async def test_no_removal_is_written_on_evidence_older_than_the_policy_allows(pull: Pull) -> None:
    """Issue 9, Age: "evidence not older than 5 minutes"."""
    await pull.cycle()
    user = next(iter((await pull.users()).values()))
    fence = await _fence(pull, 30)
    old = EvidenceAge(datetime.now(UTC) - timedelta(seconds=301), 300)
    command = DisableUser(user.id, Reason.DISABLED, None)
    with pytest.raises(EvidenceTooOld):
        await lifecycle.perform(
            pull.db, user.tenant_id, user.connection_id, [command], Cause(Origin.GRAPH, "c", "w", fence, old)
        )
    assert (await pull.users())[user.entra_object_id or ""].active


async def test_a_connection_whose_worker_was_stopped_in_mid_cycle_is_due_when_its_lease_runs_out(
    pull: Pull,
) -> None:
    """Issue 9, row 11: it waited for its next due time, up to 40 minutes."""
    await pull.cycle()
    await pull.postpone()
    connection = pull.connection
    await _fence(pull, 0.05)
    await pull.db.write(
        lambda conn: cycles.start(
            conn, connection.tenant_id, connection.id, CycleKind.FULL, now=datetime.now(UTC)
        )
    )
    await asyncio.sleep(0.1)
    now = datetime.now(UTC)
    async with pull.db.reading() as conn:
        at = await leases.database_time(conn, now)
        assert await connections.due(conn, now, 10) == []
        [found] = await connections.abandoned(conn, at, 10)
    assert found.id == connection.id
    assert found.next_due_at is not None
    assert found.next_due_at <= at


async def test_a_connection_that_nothing_was_left_of_is_not_taken_for_abandoned(pull: Pull) -> None:
    """A lease that was given back, or a cycle that ended, leaves nothing to take over."""
    await pull.cycle()
    await pull.postpone()
    async with pull.db.reading() as conn:
        at = await leases.database_time(conn, datetime.now(UTC) + timedelta(hours=1))
        assert await connections.abandoned(conn, at, 10) == []


async def test_the_evidence_age_is_part_of_the_policy(pull: Pull) -> None:
    await pull.set_policy(evidence_max_age_s=60)
    assert pull.connection.policy == replace(pull.connection.policy, evidence_max_age_s=60)
    assert (await evidence_age(pull.services, pull.connection)).max_age_s == 60
