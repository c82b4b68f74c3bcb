"""An update of most people, and a dry run, against a real directory and a real store."""

from __future__ import annotations

from store.records import Action, CycleKind, CycleStatus, PlanStatus
from store.sync import guard_memory
from store.sync import held_plans as plans
from tests.builders.held_plans import approve_and_apply
from tests.builders.simulated_connection import Pull
from worker.cycle.run import CycleRequest


async def test_a_mass_update_waits_and_is_written_when_a_person_approves_it(pull: Pull) -> None:
    """Everybody gets another department at once: held like a mass removal, while who leaves is out."""
    await pull.cycle()
    for each in pull.directory.users:
        pull.directory.change_user(each, {"department": "Everything"})
    leaver = sorted(pull.directory.entitled())[0]
    pull.lose(leaver, "disabled")
    report = await pull.cycle()
    assert report.status is CycleStatus.HELD
    assert report.held_plan is not None
    assert "more than half at once" in report.held_plan.reason
    assert leaver not in await pull.active()
    again = await pull.cycle()
    assert again.held_plan is not None
    assert again.held_plan.checksum == report.held_plan.checksum
    async with pull.db.reading() as conn:
        connection = pull.connection
        [plan] = await plans.list_for(conn, connection.tenant_id, connection.id, status=PlanStatus.HELD)
    decided = await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="kim")
    assert decided.applied.counts == {Action.UPDATE: len(pull.directory.entitled())}
    last = await pull.cycle()
    assert (last.status, last.drift, last.held_plan) == (CycleStatus.APPLIED, {}, None)


async def test_a_dry_run_is_not_what_later_cycles_are_compared_with(pull: Pull) -> None:
    """A dry run holds nothing, whatever it reads: the same wrong reading given twice would pass."""
    dry = CycleRequest(is_full=True, is_dry_run=True)
    assert (await pull.cycle(dry)).kind is CycleKind.INITIAL
    assert (await pull.latest_cycle()).is_dry_run
    assert (await pull.cycle()).kind is CycleKind.INITIAL
    before = await _memory(pull)
    for person in sorted(pull.directory.entitled())[3:]:
        pull.lose(person, "disabled")
    assert (await pull.cycle(dry)).status is CycleStatus.REPORTED
    assert await _memory(pull) == before


async def _memory(pull: Pull) -> guard_memory.Memory:
    connection = pull.connection
    async with pull.db.reading() as conn:
        return await guard_memory.history(conn, connection.tenant_id, connection.id, pull.services.clock())
