"""Explain an entry that a cycle wrote in the five steps of *Provision on demand*.

Storing them would double the log of a first cycle. They follow from the entry and from
the finding of the same cycle, which has the evidence. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from store.records import (
    Action,
    DriftFinding,
    DriftKind,
    FindingLink,
    LogEntry,
    LogStatus,
    Origin,
    Reason,
    Step,
    SubjectType,
)

FIVE = ("find", "scope", "match", "evaluate", "perform")

_WHY: Mapping[Reason, str] = {
    Reason.DISABLED: "the account is disabled in Entra",
    Reason.SOFT_DELETED: "the account is in Entra's recycle bin",
    Reason.PURGED: "Entra does not know the object id any more",
    Reason.UNASSIGNED: "not assigned to the application",
    Reason.OUT_OF_SCOPE: "does not pass the scoping filters",
}
_MEMBERSHIPS = {
    Action.ADD_MEMBER: DriftKind.MEMBERSHIP_MISSING,
    Action.REMOVE_MEMBER: DriftKind.MEMBERSHIP_EXTRA,
}


def explained(entry: LogEntry, object_id: str | None, finding: DriftFinding | None) -> LogEntry:
    """Return the entry of a cycle or of an on-demand run with all five steps and a link
    to its finding; any other as it is.

    `object_id`: of the subject in Entra; `finding`: of the same cycle, if it was kept.
    """
    if entry.origin is not Origin.GRAPH or entry.action is Action.OTHER:
        return entry
    kept = {step.name: step for step in entry.steps}
    made = {step.name: step for step in _steps(entry, object_id, finding)}
    steps = tuple(kept.get(name) or made[name] for name in FIVE)
    others = tuple(step for step in entry.steps if step.name not in FIVE)
    return structs.replace(entry, steps=steps + others, finding=_link(entry, object_id, finding))


def _link(entry: LogEntry, object_id: str | None, finding: DriftFinding | None) -> FindingLink | None:
    if finding is not None:
        return FindingLink(entry.correlation_id, finding.kind, finding.subject_id)
    kind = _MEMBERSHIPS.get(entry.action)
    if kind is None:
        return None
    # Each membership is a finding of its own: all of them begin with the group.
    return FindingLink(entry.correlation_id, kind, f"{object_id or entry.subject_id}:")


def _steps(entry: LogEntry, object_id: str | None, finding: DriftFinding | None) -> Iterator[Step]:
    answer: Any = finding.evidence.get("graph") if finding is not None else None
    again = " Asked once more for this one alone." if answer else ""
    yield Step(
        "find",
        LogStatus.SUCCESS,
        f"Read in Entra by cycle {entry.correlation_id}.{again}",
        {"cycle_id": entry.correlation_id, "object_id": object_id, "graph": answer},
    )
    yield Step("scope", LogStatus.SUCCESS, _scope(entry, finding))
    is_new = entry.action is Action.CREATE
    match = "Nothing here stood for it yet." if is_new else f"Matched {entry.subject_label} here."
    yield Step("match", LogStatus.SUCCESS, match, {"id": entry.subject_id})
    yield Step("evaluate", LogStatus.SUCCESS, _evaluation(entry, finding))
    yield Step("perform", entry.status, _PERFORMED[entry.status])


def _scope(entry: LogEntry, finding: DriftFinding | None) -> str:
    if finding is not None and finding.reason is not None:
        return f"Not entitled: {_WHY[finding.reason]}."
    if entry.action in (Action.DISABLE, Action.DELETE):
        return "Not entitled, or not assigned any more."
    if entry.action is Action.REMOVE_MEMBER:
        return "The members are not entitled by this group in Entra."
    return "Assigned to the application." if entry.subject_type is SubjectType.GROUP else "Entitled."


def _evaluation(entry: LogEntry, finding: DriftFinding | None) -> str:
    what = entry.action.value.replace("_", " ")
    kind = finding.kind if finding is not None else _MEMBERSHIPS.get(entry.action)
    names = ", ".join(dict.fromkeys(str(change["attribute"]) for change in entry.modified))
    return f"To do: {what}{f' ({kind})'.replace('_', ' ') if kind else ''}{f': {names}' if names else ''}."


_PERFORMED: Mapping[LogStatus, str] = {
    LogStatus.SUCCESS: "Done.",
    LogStatus.FAILURE: "Refused.",
    LogStatus.SKIPPED: "Left alone.",
    LogStatus.WARNING: "Done in part.",
}
