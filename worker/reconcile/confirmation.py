"""Say whether the person of a removal is gone, by Graph's answer when asked again."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from store.records import REMOVALS, Action, DriftKind, Reason, SubjectType
from worker.reconcile.plan import Change
from worker.reconcile.snapshot import Evidence

EvidenceByKey = Mapping[str, Evidence]
"""Answers by `Subject.key`."""


class Confirmation(Enum):
    GONE = auto()
    ENTITLED = auto()
    UNKNOWN = auto()


def confirm(change: Change, evidence: EvidenceByKey) -> Confirmation:
    """Return what the re-reading says about one change.

    A change that takes nothing away needs no confirmation.
    """
    if change.action is Action.CHANGE_HOLDER:
        return _of_earlier_holder(change, evidence)
    if change.action not in REMOVALS or change.action is Action.RETIRE:
        return Confirmation.GONE  # the person stays, with another account
    if change.claimants:
        return _of_claimants(change, evidence)
    absentee = change.absentee
    # To an unmatched or a local account no user answers: a person decides about it, or
    # the policy.
    if absentee is None or change.kind is DriftKind.LOCAL_ACCOUNT:
        return Confirmation.GONE
    answer = evidence.get(absentee.key)
    if change.kind is DriftKind.UNMATCHED_ACCOUNT:
        is_found = answer is not None and answer.graph_id is not None
        return Confirmation.UNKNOWN if is_found else Confirmation.GONE
    if answer is None and absentee.type is SubjectType.GROUP and absentee.graph_id is None:
        return (
            Confirmation.GONE
        )  # pushed without its object id, and never linked: there is nothing to ask for
    if answer is None or not answer.readable:
        return Confirmation.UNKNOWN
    if not answer.user_found:
        return Confirmation.GONE
    if change.action is Action.REMOVE_MEMBER:
        return _of_membership(change, answer)
    if absentee.type is SubjectType.GROUP:
        return _entitled_if_any((answer.assigned_directly,))
    return _of_access(change, answer)


def _of_earlier_holder(change: Change, evidence: EvidenceByKey) -> Confirmation:
    """Return whether the earlier holder is gone (W3), entitled or not."""
    if change.departed is None:
        return Confirmation.GONE
    answer = evidence.get(change.departed)
    if answer is None or not answer.readable:
        return Confirmation.UNKNOWN
    return Confirmation.ENTITLED if answer.user_found else Confirmation.GONE


def _of_claimants(change: Change, evidence: EvidenceByKey) -> Confirmation:
    """Return what is known of an account that several people may have: one who is
    entitled is enough.
    """
    answers = {_of_claimant(change, evidence.get(claimant)) for claimant in change.claimants}
    if Confirmation.ENTITLED in answers:
        return Confirmation.ENTITLED
    return Confirmation.UNKNOWN if Confirmation.UNKNOWN in answers else Confirmation.GONE


def _of_claimant(change: Change, answer: Evidence | None) -> Confirmation:
    if answer is None or not answer.readable:
        return Confirmation.UNKNOWN
    return _of_access(change, answer) if answer.user_found else Confirmation.GONE


def _of_membership(change: Change, answer: Evidence) -> Confirmation:
    if change.subject.graph_id in answer.unreadable_groups:
        return Confirmation.UNKNOWN
    if answer.member_of is not None:
        return Confirmation.ENTITLED if change.subject.graph_id in answer.member_of else Confirmation.GONE
    return Confirmation.GONE if answer.assigned_by_group is False else Confirmation.UNKNOWN


def _of_access(change: Change, answer: Evidence) -> Confirmation:
    if not answer.account_enabled:
        return Confirmation.UNKNOWN if answer.account_enabled is None else Confirmation.GONE
    assigned = (answer.assigned_directly, answer.assigned_by_group)
    if change.reason is Reason.OUT_OF_SCOPE:
        # The filters look at attributes, which came with the user's own entry; no
        # answer here can contradict them.
        return Confirmation.GONE
    # Several claimants may have lost their entitlement for several reasons.
    if change.reason is Reason.UNASSIGNED or change.claimants:
        return _entitled_if_any(assigned)
    # Listed as disabled, deleted or absent, and yet found and enabled: one of the two
    # answers is wrong, so the listing is not to be trusted.
    return Confirmation.UNKNOWN if assigned == (False, False) else Confirmation.ENTITLED


def _entitled_if_any(assigned: tuple[bool | None, ...]) -> Confirmation:
    if any(assigned):
        return Confirmation.ENTITLED
    return Confirmation.UNKNOWN if None in assigned else Confirmation.GONE
