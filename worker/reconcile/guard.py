"""Judge whether a plan may be applied, must be held, or may only add (design.md §5,
Safety).

1. An incomplete reading proves no absence: ADD_ONLY.
2. Every absentee is confirmed by itself: `confirmation`.
3. Under the ceilings, this plan and this day: `exceeded_ceilings`, else HOLD_REMOVALS.
4. Nothing suspicious: `anomalies`, else HOLD_REMOVALS.
5. Protected accounts and the last admin are never in a plan: `leavers`.
6. No update of most people at once: `mass_updates`, else these updates wait.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from store.records import GUARDED, Action, Ceilings, Mode, Policy, Scope, SubjectType
from worker.reconcile.completeness import gaps
from worker.reconcile.entitlement import Entitlement, scope_key
from worker.reconcile.mass_updates import MassUpdates, find_mass_updates, is_update_of_person
from worker.reconcile.partitioning.partition import partition as partition
from worker.reconcile.partitioning.partition import partition_approved as partition_approved
from worker.reconcile.plan import ALL_REMOVALS, Change, Decision, Plan, RemovalKind, Verdict
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
    undecided = [c for c in plan.changes if _is_judged(c) and not is_decided(c, history)]
    over = exceeded_ceilings(undecided, state, history, policy.ceilings)
    doubts = anomalies(plan, snapshot, history, policy, entitlement)
    mass = _mass_updates(plan, state, history)
    reasons = (
        *(doubt.sentence for doubt in doubts),
        *(s for sentences in over.values() for s in sentences),
        *mass.sentences,
    )
    if policy.mode is Mode.REPORT:
        return Verdict(Decision.REPORT_ONLY, (REPORT_MODE, *incomplete, *reasons))
    if incomplete:
        return Verdict(
            Decision.ADD_ONLY,
            incomplete,
            waiting=history.waiting,
            accepted=history.accepted,
            mass_updated=mass.paths,
        )
    if not reasons:
        return Verdict(Decision.APPLY, (), waiting=history.waiting, accepted=history.accepted)
    return Verdict(
        Decision.HOLD_REMOVALS,
        reasons,
        over_ceiling=ALL_REMOVALS if _is_restored(history) else frozenset(over),
        doubtful=frozenset(kind for doubt in doubts for kind in doubt.kinds),
        waiting=history.waiting,
        accepted=history.accepted,
        mass_updated=mass.paths,
    )


def _mass_updates(plan: Plan, state: State, history: History) -> MassUpdates:
    updates = [change for change in plan.changes if is_update_of_person(change)]
    if not updates:
        return MassUpdates()
    decided = history.waiting | history.accepted.keys()
    return find_mass_updates(updates, state.totals.active_users, decided)


def _is_judged(change: Change) -> bool:
    """Return whether a removal counts under the ceilings.

    One that waits for a person in any case does not, nor does an account without access
    that gives up its names.
    """
    takes_access = change.action is not Action.RELEASE_NAMES or bool(change.before.get("active"))
    return change.action in GUARDED and not change.hold_reason and takes_access


def is_decided(change: Change, history: History) -> bool:
    """Return whether a removal waits in a held plan or was rejected.

    It is neither judged nor counted again.
    """
    return change.removal_key in history.waiting or change.removal_key in history.accepted


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


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A reason to doubt a whole reading, and the kinds of removal it concerns."""

    sentence: str
    kinds: frozenset[RemovalKind]


_KINDS_OF: Mapping[str, frozenset[RemovalKind]] = {
    "users": frozenset({(Action.DISABLE, SubjectType.USER), (Action.DELETE, SubjectType.USER)}),
    "groups": frozenset({(Action.DELETE, SubjectType.GROUP)}),
    "memberships": frozenset({(Action.REMOVE_MEMBER, SubjectType.GROUP)}),
}
"""What a list that shrank would remove: only the kind that shrank is doubted."""


