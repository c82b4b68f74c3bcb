"""The drift report of a cycle by kind, with evidence; the trend; and the cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.admin.errors import NoDriftReport, Noun, UnknownReference
from console.admin.reports import cycles
from console.admin.reports.cycles import CycleQuery
from console.documents.reports import finding
from console.documents.values import JsonDocument, plural
from console.web.exports import ExportFormat, export
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import PAGE, Visit, read_cursor, write_cursor
from console.web.wording.charts import trend
from console.web.wording.explanations import KIND_WORDS, in_words
from store.records import Cycle, CycleKind, DriftFinding, FindingState
from store.sync.drift_reports import DriftReport

routes = WebRoutes()
STANDING = (FindingState.OPEN, FindingState.HELD)
SHOWN_CYCLES = 20


@dataclass(frozen=True, slots=True)
class KindRow:
    """The findings of one kind."""

    kind: str
    meaning: str
    count: int
    oldest: datetime


@routes.page("drift", f"{CONNECTION}/drift", "admin:report:read")
async def latest(visit: Visit) -> WebAnswer:
    """Show the last report."""
    return await _page(visit, None)


@routes.page("drift.show", f"{CONNECTION}/drift/{{cycle}}", "admin:report:read")
async def of_cycle(visit: Visit) -> WebAnswer:
    """Show the report of a cycle."""
    return await _page(visit, visit.part("cycle"))


@routes.page(
    "drift.export", f"{CONNECTION}/drift/{{cycle}}/findings.{{format:csv|json}}", "admin:report:read"
)
async def export_findings(visit: Visit) -> WebAnswer:
    """Export the findings of a report."""
    columns = ("subject", "subject_type", "kind", "reason", "state", "first_seen", "says", "subject_id")
    report = await _report(visit, visit.part("cycle"))
    if report is None:
        raise UnknownReference(Noun.CYCLE, visit.part("cycle"))

    async def rows() -> AsyncIterator[JsonDocument]:
        for each in report.findings:
            yield {**finding(each), "says": in_words(each)}

    return await export(
        visit, ExportFormat(visit.part("format")), f"drift-{report.cycle_id}", columns, rows()
    )


async def _report(visit: Visit, cycle: str | None) -> DriftReport | None:
    try:
        found = await cycles.drift_report(visit.services, visit.actor, visit.connection_id, cycle)
    except NoDriftReport:
        if cycle is not None:
            raise UnknownReference(Noun.CYCLE, cycle) from None
        return None
    return found.report


async def _page(visit: Visit, cycle_id: str | None) -> WebAnswer:
    of = visit.services, visit.actor, visit.connection_id
    report = await _report(visit, cycle_id)
    listed = await cycles.list_page(*of, CycleQuery(limit=SHOWN_CYCLES, on_demand=False))
    full = await cycles.list_page(*of, CycleQuery(kind=CycleKind.FULL, limit=30, on_demand=False))
    days = [_day(visit, cycle) for cycle in reversed(full.cycles) if cycle.complete is not None]
    values: dict[str, Any] = {
        "report": report,
        "cycles": listed.cycles,
        "chart": trend(days),
        "heading": "No cycle has reported yet",
        "earlier": next((each for each in reversed(days) if each[1]), None),
        "findings": (),
        "kinds": (),
        "kind": None,
        "next": None,
        "evidence": in_words,
    }
    if report is not None:
        values |= _of_report(visit, report)
        cycle = await cycles.get(*of, report.cycle_id)
        values["proof"] = ", ".join(f"{name} {number:,}" for name, number in cycle.counts.items())
    return WebPage("drift.html", values)


def _of_report(visit: Visit, report: DriftReport) -> dict[str, Any]:
    state = visit.query("state")
    chosen = [each for each in report.findings if state is None or each.state.value == state]
    kind = visit.query("kind")
    of_kind = [each for each in chosen if kind is None or each.kind.value == kind]
    start = read_cursor(visit.query("after")) or "0"
    first = int(start) if start.isdecimal() else 0
    more = first + PAGE if len(of_kind) > first + PAGE else None
    return {
        "heading": _heading(report),
        "tabs": _tabs(visit, report, state),
        "kinds": _kinds(chosen),
        "kind": kind,
        "findings": of_kind[first : first + PAGE],
        "next": write_cursor(more),
    }


def _heading(report: DriftReport) -> str:
    standing = sum(each.state in STANDING for each in report.findings)
    repaired = sum(each.state is FindingState.REPAIRED for each in report.findings)
    if standing:
        return f"{plural(standing, 'difference')} between Entra and here"
    if repaired:
        return f"No drift left: {plural(repaired, 'difference')} repaired"
    return "No drift"


def _tabs(visit: Visit, report: DriftReport, current: str | None) -> list[tuple[str, int, str, bool]]:
    counts = Counter(each.state.value for each in report.findings)
    tabs = [("All", len(report.findings), visit.address(state=None, after=None), current is None)]
    for state in FindingState:
        if counts[state.value]:
            address = visit.address(state=state.value, after=None)
            tabs.append((state.value.capitalize(), counts[state.value], address, current == state.value))
    return tabs


def _kinds(findings: Sequence[DriftFinding]) -> list[KindRow]:
    counts = Counter(each.kind.value for each in findings)
    return [
        KindRow(
            *(kind, KIND_WORDS.get(kind, ""), count),
            min(each.first_seen for each in findings if each.kind.value == kind),
        )
        for kind, count in counts.most_common()
    ]


def _day(visit: Visit, cycle: Cycle) -> tuple[str, int]:
    at = (cycle.finished_at or cycle.started_at).astimezone(visit.zone)
    return f"{at.day} {at:%b}", sum(cycle.drift.values())
