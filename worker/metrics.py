"""Count the worker's work for Prometheus; the server shows it at `/metrics`.

No label ever names a user.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from store.records import REMOVALS, Action, CycleKind, CycleStatus, DriftFinding, DriftKind
from store.sync.revocations import is_revocation, time_to_revoke_s

CYCLES = Counter("leaver_cycles", "Cycles that ended, by how.", ["kind", "status"])
DRIFT = Counter("leaver_drift_findings", "New drift found, by kind.", ["kind"])
CHANGES = Counter("leaver_changes_applied", "Changes the worker applied, by action.", ["action"])
REMOVED = Counter("leaver_removals_applied", "Changes that took something away from a person.", ["action"])
MISSED = Counter(
    "leaver_increments_missed", "Drift that a full cycle found and the increments before it should have."
)
HELD = Counter("leaver_plans_held", "Plans that wait for a person.")
DURATION = Histogram(
    "leaver_cycle_duration_seconds",
    "How long a cycle took.",
    ["kind"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
REVOKED = Histogram(
    "leaver_time_to_revoke_seconds",
    "From the loss of entitlement in Entra (at the latest reading before it, where Graph does not date it)"
    " to the end of access here.",
    buckets=(10, 30, 60, 120, 180, 240, 300, 360, 420, 600, 900, 1800, 3600, 7200, 21600, 86400),
)
RUNNING = Gauge("leaver_jobs_running", "Jobs that run in this process.", ["kind"])
QUARANTINED = Counter("leaver_quarantines", "Connections put into quarantine.")
LAST_COMPLETE = Gauge(
    "leaver_last_complete_cycle_age_seconds",
    "Time since the last cycle of a connection whose reading was complete; since its creation before.",
    ["connection"],
)
GRAPH_UNITS = Counter("leaver_graph_resource_units", "Resource units that reading Microsoft Graph cost.")
GRAPH_THROTTLED = Counter("leaver_graph_throttled", "Requests that Microsoft Graph refused for now (429).")


def note_repairs(findings: Iterable[DriftFinding]) -> None:
    """Observe the time to revoke of each leaver among these findings."""
    for finding in findings:
        time_s = time_to_revoke_s(finding.evidence) if is_revocation(finding) else None
        if time_s is not None:
            REVOKED.observe(time_s)


def note_last_complete(connection_id: str, at: datetime) -> None:
    """Show the age of a connection's last complete reading, which grows by itself."""
    moment = at.timestamp()
    LAST_COMPLETE.labels(connection_id).set_function(lambda: time.time() - moment)


def note_cycle(
    kind: CycleKind,
    status: CycleStatus,
    duration_s: float,
    drift: Mapping[DriftKind, int],
    applied: Mapping[Action, int],
) -> None:
    """Count one cycle that ended."""
    CYCLES.labels(kind, status).inc()
    DURATION.labels(kind).observe(duration_s)
    if status is CycleStatus.HELD:
        HELD.inc()
    for kind_of_drift, number in drift.items():
        DRIFT.labels(kind_of_drift).inc(number)
    for action, number in applied.items():
        CHANGES.labels(action).inc(number)
        if action in REMOVALS:
            REMOVED.labels(action).inc(number)
