"""The five steps in words, each with what was read or decided as data. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from store.records import (
    Action,
    GroupId,
    JsonValue,
    LogStatus,
    Policy,
    Reason,
    Step,
    SubjectType,
    User,
    UserId,
)
from worker.apply import Applied
from worker.on_demand_subject import Looked, Row
from worker.reconcile.facts import facts_of
from worker.reconcile.matching import match_groups, match_users
from worker.reconcile.plan import Change, Finding, Plan, Settlement
from worker.reconcile.scope import entitlement
from worker.reports import OnDemandResult

NAMES = ("find", "scope", "match", "evaluate", "perform")

_WHY_NOT = {
    Reason.DISABLED: "the account is disabled in Entra",
    Reason.SOFT_DELETED: "the account is deleted in Entra",
    Reason.PURGED: "the account is gone from Entra for good",
    Reason.UNASSIGNED: "neither the person nor a group of theirs is assigned to the application",
    Reason.OUT_OF_SCOPE: "the scoping filters leave the person out",
}

_DONE = {
    Action.CREATE: "created",
    Action.RESTORE: "brought back",
    Action.ENABLE: "enabled",
    Action.UPDATE: "updated",
    Action.LINK: "linked to its Entra object",
    Action.ADD_MEMBER: "members added",
    Action.REMOVE_MEMBER: "members removed",
    Action.DISABLE: "disabled, every session ended",
    Action.DELETE: "deleted",
}

# The first that took effect names the result.
_RESULTS = (
    (Action.DISABLE, OnDemandResult.DISABLED),
    (Action.DELETE, OnDemandResult.DISABLED),
    (Action.CREATE, OnDemandResult.CREATED),
    (Action.RESTORE, OnDemandResult.ENABLED),
    (Action.ENABLE, OnDemandResult.ENABLED),
)


def find_step(looked: Looked) -> Step:
    """Who was found in Entra."""
    snapshot, graph_id = looked.snapshot, looked.graph_id
    if graph_id is None:
        detail = "Entra knows nobody by it, not even among the deleted; an account here goes by it."
        return Step("find", LogStatus.WARNING, detail, {"id": None})
    if user := snapshot.users.get(graph_id):
        state = "enabled" if user.account_enabled else "disabled"
        data: dict[str, JsonValue] = {
            "id": graph_id,
            "userPrincipalName": user.properties.get("userPrincipalName"),
            "accountEnabled": user.account_enabled,
        }
        return Step("find", LogStatus.SUCCESS, f"Found the user in Entra; the account is {state}.", data)
    if deleted_at := snapshot.deleted.get(graph_id):
        detail = f"Found the user among the deleted ones, since {deleted_at:%Y-%m-%d %H:%M} UTC."
        return Step("find", LogStatus.SUCCESS, detail, {"id": graph_id, "deletedAt": deleted_at.isoformat()})
    group = snapshot.groups[graph_id]
    members = len(snapshot.members.get(graph_id, ()))
    detail = f"Found the group in Entra; it has {members} direct members."
    return Step("find", LogStatus.SUCCESS, detail, {"id": graph_id, "displayName": group.display_name})


def scope_step(looked: Looked, policy: Policy) -> Step:
    """Whether the subject is entitled, through what, and if not why."""
    standing = entitlement(looked.snapshot, policy)
    graph_id = looked.graph_id
    if looked.type is SubjectType.GROUP:
        is_assigned = graph_id in standing.members
        detail = "The group is assigned to the application." if is_assigned else "The group is not assigned."
        return Step("scope", LogStatus.SUCCESS, detail, {"entitled": is_assigned})
    if graph_id in standing.entitled:
        via = [_name_of(looked, each) for each in standing.via(graph_id)]
        return Step(
            "scope", LogStatus.SUCCESS, f"Entitled, {_through(via)}.", {"entitled": True, "via": list(via)}
        )
    reason = Reason.PURGED if graph_id is None else standing.reason(graph_id)
    if reason is None:
        detail = "Graph did not answer completely, so it cannot be told; nothing will be taken away."
        return Step("scope", LogStatus.WARNING, detail, {"entitled": None})
    return Step(
        "scope",
        LogStatus.SUCCESS,
        f"Not entitled: {_WHY_NOT[reason]}.",
        {"entitled": False, "reason": reason},
    )


def _name_of(looked: Looked, via: str) -> str:
    group = next((g for key, g in looked.snapshot.groups.items() if key == via), None)
    return group.display_name if group else via


def _through(via: Sequence[str]) -> str:
    if not via or via[0] == "direct":
        return "assigned directly" if via else "because everybody is in scope"
    return f"assigned through {', '.join(via)}"


def match_step(looked: Looked, policy: Policy) -> Step:
    """Which row here stands for the subject."""
    row, conflict = _row_of(looked, policy)
    if conflict is not None:
        detail = f"Cannot be matched: {conflict.detail}. Nothing is guessed."
        return Step("match", LogStatus.FAILURE, detail, {"candidates": list(conflict.candidates)})
    if row is None:
        return Step("match", LogStatus.SUCCESS, "Nothing here stands for it yet.", {"id": None})
    linked = "linked" if row.entra_object_id else "not linked yet"
    data: dict[str, JsonValue] = {"id": row.id, "version": row.version, "externalId": row.external_id}
    if not isinstance(row, User):
        return Step(
            "match", LogStatus.SUCCESS, f"Matched the group {row.display_name} here ({linked}).", data
        )
    data |= {"userName": row.user_name, "active": row.active}
    state = "active" if row.active else "inactive"
    return Step(
        "match", LogStatus.SUCCESS, f"Matched the {state} account {row.user_name} here ({linked}).", data
    )


def _row_of(looked: Looked, policy: Policy) -> tuple[Row | None, Finding | None]:
    if looked.row is not None or looked.graph_id is None:
        return looked.row, None
    facts = facts_of(looked.snapshot, looked.state, policy)
    is_user = looked.type is SubjectType.USER
    claims = match_users(facts) if is_user else match_groups(facts)
    row_id = claims.rows.get(looked.graph_id)
    row: Row | None = None
    if row_id is not None:
        row = looked.state.users[UserId(row_id)] if is_user else looked.state.groups[GroupId(row_id)]
    return row, claims.conflicts.get(looked.graph_id)


def evaluate_step(plan: Plan, settlement: Settlement) -> Step:
    """What has to change, and what will not although it differs."""
    data: dict[str, JsonValue] = {
        "changes": [change.to_json() for change in settlement.apply],
        "kept": [{"change": each.change.to_json(), "why": each.why} for each in settlement.dropped],
        "findings": [finding.to_json() for finding in plan.findings],
    }
    if settlement.apply:
        return Step("evaluate", LogStatus.SUCCESS, f"To do: {_summary(settlement.apply)}.", data)
    reasons = [*(each.why for each in settlement.dropped), *(finding.detail for finding in plan.findings)]
    reasons += settlement.reasons
    if reasons:
        return Step("evaluate", LogStatus.WARNING, f"Nothing will be done: {reasons[0]}", data)
    return Step("evaluate", LogStatus.SUCCESS, "Everything is as it should be; nothing to do.", data)


def _summary(changes: Sequence[Change]) -> str:
    words: dict[str, int] = {}
    for change in changes:
        word = change.action.value.replace("_", " ")
        words[word] = words.get(word, 0) + 1
    return ", ".join(word if number == 1 else f"{word} ({number})" for word, number in words.items())


def perform_step(applied: Applied) -> Step:
    """What was done."""
    done = [_DONE[action] for action in applied.counts]
    data: dict[str, JsonValue] = {action.value: number for action, number in applied.counts.items()}
    refused = [applied.details[place] for place in sorted(applied.details)]
    if applied.failed:
        return Step("perform", LogStatus.FAILURE, _sentence([*done, *refused]), data)
    if refused:
        return Step("perform", LogStatus.WARNING, _sentence([*done, *refused]), data)
    return Step("perform", LogStatus.SUCCESS, _sentence(done or ["it was so already"]), data)


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(dict.fromkeys(parts))
    return f"{text[:1].upper()}{text[1:]}."


def not_reached(steps: Sequence[Step]) -> list[Step]:
    """The steps that are missing, so that there are always five."""
    return [Step(name, LogStatus.SKIPPED, "Not reached.") for name in NAMES[len(steps) :]]


def result_of(applied: Applied) -> OnDemandResult:
    """One word for what happened to the subject."""
    counts = applied.counts
    for action, result in _RESULTS:
        if action in counts:
            return result
    if counts:
        return OnDemandResult.UPDATED
    if applied.failed:
        return OnDemandResult.FAILED
    return OnDemandResult.SKIPPED if applied.skipped else OnDemandResult.UNCHANGED
