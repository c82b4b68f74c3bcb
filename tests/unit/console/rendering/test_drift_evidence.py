"""A drift report to file: one column a fact, ISO times, words, never a program's representation of an object."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from console.admin.audit import AuditPage
from console.admin.reports.cycles import ConnectionDrift
from console.cli.output import plain
from console.cli.views import drift, log
from console.rendering import drift_evidence, text
from store.records import (
    AuditEntry,
    ConnectionId,
    CycleId,
    DriftFinding,
    DriftKind,
    FindingState,
    JsonValue,
    Reason,
    SubjectType,
    TenantId,
)
from store.sync.drift_reports import DriftReport

NOW = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
REPRESENTATION = re.compile(r"\bNone\b|\bTrue\b|\bFalse\b|[{}\[\]]|<[A-Z]\w+|datetime|'\w+':")
"""What a value printed by Python, not for people, would show."""

EVIDENCE: dict[str, Any] = {
    "action": "disable",
    "by": "cli:ada",
    "lost": {"after": "2026-11-28T09:00:00+00:00", "before": "2026-11-28T09:05:00+00:00"},
    "seen_at": "2026-11-28T09:05:00+00:00",
    "ended_at": "2026-11-28T09:06:00+00:00",
    "push": {
        "last_at": "2026-11-27T09:00:00+00:00",
        "action": "update",
        "status": "failure",
        "detail": "failed with: the userName is taken",
    },
    "graph": {
        "graph_id": "g-bo",
        "user_found": True,
        "account_enabled": False,
        "soft_deleted_at": None,
        "assigned_directly": None,
        "assigned_by_group": True,
        "at": "2026-11-28T09:05:00+00:00",
        "member_of": ["g1", "g2"],
        "readable": True,
        "detail": "",
    },
}


def _drift(*findings: DriftFinding) -> ConnectionDrift:
    return ConnectionDrift("fabrikam", "entra", DriftReport(CycleId("c1"), NOW, True, findings, 1))


def _leaver(**changes: Any) -> DriftFinding:
    values: dict[str, Any] = {
        "kind": DriftKind.MISSED_DEPROVISION,
        "reason": Reason.DISABLED,
        "subject_type": SubjectType.USER,
        "subject_id": "g-bo",
        "subject_label": "bo@fabrikam.com",
        "before": {"active": True, "emails": [{"value": "bo@fabrikam.com", "primary": True}], "title": None},
        "after": {"active": False},
        "first_seen": NOW,
        "state": FindingState.REPAIRED,
        "evidence": EVIDENCE,
        **changes,
    }
    return DriftFinding(**values)


def test_every_fact_has_a_column_of_its_own() -> None:
    """First days, *Auditor*: "one column a fact", ISO times, true/false."""
    [row] = csv.DictReader(io.StringIO(drift_evidence.as_csv(_drift(_leaver()))))
    assert (row["tenant"], row["connection"], row["cycle"], row["object_id"]) == (
        "fabrikam",
        "entra",
        "c1",
        "g-bo",
    )
    assert (row["kind"], row["reason"], row["state"]) == ("missed_deprovision", "disabled", "repaired")
    assert row["first_seen"] == "2026-11-28T10:00:00Z"
    assert (row["lost_after"], row["lost_before"]) == ("2026-11-28T09:00:00Z", "2026-11-28T09:05:00Z")
    assert (row["evidence_at"], row["evidence_says"]) == ("2026-11-28T09:05:00Z", "account disabled")
    assert (row["account_enabled"], row["assigned_directly"], row["assigned_by_group"]) == (
        "false",
        "",
        "true",
    )
    assert (row["decided_by"], row["access_ended_at"]) == ("cli:ada", "2026-11-28T09:06:00Z")
    assert row["last_push"] == "update failure, failed with: the userName is taken"
    assert row["here"] == "active: true; emails: value: bo@fabrikam.com; primary: true; title: "


@pytest.mark.parametrize("export", [drift_evidence.as_csv, drift.as_text])
def test_no_cell_shows_how_python_writes_an_object(export: Any) -> None:
    """Nor does a finding with nothing in it."""
    bare = _leaver(kind=DriftKind.LOCAL_ACCOUNT, reason=None, before={}, after={}, evidence={})
    assert not REPRESENTATION.search(export(_drift(_leaver(), bare)))


def test_the_page_has_the_same_facts_in_words() -> None:
    """Columns without a value in any row are left out: the page is read by people."""
    page = drift_evidence.as_html(_drift(_leaver()))
    cells = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not REPRESENTATION.search(cells)
    assert "account disabled" in page
    assert "<th>lost at</th>" not in page


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (True, "true"),
        (["a", False], "a, false"),
        ({"old": None, "new": [1, 2]}, "old: ; new: 1, 2"),
    ],
)
def test_values_are_written_as_people_write_them(value: JsonValue, written: str) -> None:
    assert text.words(value) == written


def test_the_audit_log_shows_details_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """`rows: [0, 1]` and `applied: {'disable': 1}` were lists and dictionaries of Python."""
    monkeypatch.delenv("COLUMNS", raising=False)  # the test run's own width would break lines
    detail: dict[str, JsonValue] = {"rows": [0, 1], "applied": {"disable": 1}, "dry_run": False}
    entry = AuditEntry(
        1, NOW, TenantId("t"), ConnectionId("c"), "cli:ada", "plan.applied", "p", "plan x", detail
    )
    page = plain(log.audited(AuditPage([entry], None)).text())
    assert not REPRESENTATION.search(page)
    assert "rows: 0, 1; applied: disable: 1; dry_run: false" in " ".join(page.split())
