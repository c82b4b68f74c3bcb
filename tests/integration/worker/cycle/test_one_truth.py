"""Every face of a cycle tells the same numbers: report, list, drift report, text and exit status."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from sqlalchemy import func, select

from console.admin.reports.cycles import ConnectionDrift, CyclePage
from console.cli.output import plain
from console.cli.views import cycles as sync_views
from console.cli.views import drift as drift_views
from console.documents import reports as documents
from store import tables
from store.records import CycleStatus, DriftFinding, FindingState, Mode
from store.sync import cycles, drift_reports
from tests.builders.simulated_connection import Pull
from tests.simulation.entra_life import Life
from worker.cycle.report import CycleReport

STANDING = {FindingState.OPEN, FindingState.HELD, FindingState.REPAIRED}


async def _agree(pull: Pull, report: CycleReport) -> list[DriftFinding]:
    """All faces of the last cycle, against the findings themselves."""
    scope = pull.connection.tenant_id, pull.connection.id
    async with pull.db.reading() as conn:
        shown = await drift_reports.report(conn, *scope)
        listed = (await cycles.latest(conn, *scope, on_demand=False))[0]
    assert shown.cycle_id == listed.id == report.cycle_id
    states = Counter(finding.state for finding in shown.findings)
    kinds = Counter(finding.kind.value for finding in shown.findings if finding.state in STANDING)
    numbers = {**{state.value: states[state] for state in FindingState}, "new": report.findings["new"]}
    assert report.findings == listed.findings == shown.counts == numbers
    assert +Counter(report.to_json()["drift"]) == +Counter(listed.drift) == kinds  # type: ignore[arg-type]
    assert documents.drift_report(shown)["counts"] == documents.cycle(listed)["findings"] == numbers
    open_, new = states[FindingState.OPEN], numbers["new"]
    text = f"{open_} open, {new} new"
    assert text in plain(sync_views.synced(report).text())
    assert text in drift_views.as_text(ConnectionDrift("contoso", "Entra", shown))
    assert ("No drift" in plain(sync_views.synced(report).text())) is not bool(kinds)
    waits = bool(open_ or states[FindingState.HELD])
    assert sync_views.exit_code(report) == (3 if waits else 0)
    return list(shown.findings)


@pytest.mark.parametrize("mode", list(Mode))
async def test_over_a_random_life_every_face_tells_the_same_numbers(pull: Pull, mode: Mode) -> None:
    """Issue 9, *Reports that tell the truth*: "counts in text, JSON, list, exit status and report agree"."""
    dice = random.Random(7)
    life = Life(pull.directory, dice)
    await pull.set_policy(mode=mode)
    for number in range(6):
        for _ in range(dice.randint(0, 3)):
            life.happen()
        report = await (pull.cycle() if number % 3 == 0 else pull.increment())
        if report.status not in (CycleStatus.FAILED, CycleStatus.INCOMPLETE):
            await _agree(pull, report)


async def test_a_leaver_who_is_still_active_is_open_in_every_later_cycle(pull: Pull) -> None:
    """The trial: the second `sync` said "No drift" while the leaver of the first was still active here."""
    await pull.cycle()
    await pull.set_policy(mode=Mode.REPORT)
    await pull.cycle()
    pull.lose(sorted(pull.directory.entitled())[0], "disabled")
    first, second, third = await pull.increment(), await pull.increment(), await pull.cycle()
    assert [each.findings["open"] for each in (first, second, third)] == [1, 1, 1]
    assert [each.findings["new"] for each in (first, second, third)] == [1, 0, 0]
    await _agree(pull, third)


async def test_a_failed_cycle_shows_no_number(pull: Pull) -> None:
    """A zero would say that there is no drift; nothing is known."""
    await pull.cycle()
    pull.simulator.simulation.registration.secrets.clear()
    report = await pull.cycle()
    assert report.status is CycleStatus.FAILED
    assert (report.drift, report.findings) == ({}, {})
    failed = await pull.latest_cycle()
    document = documents.cycle(failed)
    assert (document["drift"], document["findings"]) == (None, None)
    assert "–" in plain(drift_views.listed(CyclePage([failed], None)).text())


async def test_an_increment_without_news_copies_no_finding(pull: Pull) -> None:
    """A connection in `report` may have thousands of open findings, and 288 increments a day."""
    await pull.set_policy(mode=Mode.REPORT)
    first = await pull.cycle()
    assert first.findings["open"] > 0
    rows = await _finding_rows(pull)

    second = await pull.increment()

    assert await _finding_rows(pull) == rows
    assert second.findings["open"] == first.findings["open"]
    assert len(await _agree(pull, second)) == second.findings["open"]


async def _finding_rows(pull: Pull) -> int:
    async with pull.db.reading() as conn:
        rows = await conn.execute(select(func.count()).select_from(tables.drift_findings))
    return int(rows.scalar_one())
