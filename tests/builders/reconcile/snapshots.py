"""Small companies for the decision core: builders for Entra and for the store, and an interpreter of plans.

Everything is plain data; nothing here touches a clock, a network or a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from msgspec import structs

from store.records import (
    Action,
    ConnectionId,
    CycleKind,
    Document,
    GraphId,
    Group,
    GroupId,
    HolderBasis,
    JsonValue,
    Mode,
    Origin,
    Policy,
    TenantId,
    User,
    UserId,
)
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.mapping.attribute_paths import write_paths
from worker.reconcile.plan import Change, Plan
from worker.reconcile.planning.planner import plan
from worker.reconcile.snapshot import (
    Assignment,
    Completeness,
    Evidence,
    Focus,
    GraphGroup,
    GraphUser,
    ListRead,
    Snapshot,
)
from worker.reconcile.state import State

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
CONNECTION = ConnectionId("connection")
ENFORCE = Policy(mode=Mode.ENFORCE, mapping_confirmed=True)
"""A person said that the mapping fits: these companies are too small to tell."""
ROLES = frozenset({"User.Read.All", "Application.Read.All"})


def person(
    name: str, *, enabled: bool = True, manager: str | None = None, **properties: JsonValue
) -> GraphUser:
    """A directory user whose object id, userPrincipalName and mailNickname come from one name."""
    held: dict[str, JsonValue] = {
        "id": name,
        "userPrincipalName": f"{name}@corp.example",
        "mailNickname": name,
        "displayName": name.title(),
    }
    held |= properties
    return GraphUser(GraphId(name), enabled, held, GraphId(manager) if manager else None)


def by_id(people: Iterable[GraphUser]) -> dict[GraphId, GraphUser]:
    return {user.id: user for user in people}


def reading(
    people: Iterable[GraphUser] = (),
    assigned: Iterable[str] = (),
    groups: Mapping[str, Iterable[str]] | None = None,
    *,
    nested: Mapping[str, Iterable[str]] | None = None,
    deleted: Iterable[str] = (),
    names: Mapping[str, str] | None = None,
    kind: CycleKind = CycleKind.FULL,
    completeness: Completeness | None = None,
) -> Snapshot:
    """A snapshot; `assigned` are people, every group of `groups` is assigned with these direct members."""
    users = {user.id: user for user in people}
    groups = groups or {}
    rows = [Assignment(GraphId(p), "User", "0") for p in assigned]
    rows += [Assignment(GraphId(g), "Group", "0") for g in groups]
    return Snapshot(
        taken_at=NOW - timedelta(minutes=1),
        kind=kind,
        service_principal_id="service-principal",
        users=users,
        groups={GraphId(g): GraphGroup(GraphId(g), (names or {}).get(g, g.title())) for g in groups},
        assignments=tuple(rows),
        members={GraphId(g): frozenset(map(GraphId, members)) for g, members in groups.items()},
        nested_members={GraphId(g): frozenset(map(GraphId, m)) for g, m in (nested or {}).items()},
        deleted={GraphId(p): LONG_AGO for p in deleted},
        completeness=completeness or whole(len(users)),
    )


def whole(people: int = 0) -> Completeness:
    """The proof that everything was read, the whole directory among it."""
    return Completeness(
        (ListRead("users", 1, people, True, people), ListRead("appRoleAssignedTo", 1, 1, True)), ROLES
    )


def partial() -> Completeness:
    """The listing of the directory broke off."""
    return Completeness((ListRead("users", 3, 3, False, detail="503"),), ROLES)


def row(
    row_id: str,
    *,
    name: str | None = None,
    entra: str | None = None,
    external_id: str | None = None,
    active: bool = True,
    origin: Origin = Origin.SCIM,
    deleted: bool = False,
    protected: bool = False,
    admin: bool = False,
    document: Document | None = None,
    version: int = 1,
    modified: datetime = LONG_AGO,
    created: datetime = LONG_AGO,
) -> User:
    """A user here; the userName comes from the id."""
    user_name = name or f"{row_id}@corp.example"
    body: dict[str, JsonValue] = {"userName": user_name, "active": active}
    if external_id:
        body["externalId"] = external_id
    return User(
        id=UserId(row_id),
        tenant_id=TenantId("tenant"),
        connection_id=CONNECTION,
        user_name=user_name,
        external_id=external_id,
        entra_object_id=GraphId(entra) if entra else None,
        active=active and not deleted,
        document={**body, **(document or {})},
        version=version,
        origin=origin,
        created_at=created,
        last_modified=modified,
        is_protected=protected,
        is_admin=admin,
        deleted_at=LONG_AGO if deleted else None,
        agreed_user_name=user_name,
        agreed_external_id=external_id,
        holder_basis=HolderBasis.PROOF if entra else None,
        push_wrote_at=modified if origin is Origin.SCIM else None,
    )


def twin(user: GraphUser, row_id: str | None = None, **fields: object) -> User:
    """The linked row of a directory user, just as the default mapping wants it."""
    properties = user.properties
    document: dict[str, JsonValue] = {
        "userName": properties["userPrincipalName"],
        "externalId": properties["mailNickname"],
        "displayName": properties["displayName"],
        "active": True,
    }
    made = row(
        row_id or f"row-{user.id}",
        name=str(properties["userPrincipalName"]),
        entra=user.id,
        external_id=str(properties["mailNickname"]),
        document=document,
    )
    return structs.replace(made, **fields)


def group_row(
    row_id: str,
    *,
    name: str | None = None,
    entra: str | None = None,
    external_id: str | None = None,
    origin: Origin = Origin.SCIM,
    deleted: bool = False,
    modified: datetime = LONG_AGO,
) -> Group:
    return Group(
        id=GroupId(row_id),
        tenant_id=TenantId("tenant"),
        connection_id=CONNECTION,
        display_name=name or row_id.title(),
        external_id=external_id,
        entra_object_id=GraphId(entra) if entra else None,
        document={"displayName": name or row_id.title()},
        version=1,
        origin=origin,
        created_at=LONG_AGO,
        last_modified=modified,
        deleted_at=LONG_AGO if deleted else None,
    )


def holding(
    users: Iterable[User] = (),
    groups: Iterable[Group] = (),
    members: Mapping[str, Iterable[str]] | None = None,
) -> State:
    return State(
        CONNECTION,
        {user.id: user for user in users},
        {group.id: group for group in groups},
        {GroupId(g): frozenset(m) for g, m in (members or {}).items()},
    )


def planned(snapshot: Snapshot, state: State, policy: Policy = ENFORCE, focus: Focus | None = None) -> Plan:
    return plan(snapshot, state, policy, NOW, entitlement_of(snapshot, policy), focus)


def said(made: Plan) -> list[str]:
    """The changes in short: `disable ana@corp.example`, `add_member Sales bo@corp.example`."""
    return [
        " ".join([c.action, c.subject.label, *([c.member.label] if c.member else [])]) for c in made.changes
    ]


def answer(
    key: str,
    *,
    found: bool = True,
    enabled: bool | None = True,
    direct: bool | None = False,
    group: bool | None = False,
    member_of: Iterable[str] | None = None,
    soft_deleted: bool = False,
    readable: bool = True,
) -> Evidence:
    """What Graph said of one person; by default: there, enabled, not assigned."""
    return Evidence(
        GraphId(key),
        found,
        enabled if found else None,
        LONG_AGO if soft_deleted else None,
        direct if found else None,
        group if found else None,
        NOW,
        None if member_of is None else frozenset(map(GraphId, member_of)),
        readable,
    )


def gone(made: Plan) -> dict[str, Evidence]:
    """Everybody who seemed gone is: not found, nor in the bin."""
    return {a.subject.key: answer(a.subject.key, found=False) for a in made.absentees}


# --- What a plan does, as a function of states


def applied(state: State, changes: Iterable[Change]) -> State:
    """The state after these changes, in their order; versions move, uniqueness is checked at the end."""
    users, groups, members = dict(state.users), dict(state.groups), dict(state.members)
    for change in changes:
        local_id = change.subject.local_id
        assert local_id
        if change.member is not None:
            _change_membership(members, GroupId(local_id), change)
        elif change.subject.type == "user":
            users[UserId(local_id)] = _changed_user(users.get(UserId(local_id)), change)
        elif change.action is Action.DELETE:
            groups[GroupId(local_id)] = structs.replace(groups[GroupId(local_id)], deleted_at=NOW)
            members = {g: m - {local_id} for g, m in members.items() if g != local_id}
        else:
            groups[GroupId(local_id)] = _changed_group(groups.get(GroupId(local_id)), change)
    after = replace(state, users=users, groups=groups, members=members)
    _check_unique(after)
    return after


def _change_membership(members: dict[GroupId, frozenset[str]], group: GroupId, change: Change) -> None:
    assert change.member
    assert change.member.local_id
    held = members.get(group, frozenset())
    is_addition = change.action is Action.ADD_MEMBER
    assert is_addition != (change.member.local_id in held), "a change that changes nothing"
    members[group] = held | {change.member.local_id} if is_addition else held - {change.member.local_id}


def _changed_user(before: User | None, change: Change) -> User:
    subject = change.subject
    match change.action:
        case Action.CREATE:
            assert before is None, "a create of what is there"
            made = row(str(subject.local_id), entra=subject.graph_id, origin=Origin.GRAPH)
            return _with_document(structs.replace(made, document={}), change.after)
        case Action.RESTORE:
            assert before is not None
            assert before.deleted_at is not None
            # The store writes the document of who returns anew: nothing of the old one is left.
            back = structs.replace(before, deleted_at=None, active=True, entra_object_id=subject.graph_id)
            return _with_document(structs.replace(back, document={}), change.after)
    assert before is not None, f"{change.action} of nobody"
    assert before.version >= (change.expected_version or 0)
    match change.action:
        case Action.LINK | Action.CHANGE_HOLDER:
            return structs.replace(before, entra_object_id=subject.graph_id, version=before.version + 1)
        case Action.UNSEAL:
            return structs.replace(before, sealed_at=None, holder_seen_at=None, version=before.version + 1)
        case Action.SEAL:
            return structs.replace(
                before, sealed_at=NOW, period=before.period + 1, version=before.version + 1
            )
        case Action.RELEASE_NAMES | Action.RETIRE:
            name = f"{before.id}@released.invalid"
            without = {key: value for key, value in before.document.items() if key != "externalId"}
            document = {**without, "userName": name, "active": False}
            return structs.replace(
                before,
                user_name=name,
                external_id=None,
                active=False,
                document=document,
                version=before.version + 1,
                entra_object_id=None if change.action is Action.RETIRE else before.entra_object_id,
            )
        case Action.ENABLE | Action.DISABLE:
            return structs.replace(before, active=change.action is Action.ENABLE, version=before.version + 1)
        case Action.UPDATE:
            return _with_document(structs.replace(before, version=before.version + 1), change.after)
    raise AssertionError(f"a plan never asks to {change.action} a user")


def _with_document(user: User, after: Mapping[str, JsonValue]) -> User:
    document = write_paths(user.document, after)
    external_id = document.get("externalId")
    return structs.replace(
        user,
        document=document,
        user_name=str(document["userName"]),
        external_id=None if external_id is None else str(external_id),
        agreed_user_name=str(document["userName"]),
        agreed_external_id=None if external_id is None else str(external_id),
    )


def _changed_group(before: Group | None, change: Change) -> Group:
    subject = change.subject
    match change.action:
        case Action.CREATE:
            assert before is None, "a create of what is there"
            return group_row(str(subject.local_id), name=subject.label, entra=subject.graph_id)
        case Action.RESTORE:
            assert before is not None
            assert before.deleted_at is not None
            return group_row(str(subject.local_id), name=subject.label, entra=subject.graph_id)
        case Action.LINK:
            assert before is not None
            return structs.replace(before, entra_object_id=subject.graph_id)
        case Action.UPDATE:
            assert before is not None
            return structs.replace(before, display_name=str(change.after["displayName"]))
    raise AssertionError(f"a plan never asks to {change.action} a group")


def _check_unique(state: State) -> None:
    live = [user for user in state.users.values() if user.deleted_at is None]
    _all_different(user.user_name.lower() for user in live)
    _all_different(user.entra_object_id for user in live if user.entra_object_id)
    here = [group for group in state.groups.values() if group.deleted_at is None]
    _all_different(group.display_name.lower() for group in here)


def _all_different(values: Iterable[str]) -> None:
    held = sorted(values)
    assert held == sorted(set(held)), f"not unique: {held}"
