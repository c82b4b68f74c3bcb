"""Held and rejected removals are decided per person; a leaver who comes later never waits behind them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.records import (
    CycleKind,
    CycleStatus,
    FindingState,
    HeldPlan,
    PlanStatus,
)
from store.sync import held_plans as plans
from tests.builders.held_plans import approve_and_apply
from tests.builders.simulated_connection import Pull
from worker.cycle import held_plans
from worker.cycle.report import CycleReport
from worker.errors import Terminal


async def _reload(pull: Pull, plan: HeldPlan) -> HeldPlan:
    async with pull.db.reading() as conn:
        return await plans.get(conn, plan.tenant_id, plan.id)


async def _waiting(pull: Pull) -> list[HeldPlan]:
    connection = pull.connection
    async with pull.db.reading() as conn:
        return await plans.list_for(conn, connection.tenant_id, connection.id, status=PlanStatus.HELD)


@pytest.fixture
async def held(pull: Pull) -> HeldPlan:
    """Twelve people were disabled in Entra at once, above the ceiling of 10 %."""
    await pull.cycle()
    for person in _twelve(pull):
        pull.lose(person, "disabled")
    report = await pull.cycle()
    assert report.held_plan is not None
    [plan] = await _waiting(pull)
    return plan


def _twelve(pull: Pull) -> list[str]:
    return sorted(person for person in pull.directory.users if person in _first_entitled(pull))[:12]


_ENTITLED: dict[int, frozenset[str]] = {}


def _first_entitled(pull: Pull) -> frozenset[str]:
    """Return who was entitled before anything was changed."""
    return _ENTITLED.setdefault(id(pull), frozenset(pull.directory.entitled()))


async def _one_more_leaves(pull: Pull, fate: str) -> str:
    person = sorted(pull.directory.entitled())[-1]
    pull.lose(person, fate)
    return person


async def _cycle(pull: Pull, *, full: bool) -> CycleReport:
    return await pull.cycle() if full else await pull.increment()


@pytest.mark.parametrize("fate", ["disabled", "soft_deleted", "purged", "unassigned"])
@pytest.mark.parametrize("decision", ["waits", "rejected"])
async def test_who_leaves_later_is_out_within_one_cycle(
    pull: Pull, held: HeldPlan, fate: str, decision: str
) -> None:
    """Issue 9, row 8; invariant I12: "an unrelated leaver is out within one complete cycle"."""
    if decision == "rejected":
        await held_plans.reject(pull.services, held, checksum=held.checksum, by="kim")
    before = await pull.active()
    leaver = await _one_more_leaves(pull, fate)
    report = await pull.cycle()
    assert report.error is None
    assert before - await pull.active() == {leaver}
    assert (await _reload(pull, held)).status is (
        PlanStatus.HELD if decision == "waits" else PlanStatus.REJECTED
    )


async def test_increments_go_on_while_a_plan_waits(pull: Pull, held: HeldPlan) -> None:
    """Minutes, not hours: a plan that waits for a person must not make every cycle read everything."""
    await pull.increment()
    before = await pull.active()
    leaver = await _one_more_leaves(pull, "disabled")
    report = await pull.increment()
    assert report.kind is CycleKind.INCREMENTAL
    assert before - await pull.active() == {leaver}
    assert [plan.id for plan in await _waiting(pull)] == [held.id]


async def test_the_cycle_says_that_rows_wait_until_somebody_decides(pull: Pull, held: HeldPlan) -> None:
    """A hold is told again in every report, under the checksum that a person can decide on."""
    report = await pull.cycle()
    assert report.status is CycleStatus.HELD
    assert report.held_plan is not None
    assert report.held_plan.checksum == held.checksum
    states = {finding.state for finding in await pull.findings(report)}
    assert states == {FindingState.HELD}


async def test_a_rejected_row_is_an_accepted_risk_in_every_report(pull: Pull, held: HeldPlan) -> None:
    """Issue 9: "shown as *accepted risk* in every report with who decided"."""
    await held_plans.reject(pull.services, held, checksum=held.checksum, by="kim")
    report = await pull.cycle()
    assert (report.status, report.held_plan, report.drift) == (CycleStatus.APPLIED, None, {})
    findings = await pull.findings(report)
    assert len(findings) == 12
    assert {finding.state for finding in findings} == {FindingState.ACCEPTED}
    assert {
        str(finding.evidence["why"]).startswith("Accepted risk: rejected by kim on ") for finding in findings
    }
    assert {finding.state for finding in await pull.findings(await pull.increment())} == {
        FindingState.ACCEPTED
    }


async def test_a_rejected_row_is_judged_anew_when_its_facts_change(pull: Pull, held: HeldPlan) -> None:
    """Issue 9: "remembered until its facts in Entra change": enabled again, and disabled once more."""
    await held_plans.reject(pull.services, held, checksum=held.checksum, by="kim")
    person = _twelve(pull)[0]
    pull.directory.change_user(person, {"accountEnabled": True})
    await pull.cycle()
    assert person in await pull.active()
    pull.directory.change_user(person, {"accountEnabled": False})
    await pull.cycle()
    assert person not in await pull.active()


async def test_a_rejection_ends_on_the_date_that_was_chosen(pull: Pull, held: HeldPlan) -> None:
    """`plan reject --until`: the risk is accepted for a time."""
    until = pull.services.clock() + timedelta(seconds=3)
    await held_plans.reject(pull.services, held, checksum=held.checksum, by="kim", until=until)
    assert (await pull.cycle()).held_plan is None
    await asyncio.sleep((until - pull.services.clock()).total_seconds() + 0.1)
    report = await pull.cycle()
    assert report.held_plan is not None


async def test_a_date_that_has_passed_is_refused(pull: Pull, held: HeldPlan) -> None:
    yesterday = pull.services.clock() - timedelta(days=1)
    with pytest.raises(Terminal, match="has passed"):
        await held_plans.reject(pull.services, held, checksum=held.checksum, by="kim", until=yesterday)
    assert (await _reload(pull, held)).status is PlanStatus.HELD


async def test_approving_some_rows_leaves_the_others_held_with_their_own_expiry(
    pull: Pull, held: HeldPlan
) -> None:
    """Issue 9: "`plan approve --row` leaves the others held, with their own expiry"."""
    await approve_and_apply(pull.services, held, checksum=held.checksum, by="kim", rows={0, 2})
    [rest] = await _waiting(pull)
    assert (rest.expires_at, rest.cycle_id) == (held.expires_at, held.cycle_id)
    changes = rest.body["changes"]
    assert isinstance(changes, list)
    assert len(changes) == 10
    before = await pull.active()
    report = await pull.cycle()
    assert report.held_plan is not None
    assert report.held_plan.checksum == rest.checksum
    assert await pull.active() == before
    await approve_and_apply(pull.services, rest, checksum=rest.checksum, by="kim")
    assert await pull.active() == set(pull.directory.entitled())


async def test_rejecting_some_rows_leaves_the_others_held(pull: Pull, held: HeldPlan) -> None:
    await held_plans.reject(pull.services, held, checksum=held.checksum, by="kim", rows={1})
    [rest] = await _waiting(pull)
    report = await pull.cycle()
    states = [finding.state for finding in await pull.findings(report)]
    assert (states.count(FindingState.HELD), states.count(FindingState.ACCEPTED)) == (11, 1)
    assert report.held_plan is not None
    assert report.held_plan.id == rest.id


async def test_a_list_of_memberships_that_shrank_does_not_keep_a_leaver_in(pull: Pull) -> None:
    """Issue 9, row 9: memberships go 1 -> 0 and every removal of the tenant was held for ever."""
    await pull.cycle()
    groups = [group for group in pull.directory.groups if pull.directory.live_members(group)]
    for group in groups:
        for person in list(pull.directory.live_members(group)):
            pull.directory.remove_member(group, person)
    await pull.cycle()
    leaver = await _one_more_leaves(pull, "disabled")
    await pull.cycle()
    assert leaver not in await pull.active()


async def test_an_approval_that_broke_off_hides_nobody(pull: Pull, held: HeldPlan) -> None:
    """Invariant I2: "unless held by the guard: and then somebody is told": approved and never applied is neither."""
    await pull.db.write(
        lambda conn: plans.decide(
            conn, held.tenant_id, held.id, PlanStatus.APPROVED, checksum=held.checksum, by="kim"
        )
    )
    report = await pull.cycle()
    assert report.held_plan is not None
    assert [plan.id for plan in await _waiting(pull)] == [report.held_plan.id]
