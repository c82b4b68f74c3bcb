"""A drift report in four renderings: text, JSON, CSV, HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from console.admin.reports.cycles import ConnectionDrift, CyclePage
from console.cli.output import MOST_LINES, Bounded, View, json_text, plain
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
from store.records import Cycle, DriftFinding, DriftKind, Receipt
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
    document = documents.drift_report(drift.report, of_kind[:limit], drift.unacknowledged)

    def text_() -> RenderableType:
        late = _unacknowledged(drift.unacknowledged)
        if shows_all:
            return Group(*late, _page(drift.report, of_kind, limit))
        left_out = max(min(len(of_kind), limit or len(of_kind)) - MOST_LINES, 0)
        page = _page(drift.report, of_kind, limit, most_rows=MOST_LINES)
        return Bounded(Group(*late, page) if late else page, _MORE, left_out=left_out)

    return View(document, text_)


def _unacknowledged(late: Sequence[Receipt]) -> Sequence[RenderableType]:
    """Return the ends of access that the vendor's app does not know of."""
    if not late:
        return ()
    rows = [(utc_text(each.at), each.user_id, each.reason, str(len(each.ended)), each.id) for each in late]
    heading = Text("The app has not acknowledged these ends of access for five minutes:", style=text.CARE)
    return heading, text.table("Ended", "Account", "Why", "Ended with it", "Receipt", rows=rows)


def listed(found: CyclePage) -> View:
    """Show the reports there are: one a cycle, newest first."""
    names = found.names
    document = page(
        (
            documents.cycle(each, names.get(each.connection_id, "") if names else None)
            for each in found.cycles
        ),
        found.next,
    )
    if not found.cycles:
        return View(document, lambda: "No cycle has run yet. Run one: leaver sync CONNECTION")
    columns = [*(["Connection"] if names else []), *_CYCLE_COLUMNS]
    rows = [
        [*([names.get(each.connection_id, "")] if names else []), *_cycle_row(each)] for each in found.cycles
    ]
    more = f"More: --before {found.next}" if found.next else None
    return View(document, lambda: replace(text.table(*columns, rows=rows), caption=more))


_CYCLE_COLUMNS = ("When", "Kind", "Status", "Open", "Held", "New", "Repaired", "Cycle")


def _cycle_row(cycle: Cycle) -> Sequence[Text | str]:
    numbers = [_number(cycle, name) for name in ("open", "held", "new", "repaired")]
    return [utc_text(cycle.started_at), cycle.kind, text.status(cycle.status), *numbers, cycle.id]


def _number(cycle: Cycle, name: str) -> str:
    """Return a number of the cycle's report; a dash if it has none: it failed."""
    return "–" if cycle.complete is None else str(cycle.findings.get(name, 0))


def as_json(drift: ConnectionDrift) -> str:
    """Return the document of `drift show --json`."""
    return json_text(documents.drift_report(drift.report, unacknowledged=drift.unacknowledged))


def as_text(drift: ConnectionDrift) -> str:
    """Return the page of `drift show` without colours."""
    return plain(_page(drift.report, drift.report.findings))


RENDERINGS: Mapping[str, Callable[[ConnectionDrift], str]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}


def _page(
    report: DriftReport,
    findings: Sequence[DriftFinding],
    limit: int | None = None,
    most_rows: int | None = None,
) -> RenderableType:
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
            entra_says(finding.evidence, finding.kind),
            last_push(finding.evidence),
            text.status(finding.state),
            utc_text(finding.first_seen),
        )
        for finding in findings[:limit][:most_rows]
    ]
    hidden = len(findings) - len(findings[:limit])
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
