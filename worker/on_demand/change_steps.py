"""Describe the last two steps (evaluate, perform) and the result. Pure.

Data of steps is bounded: of a group of ten thousand members a step holds the numbers
and the first changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from store.records import Action, GraphId, JsonValue, LogStatus, OutcomeStatus, Step, SubjectType
from worker.apply.apply_plan import Applied
from worker.apply.findings import answer_to_json
from worker.on_demand.report import OnDemandResult, without_secrets
from worker.reconcile.plan import Change, Plan, PlanPartition
from worker.reconcile.snapshot import Evidence

NAMES = ("find", "scope", "match", "evaluate", "perform")

MOST_LISTED = 50
"""The most changes or findings that one step lists; it always has their number."""
_KEPT_IN_LOG = 4
"""Longer lists are left out of the log entries: each entry names its own change."""

_DONE = {
    Action.CREATE: "created",
    Action.RESTORE: "brought back",
    Action.ENABLE: "enabled",
    Action.UPDATE: "updated",
    Action.LINK: "linked to its Entra object",
    Action.CHANGE_HOLDER: "given to another person, every key of the earlier one ended",
    Action.RELEASE_NAMES: "names given up",
    Action.RETIRE: "retired: the person has another account",
    Action.SEAL: "sealed, every key ended",
    Action.UNSEAL: "the same person was seen again",
    Action.ADD_MEMBER: "members added",
    Action.REMOVE_MEMBER: "members removed",
    Action.DISABLE: "disabled, every session ended",
    Action.DELETE: "deleted",
}

# The first action that took effect names the result.
_RESULTS = (
    (Action.DISABLE, OnDemandResult.DISABLED),
    (Action.DELETE, OnDemandResult.DISABLED),
    (Action.CREATE, OnDemandResult.CREATED),
    (Action.RESTORE, OnDemandResult.ENABLED),
    (Action.ENABLE, OnDemandResult.ENABLED),
    (Action.RELEASE_NAMES, OnDemandResult.DISABLED),
    (Action.RETIRE, OnDemandResult.DISABLED),
)

T = TypeVar("T")


def evaluate_step(plan: Plan, partition: PlanPartition, evidence: Mapping[str, Evidence]) -> Step:
    """Return the step of evaluation: what has to change, and what is left though it
    differs.
    """
    kept = _kept(partition)
    data: dict[str, JsonValue] = {
        "totals": {"changes": len(partition.apply), "kept": len(kept), "findings": len(plan.findings)},
        "counts": _counts(partition.apply),
        "changes": [_change_to_json(change) for change in _first(partition.apply)],
        "kept": [{"change": _change_to_json(change), "why": why} for change, why in _first(kept)],
        "findings": [finding.to_json() for finding in _first(plan.findings)],
        "reread": [answer_to_json(answer) for answer in _first(evidence.values())],
    }
    reasons = [*(why for _, why in kept), *(finding.detail for finding in plan.findings)]
    reasons += partition.reasons
    if partition.apply:
        detail = f"To do: {_summary(partition.apply)}."
        if not kept:
            return Step("evaluate", LogStatus.SUCCESS, detail, data)
        return Step(
            "evaluate", LogStatus.WARNING, f"{detail} Left as it is ({len(kept)}): {reasons[0]}", data
        )
    if reasons:
        return Step("evaluate", LogStatus.WARNING, f"Nothing will be done: {reasons[0]}", data)
    return Step("evaluate", LogStatus.SUCCESS, "Everything is as it should be; nothing to do.", data)


_HELD = "Another removal of the same reading was refuted, so nothing is taken away on its word."


def _first(items: Iterable[T]) -> Iterable[T]:
    return islice(items, MOST_LISTED)


def _counts(changes: Iterable[Change]) -> dict[str, JsonValue]:
    return dict(Counter(change.action.value for change in changes))


def _change_to_json(change: Change) -> dict[str, JsonValue]:
    body = change.to_json()
    return {**body, "before": without_secrets(change.before), "after": without_secrets(change.after)}


def _summary(changes: Sequence[Change]) -> str:
    words = Counter(change.action.value.replace("_", " ") for change in changes)
    return ", ".join(word if number == 1 else f"{word} ({number})" for word, number in words.items())


def dry_run_step(changes: Sequence[Change]) -> Step:
    """Return the step of a dry run: the same list as that of the real run."""
    detail = f"Dry run, nothing was changed. To be written: {_summary(changes)}."
    return Step(
        "perform", LogStatus.SKIPPED, detail, {"counts": _counts(changes), "write": _written(changes)}
    )


def perform_step(applied: Applied) -> Step:
    """Return the step of performing: what was done."""
    pairs = zip(applied.changes, applied.statuses, strict=True)
    written = [change for change, status in pairs if status is OutcomeStatus.APPLIED]
    done = [_numbered(_DONE[action], number) for action, number in applied.counts.items()]
    data: dict[str, JsonValue] = {action.value: number for action, number in applied.counts.items()}
    data["written"] = _written(written)
    refused = [applied.details[place] for place in sorted(applied.details)]
    if refused:
        data["refused"] = list(_first(dict.fromkeys(refused)))
    status = LogStatus.FAILURE if applied.failed else LogStatus.WARNING if refused else LogStatus.SUCCESS
    return Step("perform", status, _sentence([*done, *refused] or ["it was so already"]), data)


def _written(changes: Iterable[Change]) -> list[JsonValue]:
    """Return each change with its subject and attributes: the same in a dry and in a
    real run.
    """
    return [
        {
            "action": change.action,
            "type": change.subject.type,
            "subject": change.subject.label,
            "member": change.member.label if change.member else None,
            "attributes": _attributes(change),
        }
        for change in _first(changes)
    ]


def _attributes(change: Change) -> dict[str, JsonValue]:
    before, after = without_secrets(change.before), without_secrets(change.after)
    return {path: {"old": before.get(path), "new": after.get(path)} for path in {**before, **after}}


def _numbered(words: str, number: int) -> str:
    return words if number == 1 else f"{words} ({number})"


def _listed(parts: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(parts))


def _sentence(parts: Sequence[str]) -> str:
    text = _listed([part.rstrip(".") for part in parts])
    return f"{text[:1].upper()}{text[1:]}."


def not_reached(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that were not reached, so that there are always five."""
    return [Step(name, LogStatus.SKIPPED, "Not reached.") for name in NAMES[len(steps) :]]


