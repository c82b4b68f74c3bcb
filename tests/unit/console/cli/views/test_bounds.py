"""A view has a bound: the numbers first, at most 200 lines, and how to see the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.admin.reports.cycles import ConnectionDrift
from console.admin.reports.provisioning_log import LogList
from console.cli.output import MOST_LINES, plain
from console.cli.views import drift, log, plans
from store.records import (
    Action,
    ConnectionId,
    CycleId,
    DriftFinding,
    DriftKind,
    FindingState,
    HeldPlan,
    LogEntry,
    LogStatus,
    Modified,
    Origin,
    PlanId,
    PlanStatus,
    SubjectType,
    TenantId,
)
from store.sync.drift_reports import DriftReport

NOW = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # the test run's own width would break lines


def _finding(number: int, kind: DriftKind = DriftKind.MISSED_PROVISION, **changes: Any) -> DriftFinding:
    values: dict[str, Any] = {
        "kind": kind,
        "reason": None,
        "subject_type": SubjectType.USER,
        "subject_id": f"g-{number}",
        "subject_label": f"person{number}@fabrikam.com",
        "before": {},
        "after": {f"attribute{n}": f"value {n} of the new account" for n in range(14)},
        "first_seen": NOW,
        "state": FindingState.OPEN,
        **changes,
    }
    return DriftFinding(**values)


def _first_report(size: int) -> ConnectionDrift:
    """A directory of which nothing is here yet, and one leaver."""
    found = [
        *(_finding(n) for n in range(size)),
        _finding(size, DriftKind.LOCAL_ACCOUNT, after={}, before={}),
    ]
    return ConnectionDrift("fabrikam", "entra", DriftReport(CycleId("c1"), NOW, True, tuple(found), size + 1))


def test_a_first_report_begins_with_its_numbers_and_ends_after_200_lines() -> None:
    """The trial: a first report of 17,520 findings was 320,192 lines."""
    lines = plain(drift.shown(_first_report(2_000)).text()).splitlines()
    assert len(lines) == MOST_LINES
    assert "2,001 open, 2,001 new" in lines[0]
    head = "\n".join(lines[:10])
    assert "2,000    missed_provision" in head
    assert "local_account" in head
    assert "more lines" in lines[-1]
    assert "--all" in lines[-1]


def test_a_new_account_is_one_line() -> None:
    """What will be written of it is in `--json`; two lines a finding would be one too many."""
    lines = plain(drift.shown(_first_report(20)).text()).splitlines()
    assert sum("person" in line for line in lines) == 21
    assert sum("14 attributes" in line for line in lines) == 20


def test_all_limit_and_kind_choose_what_is_shown() -> None:
    found = _first_report(400)
    assert len(plain(drift.shown(found, shows_all=True).text()).splitlines()) > 400
    limited = drift.shown(found, limit=5)
    assert "396 more findings" in plain(limited.text())
    only = drift.shown(found, kind=DriftKind.LOCAL_ACCOUNT)
    for view, number in ((limited, 5), (only, 1)):
        document: Any = view.document
        assert len(document["findings"]) == number
        assert document["counts"]["open"] == 401


def test_a_log_entry_of_a_large_group_names_a_few_members_and_how_many_more() -> None:
    """The trial: ten entries of large groups were 12,246 lines."""
    modified = tuple(Modified(attribute="members", old=None, new=f"person{n}") for n in range(1_200))
    entry = LogEntry(
        id=1,
        at=NOW,
        tenant_id=TenantId("t"),
        connection_id=ConnectionId("c"),
        action=Action.ADD_MEMBER,
        status=LogStatus.SUCCESS,
        subject_type=SubjectType.GROUP,
        subject_id="g",
        subject_label="All Employees",
        origin=Origin.GRAPH,
        actor="worker",
        steps=(),
        modified=modified,
        correlation_id="c1",
    )
    page = plain(log.listed(LogList((entry,), None)).text())
    assert "and 1,195 more" in " ".join(page.split())
    assert len(page.splitlines()) < 12


def test_a_held_plan_says_how_to_decide_before_its_rows() -> None:
    """4,000 rows above the commands are 4,000 rows between a person and the decision."""
    change = {"action": "disable", "kind": "missed_deprovision", "reason": "disabled", "member": None}
    rows: Any = [{**change, "subject": {"label": f"person{n}"}} for n in range(4_000)]
    plan = HeldPlan(
        *(PlanId("p"), TenantId("t"), ConnectionId("c"), CycleId("c1"), "a" * 64, PlanStatus.HELD, "many"),
        *({"changes": rows}, NOW, NOW + timedelta(days=7)),
    )
    lines = plain(plans.shown(plan, {}).text()).splitlines()
    assert len(lines) == MOST_LINES
    assert any("leaver plan approve" in line for line in lines[:10])
    assert len(plain(plans.shown(plan, {}, shows_all=True).text()).splitlines()) > 4_000
