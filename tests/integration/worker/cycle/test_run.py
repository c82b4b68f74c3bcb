"""One cycle from the simulated Graph to the store, on both databases."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from config.logging import configure_logging
from config.settings import LogFormat, Settings
from simulator.faults import Fault
from store import lifecycle
from store.logs import provisioning_log
from store.records import (
    Action,
    Cause,
    ChangeUser,
    Connection,
    CreateUser,
    CycleKind,
    CycleStatus,
    DriftFinding,
    DriftKind,
    FindingState,
    Mode,
    Origin,
    PlanStatus,
    Reason,
)
from store.sync import cycles, drift_reports, held_plans
from tests.builders.simulated_connection import Pull
from worker.cycle.run import CycleRequest, run_cycle
from worker.errors import LeaseLost, Yielded
from worker.jobs import retention
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.reconcile.mapping.attribute_paths import write_paths

FATES = ["disabled", "soft_deleted", "purged", "unassigned"]


def entitled(pull: Pull) -> set[str]:
    return set(pull.directory.entitled())


def assigned(pull: Pull) -> list[str]:
    return [each.principal_id for each in pull.directory.live_assignments()]


def newcomer(pull: Pull) -> str:
    """Somebody who is assigned to the application and not here yet."""
    name = "new@fabrikam-demo.example"
    person = pull.directory.create_user({"displayName": "New", "userPrincipalName": name})
    pull.directory.assign(person.id)
    return person.id


async def findings(pull: Pull) -> list[DriftFinding]:
    async with pull.db.reading() as conn:
        report = await drift_reports.report(conn, pull.connection.tenant_id, pull.connection.id)
    return list(report.findings)


async def push(pull: Pull, *commands: object) -> None:
    """What Entra's provisioning service would do at the same time."""
    connection, cause = pull.connection, Cause(Origin.SCIM, "push")
    await lifecycle.perform(pull.db, connection.tenant_id, connection.id, list(commands), cause)  # type: ignore[arg-type]


async def test_a_list_that_lied_proves_nobody_gone(pull: Pull) -> None:
    """Rule 2: who was found alive shows that the reading was not whole; it is no baseline for the next."""
    await pull.cycle()
    lie = Fault(re.compile("appRoleAssignedTo"), status=200, body={"value": []})
    pull.simulator.simulation.faults.arm(lie)
    for _ in range(2):
        report = await pull.cycle()
        assert (report.status, report.complete) in {
            (CycleStatus.HELD, False),
            (CycleStatus.INCOMPLETE, False),
        }
        assert await pull.active() == entitled(pull)


async def test_a_cycle_forgets_what_the_log_need_not_keep(pull: Pull) -> None:
    """`LEAVER_PROVISIONING_LOG_DAYS`: entries go, people and what is known of them stay."""
    await pull.cycle()
    years_on = pull.services.clock() + timedelta(days=pull.services.settings.provisioning_log_days + 1)
    pull.services = replace(pull.services, clock=lambda: years_on)
    await retention.prune(pull.services)
    connection = pull.connection
    async with pull.db.reading() as conn:
        left = await provisioning_log.search(conn, connection.tenant_id, connection.id)
    assert left.entries == ()
    assert await pull.active() == entitled(pull)


async def test_the_first_cycle_brings_in_who_is_entitled_and_nobody_else(pull: Pull) -> None:
    """design.md §5: assigned to the application, enabled, not deleted; groups with their members."""
    report = await pull.cycle()
    assert report.error is None
    assert (report.status, report.kind, report.complete) == (CycleStatus.APPLIED, CycleKind.INITIAL, True)
    assert await pull.active() == entitled(pull)
    groups = [each for each in assigned(pull) if each in pull.directory.groups]
    here = {*entitled(pull), *groups}
    assert await pull.members() == {group: set(pull.directory.live_members(group)) & here for group in groups}


async def test_after_a_cycle_the_same_snapshot_gives_an_empty_plan(pull: Pull) -> None:
    """design.md §5: "After a cycle the same snapshot and the new state give an empty plan." (I6)"""
    await pull.cycle()
    before = await pull.users()
    report = await pull.cycle()
    assert (report.kind, report.status) == (CycleKind.FULL, CycleStatus.APPLIED)
    assert (report.drift, report.applied) == ({}, {})
    assert await pull.users() == before


