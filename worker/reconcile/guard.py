"""Judge whether a plan may be applied, must be held, or may only add (design.md §5,
Safety).

1. An incomplete reading proves no absence: ADD_ONLY.
2. Every absentee is confirmed by itself: `confirmation`.
3. Under the ceilings, this plan and this day: `exceeded_ceilings`, else HOLD_REMOVALS.
4. Nothing suspicious: `anomalies`, else HOLD_REMOVALS.
5. Protected accounts and the last admin are never in a plan: `leavers`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from store.records import REMOVALS, Action, Ceilings, Mode, Policy, Scope, SubjectType
from worker.reconcile.completeness import gaps
from worker.reconcile.confirmation import partition as partition
from worker.reconcile.confirmation import partition_approved as partition_approved
from worker.reconcile.entitlement import Entitlement, scope_key
from worker.reconcile.plan import Decision, Plan, Verdict
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import History, State, Totals

_HOUR = timedelta(hours=1)

STALE_AFTER = 6 * _HOUR
"""A worker that was stopped and resumed later must not act on an old reading."""


def judge(
    plan: Plan,
    snapshot: Snapshot,
    state: State,
    history: History,
    policy: Policy,
    now: datetime,
    entitlement: Entitlement,
) -> Verdict:
    """Judge the whole frozen plan before its first write; every reason is a sentence
    with numbers.

    `entitlement` is the snapshot's, under this policy.
    """
    incomplete = incompleteness(snapshot, policy.scope, now)
    doubtful = (
        *anomalies(plan, snapshot, history, policy, entitlement),
        *exceeded_ceilings(plan, state, history, policy.ceilings),
    )
    if policy.mode is Mode.REPORT:
        return Verdict(Decision.REPORT_ONLY, (REPORT_MODE, *incomplete, *doubtful))
    if incomplete:
        return Verdict(Decision.ADD_ONLY, incomplete)
    return Verdict(Decision.HOLD_REMOVALS if doubtful else Decision.APPLY, doubtful)


def incompleteness(snapshot: Snapshot, scope: Scope, now: datetime) -> tuple[str, ...]:
    """Return why the reading proves no absence, in sentences; empty if it does."""
    return (*gaps(snapshot, scope), *_staleness(snapshot, now))


def _staleness(snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
    age = now - snapshot.taken_at
    if age <= STALE_AFTER:
        return ()
    return (f"The reading is {age / _HOUR:.1f} h old; after {STALE_AFTER / _HOUR:g} h it is stale.",)


REPORT_MODE = "The connection is in mode `report`: nothing is applied."


# Complete readings that are still not trusted without a person's decision (design.md
# §5, rule 4).


def anomalies(
    plan: Plan,
    snapshot: Snapshot,
    history: History,
    policy: Policy,
    entitlement: Entitlement,
) -> tuple[str, ...]:
    """Return what is suspicious about a reading, in sentences; empty if nothing is.

    The first reading ever is compared with nothing: the ceilings and "nobody is
    entitled" have to do.
    """
    return (
        *_shrunken_counts(plan, snapshot, history, entitlement),
        *_changed_circumstances(snapshot, history, policy),
    )


def _shrunken_counts(
    plan: Plan, snapshot: Snapshot, history: History, entitlement: Entitlement
) -> Iterator[str]:
    # A reading of some subjects counts these subjects only.
    if snapshot.is_of_subjects:
        return
    now = entitlement.counts
    if now["users"] == 0 and any(change.action in REMOVALS for change in plan.changes):
        yield "Nobody is entitled in this reading."
    for what, last in sorted(history.last_good_counts.items()):
        if now.get(what, 0) * 2 < last:
            yield f"{now.get(what, 0)} {what} were read, fewer than half of the last good {last}."


def _changed_circumstances(snapshot: Snapshot, history: History, policy: Policy) -> Iterator[str]:
    roles, last_roles = snapshot.completeness.token_roles, history.last_token_roles
    if last_roles is not None and roles != last_roles:
        changed = ", ".join(sorted(roles ^ last_roles))
        yield f"The permissions of the token changed since the last good cycle: {changed}."
    # The reading of one subject may know no more of the application than the last cycle
    # did: the same definition applies.
    if history.last_scope_key is not None and scope_key(snapshot, policy) != history.last_scope_key:
        yield "Who is entitled is defined anew (application, scope, filters) since the last good cycle."
    changed_at, last_at = history.credential_changed_at, history.last_complete_at
    if changed_at is not None and last_at is not None and changed_at > last_at:
        yield "This is the first cycle after the credentials changed."


# Ceilings: how much may be removed without a person's decision (floor, percentage,
# count, "would leave none"). A percentage alone fails both ways: it stops a team of ten
# from losing two, and lets a company of a thousand lose ninety-nine. Judged on the
# whole plan before the first write, and over a rolling day together with earlier
# removals.

RemovalKind = tuple[Action, SubjectType]

_WORDS: Mapping[RemovalKind, tuple[str, str, str]] = {
    (Action.DISABLE, SubjectType.USER): ("active users", "would be disabled", "were disabled or deleted"),
    (Action.DELETE, SubjectType.USER): ("active users", "would be deleted", "were disabled or deleted"),
    (Action.REMOVE_MEMBER, SubjectType.GROUP): ("memberships", "would be removed", "were removed"),
    (Action.DELETE, SubjectType.GROUP): ("groups", "would be deleted", "were deleted"),
}


def exceeded_ceilings(plan: Plan, state: State, history: History, ceilings: Ceilings) -> tuple[str, ...]:
    """Return which ceilings the plan exceeds, in sentences with numbers; empty
    if none.
    """
    removals = Counter((c.action, c.subject.type) for c in plan.changes if c.action in REMOVALS)
    totals = state.totals if removals else Totals(0, 0, 0)
    return tuple(
        sentence
        for kind, count in sorted(removals.items())
        for sentence in _exceeded(
            kind, count, _total_of(kind, totals), _removed_in_24h(kind, history), ceilings
        )
    )


def _exceeded(kind: RemovalKind, count: int, total: int, removed: int, ceilings: Ceilings) -> Iterator[str]:
    things, would, were = _WORDS[kind]
    if reason := _ceiling_reason(count, total, ceilings):
        yield f"{count} of {total} {things} {would}: {reason}."
    # A day's removals are measured against what there was a day ago: what is here and
    # what was removed since.
    elif reason := _ceiling_reason(count + removed, total + removed, ceilings):
        yield (
            f"{count} of {total} {things} {would}, and {removed} {were} in the last 24 h, "
            f"together {count + removed} of {total + removed}: {reason}."
        )


def _ceiling_reason(count: int, total: int, ceilings: Ceilings) -> str | None:
    if count <= ceilings.floor:
        return None
    if count >= total:
        return "that would leave none"
    if count > ceilings.count:
        return f"the ceiling is {ceilings.count}"
    if count * 100 > ceilings.percent * total:
        return f"{count / total:.1%} is above the ceiling of {ceilings.percent:g} %"
    return None


def _total_of(kind: RemovalKind, totals: Totals) -> int:
    match kind:
        case (_, SubjectType.USER):
            return totals.active_users
        case (Action.REMOVE_MEMBER, _):
            return totals.memberships
        case _:
            return totals.groups


def _removed_in_24h(kind: RemovalKind, history: History) -> int:
    action, subject = kind
    counted = Action.DISABLE if subject is SubjectType.USER else action
    return history.removals_last_24h.get(counted, 0)
