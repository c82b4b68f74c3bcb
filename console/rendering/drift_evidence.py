"""A drift report as evidence to file: CSV and HTML, one column a fact, in words."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.visible_text import visible
from console.admin.reports.cycles import ConnectionDrift
from console.documents.values import iso, plural
from console.rendering import text
from console.rendering.reports import KIND_WORDS, entra_says, finding_counts
from console.rendering.text import words
from store.records import DriftFinding


@dataclass(frozen=True, slots=True)
class _Row:
    """One finding, and where it was found."""

    drift: ConnectionDrift
    finding: DriftFinding

    def evidence(self, *path: str) -> Any:
        """Return a value of the evidence; None where there is none."""
        value: Any = self.finding.evidence
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def moment(self, *path: str) -> str:
        """Return a time of the evidence as RFC 3339 in UTC."""
        value = self.evidence(*path)
        return value.replace("+00:00", "Z") if isinstance(value, str) else ""


_FACTS: Mapping[str, Callable[[_Row], str]] = {
    "tenant": lambda row: row.drift.tenant,
    "connection": lambda row: row.drift.connection,
    "cycle": lambda row: row.drift.report.cycle_id,
    "object_id": lambda row: row.finding.subject_id,
    "subject": lambda row: row.finding.subject_label,
    "subject_type": lambda row: row.finding.subject_type,
    "kind": lambda row: row.finding.kind,
    "meaning": lambda row: KIND_WORDS.get(row.finding.kind, ""),
    "reason": lambda row: row.finding.reason or "",
    "state": lambda row: row.finding.state,
    "first_seen": lambda row: iso(row.finding.first_seen) or "",
    "lost_at": lambda row: row.moment("lost", "at"),
    "lost_after": lambda row: row.moment("lost", "after"),
    "lost_before": lambda row: row.moment("lost", "before"),
    "access_ended_at": lambda row: row.moment("ended_at"),
    "evidence_at": lambda row: row.moment("graph", "at"),
    "evidence_says": lambda row: entra_says(row.finding.evidence, row.finding.kind),
    "found_in_entra": lambda row: words(row.evidence("graph", "user_found")),
    "account_enabled": lambda row: words(row.evidence("graph", "account_enabled")),
    "deleted_at": lambda row: row.moment("graph", "soft_deleted_at"),
    "assigned_directly": lambda row: words(row.evidence("graph", "assigned_directly")),
    "assigned_by_group": lambda row: words(row.evidence("graph", "assigned_by_group")),
    "last_push_at": lambda row: row.moment("push", "last_at"),
    "last_push": lambda row: _push(row),
    "decided_by": lambda row: words(row.evidence("by")),
    "here": lambda row: _values(row.finding.before),
    "in_entra": lambda row: _values(row.finding.after),
}
"""The columns, each with the fact it holds."""

COLUMNS = tuple(_FACTS)


def as_csv(drift: ConnectionDrift) -> str:
    """Return the report as CSV, one line a finding."""
    return text.as_csv(COLUMNS, _rows(drift))


def as_html(drift: ConnectionDrift) -> str:
    """Return one self-contained page, without scripts or anything to load.

    Columns in which no finding has a value are left out.
    """
    rows, report = _rows(drift), drift.report
    shown = [place for place in range(len(COLUMNS)) if any(cells[place] for cells in rows)]
    head = "".join(f"<th>{COLUMNS[place].replace('_', ' ')}</th>" for place in shown)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(visible(cells[place]))}</td>' for place in shown)}</tr>\n"
        for cells in rows
    )
    whole = "complete" if report.complete else "not complete: removals were not judged"
    title = html.escape(f"Drift report of {drift.tenant}/{drift.connection}")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font:14px/1.5 system-ui;margin:2rem}table{border-collapse:collapse}"
        "td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}</style>\n"
        f"<h1>{title}</h1>\n<p>Cycle {html.escape(report.cycle_id)}, {iso(report.at)}, snapshot {whole}. "
        f"{plural(len(report.findings), 'finding')}: {finding_counts(report.counts)}.</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></html>\n"
    )


def _rows(drift: ConnectionDrift) -> Sequence[Sequence[str]]:
    rows = (_Row(drift, finding) for finding in drift.report.findings)
    return [[fact(row) for fact in _FACTS.values()] for row in rows]


def _push(row: _Row) -> str:
    push = row.evidence("push")
    if not push:
        return ""
    if not push["last_at"]:
        return "none"
    return ", ".join(each for each in (f"{push['action']} {push['status']}", push["detail"]) if each)


def _values(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {words(value)}" for name, value in sorted(values.items()))
