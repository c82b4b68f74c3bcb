"""Describe the first three steps (find, scope, match) in words and data. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from store.records import (
    GroupId,
    JsonValue,
    LogStatus,
    Policy,
    Reason,
    Step,
    SubjectType,
    User,
    UserId,
    name_key,
)
from worker.on_demand.report import secret_sources, without_secrets
from worker.on_demand.subject import ResolvedSubject, Row, describe
from worker.reconcile.completeness import gaps
from worker.reconcile.entitlement import Entitlement, entitlement_of
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING, source_texts
from worker.reconcile.mapping.expressions import attribute
from worker.reconcile.mapping.scoping_filters import compile_filters
from worker.reconcile.plan import Finding
from worker.reconcile.plan_context import PlanContext, build_context
from worker.reconcile.planning.matching import match_groups, match_users
from worker.reconcile.snapshot import GraphUser

_WHY_NOT = {
    Reason.DISABLED: "the account is disabled in Entra",
    Reason.SOFT_DELETED: "the account is deleted in Entra (it can be restored there for 30 days)",
    Reason.PURGED: "the account is gone from Entra for good",
    Reason.UNASSIGNED: "neither the person nor a group of theirs is assigned to the application",
    Reason.OUT_OF_SCOPE: "the scoping filters leave the person out",
}

# entra-scim-client, provision on demand: it "cannot act on users disabled or deleted in
# Entra".
BEYOND_ENTRA = frozenset({Reason.DISABLED, Reason.SOFT_DELETED, Reason.PURGED})
_MOST_GAPS = 3
_BEYOND_ENTRA = " Entra's own Provision on demand cannot act on such a person; Leaver can."


def find_step(resolved: ResolvedSubject, policy: Policy) -> Step:
    """Return the step of finding: the subject, what was read of it, and by
    which lists.
    """
    snapshot, graph_id = resolved.snapshot, resolved.graph_id
    read: dict[str, JsonValue] = {"read": _lists_read(resolved)}
    if graph_id is None:
        detail = "Entra knows nobody by it, not even among the deleted; an account here goes by it."
        return Step("find", LogStatus.WARNING, detail, {"id": None, **read})
    if user := snapshot.users.get(graph_id):
        said = f"the account is {user.state}." if not user.unknown else user.unknown
        detail = " ".join([f"Found the user in Entra; {said}", *map(_noted, resolved.notes)])
        return Step("find", LogStatus.SUCCESS, detail, {**_of_user(user, policy), **read})
    if deleted_at := snapshot.deleted.get(graph_id):
        detail = f"Found the user among the deleted ones, since {deleted_at:%Y-%m-%d %H:%M} UTC."
        data: dict[str, JsonValue] = {"id": graph_id, "deletedAt": deleted_at.isoformat(), **read}
        return Step("find", LogStatus.SUCCESS, detail, data)
    group = snapshot.groups[graph_id]
    members = len(snapshot.members.get(graph_id, ()))
    detail = " ".join(
        [f"Found the group in Entra; it has {members} direct members.", *map(_noted, resolved.notes)]
    )
    about: dict[str, JsonValue] = {"id": graph_id, "displayName": group.display_name, "members": members}
    return Step("find", LogStatus.SUCCESS, detail, {**about, **read})


def _noted(note: str) -> str:
    return f"Not meant: {note}."


def _of_user(user: GraphUser, policy: Policy) -> dict[str, JsonValue]:
    hidden = secret_sources(policy.mapping or DEFAULT_MAPPING)
    return {
        "id": user.id,
        "userPrincipalName": user.properties.get("userPrincipalName"),
        "accountEnabled": user.account_enabled,
        "properties": without_secrets(user.properties, hidden),
    }


def _lists_read(resolved: ResolvedSubject) -> list[JsonValue]:
    """Return every list that was read and whether its end was reached.

    The decision rests on these lists.
    """
    return [
        {"list": read.name, "pages": read.pages, "items": read.items, "finished": read.finished}
        for read in resolved.snapshot.completeness.lists
    ]


def scope_step(resolved: ResolvedSubject, policy: Policy) -> Step:
    """Return the step of scope: whether the subject is entitled, through what, and if
    not why.
    """
    entitlement = entitlement_of(resolved.snapshot, policy)
    if resolved.type is SubjectType.GROUP:
        return _scope_of_group(resolved, entitlement)
    graph_id = resolved.graph_id
    data: dict[str, JsonValue] = {"policy": {"scope": policy.scope, "membership": policy.membership}}
    if graph_id is not None and graph_id in entitlement.entitled:
        via = [_name_of(resolved, each) for each in entitlement.via(graph_id)]
        data |= {"entitled": True, "via": list(via)}
        return Step("scope", LogStatus.SUCCESS, f"Entitled, {_through(via)}.", data)
    reason = Reason.PURGED if graph_id is None else entitlement.reason(graph_id)
    if reason is None:
        broken = "; ".join(gaps(resolved.snapshot, policy.scope)[:_MOST_GAPS])
        detail = f"Not proven: Graph did not answer completely, so nothing is taken away. {broken}"
        return Step("scope", LogStatus.WARNING, detail, {**data, "entitled": None})
    data |= {"entitled": False, "reason": reason}
    detail = f"Not entitled: {_WHY_NOT[reason]}"
    if reason is Reason.OUT_OF_SCOPE and graph_id is not None:
        data["unmet"] = unmet = _unmet_clauses(resolved.snapshot.users[graph_id], policy)
        detail += f" ({'; '.join(map(str, unmet))})"
    beyond = _BEYOND_ENTRA if reason in BEYOND_ENTRA else ""
    return Step("scope", LogStatus.SUCCESS, f"{detail}.{beyond}", data)


def _scope_of_group(resolved: ResolvedSubject, entitlement: Entitlement) -> Step:
    graph_id = resolved.graph_id
    is_assigned = graph_id in entitlement.members
    people = entitlement.members.get(graph_id, frozenset()) if graph_id else frozenset()
    entitled = len(people & entitlement.entitled)
    data: dict[str, JsonValue] = {
        "entitled": is_assigned,
        "members": len(people),
        "entitled_members": entitled,
    }
    if not is_assigned:
        return Step("scope", LogStatus.SUCCESS, "The group is not assigned to the application.", data)
    detail = (
        f"The group is assigned to the application; {entitled} of its {len(people)} members are entitled."
    )
    return Step("scope", LogStatus.SUCCESS, detail, data)


def _unmet_clauses(user: GraphUser, policy: Policy) -> list[JsonValue]:
    """Return each clause of the scoping filters that does not hold, with the value it
    met.
    """
    unmet: list[JsonValue] = []
    for clause in (clause for clauses in policy.scoping_filters for clause in clauses):
        if not compile_filters(replace(policy, scoping_filters=((clause,),)))(user):
            value = attribute(clause.attribute).read(user)
            is_ = "is empty" if value is None else f"is {value!r}"
            unmet.append(f"{clause.attribute} {is_}, wanted {clause.operator} {clause.value}".rstrip())
    return unmet


def _name_of(resolved: ResolvedSubject, via: str) -> str:
    group = next((g for key, g in resolved.snapshot.groups.items() if key == via), None)
    return group.display_name if group else via


def _through(via: Sequence[str]) -> str:
    if not via or via[0] == "direct":
        return "assigned directly" if via else "because everybody is in scope"
    return f"assigned through {', '.join(via)}"


def match_step(resolved: ResolvedSubject, policy: Policy) -> Step:
    """Return the step of matching: the row of the subject, and by what it was
    recognised.
    """
    context = build_context(
        resolved.snapshot, resolved.state, policy, entitlement_of(resolved.snapshot, policy), resolved.focus
    )
    row, conflict = _row_of(resolved, context)
    if conflict is not None:
        return _conflict_step(conflict, resolved, context)
    if row is None:
        return Step("match", LogStatus.SUCCESS, "Nothing here stands for it yet.", {"id": None})
    by = _recognised_by(row, resolved, context)
    data: dict[str, JsonValue] = {
        "id": row.id,
        "version": row.version,
        "externalId": row.external_id,
        "by": by,
    }
    linked = "linked" if row.entra_object_id else "not linked yet"
    if not isinstance(row, User):
        detail = f"Matched the group {row.display_name} here ({linked})."
        return Step("match", LogStatus.SUCCESS, detail, data)
    data |= {"userName": row.user_name, **_row_state(row)}
    state = "active" if row.active else "inactive"
    detail = f"Matched the {state} account {row.user_name} here ({linked})."
    return Step("match", LogStatus.SUCCESS, detail, data)


def _conflict_step(conflict: Finding, resolved: ResolvedSubject, context: PlanContext) -> Step:
    """Return the step of a conflict: all candidates on either side, and how to settle
    it.
    """
    state = resolved.state
    rows: list[Row | None] = [
        state.users.get(UserId(c)) or state.groups.get(GroupId(c)) for c in conflict.candidates
    ]
    matches = match_users(context) if resolved.type is SubjectType.USER else match_groups(context)
    rivals = [
        other.subject
        for graph_id, other in matches.conflicts.items()
        if graph_id != resolved.graph_id and {*other.candidates} & {*conflict.candidates}
    ]
    descriptions = [f"here {describe(row)}" for row in rows if row is not None]
    descriptions += [f"in Entra {rival.label} ({rival.graph_id})" for rival in rivals]
    detail = (
        f"Cannot be matched: {conflict.detail}. Nothing is guessed. In question: {'; '.join(descriptions)}. To settle it set"
        " the externalId of the right account here to the object id of its person in Entra, then try again."
    )
    data: dict[str, JsonValue] = {
        "candidates": list(conflict.candidates),
        "rivals": [rival.graph_id for rival in rivals],
    }
    return Step("match", LogStatus.FAILURE, detail, data)


def _row_state(row: User) -> Mapping[str, JsonValue]:
    since = row.deprovisioned_at.isoformat() if row.deprovisioned_at else None
    state: dict[str, JsonValue] = {"active": row.active, "protected": row.is_protected}
    if not row.active:
        state |= {"deprovisioned": since, "deprovision_reason": row.deprovision_reason}
    return state


def _recognised_by(row: Row, resolved: ResolvedSubject, context: PlanContext) -> str:
    """Return the rule of design.md §5, *Identity*, that led to the row."""
    graph_id = resolved.graph_id
    if graph_id is None:
        return "what was typed"
    if row.entra_object_id == graph_id:
        return "Entra object id"
    if (row.external_id or "").lower() == graph_id:
        return "externalId = object id"
    if not isinstance(row, User):
        return "displayName"
    user = resolved.snapshot.users.get(graph_id)
    name = context.mapping.user_name.read(user) if user else None
    if isinstance(name, str) and name_key(name) == name_key(row.user_name):
        return "userName"
    return f"externalId = {_source_of_external_id(context)}" if user else "what was typed"


def _source_of_external_id(context: PlanContext) -> str:
    return source_texts(context.policy).get("externalId", "any identifier")


def _row_of(resolved: ResolvedSubject, context: PlanContext) -> tuple[Row | None, Finding | None]:
    if resolved.row is not None or resolved.graph_id is None:
        return resolved.row, None
    is_user = resolved.type is SubjectType.USER
    matches = match_users(context) if is_user else match_groups(context)
    row_id = matches.rows.get(resolved.graph_id)
    row: Row | None = None
    if row_id is not None:
        row = resolved.state.users[UserId(row_id)] if is_user else resolved.state.groups[GroupId(row_id)]
    return row, matches.conflicts.get(resolved.graph_id)
