"""A leaver's finding holds evidence: Graph's answer, when it happened, what push had done, and when access ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from console.admin.reports.cycles import ConnectionDrift
from console.cli.views.drift import as_text
from store.keys import utc_now
from store.logs import provisioning_log
from store.logs.journal import LogSubject
from store.records import Action, Cause, FindingState, LogStatus, Mode, Origin, Step, SubjectType
from store.sync import drift_reports, revocations
from store.sync.revocations import TimesToRevoke, percentile
from tests.builders.simulated_connection import Pull
from worker.cycle.report import CycleReport


async def _found(pull: Pull, report: CycleReport, person: str) -> dict[str, Any]:
    [finding] = [found for found in await pull.findings(report) if found.subject_id == person]
    return {**finding.evidence, "state": finding.state, "first_seen": finding.first_seen}


async def _push(pull: Pull, person: str, status: LogStatus, detail: str = "") -> None:
    user, connection = (await pull.users())[person], pull.connection
    steps = (Step("perform", status, detail),) if detail else ()
    await pull.db.write(
        lambda conn: provisioning_log.append(
            conn,
            connection.tenant_id,
            connection.id,
            Cause(Origin.SCIM, "push", steps=steps),
            action=Action.UPDATE,
            status=status,
            subject=LogSubject(SubjectType.USER, user.id, user.user_name),
        )
    )


async def _times(pull: Pull) -> TimesToRevoke | None:
    async with pull.db.reading() as conn:
        return await revocations.times_to_revoke(
            conn, pull.connection.tenant_id, pull.connection.id, utc_now()
        )


@pytest.fixture
async def person(pull: Pull) -> str:
    """Somebody entitled, after a first cycle that repaired everything."""
    await pull.cycle()
    return sorted(pull.directory.entitled())[0]


async def test_a_finding_in_mode_report_holds_what_graph_said_and_not_the_mode(
    pull: Pull, person: str
) -> None:
    """The trial: the evidence of a leaver was "The connection is in mode `report`: nothing is applied."."""
    await pull.set_policy(mode=Mode.REPORT)
    await pull.cycle()
    pull.lose(person, "disabled")
    pull.directory.change_user(sorted(pull.directory.entitled())[1], {"jobTitle": "Boss"})
    report = await pull.cycle()
    assert report.findings["open"] == 2
    for finding in await pull.findings(report):
        assert "mode" not in str(finding.evidence)
    evidence = await _found(pull, report, person)
    assert evidence["graph"]["account_enabled"] is False
    assert (evidence["push"]["detail"], evidence["ended_at"]) == ("none", None)


async def test_graph_dates_a_deletion(pull: Pull, person: str) -> None:
    """`deletedDateTime` is the only time of a loss that Graph gives."""
    pull.lose(person, "soft_deleted")
    evidence = await _found(pull, await pull.increment(), person)
    deleted_at = pull.directory.deleted_users[person].deleted_at
    assert datetime.fromisoformat(evidence["lost"]["at"]) == deleted_at.replace(microsecond=0).astimezone(UTC)


async def test_every_other_loss_is_bounded_by_two_readings(pull: Pull, person: str) -> None:
    """It happened after the last complete reading began, and before Graph was asked about this one person."""
    last = (await pull.latest_cycle()).started_at
    pull.lose(person, "unassigned")
    evidence = await _found(pull, await pull.increment(), person)
    after, before = (datetime.fromisoformat(evidence["lost"][each]) for each in ("after", "before"))
    assert after == last
    assert last < before <= datetime.fromisoformat(evidence["ended_at"])


async def test_the_first_sighting_keeps_its_times_until_access_ends(pull: Pull, person: str) -> None:
    """In mode `report` for two cycles, then enforced: the time to revoke counts from the first of them."""
    await pull.set_policy(mode=Mode.REPORT)
    await pull.cycle()
    pull.lose(person, "disabled")
    first = await _found(pull, await pull.cycle(), person)
    await pull.set_policy(mode=Mode.ENFORCE)
    last = await _found(pull, await pull.cycle(), person)
    assert (first["state"], last["state"]) == (FindingState.OPEN, FindingState.REPAIRED)
    assert all(last[each] == first[each] for each in ("lost", "seen_at", "first_seen"))
    assert datetime.fromisoformat(last["ended_at"]) > datetime.fromisoformat(first["seen_at"])


@pytest.mark.parametrize("status", [LogStatus.SUCCESS, LogStatus.FAILURE])
async def test_the_last_push_for_the_person_is_named(pull: Pull, person: str, status: LogStatus) -> None:
    """Issue 9: "what push had done for that person before (last push, none, failed with …)"."""
    await _push(pull, person, LogStatus.SUCCESS)
    await _push(pull, person, status, "the userName is taken")
    pull.lose(person, "disabled")
    push = (await _found(pull, await pull.increment(), person))["push"]
    assert (push["action"], push["status"]) == ("update", status)
    assert push["last_at"] is not None
    assert push["detail"] == ("failed with: the userName is taken" if status is LogStatus.FAILURE else "")


async def test_the_times_to_revoke_of_a_connection_have_percentiles(pull: Pull, person: str) -> None:
    """Issue 9, *Minutes, not hours*: measured per leaver, t0 from Graph or bounded by two readings."""
    assert await _times(pull) is None
    people = sorted(pull.directory.entitled())[:4]
    for leaver in people[:3]:
        pull.lose(leaver, "disabled")
    await pull.increment()
    pull.lose(people[3], "unassigned")
    await pull.provision(people[3], actor="cli:ada")
    times = await _times(pull)
    assert times is not None
    assert (times.people, times.unbounded) == (4, 0)
    async with pull.db.reading() as conn:
        shown = await drift_reports.report(conn, pull.connection.tenant_id, pull.connection.id)
    assert shown.times_to_revoke == times
    assert "Time to revoke, 4 people in 30 days: p50" in as_text(ConnectionDrift("contoso", "Entra", shown))
    assert 0 <= times.p50_s <= times.p90_s <= times.p99_s < 60


def test_a_percentile_is_a_time_that_was_measured() -> None:
    """Nearest rank: of ten times the ninth smallest is the p90, the tenth the p99."""
    times = [float(number) for number in range(1, 11)]
    assert [percentile(times, share) for share in (0.5, 0.9, 0.99)] == [5.0, 9.0, 10.0]
    assert percentile([], 0.5) == 0.0
