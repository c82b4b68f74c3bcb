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
from dataclasses import dataclass, field, replace

from store.records import (
    GUARDED,
    REMOVALS,
    Action,
    DriftKind,
    JsonValue,
    Reason,
    SubjectType,
    name_key,
)
from worker.reconcile.confirmation import Confirmation, EvidenceByKey, confirm
from worker.reconcile.plan import Change, Decision, Dropped, Plan, PlanPartition, Verdict
from worker.reconcile.snapshot import Evidence, materialize

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


_TAKING = frozenset({Action.CREATE, Action.RESTORE, Action.UPDATE})
"""Actions by which an account or a group gets a name."""
_NAMED_BY = {SubjectType.USER: "userName", SubjectType.GROUP: "displayName"}
"""Attributes of which each value has one owner in a connection."""
_NEW = frozenset({Action.CREATE, Action.RESTORE})


@dataclass(slots=True)
class Followers:
    """What waits with changes that are not written now: a person has one account, and
    a name one owner.
    """

    rows: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    """People who keep the account that they have."""
    names: set[tuple[SubjectType, str]] = field(default_factory=set)
    """Types and keys of names that stay taken."""

    def leave(self, change: Change) -> None:
        """Note a change that is not written now."""
        if change.handed_over is not None:
            self.rows.add(change.handed_over)
        if change.action is Action.CHANGE_HOLDER and isinstance(holder := change.before.get("holder"), str):
            self.people.add(holder)
        if _frees_a_name(change):
            self.keep_name(change)

    def keep_name(self, change: Change) -> None:
        """Note that the account or group of a change keeps the name that it has."""
        subject = change.subject
        name = change.before.get(_NAMED_BY[subject.type])
        if _is_end_of_group(change):
            name = subject.label
        if name:
            self.names.add((subject.type, name_key(str(name))))

    def keep_names_of_followers(self, changes: Iterable[Change]) -> None:
        """Note the names of accounts that cannot be renamed since theirs is kept."""
        if not self.names:
            return
        left = [each for each in changes if each.action is Action.UPDATE]
        known = -1
        while len(self.names) > known:
            known, free = len(self.names), []
            for change in left:
                if self._takes_a_name(change):
                    self.keep_name(change)
                else:
                    free.append(change)
            left = free

    def wait(self, change: Change, *, may_take_names: bool = False) -> bool:
        """Return whether a change waits with one that was left; so do those on its
        row.

        `may_take_names`: not for its name, of which a person decides with it.
        """
        if change.handed_over is not None or not (self.rows or self.people or self.names):
            return False
        member = change.member.local_id if change.member else None
        if self.rows.isdisjoint({change.subject.local_id, member}):
            is_kept = change.action in _NEW and change.subject.graph_id in self.people
            if not is_kept and (may_take_names or not self._takes_a_name(change)):
                return False
            if change.action in _NEW and change.subject.local_id is not None:
                self.rows.add(change.subject.local_id)
        self.keep_name(change)
        return True

    def _takes_a_name(self, change: Change) -> bool:
        if not self.names or change.action not in _TAKING or change.member is not None:
            return False
        type_ = change.subject.type
        return (type_, name_key(str(materialize(change.after).get(_NAMED_BY[type_], "")))) in self.names


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

    def add(
        self, change: Change, verdict: Verdict, evidence: EvidenceByKey, *, is_list_refuted: bool
    ) -> None:
        answer = confirm(change, evidence)
        is_decided = verdict.withholds(change)  # by a person, and its name with it
        if self.of_held.wait(change, may_take_names=is_decided):
            self.waiting.append(change)
            self.followers.append(change)
        elif self.of_accepted.wait(change, may_take_names=is_decided):
            self.followers.append(change)
            self.accepted.append(Dropped(change, FOLLOWS_REJECTED, is_follower=True))
        elif self.of_dropped.wait(change):
            self.dropped.append(Dropped(change, _FOLLOWS))
        elif change.action not in GUARDED and not verdict.withholds(change):
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
            self.apply.append(_with_reason(change, evidence))
        else:
            self.dropped.append(_dropped(change, _UNCONFIRMED, evidence))
            self.of_dropped.leave(change)

    def _hold(self, change: Change) -> None:
        """Hold a change; the keys of an account that may be another person's end all
        the same (identity.md, W3).
        """
        if change.action is not Action.CHANGE_HOLDER or change.before.get("sealed"):
            self.hold.append(change)
            return
        seal = replace(change, action=Action.SEAL, before=_NOTHING, after=_NOTHING)
        self.apply.append(seal)
        version = change.expected_version
        self.hold.append(
            replace(
                change,
                before={**change.before, "sealed": True},
                expected_version=None if version is None else version + 1,
            )
        )


def _is_decided_release(change: Change, verdict: Verdict) -> bool:
    """Return whether names would be given up by a change that waits in a held plan, or
    that a person rejected.
    """
    decided = change.removal_key in verdict.waiting or change.removal_key in verdict.accepted
    return decided and _frees_a_name(change)


def _frees_a_name(change: Change) -> bool:
    return change.action is Action.RELEASE_NAMES or _is_end_of_group(change)


def _is_end_of_group(change: Change) -> bool:
    return change.action is Action.DELETE and change.subject.type is SubjectType.GROUP


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
        return replace(change, reason=Reason.SOFT_DELETED)
    if not answer.user_found:
        return replace(change, reason=Reason.PURGED)
    return replace(change, reason=Reason.DISABLED) if answer.account_enabled is False else change


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
    return replace(change, note=f"{change.note} {came_to}".strip())


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
