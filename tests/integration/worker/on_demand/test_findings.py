"""What a person had done on demand, or approved, is a finding like any other, with the person in it."""

from __future__ import annotations

from store.logs import provisioning_log
from store.records import CycleId, DriftKind, FindingState, LogEntry, Mode
from store.sync import cycles, drift_reports, held_plans
from store.sync.drift_reports import DriftReport
from tests.builders.held_plans import approve_and_apply
from tests.builders.simulated_connection import Pull
from worker.on_demand.report import OnDemandReport, OnDemandResult

ADA = "cli:ada"


async def _report(pull: Pull, cycle_id: CycleId | None = None) -> DriftReport:
    async with pull.db.reading() as conn:
        return await drift_reports.report(conn, pull.connection.tenant_id, pull.connection.id, cycle_id)


async def _log_of(pull: Pull, cycle_id: CycleId) -> tuple[LogEntry, ...]:
    async with pull.db.reading() as conn:
        scope = pull.connection.tenant_id, pull.connection.id
        return (await provisioning_log.search(conn, *scope, cycle_id=cycle_id)).entries


async def _leaver(pull: Pull) -> str:
    """Somebody who left, seen by a cycle in mode `report`."""
    await pull.cycle()
    await pull.set_policy(mode=Mode.REPORT)
    await pull.cycle()
    person = sorted(pull.directory.entitled())[0]
    pull.lose(person, "disabled")
    assert (await pull.increment()).findings["open"] == 1
    return person


async def test_a_repair_on_demand_is_a_finding_with_evidence_and_the_person_who_asked(pull: Pull) -> None:
    """Issue 9: "On-demand repairs leave a finding like any other, with evidence and the person who asked"."""
    person = await _leaver(pull)
    before = (await _report(pull)).findings[0]
    report = await pull.provision(person, actor=ADA)
    assert (report.result, report.actor) == (OnDemandResult.DISABLED, ADA)
    [finding] = [f for f in (await _report(pull, report.cycle_id)).findings if f.subject_id == person]
    assert (finding.kind, finding.state) == (DriftKind.MISSED_DEPROVISION, FindingState.REPAIRED)
    assert finding.first_seen == before.first_seen
    assert finding.evidence["by"] == ADA
    assert finding.evidence["graph"]["account_enabled"] is False  # type: ignore[index, call-overload]
    assert {entry.actor for entry in await _log_of(pull, report.cycle_id)} == {ADA}
    assert OnDemandReport.from_json(report.to_json()) == report


async def test_the_last_report_and_its_numbers_know_of_the_repair(pull: Pull) -> None:
    """One truth: what was repaired by hand is open nowhere, and is not "resolved by itself" in the next cycle."""
    person = await _leaver(pull)
    await pull.provision(person, actor=ADA)
    shown = await _report(pull)
    assert [(f.state, f.evidence["by"]) for f in shown.findings] == [(FindingState.REPAIRED, ADA)]
    async with pull.db.reading() as conn:
        scope = pull.connection.tenant_id, pull.connection.id
        listed = (await cycles.latest(conn, *scope, on_demand=False))[0]
    assert listed.findings == shown.counts
    assert (shown.counts["open"], shown.counts["repaired"]) == (0, 1)
    assert (await pull.cycle()).findings["resolved"] == 0


async def test_an_approved_row_is_repaired_in_the_report_that_held_it(pull: Pull) -> None:
    """The other rows wait as they did; the person who approved is in the finding and in the log."""
    await pull.cycle()
    people = sorted(pull.directory.entitled())[:12]
    for person in people:
        pull.lose(person, "disabled")
    assert (await pull.cycle()).findings["held"] == 12
    async with pull.db.reading() as conn:
        [plan] = await held_plans.list_for(conn, pull.connection.tenant_id, pull.connection.id)
    decided = await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="kim", rows=[0])
    assert decided.plan.decided_by == "kim"
    shown = await _report(pull)
    assert (shown.counts["held"], shown.counts["repaired"]) == (11, 1)
    [repaired] = [finding for finding in shown.findings if finding.state is FindingState.REPAIRED]
    assert repaired.evidence["by"] == "kim"
    async with pull.db.reading() as conn:
        newest = (await cycles.latest(conn, pull.connection.tenant_id, pull.connection.id))[0]
    assert {entry.actor for entry in await _log_of(pull, newest.id)} == {"kim"}
