"""The guard: whether a plan may be applied, must wait for a person, or may only add (design.md §5, Safety).

1. What was not read whole proves no absence: ADD_ONLY.
2. Every absentee is confirmed by itself: `settlement`.
3. Under the ceilings, this plan and this day: `ceilings`, else HOLD_REMOVALS.
4. Nothing suspicious: `suspicion`, else HOLD_REMOVALS.
5. Protected accounts and the last admin are never in a plan: `leavers`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from store.records import Mode, Policy, Scope
from worker.reconcile.ceilings import exceeded
from worker.reconcile.completeness import gaps
from worker.reconcile.plan import Decision, Plan, Verdict
from worker.reconcile.scope import Entitlement
from worker.reconcile.settlement import settle as settle
from worker.reconcile.settlement import settle_approved as settle_approved
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import History, State
from worker.reconcile.suspicion import suspicions

_HOUR = timedelta(hours=1)

STALE_AFTER = 6 * _HOUR
"""A worker that was stopped and woke up later must not act on what it read before."""


def judge(
    plan: Plan,
    snapshot: Snapshot,
    state: State,
    history: History,
    policy: Policy,
    now: datetime,
    standing: Entitlement | None = None,
) -> Verdict:
    """Judges the whole frozen plan before its first write; every reason is a sentence with numbers.

    `standing` is the snapshot's `entitlement`, where that was worked out already.
    """
    incomplete = unproven(snapshot, policy.scope, now)
    doubtful = (
        *suspicions(plan, snapshot, history, policy, standing),
        *exceeded(plan, state, history, policy.ceilings),
    )
    if policy.mode is Mode.REPORT:
        return Verdict(Decision.REPORT_ONLY, (REPORT_MODE, *incomplete, *doubtful))
    if incomplete:
        return Verdict(Decision.ADD_ONLY, incomplete)
    return Verdict(Decision.HOLD_REMOVALS if doubtful else Decision.APPLY, doubtful)


def unproven(snapshot: Snapshot, scope: Scope, now: datetime) -> tuple[str, ...]:
    """Says why the reading proves nobody gone, in sentences; empty where it does."""
    return (*gaps(snapshot, scope), *_staleness(snapshot, now))


def _staleness(snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
    age = now - snapshot.taken_at
    if age <= STALE_AFTER:
        return ()
    return (f"The reading is {age / _HOUR:.1f} h old; after {STALE_AFTER / _HOUR:g} h it is stale.",)


REPORT_MODE = "The connection is in mode `report`: nothing is applied."
