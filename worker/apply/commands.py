"""Turn planned changes into one command of the lifecycle. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from store.records import (
    Action,
    ChangeGroup,
    ChangeHolder,
    ChangeUser,
    Command,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    Document,
    GraphId,
    GroupId,
    HolderBasis,
    JsonValue,
    LinkGroup,
    LinkUser,
    ReleaseNames,
    RetireUser,
    SealUser,
    SubjectType,
    UnsealUser,
    UserId,
)
from worker.reconcile.mapping.attribute_paths import write_paths
from worker.reconcile.plan import Change
from worker.reconcile.snapshot import materialize

MEMBERSHIP = frozenset({Action.ADD_MEMBER, Action.REMOVE_MEMBER})

NO_IDS: Mapping[str, str] = {}


def command_for(
    changes: Sequence[Change],
    version: int | None = None,
    ids: Mapping[str, str] = NO_IDS,
    directory_id: str | None = None,
) -> Command:
    """Return the command for one change, or for many of one group's membership.

    `version`: the row's version after an earlier change of the same plan; None: the one
    it was planned on. `ids`: planned id -> actual id, for rows that turned out to be
    older ones. `directory_id`: the directory in which Entra's object ids are proofs.
    """
    first = changes[0]
    expected = first.expected_version if version is None else version
    planned = first.subject.local_id
    assert planned, "every planned change names our row, or the id it will get"
    local_id = ids.get(planned, planned)
    if first.action in MEMBERSHIP:
        return _membership(GroupId(local_id), changes, expected, ids)
    if first.subject.type is SubjectType.GROUP:
        return _group(GroupId(local_id), first, expected)
    return _user(UserId(local_id), first, expected, directory_id)


def _change_of_holder(
    user_id: UserId, change: Change, expected: int | None, directory_id: str | None
) -> ChangeHolder:
    groups = change.after.get("keepGroups")
    return ChangeHolder(
        user_id,
        _graph_id(change),
        expected,
        HolderBasis(str(change.after["holderBasis"])),
        directory_id,
        frozenset(str(group) for group in groups) if isinstance(groups, list) else frozenset(),
    )


def _user(user_id: UserId, change: Change, expected: int | None, directory_id: str | None) -> Command:
    match change.action:
        case Action.CREATE | Action.RESTORE:
            return CreateUser(_document(change.after), user_id, change.subject.graph_id, directory_id)
        case Action.LINK:
            basis = HolderBasis(str(change.after.get("holderBasis", HolderBasis.PROOF)))
            agree = bool(change.after.get("namesAgree"))
            return LinkUser(user_id, _graph_id(change), expected, basis, directory_id, agree)
        case Action.CHANGE_HOLDER:
            return _change_of_holder(user_id, change, expected, directory_id)
        case Action.RELEASE_NAMES:
            return ReleaseNames(user_id, change.reason, expected)
        case Action.RETIRE:
            return RetireUser(user_id, expected)
        case Action.SEAL:
            return SealUser(user_id, expected)
        case Action.UNSEAL:
            return UnsealUser(user_id, expected)
        case Action.UPDATE:
            return ChangeUser(user_id, _writer(change.after), expected)
        case Action.ENABLE:
            return ChangeUser(user_id, _writer({**change.after, "active": True}), expected)
        case Action.DISABLE:
            return DisableUser(user_id, change.reason, expected)
        case Action.DELETE:
            return DeleteUser(user_id, change.reason, expected)
    raise AssertionError(f"a plan never asks to {change.action} a user")


def _group(group_id: GroupId, change: Change, expected: int | None) -> Command:
    match change.action:
        case Action.CREATE | Action.RESTORE:
            return CreateGroup(_document(change.after), group_id, change.subject.graph_id)
        case Action.LINK:
            return LinkGroup(group_id, _graph_id(change), expected)
        case Action.UPDATE:
            return ChangeGroup(group_id, _writer(change.after), expected_version=expected)
        case Action.DELETE:
            return DeleteGroup(group_id, expected)
    raise AssertionError(f"a plan never asks to {change.action} a group")


def _membership(
    group_id: GroupId, changes: Sequence[Change], expected: int | None, ids: Mapping[str, str]
) -> ChangeGroup:
    """Return a `ChangeGroup` with an expected version.

    Not `AddMembers`: those have no expected version, and a push that landed meanwhile
    must win (I7).
    """
    planned = [change.member.local_id for change in changes if change.member and change.member.local_id]
    members = tuple([ids.get(each, each) for each in planned])
    is_add = changes[0].action is Action.ADD_MEMBER
    return ChangeGroup(
        group_id,
        _unchanged,
        add_member_ids=members if is_add else (),
        remove_member_ids=() if is_add else members,
        expected_version=expected,
    )


def _document(after: Mapping[str, JsonValue]) -> Document:
    return write_paths({}, materialize(after))


def _writer(after: Mapping[str, JsonValue]) -> Callable[[Document], Document]:
    return lambda document: write_paths(document, after)


def _unchanged(document: Document) -> Document:
    return document


def _graph_id(change: Change) -> GraphId:
    assert change.subject.graph_id, "a link names the Entra object"
    return change.subject.graph_id
