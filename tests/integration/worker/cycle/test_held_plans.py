"""Held plans: decided by checksum, confirmed once more, applied exactly, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store import lifecycle
from store.errors import VersionMoved
from store.logs import audit_log
from store.records import (
    Action,
    Cause,
    ChangeUser,
    CycleKind,
    HeldPlan,
    Origin,
    PlanStatus,
    Reason,
)
from store.sync import held_plans as plans
from store.tenancy import connections
from tests.builders.held_plans import approve_and_apply
from tests.builders.simulated_connection import Pull
from worker.cycle import held_plans
from worker.cycle.run import CycleRequest
from worker.errors import Terminal
from worker.jobs.queue import Job
from worker.jobs.runner import Runner
from worker.locks.lease import for_a_command, holding
from worker.reconcile.mapping.attribute_paths import write_paths
from worker.services import WorkerServices


@pytest.fixture
async def held(pull: Pull) -> HeldPlan:
    """Twenty of forty people were disabled in Entra at once: the plan waits."""
    await pull.cycle()
    for person in leavers(pull):
        pull.lose(person, "disabled")
    report = await pull.cycle()
    assert report.held_plan is not None
    async with pull.db.reading() as conn:
        return await plans.get(conn, pull.connection.tenant_id, report.held_plan.id)


def leavers(pull: Pull) -> list[str]:
    return sorted(pull.directory.users)[:20]


async def status_of(pull: Pull, held: HeldPlan) -> PlanStatus:
    async with pull.db.reading() as conn:
        return (await plans.get(conn, held.tenant_id, held.id)).status


async def test_an_approved_plan_is_applied_and_nothing_else(pull: Pull, held: HeldPlan) -> None:
    """Approved by checksum: exactly that plan."""
    decided = await approve_and_apply(pull.services, held, checksum=held.checksum, by="me")
    assert decided.plan.status is PlanStatus.APPLIED
    assert decided.dropped == ()
    assert set(decided.applied.counts) == {Action.DISABLE}
    assert await pull.active() == set(pull.directory.entitled())
    gone = [user for user in (await pull.users()).values() if not user.active]
    assert {user.deprovision_reason for user in gone} == {Reason.DISABLED}


async def test_a_decision_and_its_outcome_are_in_the_audit_log(pull: Pull, held: HeldPlan) -> None:
    """issue 8: "today approve and reject are missing from `leaver audit`"."""
    rows, actor = {0, 2}, "cli:ada"
    await approve_and_apply(pull.services, held, checksum=held.checksum, by="me", rows=rows, actor=actor)
    async with pull.db.reading() as conn:
        applied, approved = await audit_log.search(conn, held.tenant_id, held.connection_id)
    decided = {"checksum": held.checksum, "by": "me"}
    assert (approved.actor, approved.action) == (actor, "plan.approved")
    assert approved.detail == {**decided, "rows": [0, 2]}
    assert (applied.actor, applied.action) == (actor, "plan.applied")
    assert applied.detail == {**decided, "applied": {"disable": 2}}


async def test_after_it_the_next_cycle_finds_nothing_to_hold(pull: Pull, held: HeldPlan) -> None:
    """The approved cycle is what the next one is compared with."""
    await approve_and_apply(pull.services, held, checksum=held.checksum, by="me")
    report = await pull.cycle()
    assert (report.held_plan, report.drift) == (None, {})


async def test_another_checksum_is_refused(pull: Pull, held: HeldPlan) -> None:
    """You approve exactly what you saw; a plan that changed since has another checksum."""
    before = await pull.active()
    with pytest.raises(VersionMoved):
        await approve_and_apply(pull.services, held, checksum="0" * 64, by="me")
    assert await pull.active() == before


async def test_who_came_back_meanwhile_stays(pull: Pull, held: HeldPlan) -> None:
    """Rule 2: everybody is re-read by themselves once more; only who is really gone goes (I1)."""
    active = await pull.active()
    back = next(person for person in leavers(pull) if person in active)
    pull.directory.change_user(back, {"accountEnabled": True})
    decided = await approve_and_apply(pull.services, held, checksum=held.checksum, by="me")
    assert [dropped.change.subject.graph_id for dropped in decided.dropped] == [back]
    assert back in await pull.active()


async def test_a_row_that_moved_meanwhile_is_left_alone(pull: Pull, held: HeldPlan) -> None:
    """Every change carries the version it was planned on (I7)."""
    active = await pull.active()
    person = next(person for person in leavers(pull) if person in active)
    row = (await pull.users())[person]
    push = ChangeUser(row.id, lambda document: write_paths(document, {"title": "pushed"}))
    await lifecycle.perform(pull.db, row.tenant_id, row.connection_id, [push], Cause(Origin.SCIM, "push"))
    decided = await approve_and_apply(pull.services, held, checksum=held.checksum, by="me")
    assert decided.applied.skipped == 1
    assert person in await pull.active()
    report = await pull.increment()
    assert report.kind is CycleKind.FULL, "no increment would look at the row again"
    assert person not in await pull.active()


async def test_only_the_approved_rows_are_applied(pull: Pull, held: HeldPlan) -> None:
    """Approved or rejected as a whole or row by row."""
    before = await pull.active()
    decided = await approve_and_apply(pull.services, held, checksum=held.checksum, by="me", rows={0, 2})
    assert decided.applied.counts == {Action.DISABLE: 2}
    assert len(before - await pull.active()) == 2


async def test_a_row_that_is_not_there_is_refused_before_anything_is_decided(
    pull: Pull, held: HeldPlan
) -> None:
    """Bad input: one line, nothing half-written."""
    with pytest.raises(Terminal, match="there is no row 4711"):
        await approve_and_apply(pull.services, held, checksum=held.checksum, by="me", rows={4711})
    assert await status_of(pull, held) is PlanStatus.HELD


async def test_a_rejected_plan_changes_nothing_and_cannot_be_approved(pull: Pull, held: HeldPlan) -> None:
    """Rejected: nothing of it happens; the next cycle looks again."""
    before = await pull.active()
    await held_plans.reject(pull.services, held, checksum=held.checksum, by="me")
    with pytest.raises(VersionMoved):
        await approve_and_apply(pull.services, held, checksum=held.checksum, by="me")
    assert await pull.active() == before


async def test_a_plan_that_the_next_reading_does_not_bear_out_is_superseded(
    pull: Pull, held: HeldPlan
) -> None:
    """The next listing that tells the truth supersedes the held plan."""
    for person in leavers(pull):
        if person in pull.directory.users:
            pull.directory.change_user(person, {"accountEnabled": True})
    await pull.cycle()
    assert await status_of(pull, held) is PlanStatus.SUPERSEDED


async def test_an_unchanged_plan_waits_on_under_its_checksum(pull: Pull, held: HeldPlan) -> None:
    """Its age and its expiry stay; a dry run in between takes nothing off the table."""
    await pull.cycle(CycleRequest(is_dry_run=True))
    report = await pull.cycle()
    assert report.held_plan is not None
    assert (report.held_plan.id, report.held_plan.checksum) == (held.id, held.checksum)
    assert await status_of(pull, held) is PlanStatus.HELD


async def test_an_expired_plan_cannot_be_approved(pull: Pull, held: HeldPlan) -> None:
    """A held plan expires."""
    late = held.expires_at + timedelta(seconds=1)
    services = pull.services
    tomorrow = WorkerServices(services.settings, services.db, services.open_graph, lambda: late)
    with pytest.raises(VersionMoved):
        await approve_and_apply(tomorrow, held, checksum=held.checksum, by="me")


async def test_an_approved_plan_is_applied_by_a_job_whatever_broke_off_before(
    pull: Pull, held: HeldPlan
) -> None:
    """Resumable, while paused too: a person decided. A job that comes late finds it done, and does nothing."""
    approved = await held_plans.approve(pull.services, held, checksum=held.checksum, by="me")
    assert await pull.active() != set(pull.directory.entitled())
    again = await held_plans.approve(pull.services, approved, checksum=held.checksum, by="another")
    assert (again.status, again.decided_by) == (PlanStatus.APPROVED, "me")
    of = held.tenant_id, held.connection_id
    await pull.db.write(lambda conn: connections.pause(conn, *of, "a freeze"))
    runner = Runner(pull.services, for_a_command(pull.services.settings))
    results = [await runner.run(Job.of_plan(again, "cli:ada"), asyncio.Event()) for _ in range(2)]
    report = {
        "plan_id": held.id,
        "status": "applied",
        "applied": {"disable": len(held.body["changes"])},  # type: ignore[arg-type]
        "left_alone": 0,
        "waiting": 0,
    }
    assert results == [{"report": report}, {"report": report}]
    assert await pull.active() == set(pull.directory.entitled())
    with pytest.raises(Terminal, match="only an approved plan is applied"):
        await apply_late(pull, held)


async def apply_late(pull: Pull, held: HeldPlan) -> None:
    async with holding(
        pull.db,
        pull.services.clock,
        held.tenant_id,
        held.connection_id,
        for_a_command(pull.services.settings),
    ) as hold:
        await held_plans.apply_approved(pull.services, pull.connection, hold, held.id)