def anomalies(
    plan: Plan,
    snapshot: Snapshot,
    history: History,
    policy: Policy,
    entitlement: Entitlement,
) -> tuple[Anomaly, ...]:
    """Return what is suspicious about a reading; empty if nothing is.

    The first reading ever is compared with nothing: the ceilings and "no user is
    entitled" have to do.
    """
    changed = _changed_circumstances(snapshot, history, policy)
    return (
        *_shrunken_counts(plan, snapshot, history, policy, entitlement),
        *(Anomaly(sentence, ALL_REMOVALS) for sentence in changed),
    )


def _shrunken_counts(
    plan: Plan, snapshot: Snapshot, history: History, policy: Policy, entitlement: Entitlement
) -> Iterator[Anomaly]:
    # A reading of some subjects counts these subjects only.
    if snapshot.is_of_subjects:
        return
    now = entitlement.counts
    removals = [change for change in plan.changes if _is_judged(change)]
    if now["users"] == 0 and any(not is_decided(change, history) for change in removals):
        yield Anomaly("Nobody is entitled in this reading.", ALL_REMOVALS)
    decided = Counter(c.removal_kind for c in removals if is_decided(c, history))
    for what, last in sorted(history.last_good_counts.items()):
        kinds = _KINDS_OF[what]
        # Removals that a person was asked about explain their part of the loss.
        explained = now.get(what, 0) + sum(decided[kind] for kind in kinds)
        if last - explained > policy.ceilings.floor and explained * 2 < last:
            yield Anomaly(
                f"{now.get(what, 0)} {what} were read, fewer than half of the last good {last}.", kinds
            )


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
    if _is_restored(history):
        yield "This is the first cycle after the database was restored from a backup."


def _is_restored(history: History) -> bool:
    """Return whether the database was restored from a backup since the last good cycle.

    It holds every removal, also what Graph itself tells about a person: marks and
    decisions made after the backup are lost.
    """
    restored_at, last_at = history.restored_at, history.last_complete_at
    return restored_at is not None and (last_at is None or restored_at > last_at)


# Ceilings: how much may be removed without a person's decision (floor, percentage,
# count, "would leave none"). A percentage alone fails both ways: it stops a team of ten
# from losing two, and lets a company of a thousand lose ninety-nine. Judged on the
# whole plan before the first write, and over a rolling day together with earlier
# removals.

_WORDS: Mapping[RemovalKind, tuple[str, str, str]] = {
    (Action.DISABLE, SubjectType.USER): ("active users", "would be disabled", "were disabled or deleted"),
    (Action.DELETE, SubjectType.USER): ("active users", "would be deleted", "were disabled or deleted"),
    (Action.CHANGE_HOLDER, SubjectType.USER): (
        "active users",
        "would be given to other people",
        "were given to other people",
    ),
    (Action.REMOVE_MEMBER, SubjectType.GROUP): ("memberships", "would be removed", "were removed"),
    (Action.DELETE, SubjectType.GROUP): ("groups", "would be deleted", "were deleted"),
}


def exceeded_ceilings(
    removals: Sequence[Change], state: State, history: History, ceilings: Ceilings
) -> Mapping[RemovalKind, tuple[str, ...]]:
    """Return the sentences of the ceilings that removals are above, by kind.

    `removals` are those that no person was asked about yet.
    """
    counts = Counter(c.removal_kind for c in removals)
    totals = state.totals if counts else Totals(0, 0, 0)
    judged = {
        kind: tuple(_exceeded(kind, count, _total_of(kind, totals), _removed_in_24h(kind, history), ceilings))
        for kind, count in sorted(counts.items())
    }
    return {kind: sentences for kind, sentences in judged.items() if sentences}


def deciding_total(ceilings: Ceilings, people: int) -> int | None:
    """Return the total above which no ceiling and no mass update depends on it, for a
    plan about so many people; None: every total may decide.

    Above it a percentage of the total is more than the ceiling of the count.
    """
    if ceilings.percent <= 0:
        return None
    by_percent = math.ceil(ceilings.count * 100 / ceilings.percent)
    return max(by_percent, ceilings.count, 2 * people) + 1


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
        return f"{100 * count / total:.3g} % is above the ceiling of {ceilings.percent:g} %"
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
    ends_access = subject is SubjectType.USER and action is not Action.CHANGE_HOLDER
    counted = Action.DISABLE if ends_access else action
    return history.removals_last_24h.get(counted, 0)
