"""Readings that are whole and still not to be believed without a person's word (design.md §5, rule 4)."""

from __future__ import annotations

from collections.abc import Iterator

from store.records import REMOVALS, Policy
from worker.reconcile.plan import Plan
from worker.reconcile.scope import Entitlement, entitlement, scope_key
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import History


def suspicions(
    plan: Plan,
    snapshot: Snapshot,
    history: History,
    policy: Policy,
    standing: Entitlement | None = None,
) -> tuple[str, ...]:
    """Says in sentences what is off about a reading; empty where nothing is.

    The first reading ever is compared with nothing: the ceilings and "nobody is entitled" have to do.
    """
    return (
        *_of_numbers(plan, snapshot, history, standing or entitlement(snapshot, policy)),
        *_of_circumstances(snapshot, history, policy),
    )


def _of_numbers(plan: Plan, snapshot: Snapshot, history: History, standing: Entitlement) -> Iterator[str]:
    # A reading of some subjects has these subjects' numbers.
    if snapshot.is_of_subjects:
        return
    now = standing.counts
    if now["users"] == 0 and any(change.action in REMOVALS for change in plan.changes):
        yield "Nobody is entitled in this reading."
    for what, last in sorted(history.last_good_counts.items()):
        if now.get(what, 0) * 2 < last:
            yield f"{now.get(what, 0)} {what} were read, fewer than half of the last good {last}."


def _of_circumstances(snapshot: Snapshot, history: History, policy: Policy) -> Iterator[str]:
    roles, last_roles = snapshot.completeness.token_roles, history.last_token_roles
    if last_roles is not None and roles != last_roles:
        changed = ", ".join(sorted(roles ^ last_roles))
        yield f"The permissions of the token changed since the last good cycle: {changed}."
    # A subject's reading may know no more of the application than the cycle did: the same definition applies.
    if history.last_scope_key is not None and scope_key(snapshot, policy) != history.last_scope_key:
        yield "Who is entitled is defined anew (application, scope, filters) since the last good cycle."
    changed_at, last_at = history.credential_changed_at, history.last_complete_at
    if changed_at is not None and last_at is not None and changed_at > last_at:
        yield "This is the first cycle after the credentials changed."
