"""Judge what the push did to two accounts, or two people, of one object id
(identity.md, W1 and W3).

| the push                                  | is over when                           |
|-------------------------------------------|----------------------------------------|
| was refused a second account              | a cycle has looked at the person       |
| was refused an object id in an account    | it wrote the account since, or the     |
| (broken anchor)                           | account is deleted                     |
| ended access through an earlier holder's  | it wrote the account since, the present|
| anchor (shared anchor)                    | holder is not entitled, or 30 days have|
|                                           | passed                                 |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from store.records import DriftKind, User, UserId
from store.records.drift import ConflictKind, PushConflict
from worker.reconcile.plan import Finding
from worker.reconcile.plan_context import PlanContext, user_subject

LONGEST_SHARED = timedelta(days=30)
"""Entra purges who was deleted after 30 days: no earlier anchor is left by then."""

_REMEDY = "In Entra, restart provisioning with a full reset, or delete the object connection of"


@dataclass(frozen=True, slots=True)
class JudgedConflicts:
    """The conflicts that a plan looked at, and what is left of them."""

    looked_at: tuple[PushConflict, ...]
    standing: frozenset[PushConflict]
    findings: tuple[Finding, ...]


def judge_conflicts(context: PlanContext) -> JudgedConflicts:
    """Return what stands of the conflicts in focus; each is a finding."""
    looked_at = tuple(
        conflict
        for conflict in context.state.conflicts
        if context.is_about_user(conflict.object_id, conflict.account_id)
    )
    standing = list(_standing(context, looked_at))
    return JudgedConflicts(
        looked_at,
        frozenset(conflict for conflict, _ in standing),
        tuple(_finding(context, conflict, row) for conflict, row in standing),
    )


def _standing(
    context: PlanContext, conflicts: tuple[PushConflict, ...]
) -> Iterator[tuple[PushConflict, User]]:
    for conflict in conflicts:
        row = context.state.users.get(UserId(conflict.account_id))
        if row is None or (row.push_wrote_at is not None and row.push_wrote_at > conflict.at):
            continue
        if conflict.kind is ConflictKind.ANCHOR_BROKEN and row.deleted_at is None:
            yield conflict, row
        if conflict.kind is ConflictKind.SHARED_ANCHOR and _is_shared(context, conflict, row):
            yield conflict, row


def _is_shared(context: PlanContext, conflict: PushConflict, row: User) -> bool:
    is_recent = context.snapshot.taken_at - conflict.at < LONGEST_SHARED
    is_holder = row.entra_object_id == conflict.object_id
    return is_recent and is_holder and conflict.object_id in context.entitlement.entitled


def _finding(context: PlanContext, conflict: PushConflict, row: User) -> Finding:
    subject = user_subject(row, row.entra_object_id)
    if conflict.kind is ConflictKind.SHARED_ANCHOR:
        detail = (
            f"the push ended its access on {conflict.at:%Y-%m-%d}, probably through the anchor of an earlier holder: "
            f"{conflict.object_id}, who has it now, is entitled. {_REMEDY} the earlier holder"
        )
        return Finding(DriftKind.SHARED_ANCHOR, subject, detail, (row.id,))
    other = context.state.users.get(UserId(conflict.other_id))
    shown = f"{other.user_name} (id {other.id})" if other else f"with the id {conflict.other_id}"
    detail = (
        f"the push was refused to write the object id {conflict.object_id} into it: that is the account {shown}. "
        f"Entra does not match an account again to which a user is anchored. {_REMEDY} this user"
    )
    return Finding(DriftKind.ANCHOR_BROKEN, subject, detail, tuple(sorted(conflict.account_ids)))
