"""The drift report of a cycle by kind, with evidence; the trend; and the cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
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
from console.web.visit import LONGEST_NUMBER, PAGE, Visit, read_cursor, write_cursor
from console.web.wording.charts import trend
from console.web.wording.explanations import KIND_WORDS, in_words
from store.records import Cycle, CycleKind, DriftKind, FindingState
from store.sync.drift_reports import FindingPage, FindingQuery

routes = WebRoutes()
STANDING = (FindingState.OPEN, FindingState.HELD)
SHOWN_CYCLES = 20
EXPORTED_AT_ONCE = 500
MOST_IN_A_ROW = 1_000_000
"""Findings that one row of the store may stand for."""


@dataclass(frozen=True, slots=True)
class KindRow:
    """The findings of one kind."""

    kind: DriftKind
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
    cycle = visit.part("cycle")
    report = await _report(visit, cycle, FindingQuery(limit=EXPORTED_AT_ONCE))
    if report is None:
        raise UnknownReference(Noun.CYCLE, cycle)

    async def rows() -> AsyncIterator[JsonDocument]:
        page: FindingPage | None = report
        while page is not None:
            for each in page.findings:
                yield {**finding(each), "says": in_words(each)}
            more = None if page.next is None else FindingQuery(after=page.next, limit=EXPORTED_AT_ONCE)
            page = None if more is None else await _report(visit, cycle, more)

    return await export(
        visit, ExportFormat(visit.part("format")), f"drift-{report.cycle_id}", columns, rows()
    )


async def _report(visit: Visit, cycle: str | None, query: FindingQuery) -> FindingPage | None:
    of = visit.services, visit.actor, visit.connection_id
    try:
        return await cycles.drift_page(*of, cycle, query)
    except NoDriftReport:
        if cycle is not None:
            raise UnknownReference(Noun.CYCLE, cycle) from None
        return None


async def _page(visit: Visit, cycle_id: str | None) -> WebAnswer:
    of = visit.services, visit.actor, visit.connection_id
    query = FindingQuery(
        visit.choice("state", FindingState), visit.choice("kind", DriftKind), after=_place(visit), limit=PAGE
    )
    report = await _report(visit, cycle_id, query)
    listed = await cycles.list_page(*of, CycleQuery(limit=SHOWN_CYCLES, on_demand=False))
    full = await cycles.list_page(*of, CycleQuery(kind=CycleKind.FULL, limit=30, on_demand=False))
    days = [_day(visit, cycle) for cycle in reversed(full.cycles) if cycle.complete is not None]
    values: dict[str, Any] = {
        "report": report,
        "cycles": listed.cycles,
        "chart": trend(days),
        "heading": "No cycle has reported yet",
        "earlier": next((each for each in reversed(days) if each[1]), None),
        "kinds": (),
        "kind": query.kind,
        "next": None,
        "evidence": in_words,
    }
    if report is not None:
        cycle = await cycles.get(*of, report.cycle_id)
        values |= {
            "heading": _heading(report),
            "tabs": _tabs(visit, report, query.state),
            "kinds": _kinds(report, query.state),
            "is_empty": not report.counts,
            "next": write_cursor(f"{report.next[0]} {report.next[1]}" if report.next else None),
            "proof": ", ".join(f"{name} {number:,}" for name, number in cycle.counts.items()),
        }
    return WebPage("drift.html", values)


def _place(visit: Visit) -> tuple[int, int]:
    """Return where the page begins: a row of the store, and a finding of it."""
    row, _, number = (read_cursor(visit.query("after")) or "").partition(" ")
    if not all(each.isascii() and each.isdecimal() and len(each) <= LONGEST_NUMBER for each in (row, number)):
        return 0, 0
    return int(row), min(int(number), MOST_IN_A_ROW)


def _heading(report: FindingPage) -> str:
    standing, repaired = report.number_of(*STANDING), report.number_of(FindingState.REPAIRED)
    if standing:
        return f"{plural(standing, 'difference')} between Entra and here"
    if repaired:
        return f"No drift left: {plural(repaired, 'difference')} repaired"
    return "No drift"


def _tabs(
    visit: Visit, report: FindingPage, current: FindingState | None
) -> list[tuple[str, int, str, bool]]:
    total = report.number_of(*FindingState)
    tabs = [("All", total, visit.address(state=None, after=None), current is None)]
    for state in FindingState:
        if number := report.number_of(state):
            address = visit.address(state=state.value, after=None)
            tabs.append((state.value.capitalize(), number, address, current is state))
    return tabs


def _kinds(report: FindingPage, state: FindingState | None) -> list[KindRow]:
    counts = [each for each in report.counts if state is None or each.state is state]
    numbers: Counter[DriftKind] = Counter()
    for each in counts:
        numbers[each.kind] += each.number
    return [
        KindRow(
            *(kind, KIND_WORDS.get(kind, ""), number),
            min(each.oldest for each in counts if each.kind is kind),
        )
        for kind, number in numbers.most_common()
    ]


def _day(visit: Visit, cycle: Cycle) -> tuple[str, int]:
    at = (cycle.finished_at or cycle.started_at).astimezone(visit.zone)
    return f"{at.day} {at:%b}", sum(cycle.drift.values())