@pytest.mark.parametrize("fate", FATES)
async def test_a_leaver_is_disabled_with_the_reason(pull: Pull, fate: str) -> None:
    """I2: every user not entitled is deprovisioned by the first complete cycle after."""
    await pull.cycle()
    person = sorted(entitled(pull))[0]
    pull.lose(person, fate)
    report = await pull.cycle()
    assert report.drift[DriftKind.MISSED_DEPROVISION] == 1
    after = (await pull.users())[person]
    assert (after.active, after.deprovision_reason) == (False, fate)
    found = next(f for f in await findings(pull) if f.kind is DriftKind.MISSED_DEPROVISION)
    assert (found.reason, found.state) == (Reason(fate), FindingState.REPAIRED)
    assert found.evidence["graph"], "Graph's own answer about the person is kept"


async def test_a_changed_attribute_is_taken_over(pull: Pull) -> None:
    """Attributes are compared through the mapping and repaired."""
    await pull.cycle()
    person = sorted(entitled(pull))[0]
    pull.directory.change_user(person, {"jobTitle": "Astronaut"})
    report = await pull.cycle()
    assert (report.drift, report.applied) == ({DriftKind.ATTRIBUTE_MISMATCH: 1}, {Action.UPDATE: 1})
    assert (await pull.users())[person].document["title"] == "Astronaut"


async def test_a_membership_follows(pull: Pull) -> None:
    """Memberships are compared and repaired in both directions."""
    await pull.cycle()
    group = next(each for each in assigned(pull) if each in pull.directory.groups)
    people = entitled(pull)
    leaver = next(each for each in pull.directory.live_members(group) if each in people)
    joiner = next(each for each in sorted(people) if each not in pull.directory.live_members(group))
    pull.directory.assign(leaver)
    pull.directory.remove_member(group, leaver)
    pull.directory.add_member(group, joiner)
    report = await pull.cycle()
    assert report.drift == {DriftKind.MEMBERSHIP_EXTRA: 1, DriftKind.MEMBERSHIP_MISSING: 1}
    members = (await pull.members())[group]
    assert joiner in members
    assert leaver not in members


async def test_mode_report_plans_and_applies_nothing(pull: Pull) -> None:
    """Mode `report` (shadow) plans and reports and applies nothing."""
    await pull.set_policy(mode=Mode.REPORT)
    report = await pull.cycle()
    assert report.status is CycleStatus.REPORTED
    assert report.drift[DriftKind.MISSED_PROVISION] == len(entitled(pull))
    assert await pull.users() == {}
    assert {finding.state for finding in await findings(pull)} == {FindingState.OPEN}


async def test_a_dry_run_changes_nothing_and_leaves_the_schedule_alone(pull: Pull) -> None:
    """`--dry-run`: find out and print."""
    due = pull.connection.next_due_at
    report = await pull.cycle(CycleRequest(is_dry_run=True))
    assert report.status is CycleStatus.REPORTED
    assert report.reasons == ("It was a dry run: nothing is applied.",), "the mode is `enforce`"
    await pull.reload()
    assert (await pull.users(), pull.connection.next_due_at) == ({}, due)


async def test_a_cycle_moves_the_connection_on_to_its_next_beat(pull: Pull) -> None:
    """On a schedule, per connection."""
    await pull.cycle()
    await pull.reload()
    assert pull.connection.last_cycle_at is not None
    assert pull.connection.next_due_at is not None
    assert pull.connection.next_due_at > pull.connection.last_cycle_at


