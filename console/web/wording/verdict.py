"""The one sentence on the state of a connection: what it is, and what to do next.

The first of these that is true is said: paused, quarantine, held, credential,
incomplete readings, no worker, no reading, drift, fine. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.admin.reports.connection_report import ConnectionReport
from console.admin.reports.status import Level
from console.documents.values import plural


@dataclass(frozen=True, slots=True)
class StateVerdict:
    """A heading, what it means, and the one thing to do."""

    tone: str
    heading: str
    meaning: str
    link: str | None = None
    """Below the connection's pages."""
    label: str = ""


def verdict_of(report: ConnectionReport) -> StateVerdict:
    """Return the sentence on a connection."""
    status, connection = report.status, report.status.connection
    standing = status.standing
    if connection.paused_at is not None:
        return StateVerdict(
            "care", "This connection is paused", f"Neither push nor pull changes anything. {_first(report)}"
        )
    if connection.quarantined_at is not None:
        return StateVerdict("bad", "Entra cannot be read", f"{_first(report)} The push goes on.")
    if standing.held_rows:
        rest = "Everyone else is kept in step. Nobody loses access by this plan until you decide."
        return StateVerdict(
            "care",
            f"{plural(standing.held_rows, 'change')} {'waits' if standing.held_rows == 1 else 'wait'}"
            " for your decision",
            rest,
            "/plans",
            f"Review {plural(standing.held_rows, 'change')}",
        )
    return _of_readings(report)


def _of_readings(report: ConnectionReport) -> StateVerdict:
    status, connection = report.status, report.status.connection
    if not connection.has_credential:
        return _without_pull(status.standing.last_push_at)
    worst = next(iter(status.concerns), None)
    if worst is not None and worst.level is Level.FAILED:
        return StateVerdict("bad", "Who left is not found right now", worst.sentence)
    if not report.has_worker:
        what = "No worker runs, so no cycle runs either. The push goes on. Start one: leaver worker."
        return StateVerdict("bad", "Nothing reads Entra right now", what)
    if connection.last_complete_at is None:
        what = "Nothing is taken from anyone before a first complete reading."
        return StateVerdict("care", "Entra has not been read completely yet", what)
    return _of_drift(report)


def _without_pull(last_push_at: datetime | None) -> StateVerdict:
    if last_push_at is None:
        what = (
            "Entra has sent nothing yet, and Leaver has no credential to read it. Setup shows what to paste."
        )
        return StateVerdict("care", "Entra is not connected yet", what, "/setup", "Connect Entra")
    heading = "Only the push keeps this connection in step"
    what = "There is no Graph credential, so a person who left is not found when Entra does not say so."
    return StateVerdict("care", heading, what, "/setup", "Set up the pull")


def _of_drift(report: ConnectionReport) -> StateVerdict:
    still_open = (report.status.standing.findings or {}).get("open", 0)
    if still_open:
        is_report = report.status.connection.policy.mode.value == "report"
        why = (
            "The connection is in mode report: it shows what it would do, and does nothing."
            if is_report
            else "What could not be repaired by itself is listed with its reason."
        )
        what = f"{plural(still_open, 'difference')} between Entra and here"
        return StateVerdict("care", what, why, "/drift", "See the differences")
    complete = report.last_complete
    counts = complete.counts if complete is not None else {}
    people, groups = counts.get("users", 0), counts.get("groups", 0)
    what = f"Compared with Entra: {plural(people, 'person', 'people')}, {plural(groups, 'group')}."
    return StateVerdict("good", "Everyone who should be here is here, and no one else", what)


def _first(report: ConnectionReport) -> str:
    return next((concern.sentence for concern in report.status.concerns), "")
