"""A drift report in four renderings: text, JSON, CSV, HTML."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.cli.output import View, plain
from console.cli.views import text
from console.cli.views.cycles import KIND_WORDS
from store.records import Cycle, DriftFinding, JsonValue
from store.sync.drift_reports import DriftReport

COLUMNS = ("kind", "reason", "subject", "state", "first_seen", "before", "after", "evidence")


def document(report: DriftReport) -> dict[str, JsonValue]:
    """The shape others script against (design.md §6)."""
    return {
        "cycle_id": report.cycle_id,
        "at": text.iso(report.at),
        "complete": report.complete,
        "findings": [_finding(finding) for finding in report.findings],
    }


def shown(report: DriftReport) -> View:
    """The report for a terminal, or as JSON."""
    return View(document(report), lambda: _page(report))


def listed(cycles: Sequence[Cycle]) -> View:
    """The reports there are: one a cycle, newest first."""
    documents: list[JsonValue] = [
        {
            "cycle_id": cycle.id,
            "at": text.iso(cycle.finished_at or cycle.started_at),
            "kind": cycle.kind,
            "status": cycle.status,
            "complete": cycle.complete,
            "drift": dict(cycle.drift),
        }
        for cycle in cycles
    ]
    if not cycles:
        return View(documents, lambda: "No cycle has run yet. Run one: leaver sync CONNECTION")
    rows = [
        (
            text.when(cycle.started_at),
            cycle.kind,
            text.status(cycle.status),
            str(sum(cycle.drift.values())),
            cycle.id,
        )
        for cycle in cycles
    ]
    return View(documents, lambda: text.table("When", "Kind", "Status", "Drift", "Cycle", rows=rows))


def as_csv(report: DriftReport) -> str:
    """One line a finding, values that are not plain as JSON-like text; opens in any spreadsheet."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # RFC 4180 §2
    writer.writerow(COLUMNS)
    for finding in report.findings:
        writer.writerow(_spreadsheet_safe(str(_flat(finding)[column])) for column in COLUMNS)
    return buffer.getvalue()


def as_html(report: DriftReport) -> str:
    """One self-contained page to file or to mail: no script, nothing loaded from elsewhere."""
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(_flat(finding)[c]))}</td>" for c in COLUMNS) + "</tr>\n"
        for finding in report.findings
    )
    whole = "complete" if report.complete else "not complete: removals were not judged"
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Drift report</title>\n'
        "<style>body{font:14px/1.5 system-ui;margin:2rem}table{border-collapse:collapse}"
        "td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}</style>\n"
        f"<h1>Drift report</h1>\n<p>Cycle {html.escape(report.cycle_id)}, "
        f"{text.when(report.at)}, snapshot {whole}. "
        f"{len(report.findings)} findings.</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></html>\n"
    )


def as_json(report: DriftReport) -> str:
    """The document of `drift show --json`."""
    return json.dumps(document(report), indent=2, ensure_ascii=False) + "\n"


def as_text(report: DriftReport) -> str:
    """The page of `drift show`, without colours."""
    return plain(_page(report))


RENDERINGS: Mapping[str, Callable[[DriftReport], str]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}


def _finding(finding: DriftFinding) -> dict[str, JsonValue]:
    return {
        "kind": finding.kind,
        "reason": finding.reason,
        "subject": finding.subject_label,
        "subject_type": finding.subject_type,
        "subject_id": finding.subject_id,
        "before": dict(finding.before),
        "after": dict(finding.after),
        "first_seen": text.iso(finding.first_seen),
        "state": finding.state,
        "evidence": dict(finding.evidence),
    }


def _page(report: DriftReport) -> RenderableType:
    whole = "" if report.complete else " Graph could not be read whole: removals were not judged."
    heading = Text(f"Drift of {text.when(report.at)}.{whole}")
    if not report.findings:
        return Group(heading, Text("  None: the store says what Entra says.", style=text.GOOD))
    rows = [
        (
            finding.kind,
            finding.subject_label,
            finding.reason or KIND_WORDS.get(finding.kind, ""),
            differences(finding.before, finding.after),
            entra_says(finding.evidence),
            text.status(finding.state),
            text.when(finding.first_seen),
        )
        for finding in report.findings
    ]
    columns = ("Kind", "Subject", "Why", "Here → Entra", "Asked once more", "State", "First seen")
    return Group(heading, text.table(*columns, rows=rows))


def differences(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> str:
    """`attribute: here → in Entra` for each attribute that differs."""
    names = sorted({*before, *after})
    return "; ".join(f"{n}: {text.brief(before.get(n), 30)} → {text.brief(after.get(n), 30)}" for n in names)


def entra_says(evidence: Mapping[str, Any]) -> str:
    """What Entra answered when it was asked about this one person, or else why nothing was done."""
    answer = evidence.get("graph")
    if not answer:
        return str(evidence.get("why") or evidence.get("note") or evidence.get("detail") or "")
    if not answer["readable"]:
        return f"no usable answer: {answer['detail']}"
    if answer["soft_deleted_at"]:
        return "in the recycle bin"
    if not answer["user_found"]:
        return "does not exist"
    if answer["account_enabled"] is False:
        return "account disabled"
    is_assigned = answer["assigned_directly"] or answer["assigned_by_group"]
    return "entitled" if is_assigned else "not assigned"


def _flat(finding: DriftFinding) -> dict[str, str]:
    plain = {name: "" if value is None else str(value) for name, value in _finding(finding).items()}
    for name in ("before", "after", "evidence"):
        plain[name] = "; ".join(f"{key}={value}" for key, value in sorted(getattr(finding, name).items()))
    return plain


def _spreadsheet_safe(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula gets a quote in front (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
