"""Divide a plan by what re-reading each absentee in Graph answered.

| the answer                              | applying          | holding            |
|-----------------------------------------|-------------------|--------------------|
| gone: not found, disabled, not assigned | applied           | held               |
| entitled after all                      | dropped: refuted  | dropped: refuted   |
| no answer (403, 429, 5xx, not asked)    | dropped, asked    | held, asked again  |
|                                         | again next cycle  | when approved      |

One user found entitled means that the listing was wrong, and it may be wrong about
other users too, where that is harder to detect: the other removals of that cycle that
rest on lists are held. An account that Graph, asked for it alone, calls disabled or
deleted needs no list. Removals that no rule names go on: an unrelated leaver is out
within the same cycle (invariant I12).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from store.records import (
    GUARDED,
    REMOVALS,
    Action,
    DriftKind,
    JsonValue,
    Reason,
)
from worker.reconcile.confirmation import Confirmation, EvidenceByKey, confirm
from worker.reconcile.partitioning.followers import Followers, frees_a_name
from worker.reconcile.plan import Change, Decision, Dropped, Plan, PlanPartition, Verdict
from worker.reconcile.snapshot import Evidence

_NOTHING: Mapping[str, JsonValue] = {}


def partition(plan: Plan, verdict: Verdict, evidence: EvidenceByKey) -> PlanPartition:
    """Divide a plan's changes by verdict and evidence.

    Each change lands in exactly one part; the parts keep the plan's order.
    """
    if verdict.decision is Decision.REPORT_ONLY:
        return _reported(plan.changes, verdict, evidence)
    if verdict.decision is Decision.ADD_ONLY:
        return _added_only(plan.changes, verdict, evidence)
    removals = [change for change in plan.changes if change.action in GUARDED]
    if not removals and not any(map(verdict.withholds, plan.changes)):
        return PlanPartition(plan.changes, None, (), verdict.reasons)
    refuted = sum(1 for change in removals if confirm(change, evidence) is Confirmation.ENTITLED)
    reasons = (*verdict.reasons, *([_refuted_reason(refuted, len(removals))] if refuted else []))
    parts = _PartitionParts([], [], [], [], [], [])
    parts.keep_names(plan.changes, verdict)
    parts.keep_people(removals, verdict, evidence, is_list_refuted=refuted > 0)
    for change in plan.changes:
        parts.add(change, verdict, evidence, is_list_refuted=refuted > 0)
    hold = plan.subset(_with_reason(change, evidence) for change in parts.hold) if parts.hold else None
    reasons = (*reasons, *dict.fromkeys(change.hold_reason for change in parts.hold if change.hold_reason))
    unknown = sum(1 for dropped in parts.dropped if not dropped.is_refuted and dropped.why != _FOLLOWS)
    if unknown:
        reasons = (*reasons, _unconfirmed(unknown))
    return PlanPartition(
        tuple(parts.apply),
        hold,
        tuple(parts.dropped),
        reasons,
        hold_keys=tuple(change.removal_key for change in parts.hold),
        waiting=tuple(parts.waiting),
        accepted=tuple(parts.accepted),
        followers=tuple(parts.followers),
    )


@dataclass(frozen=True, slots=True)
class _PartitionParts:
    apply: list[Change]
    hold: list[Change]
    dropped: list[Dropped]
    waiting: list[Change]
    accepted: list[Dropped]
    followers: list[Change]
    of_held: Followers = field(default_factory=Followers)
    of_accepted: Followers = field(default_factory=Followers)
    of_dropped: Followers = field(default_factory=Followers)

    def keep_names(self, changes: Iterable[Change], verdict: Verdict) -> None:
        """Note the names that stay taken since a person decides, or has decided.

        Before any change is added: of two people who swap names the other may come
        first.
        """
        for change in changes:
            if not verdict.withholds(change) and not _is_decided_release(change, verdict):
                continue
            is_rejected = change.removal_key in verdict.accepted
            (self.of_accepted if is_rejected else self.of_held).keep_name(change)
        for followers in (self.of_held, self.of_accepted):
            followers.keep_names_of_followers(changes)

    def keep_people(
        self,
        changes: Sequence[Change],
        verdict: Verdict,
        evidence: EvidenceByKey,
        *,
        is_list_refuted: bool,
    ) -> None:
        """Note who keeps an account since a person decides, or has decided, on its
        change of holder; before any change is added, as with names.
        """
        for change in changes:
            if change.action is not Action.CHANGE_HOLDER:
                continue
            key = change.removal_key
            if key in verdict.accepted:
                self.of_accepted.keep_person(change)
            elif key in verdict.waiting or _is_held(
                change, verdict, evidence, is_list_refuted=is_list_refuted
            ):
                self.of_held.keep_person(change)
        for followers in (self.of_held, self.of_accepted):
            followers.keep_people_of_followers(changes)

    def add(
        self, change: Change, verdict: Verdict, evidence: EvidenceByKey, *, is_list_refuted: bool
    ) -> None:
        answer = confirm(change, evidence)
        if change.action is not Action.CHANGE_HOLDER and self._waits(change, verdict):
            return
        if change.action not in GUARDED and not verdict.withholds(change):
            self.apply.append(change)
        elif answer is Confirmation.ENTITLED:
            self.dropped.append(_dropped(change, "", evidence))
            self.of_dropped.leave(change)
        elif (why := verdict.accepted.get(change.removal_key)) is not None:
            self.accepted.append(Dropped(change, why))
            self.of_accepted.leave(change)
        elif change.removal_key in verdict.waiting:
            self.waiting.append(change)
            self.of_held.leave(change)
        elif _is_held(change, verdict, evidence, is_list_refuted=is_list_refuted):
            self._hold(change)
            self.of_held.leave(change)
        elif answer is Confirmation.GONE:
            # A change of holder is judged by itself first: where it waits for another
            # that a person decides, both are on the same sheet.
            if change.action is not Action.CHANGE_HOLDER or not self._waits(change, verdict):
                self.apply.append(_with_reason(change, evidence))
        else:
            self.dropped.append(_dropped(change, _UNCONFIRMED, evidence))
            self.of_dropped.leave(change)

    def _waits(self, change: Change, verdict: Verdict) -> bool:
        """Put a change aside that cannot be written while another is not; return
        whether it was.
        """
        is_decided = verdict.withholds(change)  # by a person, and its name with it
        if self.of_held.wait(change, may_take_names=is_decided):
            self.waiting.append(change)
        elif self.of_accepted.wait(change, may_take_names=is_decided):
            self.accepted.append(Dropped(change, FOLLOWS_REJECTED, is_follower=True))
        elif self.of_dropped.wait(change):
            self.dropped.append(Dropped(change, _FOLLOWS))
            return True
        else:
            return False
        self.followers.append(change)
        if _needs_seal(change):
            self._seal(change)
        return True

    def _hold(self, change: Change) -> None:
        if not _needs_seal(change):
            self.hold.append(change)
            return
        self._seal(change)
        version = change.expected_version
        self.hold.append(
            structs.replace(
                change,
                before={**change.before, "sealed": True},
                expected_version=None if version is None else version + 1,
            )
        )

    def _seal(self, change: Change) -> None:
        """End the keys of an account that may be another person's, though the change of
        holder is not written now (identity.md, W3).
        """
        self.apply.append(structs.replace(change, action=Action.SEAL, before=_NOTHING, after=_NOTHING))


def _needs_seal(change: Change) -> bool:
    return change.action is Action.CHANGE_HOLDER and not change.before.get("sealed")


def _is_decided_release(change: Change, verdict: Verdict) -> bool:
    """Return whether names would be given up by a change that waits in a held plan, or
    that a person rejected.
    """
    decided = change.removal_key in verdict.waiting or change.removal_key in verdict.accepted
    return decided and frees_a_name(change)


def _is_held(change: Change, verdict: Verdict, evidence: EvidenceByKey, *, is_list_refuted: bool) -> bool:
    """Return whether a rule names this removal.

    Its kind is above a ceiling, or it rests on a list that is doubted.
    """
    if change.hold_reason or change.action is Action.UPDATE:
        return True
    kind = change.removal_kind
    if verdict.decision is Decision.HOLD_REMOVALS and kind in verdict.over_ceiling:
        return True
    is_doubted = is_list_refuted or (verdict.decision is Decision.HOLD_REMOVALS and kind in verdict.doubtful)
    return is_doubted and not _is_positive(change, evidence)


def _is_positive(change: Change, evidence: EvidenceByKey) -> bool:
    """Return whether Graph, asked for the account alone, calls it disabled or deleted.

    Such an answer needs no list. Memberships and assignments are read from lists, and
    an object that is not found may be one that another directory or another permission
    would show.
    """
    if change.member is not None or not (change.claimants or change.subject.graph_id):
        return False
    answers = [evidence.get(key) for key in change.absentee_keys]
    return all(
        answer is not None
        and answer.readable
        and (answer.account_enabled is False or answer.soft_deleted_at is not None)
        for answer in answers
    )


def partition_approved(plan: Plan, evidence: EvidenceByKey) -> PlanPartition:
    """Divide a plan that the guard or a person lets through.

    Removals of absentees that are still gone are applied, all other removals dropped.
    """
    if not any(change.action in GUARDED for change in plan.changes):
        return PlanPartition(plan.changes, None, (), ())
    answers = [(change, confirm(change, evidence)) for change in plan.changes]
    apply = tuple(_with_reason(change, evidence) for change, answer in answers if answer is Confirmation.GONE)
    rest = (change for change, answer in answers if answer is not Confirmation.GONE)
    unknown = sum(1 for _, answer in answers if answer is Confirmation.UNKNOWN)
    reasons = (_unconfirmed(unknown),) if unknown else ()
    return PlanPartition(
        apply, None, tuple(_dropped(change, _UNCONFIRMED, evidence) for change in rest), reasons
    )


def _reported(changes: Sequence[Change], verdict: Verdict, evidence: EvidenceByKey) -> PlanPartition:
    dropped = tuple(_dropped(change, verdict.reasons[0], evidence) for change in changes)
    return PlanPartition((), None, dropped, verdict.reasons)


def _added_only(changes: Sequence[Change], verdict: Verdict, evidence: EvidenceByKey) -> PlanPartition:
    why = f"The reading is not whole: {verdict.reasons[0]}"
    left = [c for c in changes if _is_left(c, verdict, evidence)]
    followers = Followers()
    for change in left:
        followers.leave(change)
    left += [c for c in changes if c.action not in REMOVALS and followers.wait(c)]
    left_out = frozenset(map(id, left))
    dropped = tuple(_dropped(change, why, evidence) for change in changes if id(change) in left_out)
    added = tuple(change for change in changes if id(change) not in left_out)
    return PlanPartition(added, None, dropped, verdict.reasons)


def _is_left(change: Change, verdict: Verdict, evidence: EvidenceByKey) -> bool:
    if change.action is Action.CHANGE_HOLDER:
        return confirm(change, evidence) is not Confirmation.GONE
    return change.action in REMOVALS or verdict.withholds(change)


def _dropped(change: Change, why: str, evidence: EvidenceByKey) -> Dropped:
    if confirm(change, evidence) is Confirmation.ENTITLED:
        return Dropped(
            change, "Re-read by itself, it is entitled after all; the listing had left that out.", True
        )
    answer = evidence.get(change.absentee.key) if change.absentee else None
    is_explained = why == _UNCONFIRMED and answer is not None and answer.detail
    return Dropped(change, f"{why} {answer.detail}" if answer and is_explained else why)


def _with_reason(change: Change, evidence: EvidenceByKey) -> Change:
    """Give a change the reason from its re-reading, which is later and closer than the
    listing.
    """
    if change.kind is DriftKind.UNMATCHED_ACCOUNT and change.absentee is not None:
        return _with_search(change, evidence.get(change.absentee.key))
    if change.reason is None:
        return change
    if change.claimants:
        return change
    answer = evidence.get(change.person.key) if change.person else None
    if answer is None or not answer.readable:
        return change
    if answer.soft_deleted_at is not None:
        return structs.replace(change, reason=Reason.SOFT_DELETED)
    if not answer.user_found:
        return structs.replace(change, reason=Reason.PURGED)
    return structs.replace(change, reason=Reason.DISABLED) if answer.account_enabled is False else change


def _with_search(change: Change, answer: Evidence | None) -> Change:
    """Add what the search in Graph came to, for the person who decides."""
    if answer is None:
        return change
    if answer.graph_id is not None:
        came_to = f"{answer.graph_id} in Entra answers to it: approving takes nothing from that person."
    else:
        came_to = (
            f"The search in Graph failed: {answer.detail}" if answer.detail else "The search found no user."
        )
    return structs.replace(change, note=f"{change.note} {came_to}".strip())


_FOLLOWS = "It waits for another change that is not written now; the next cycle decides both again."
FOLLOWS_REJECTED = "It follows a change that a person rejected: it cannot be written while that stands."
_UNCONFIRMED = "It could not be confirmed that the person is gone; the next cycle asks again."


def _unconfirmed(number: int) -> str:
    return (
        f"{number} removals could not be confirmed: Graph did not answer for the people by themselves "
        "(the drift report says what it answered). Nothing was taken from them; the next cycle asks again."
    )


def _refuted_reason(refuted: int, asked: int) -> str:
    return (
        f"{refuted} of {asked} removals were refuted when the people were re-read one by one: "
        "the listing had left them out, so the other removals of this cycle wait."
    )