async def test_too_many_leavers_wait_for_a_person(pull: Pull) -> None:
    """Above a ceiling the plan is held: stored whole, with numbers; additions go on regardless."""
    await pull.cycle()
    gone = sorted(entitled(pull))[:20]
    for person in gone:
        pull.lose(person, "disabled")
    newcomer(pull)
    report = await pull.cycle()
    assert report.status is CycleStatus.HELD
    assert report.held_plan is not None
    assert "ceiling" in report.held_plan.reason
    assert await pull.active() == entitled(pull) | set(gone), "nobody lost access, the newcomer is here"
    async with pull.db.reading() as conn:
        held = await held_plans.get(conn, pull.connection.tenant_id, report.held_plan.id)
    assert (held.status, held.checksum) == (PlanStatus.HELD, report.held_plan.checksum)
    states = {f.state for f in await findings(pull) if f.kind is DriftKind.MISSED_DEPROVISION}
    assert states == {FindingState.HELD}


async def test_a_page_that_cannot_be_read_takes_nothing_away(pull: Pull) -> None:
    """Rule 1: an incomplete reading adds and never removes (I1)."""
    await pull.cycle()
    person = sorted(entitled(pull))[0]
    pull.lose(person, "disabled")
    new = newcomer(pull)
    pull.simulator.simulation.faults.arm(Fault(re.compile("/members"), status=403))
    report = await pull.cycle()
    assert (report.status, report.complete) == (CycleStatus.INCOMPLETE, False)
    active = await pull.active()
    assert person in active
    assert new in active


async def test_a_refused_credential_puts_the_connection_into_quarantine(pull: Pull) -> None:
    """Needs a human: quarantine, with the remedy, and the next cycle is put off."""
    pull.simulator.simulation.registration.secrets.clear()
    report = await pull.cycle()
    assert report.status is CycleStatus.FAILED
    assert report.remedy
    await pull.reload()
    assert pull.connection.quarantined_at is not None
    assert report.remedy in (pull.connection.quarantine_reason or "")


async def test_a_failing_cycle_is_recorded_and_a_good_one_ends_the_quarantine(pull: Pull) -> None:
    """Quarantine ends by itself with the first cycle that comes to its end."""
    secrets = pull.simulator.simulation.registration.secrets
    kept = dict(secrets)
    secrets.clear()
    await pull.cycle()
    assert (await pull.latest_cycle()).status is CycleStatus.FAILED
    secrets.update(kept)
    await pull.cycle()
    await pull.reload()
    assert (pull.connection.quarantined_at, pull.connection.consecutive_failures) == (None, 0)


async def test_a_push_that_lands_during_a_cycle_wins(pull: Pull) -> None:
    """I7: a push that lands during a cycle is never overwritten by that cycle."""
    await pull.cycle()
    person = sorted(entitled(pull))[0]
    pull.directory.change_user(person, {"jobTitle": "From Graph"})
    row = (await pull.users())[person]
    pushed = ChangeUser(row.id, lambda document: write_paths(document, {"title": "From the push"}))

    pull.simulator.simulation.faults.arm(Fault(re.compile(r"GET .*/users(?!/delta)"), delay_s=0.3))
    cycle = asyncio.create_task(pull.cycle())
    await asyncio.sleep(0.2)
    await push(pull, pushed)
    report = await cycle
    assert (await pull.users())[person].document["title"] == "From the push"
    assert report.applied == {}


async def test_a_local_account_is_reported_and_left_alone(pull: Pull) -> None:
    """`local_account` (nobody in Entra; never touched unless policy says so)."""
    await pull.cycle()
    cause = Cause(Origin.CONSOLE, "me")
    local = CreateUser({"userName": "local@example.com"})
    await lifecycle.perform(pull.db, pull.connection.tenant_id, pull.connection.id, [local], cause)
    report = await pull.cycle()
    assert report.drift == {DriftKind.LOCAL_ACCOUNT: 1}
    assert len(await pull.active() - entitled(pull)) == 1


async def test_a_cycle_gives_way_and_leaves_nothing_half_done(pull: Pull) -> None:
    """On demand pre-empts: a running cycle yields at its next safe point."""
    halt = asyncio.Event()
    halt.set()
    settings = LeaseSettings("test", duration_s=30, gives_way=True, halt=halt)
    connection = pull.connection
    async with holding(pull.db, pull.services.clock, connection.tenant_id, connection.id, settings) as hold:
        with pytest.raises(Yielded):
            await run_cycle(pull.services, connection, hold)
    assert (await pull.latest_cycle()).status is CycleStatus.YIELDED
    assert await pull.users() == {}


