"""The provisioning log, the audit log and held plans as CSV: one column a fact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from console.documents.reports import plan_rows, plan_status
from console.documents.values import iso
from console.rendering.text import as_csv, words
from store.records import AuditEntry, ConnectionId, HeldPlan, JsonValue, LogEntry, LogStatus, Origin

Names = Mapping[ConnectionId, str]
"""TENANT/NAME of each connection."""

LOG_COLUMNS = (
    *("at", "tenant", "connection", "cycle", "correlation_id", "action", "status", "subject_type"),
    *("subject", "subject_id", "origin", "actor", "attribute", "before", "after", "detail"),
)
AUDIT_COLUMNS = ("at", "tenant", "connection", "actor", "action", "subject", "subject_id", "fact", "value")
PLAN_COLUMNS = (
    *("tenant", "connection", "plan", "cycle", "status", "held_because", "held_at", "expires_at"),
    *("decided_by", "decided_at", "row", "state", "left_alone_because", "action", "kind", "reason"),
    *("subject_type", "subject", "object_id", "member", "member_object_id", "here", "in_entra"),
)


def log_csv(entries: Iterable[LogEntry], names: Names) -> str:
    """Return log entries, one line for each attribute that changed."""
    return as_csv(LOG_COLUMNS, (row for entry in entries for row in _log_rows(entry, names)))


def _log_rows(entry: LogEntry, names: Names) -> Iterator[list[str]]:
    failed = [step for step in entry.steps if step.status is LogStatus.FAILURE]
    detail = (failed or entry.steps)[-1].detail if entry.steps else ""
    cycle = (entry.correlation_id or "") if entry.origin is Origin.GRAPH else ""
    facts = [
        iso(entry.at) or "",
        *_tenant_and_name(entry.connection_id, names),
        *(cycle, entry.correlation_id or "", entry.action.value, entry.status.value),
        *(entry.subject_type.value, entry.subject_label, entry.subject_id or ""),
        *(entry.origin.value, entry.actor or ""),
    ]
    for change in entry.modified or [None]:
        changed = (
            ["", "", ""] if change is None else [change["attribute"], *_both(change["old"], change["new"])]
        )
        yield [*facts, *changed, detail]


def _both(before: JsonValue, after: JsonValue) -> tuple[str, str]:
    return words(before), words(after)


def audit_csv(entries: Iterable[AuditEntry], names: Names) -> str:
    """Return audit entries, one line for each fact of their detail."""
    return as_csv(AUDIT_COLUMNS, (row for entry in entries for row in _audit_rows(entry, names)))


def _audit_rows(entry: AuditEntry, names: Names) -> Iterator[list[str]]:
    facts = [
        iso(entry.at) or "",
        *_tenant_and_name(entry.connection_id, names),
        *(entry.actor, entry.action, entry.subject_label, entry.subject_id or ""),
    ]
    for name, value in entry.detail.items() or [("", None)]:
        yield [*facts, name, words(value)]


def plan_csv(plan: HeldPlan, names: Names) -> str:
    """Return a held plan, one line for each row, decided or not."""
    facts = [
        *_tenant_and_name(plan.connection_id, names),
        *(plan.checksum, plan.cycle_id, plan_status(plan), plan.reason),
        *(iso(plan.created_at) or "", iso(plan.expires_at) or ""),
        *(plan.decided_by or "", iso(plan.decided_at) or ""),
    ]
    return as_csv(PLAN_COLUMNS, ([*facts, *_plan_row(row)] for row in plan_rows(plan)))


def _plan_row(row: Mapping[str, Any]) -> list[str]:
    subject, member = row["subject"], row.get("member") or {}
    return [
        *(words(row["row"]), row["state"], row["why"], row["action"], row["kind"], row.get("reason") or ""),
        *(subject["type"], subject["label"], subject["graph_id"] or ""),
        *(member.get("label") or "", member.get("graph_id") or ""),
        *(words(row.get("before") or {}), words(row.get("after") or {})),
    ]


def _tenant_and_name(connection_id: ConnectionId | None, names: Names) -> tuple[str, str]:
    if connection_id is None:
        return "", ""
    tenant, _, name = names.get(connection_id, f"/{connection_id}").partition("/")
    return tenant, name
