"""Time to revoke: from the loss of entitlement in Entra to the end of access here.

A repaired `missed_deprovision` keeps three times: when Entra says that it happened, or
the two readings between which it did; when it was seen; and when access ended. Where
only an interval is known, the longer time counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, DriftFinding, DriftKind, FindingState, JsonValue, TenantId

WINDOW = timedelta(days=30)
_MOST = 10_000

_c = tables.drift_findings.c
_REVOKED = text("drift_findings.kind = 'missed_deprovision' AND drift_findings.state = 'repaired'")
"""The condition of the index, in its own words: see `drift_reports`."""


@dataclass(frozen=True, slots=True)
class TimesToRevoke:
    """The times of one connection within the window, in seconds."""

    people: int
    """Those whose time is known."""
    unbounded: int
    """Those who had lost it before the first complete reading: no time can be told."""
    p50_s: float
    p90_s: float
    p99_s: float
    days: int = WINDOW.days

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "people": self.people,
            "unbounded": self.unbounded,
            "p50_s": self.p50_s,
            "p90_s": self.p90_s,
            "p99_s": self.p99_s,
            "days": self.days,
        }


def time_to_revoke_s(evidence: Mapping[str, Any]) -> float | None:
    """Return the time that the evidence of a finding tells, the longest it can have
    been.

    None if access has not ended here, or nothing bounds the time in Entra.
    """
    lost, ended = evidence.get("lost") or {}, evidence.get("ended_at")
    since = lost.get("at") or lost.get("after")
    if ended is None or since is None:
        return None
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(since)).total_seconds())


def is_revocation(finding: DriftFinding) -> bool:
    return finding.kind is DriftKind.MISSED_DEPROVISION and finding.state is FindingState.REPAIRED


async def times_to_revoke(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, now: datetime
) -> TimesToRevoke | None:
    """Return the percentiles of the last 30 days; None without a revocation."""
    query = (
        select(_c.subject_id, _c.evidence)
        .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id, _REVOKED)
        .where(_c.first_seen >= now - WINDOW)
        .order_by(_c.id.desc())
        .limit(_MOST)
    )
    rows = (await conn.execute(query)).all()
    # A repair on demand is in its own report and in the one that had found it.
    told = {(row.subject_id, row.evidence.get("ended_at")): row.evidence for row in rows}
    if not told:
        return None
    times = sorted(time for time in map(time_to_revoke_s, told.values()) if time is not None)
    p50_s, p90_s, p99_s = (percentile(times, share) for share in (0.5, 0.9, 0.99))
    return TimesToRevoke(len(times), len(told) - len(times), p50_s, p90_s, p99_s)


def percentile(times: Sequence[float], share: float) -> float:
    """Return the smallest time that this share of the sorted times does not exceed."""
    return round(times[max(0, math.ceil(share * len(times)) - 1)], 1) if times else 0.0
