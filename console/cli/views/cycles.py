"""What one cycle found and did, cycles that ran, and the run to wait for, as text."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.admin.reports.cycles import CyclePage
from console.admin.run_now import ConnectionBusy
from console.cli.output import View
from console.documents.reports import cycle_report, whole_cycle
from console.documents.values import page, utc_text
from console.rendering import text
from console.rendering.reports import KIND_WORDS, finding_counts
from store.records import Cycle, CycleKind, CycleStatus, JsonValue
from worker.cycle.report import CycleReport, HeldPlanReport
from worker.locks.lease import COMMAND, LeaseHeld

HEADLINES: Mapping[CycleStatus, str] = {
    CycleStatus.APPLIED: "Applied.",
    CycleStatus.REPORTED: "Reported, nothing changed (mode: report, or a dry run).",
    CycleStatus.HELD: "Held: removals wait for a person.",
    CycleStatus.INCOMPLETE: ("Incomplete: Graph could not be read whole, so nothing was taken from anybody."),
    CycleStatus.FAILED: "Failed.",
    CycleStatus.YIELDED: "Gave way to on-demand work; run it again.",
}

_NOT_DONE = frozenset({CycleStatus.FAILED, CycleStatus.INCOMPLETE, CycleStatus.YIELDED})


def synced(report: CycleReport) -> View:
    """Show the report of `leaver sync` (design.md §6)."""
    return View(cycle_report(report), lambda: _summary(report))


def exit_code(report: CycleReport) -> int:
    """Return 1 if the cycle did not do its work, 3 if something remains, else 0."""
    if report.status in _NOT_DONE:
        return errors.FAILED
    return errors.ATTENTION if report.remaining or report.held_plan else errors.DONE


def failure(report: CycleReport) -> str | None:
    """Return the one line of a failed cycle; None for every other."""
    if report.status is not CycleStatus.FAILED:
        return None
    error = report.error or "no reason was given."
    remedy = report.remedy or "The next cycle tries again; `leaver doctor` looks closer."
    return errors.one_line(f"the cycle failed: {error} {'' if remedy in error else remedy}")


def waiting(busy: ConnectionBusy) -> str:
    """Return the line that names the run to wait for, and since when it runs.

    A worker gives way by itself. A command that was killed keeps its lease for a while.
    """
    running = busy.running
    who, _, number = busy.lease.holder.partition(":")
    work = f"{running.kind.replace('_', '-')} cycle" if running else "run"
    since = f" since {running.started_at:%H:%M:%S} UTC" if running else ""
    if who == COMMAND:
        return f"waiting. The {work} of another command has gone on{since}. {LeaseHeld(busy.lease)}"
    is_cycle = running is not None and running.kind is not CycleKind.ON_DEMAND
    gives_way = busy.goes_first and is_cycle
    turn = "it gives way at its next safe point" if gives_way else "this command comes after it"
    return f"waiting. The {work} of {who} {number} has gone on{since}; {turn}."


def _summary(report: CycleReport) -> RenderableType:
    status = report.status
    lines: list[RenderableType] = [
        Text(HEADLINES.get(status, status), style=f"bold {text.STATUS_STYLES.get(status, '')}"),
        *(Text(f"  {reason}", style=text.CARE) for reason in _reasons(report)),
        *([Text(f"  {report.remedy}")] if report.remedy else []),
        text.facts(
            [
                ("Entitled in Entra", _counts(report.counts)),
                ("Cycle", f"{report.kind}, {report.duration_s:.1f} s, id {report.cycle_id}"),
                ("Read in full", report.why_full),
            ]
        ),
        *_missed(report),
        _drift(report),
        _applied(report),
    ]
    if report.held_plan:
        lines.append(_held(report.held_plan))
    return Group(*lines)


def _reasons(report: CycleReport) -> list[str]:
    """Return why something was held or not removed, each sentence once."""
    held = [report.held_plan.reason] if report.held_plan else []
    return list(dict.fromkeys([*report.reasons, *held]))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items()) or "nothing was read"


def _missed(report: CycleReport) -> list[RenderableType]:
    """Point out drift that only a full cycle found, a defect of incremental cycles."""
    if not report.increments_missed:
        return []
    line = f"  {report.increments_missed} of it the incremental cycles before had missed: "
    return [Text(f"{line}please report that, with the log.", style=text.CARE)]


def _drift(report: CycleReport) -> RenderableType:
    counts = finding_counts(report.findings)
    if not any(report.drift.values()):
        said = (
            "what changed is here too"
            if report.kind is CycleKind.INCREMENTAL
            else "the store says what Entra says"
        )
        return Text(f"  No drift: {said}. Findings: {counts}.", style=text.GOOD)
    rows = [(kind, str(number), KIND_WORDS.get(kind, "")) for kind, number in report.drift.items() if number]
    return Group(
        text.table("Drift", "Found", "Meaning", rows=rows), Text(f"  Findings: {counts}.", style=text.CARE)
    )


def _applied(report: CycleReport) -> RenderableType:
    done = ", ".join(f"{number} × {action}" for action, number in report.applied.items() if number)
    skipped = (
        f"; {report.skipped} skipped (moved meanwhile, or failed: see leaver log)" if report.skipped else ""
    )
    return Text(f"  Applied: {done or 'nothing'}{skipped}.")


def _held(held: HeldPlanReport) -> RenderableType:
    return Group(
        Text(f"  Held plan {held.checksum[:12]}", style=text.CARE),
        Text(f"  Look:    leaver plan show {held.id}"),
        Text(f"  Decide:  leaver plan approve {held.checksum[:12]}   or   leaver plan reject …"),
    )


def listed(found: CyclePage, *, is_filtered: bool) -> View:
    """Show cycles, newest first; `next` is the `--before` of the next page."""
    document = page(map(whole_cycle, found.cycles), found.next)
    if not found.cycles:
        return View(
            document,
            lambda: (
                "No cycle is like that. Leave out an option to see more: --kind, --status, --before"
                if is_filtered
                else "No cycle has run yet. Run one: leaver sync CONNECTION"
            ),
        )
    rows = [
        (
            utc_text(cycle.started_at),
            cycle.kind,
            text.status(cycle.status),
            # A cycle that did not end has no number: a zero would say "none".
            "–" if cycle.complete is None else str(sum(cycle.drift.values())),
            str(sum(cycle.applied.values())),
            cycle.id,
        )
        for cycle in found.cycles
    ]
    table = text.table("Started", "Kind", "Status", "Found", "Changed", "Cycle", rows=rows)
    table.caption = f"More: --before {found.next}" if found.next else None
    return View(document, lambda: table)


def shown(cycle: Cycle) -> View:
    """Show one cycle with the numbers of what was read, found and changed."""
    return View(
        whole_cycle(cycle),
        lambda: text.facts(
            [
                ("Cycle", cycle.id),
                ("Kind", cycle.kind),
                ("Status", text.status(cycle.status)),
                ("Started", utc_text(cycle.started_at)),
                ("Ended", utc_text(cycle.finished_at) or "runs now"),
                ("Complete", {True: "yes", False: "no", None: ""}[cycle.complete]),
                ("Read everything", cycle.why_full),
                ("Entitled in Entra", _numbers(cycle.counts)),
                ("Found", _numbers(cycle.drift) or "nothing"),
                ("Changed", _numbers(cycle.applied) or "nothing"),
                ("Passed over", str(cycle.skipped) if cycle.skipped else ""),
                ("Missed by increments", str(cycle.increments_missed) if cycle.increments_missed else ""),
                ("Held plan", cycle.held_plan_id),
                ("Error", cycle.error),
            ]
        ),
    )


def _numbers(counts: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