async def test_a_fenced_writer_writes_nothing(pull: Pull) -> None:
    """A worker that was paused, cut off or taken over can never write late."""
    connection = pull.connection
    settings = LeaseSettings("test", duration_s=30)
    async with holding(pull.db, pull.services.clock, connection.tenant_id, connection.id, settings) as hold:
        stale = replace(hold, lease=replace(hold.lease, token=hold.lease.token - 1))
        with pytest.raises(LeaseLost):
            await run_cycle(pull.services, connection, stale)
    async with pull.db.reading() as conn:
        assert await cycles.latest(conn, connection.tenant_id, connection.id) == [], "not even that it ran"
    assert await pull.users() == {}


async def test_a_cycle_that_died_is_marked_by_the_next(pull: Pull) -> None:
    """Each ends in a named state: a row that says `running` for ever would be a lie."""
    connection = pull.connection
    died = await pull.db.write(
        lambda conn: cycles.start(conn, connection.tenant_id, connection.id, CycleKind.FULL)
    )
    await pull.cycle()
    async with pull.db.reading() as conn:
        assert (await cycles.get(conn, connection.tenant_id, died.id)).status is CycleStatus.FAILED


async def test_what_the_cycle_did_is_in_the_log_under_its_id(pull: Pull) -> None:
    """Every change has its entry, with origin and the id of the cycle."""
    report = await pull.cycle()
    async with pull.db.reading() as conn:
        page = await provisioning_log.search(
            conn,
            pull.connection.tenant_id,
            pull.connection.id,
            cycle_id=report.cycle_id,
            action=Action.CREATE,
        )
    assert {entry.origin for entry in page.entries} == {Origin.GRAPH}
    assert len(page.entries) == report.applied[Action.CREATE]


async def test_the_proof_of_completeness_is_kept_with_the_cycle(pull: Pull) -> None:
    """Completeness proof kept with the cycle: lists, pages, counts, token roles."""
    await pull.cycle()
    proof = (await pull.latest_cycle()).completeness
    assert {"users", "appRoleAssignedTo"} <= {each["name"] for each in proof["lists"]}  # type: ignore[union-attr, index, call-overload]
    assert proof["token_roles"]


async def test_progress_is_told_while_it_runs(pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress (phase, done, total) is readable while a cycle runs."""
    monkeypatch.setattr("worker.progress.WRITE_EVERY_S", 0.0)
    told: list[cycles.Progress] = []
    connection = pull.connection
    settings = LeaseSettings("test", duration_s=30)
    async with holding(pull.db, pull.services.clock, connection.tenant_id, connection.id, settings) as hold:
        await run_cycle(pull.services, connection, hold, None, told.append)
    assert {"users", "groups", "apply"} <= {how_far.phase for how_far in told}
    async with pull.db.reading() as conn:
        latest = await pull.latest_cycle()
        assert await cycles.load_progress(conn, connection.tenant_id, latest.id) is not None


async def test_another_tenant_s_connection_is_not_touched(pull: Pull, other: Connection) -> None:
    """I5: nothing of one tenant is readable or writable with another's."""
    await pull.cycle()
    mine = pull.connection
    pull.connection = other
    assert await pull.users() == {}
    pull.connection = mine


async def test_every_line_that_a_cycle_logs_names_the_cycle(
    pull: Pull, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every cycle's id is in every log line, those of libraries and of the Graph client as well."""
    configure_logging(Settings(log_format=LogFormat.JSON))
    busy = Fault(
        re.compile("appRoleAssignedTo"), nth=frozenset({1}), status=503, headers={"Retry-After": "0"}
    )
    pull.simulator.simulation.faults.arm(busy)
    report = await pull.cycle()

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    started = next(place for place, line in enumerate(lines) if line["event"] == "cycle.started")
    ended = next(place for place, line in enumerate(lines) if line["event"] == "cycle.ended")
    assert ended - started > 1, "something in between was logged: the request that was tried again"
    assert {line.get("cycle") for line in lines[started : ended + 1]} == {report.cycle_id}
