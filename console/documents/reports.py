"""Documents of cycles, drift reports, held plans and on-demand provisioning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from console.documents.connections import running_cycle
from console.documents.sessions import receipt
from console.documents.values import JsonDocument, iso
from store.records import Cycle, DriftFinding, HeldPlan, JsonValue, PlanStatus, Receipt
from store.sync.cycles import Progress
from store.sync.drift_reports import DriftReport
from worker.cycle.held_plans import LEFT_ALONE
from worker.cycle.report import CycleReport
from worker.on_demand.report import OnDemandReport, OnDemandResult


def cycle_report(report: CycleReport) -> JsonDocument:
    """Return the document of a cycle that was run to its end."""
    return report.to_json()


def cycle(record: Cycle, name: str | None = None) -> JsonDocument:
    """Return the document of a cycle in a list; `name` of its connection, in a list of
    several.

    A cycle that did not come to its end has no numbers: null.
    """
    return {
        **({} if name is None else {"connection": name, "connection_id": record.connection_id}),
        "cycle_id": record.id,
        "at": iso(record.finished_at or record.started_at),
        "kind": record.kind,
        "status": record.status,
        "complete": record.complete,
        "drift": None if record.complete is None else dict(record.drift),
        "findings": None if record.complete is None else dict(record.findings),
    }


def drift_report(
    report: DriftReport,
    findings: Sequence[DriftFinding] | None = None,
    unacknowledged: Sequence[Receipt] = (),
) -> JsonDocument:
    """Return the document of a drift report with its findings, or with these of them;
    `unacknowledged`: what the vendor's app does not know of yet.
    """
    listed = report.findings if findings is None else findings
    return {
        "cycle_id": report.cycle_id,
        "at": iso(report.at),
        "complete": report.complete,
        "counts": dict(report.counts),
        "time_to_revoke": report.times_to_revoke.to_json() if report.times_to_revoke else None,
        "findings": [finding(each) for each in listed],
        "unacknowledged": [receipt(each) for each in unacknowledged],
    }


def finding(record: DriftFinding) -> JsonDocument:
    """Return the document of one difference between Entra and the store."""
    return {
        "kind": record.kind,
        "reason": record.reason,
        "subject": record.subject_label,
        "subject_type": record.subject_type,
        "subject_id": record.subject_id,
        "before": dict(record.before),
        "after": dict(record.after),
        "first_seen": iso(record.first_seen),
        "state": record.state,
        "evidence": dict(record.evidence),
    }


PARTLY = {PlanStatus.APPROVED: "partly_approved", PlanStatus.APPLIED: "partly_applied"}
"""Statuses of a plan of which a person decided some rows."""

_ROW_STATES = {PlanStatus.HELD: "waits", PlanStatus.SUPERSEDED: "no_longer_due"}


def plan_status(record: HeldPlan) -> str:
    """Return the status of a plan; `partly_…` where only some rows were decided."""
    if "rows" not in record.body:
        return record.status
    return PARTLY.get(record.status, f"partly_{record.status}")


def plan_rows(record: HeldPlan) -> list[JsonDocument]:
    """Return the rows of a plan, each with its number, its state and, where it was left
    alone, why.
    """
    changes: Any = record.body.get("changes", [])
    body: Any = record.body
    decided, outcomes = body.get("rows"), body.get("outcomes", {})
    keys, ended = body.get("keys", []), set(body.get("ended", []))
    rows: list[JsonDocument] = []
    for number, change in enumerate(changes):
        outcome = outcomes.get(str(number), {})
        state = outcome.get("state") or _ROW_STATES.get(record.status, record.status.value)
        if record.status is PlanStatus.HELD and number < len(keys) and keys[number] in ended:
            state = "no_longer_due"
        if decided is not None and number not in decided:
            state = "waits_in_another_plan"
        rows.append({"row": number, "state": state, "why": outcome.get("why", ""), **change})
    return rows


def plan(record: HeldPlan, name: str | None = None) -> JsonDocument:
    """Return the document of a held plan with every change that it would make; `name`:
    tenant and connection.
    """
    rows: list[JsonValue] = list(plan_rows(record))
    return {
        "id": record.id,
        "checksum": record.checksum,
        "status": plan_status(record),
        "connection": name,
        "reason": record.reason,
        "expires_at": iso(record.expires_at),
        "connection_id": record.connection_id,
        "cycle_id": record.cycle_id,
        "created_at": iso(record.created_at),
        "decided_at": iso(record.decided_at),
        "decided_by": record.decided_by,
        "rest": record.body.get("rest"),
        "changes": rows,
    }


def applied_plan(record: HeldPlan, name: str | None = None) -> JsonDocument:
    """Return the document of an applied plan with what became of its rows."""
    rows: list[Any] = plan_rows(record)
    counts: JsonDocument = dict(Counter(row["action"] for row in rows if row["state"] == "applied"))
    dropped: list[JsonValue] = [
        {"subject": row["subject"]["label"], "why": row["why"]} for row in rows if row["state"] == LEFT_ALONE
    ]
    waiting = sum(row["state"] == "waits_in_another_plan" for row in rows)
    return {**plan(record, name), "applied": counts, "dropped": dropped, "waiting": waiting}


def provisioning_report(report: OnDemandReport) -> JsonDocument:
    """Return the document of one subject that was provisioned on demand."""
    return report.to_json()


def provisioning_reports(reports: Sequence[OnDemandReport]) -> JsonDocument:
    """Return the reports of a list of subjects, with a count of every result."""
    results = Counter(report.result for report in reports)
    counts: JsonDocument = {
        "subjects": len(reports),
        **{result.value: results[result] for result in OnDemandResult},
    }
    documents: list[JsonValue] = [provisioning_report(report) for report in reports]
    return {"results": documents, "counts": counts}


def whole_cycle(record: Cycle) -> JsonDocument:
    """Return the document of one cycle, its proof of completeness included."""
    return {
        "cycle_id": record.id,
        "kind": record.kind,
        "status": record.status,
        "started_at": iso(record.started_at),
        "finished_at": iso(record.finished_at),
        "complete": record.complete,
        "why_full": record.why_full,
        "counts": dict(record.counts),
        "drift": None if record.complete is None else dict(record.drift),
        "findings": None if record.complete is None else dict(record.findings),
        "applied": dict(record.applied),
        "skipped": record.skipped,
        "increments_missed": record.increments_missed,
        "held_plan_id": record.held_plan_id,
        "error": record.error,
        "completeness": dict(record.completeness),
    }


def run(
    run_id: str,
    kind: str,
    state: str,
    result: Mapping[str, JsonValue] | None,
    running: tuple[Cycle, Progress | None] | None,
) -> JsonDocument:
    """Return the document of a run: its progress, then its report or its error."""
    found = result or {}
    error = found.get("error") or found.get("skipped") or found.get("yielded")
    return {
        "run_id": run_id,
        "kind": kind,
        "state": "failed" if found.get("error") else state,
        "progress": running_cycle(*running) if running else None,
        "report": found.get("report"),
        "reports": found.get("reports"),
        "error": error,
        "remedy": found.get("remedy"),
    }
