"""A drift report in four renderings: text, JSON, CSV, HTML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from config.visible_text import visible_lines
from console.admin.reports.cycles import CyclePage
from console.admin.reports.drift import ConnectionDrift
from console.cli.output import Bounded, View, plain
from console.documents import reports as documents
from console.documents.values import page, utc_text
from console.rendering import text
from console.rendering.drift_evidence import as_csv, as_html
from console.rendering.reports import (
    KIND_WORDS,
    differences,
    entra_says,
    finding_counts,
    last_push,
    lost_when,
)
from store.records import Cycle, DriftFinding, DriftKind
from store.sync.drift_reports import DriftReport

MOST_ATTRIBUTES = 3
_MORE = "Narrow it: --kind, --limit; or --all"


def shown(
    drift: ConnectionDrift,
    *,
    kind: DriftKind | None = None,
    limit: int | None = None,
    shows_all: bool = False,
) -> View:
    """Show a report: the numbers of all of it first, then its findings, cut to what can
    be read.

    `kind`: only such findings; `limit`: the most findings.
    """
    of_kind = [each for each in drift.report.findings if kind in (None, each.kind)]
    document = documents.drift_report(drift.report, of_kind[:limit])
    page = _page(drift.report, of_kind, limit)
    return View(document, lambda: page if shows_all else Bounded(page, _MORE))


def listed(found: CyclePage) -> View:
    """Show the reports there are: one a cycle, newest first."""
    document = page(map(documents.cycle, found.cycles), found.next)
    if not found.cycles:
        return View(document, lambda: "No cycle has run yet. Run one: leaver sync CONNECTION")
    columns = ("When", "Kind", "Status", "Open", "Held", "New", "Repaired", "Cycle")
    more = [Text(f"More: --before {found.next}", style=text.QUIET)] if found.next else []
    return View(document, lambda: Group(text.table(*columns, rows=map(_cycle_row, found.cycles)), *more))


def _cycle_row(cycle: Cycle) -> Sequence[RenderableType]:
    numbers = [_number(cycle, name) for name in ("open", "held", "new", "repaired")]
    return [utc_text(cycle.started_at), cycle.kind, text.status(cycle.status), *numbers, cycle.id]


def _number(cycle: Cycle, name: str) -> str:
    """Return a number of the cycle's report; a dash if it has none: it failed."""
    return "–" if cycle.complete is None else str(cycle.findings.get(name, 0))


def as_json(drift: ConnectionDrift) -> str:
    """Return the document of `drift show --json`."""
    return (
        visible_lines(json.dumps(documents.drift_report(drift.report), indent=2, ensure_ascii=False)) + "\n"
    )


def as_text(drift: ConnectionDrift) -> str:
    """Return the page of `drift show` without colours."""
    return plain(_page(drift.report, drift.report.findings))


RENDERINGS: Mapping[str, Callable[[ConnectionDrift], str]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}


def _page(report: DriftReport, findings: Sequence[DriftFinding], limit: int | None = None) -> RenderableType:
    whole = "" if report.complete else " Graph could not be read whole: removals were not judged."
    heading = Text(f"Drift of {utc_text(report.at)}: {finding_counts(report.counts)}.{whole}")
    times = _times(report)
    if not report.findings:
        return Group(heading, *times, Text("  None: the store says what Entra says.", style=text.GOOD))
    rows = [
        (
            finding.kind,
            finding.subject_label,
            " ".join(
                [finding.reason or KIND_WORDS.get(finding.kind, ""), lost_when(finding.evidence)]
            ).rstrip(),
            _differences(finding),
            entra_says(finding.evidence),
            last_push(finding.evidence),
            text.status(finding.state),
            utc_text(finding.first_seen),
        )
        for finding in findings[:limit]
    ]
    hidden = len(findings) - len(rows)
    more = [Text(f"  {hidden:,} more findings. {_MORE}", style=text.QUIET)] if hidden else []
    columns = (
        "Kind",
        "Subject",
        "Why",
        "Here → Entra",
        "Asked once more",
        "Last push",
        "State",
        "First seen",
    )
    return Group(heading, *times, _summary(report), text.table(*columns, rows=rows), *more)


def _summary(report: DriftReport) -> RenderableType:
    """Return the number of findings of each kind, reason and state."""
    sizes = Counter((each.kind, each.reason or "", each.state) for each in report.findings)
    rows = [
        (f"{number:,}", kind, reason, text.status(state))
        for (kind, reason, state), number in sizes.most_common()
    ]
    return text.table("Number", "Kind", "Reason", "State", rows=rows)


def _differences(finding: DriftFinding) -> str:
    """Return what differs; of a new user or group only how much there is to write."""
    if finding.before or len(finding.after) <= MOST_ATTRIBUTES:
        return differences(finding.before, finding.after)
    return f"{len(finding.after)} attributes"


def _times(report: DriftReport) -> list[RenderableType]:
    """Return the line of the times to revoke, if the connection has any."""
    times = report.times_to_revoke
    if times is None:
        return []
    unbounded = f"; {times.unbounded} more left before the first reading" if times.unbounded else ""
    return [
        Text(
            f"  Time to revoke, {times.people} people in {times.days} days: p50 {times.p50_s:,.0f} s,"
            f" p90 {times.p90_s:,.0f} s, p99 {times.p99_s:,.0f} s{unbounded}."
        )
    ]