def for_the_log(step: Step) -> Step:
    """Return the step for a log entry: without what was read, and without long
    lists.
    """
    kept = {name: value for name, value in step.data.items() if name not in _ONLY_SHOWN and _is_short(value)}
    return Step(step.name, step.status, step.detail, kept)


_ONLY_SHOWN = frozenset({"read", "properties"})


def _is_short(value: JsonValue) -> bool:
    return not isinstance(value, list | Mapping) or len(value) <= _KEPT_IN_LOG


def _kept(partition: PlanPartition) -> list[tuple[Change, str]]:
    """Return the changes that are not written, each with why."""
    held = partition.hold.changes if partition.hold else ()
    return [
        *((each.change, each.why) for each in partition.dropped),
        *((each, each.hold_reason or _HELD) for each in held),
    ]


def result_of(
    applied: Applied, subject: SubjectType, partition: PlanPartition, others: frozenset[GraphId]
) -> OnDemandResult:
    """Return the result for the subject of applied changes.

    A subject that is left as it is was skipped, though an account of `others` may have
    got another name.
    """
    is_left = any(change.subject.graph_id not in others for change, _ in _kept(partition))
    if is_left and all(change.subject.graph_id in others for change in applied.changes):
        return OnDemandResult.SKIPPED
    if applied.counts:
        return result_of_actions(applied.counts.keys(), subject)
    if applied.failed:
        return OnDemandResult.FAILED
    return OnDemandResult.SKIPPED if applied.skipped else OnDemandResult.UNCHANGED


def result_of_actions(actions: Collection[Action], subject: SubjectType) -> OnDemandResult:
    """Return the result for changes with these actions, of which there is at least one.

    A group whose users were disabled is not disabled itself: only its deletion is that.
    """
    of_people = {Action.DISABLE} if subject is SubjectType.GROUP else set()
    named = (result for action, result in _RESULTS if action in actions and action not in of_people)
    return next(named, OnDemandResult.UPDATED)
