"""Create, change, link and delete groups. Their members are in `members`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from msgspec import structs
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy import delete as sql_delete

from store import tables
from store.directory.documents import group_columns, modified
from store.errors import NotFound, Terminal, UniquenessConflict, VersionMoved
from store.keys import new_id, search_key, to_group
from store.lifecycle import members, membership_writes
from store.lifecycle.transaction import Transaction, in_scope
from store.logs.journal import LogSubject
from store.records import (
    Action,
    ChangeGroup,
    CreateGroup,
    DeleteGroup,
    Group,
    GroupId,
    JsonValue,
    LinkGroup,
    LogStatus,
    Modified,
    Outcome,
    OutcomeStatus,
    SubjectType,
)

_g = tables.groups.c
_m = tables.memberships.c

_EVENTS = {
    Action.CREATE: "group.created",
    Action.UPDATE: "group.updated",
    Action.DELETE: "group.deleted",
    Action.LINK: "group.updated",
    Action.RESTORE: "group.created",
}

_other = (*in_scope(tables.groups), _g.deleted_at.is_(None), _g.id != bindparam("id"))
_OTHER_OF_NAME = select(_g.id).where(*_other, _g.display_name_key == bindparam("key"))
_OTHER_OF_ENTRA = select(_g.id).where(*_other, _g.entra_object_id == bindparam("key"))
_BY_ID = select(tables.groups).where(*in_scope(tables.groups), _g.id == bindparam("id")).with_for_update()
_INSERT = insert(tables.groups)
_UPDATE = update(tables.groups).where(_g.id == bindparam("b_id"))

C = TypeVar("C", ChangeGroup, LinkGroup, DeleteGroup)
Perform: TypeAlias = Callable[[Transaction, C, Group], Awaitable[Outcome]]


async def create(tx: Transaction, commands: Sequence[CreateGroup]) -> list[Outcome]:
    """Create groups with their first members.

    A group that was deleted under the same id gets its row back.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            outcomes.append(await _create(tx, command))
        except Terminal as error:
            outcomes.append(tx.refuse(command, Action.CREATE, error, _new_subject(command)))
    return outcomes


async def change(tx: Transaction, commands: Sequence[ChangeGroup]) -> list[Outcome]:
    """Replace documents; remove members, then add members."""
    return await _each(tx, commands, Action.UPDATE, _change)


async def link(tx: Transaction, commands: Sequence[LinkGroup]) -> list[Outcome]:
    """Link local rows to Entra objects."""
    return await _each(tx, commands, Action.LINK, _link)


async def delete(tx: Transaction, commands: Sequence[DeleteGroup]) -> list[Outcome]:
    """Delete groups: hide them, and keep the users that were members."""
    return await _each(tx, commands, Action.DELETE, _delete)


async def _each(tx: Transaction, commands: Sequence[C], action: Action, do: Perform[C]) -> list[Outcome]:
    found = await membership_writes.live_groups(tx, [command.group_id for command in commands])
    outcomes: dict[int, Outcome] = {}
    waiting = dict(enumerate(commands))
    while waiting:
        refused: dict[int, Terminal] = {}
        for place, command in waiting.items():
            try:
                outcomes[place] = await do(tx, command, _as_expected(command, found.get(command.group_id)))
            except Terminal as error:
                refused[place] = error
        # A name may be free once another group has given it up: ask again for as long
        # as anything moves.
        has_moved = len(refused) < len(waiting)
        again = [p for p, error in refused.items() if has_moved and isinstance(error, UniquenessConflict)]
        for place in sorted(refused.keys() - again):
            outcomes[place] = tx.refuse(
                waiting[place], action, refused[place], _subject(waiting[place].group_id, found)
            )
        waiting = {place: waiting[place] for place in again}
    return [outcomes[place] for place in range(len(commands))]


def _subject(group_id: GroupId, found: Mapping[str, Group]) -> LogSubject:
    group = found.get(group_id)
    return LogSubject.of(group) if group else LogSubject(SubjectType.GROUP, group_id, group_id)


def _as_expected(command: ChangeGroup | LinkGroup | DeleteGroup, group: Group | None) -> Group:
    if group is None:
        raise NotFound("no such group")
    expected = command.expected_version
    if expected is not None and expected != group.version:
        raise VersionMoved(f"the group is at version {group.version}, the change was decided on {expected}")
    return group


async def _create(tx: Transaction, command: CreateGroup) -> Outcome:
    before = await _by_id(tx, command.id) if command.id else None
    if before is not None and before.deleted_at is None:
        return tx.unchanged(command, Action.CREATE, before)
    group = _drafted(tx, command, before)
    await _check_unique(tx, group)
    member_ids = sorted(set(command.member_ids))
    known = await membership_writes.known_members(tx, set(member_ids))
    _check_members(group.id, member_ids, known)
    if before is None:
        await tx.conn.execute(_INSERT, [_columns(group)])
    else:
        group = await _update(tx, group)
    action = Action.RESTORE if before else Action.CREATE
    _note(tx, action, group, modified(before.document if before else {}, group.document))
    if member_ids:
        await membership_writes.insert(tx, group.id, member_ids, known)
        members.log_change(tx, group, Action.ADD_MEMBER, member_ids)
    return Outcome(command, OutcomeStatus.APPLIED, action, group)


async def _by_id(tx: Transaction, group_id: GroupId) -> Group | None:
    row = (await tx.conn.execute(_BY_ID, tx.scope | {"id": group_id})).mappings().first()
    return None if row is None else to_group(row)


def _drafted(tx: Transaction, command: CreateGroup, before: Group | None) -> Group:
    """Return the group as the command wants it; raise `InvalidRecord`."""
    columns = group_columns(command.document)
    return Group(
        id=command.id or GroupId(new_id()),
        tenant_id=tx.tenant_id,
        connection_id=tx.connection_id,
        display_name=columns["display_name"],
        external_id=columns["external_id"],
        entra_object_id=command.entra_object_id or (before.entra_object_id if before else None),
        document=columns["document"],
        version=before.version if before else 1,
        origin=tx.cause.origin,
        created_at=before.created_at if before else tx.now,
        last_modified=tx.now,
    )


async def _change(tx: Transaction, command: ChangeGroup, group: Group) -> Outcome:
    columns = group_columns(command.change(group.document))
    differing = modified(group.document, columns["document"])
    after = structs.replace(
        group,
        display_name=columns["display_name"],
        external_id=columns["external_id"],
        document=columns["document"],
    )
    if search_key(after.display_name) != search_key(group.display_name):
        await _check_unique(tx, after)
    removed, added = await _change_members(tx, command)
    if not (differing or removed or added):
        return tx.unchanged(command, Action.UPDATE, group)
    after = await _update(tx, after)
    if differing:
        _note(tx, Action.UPDATE, after, differing)
    if removed:
        members.log_change(tx, after, Action.REMOVE_MEMBER, removed)
    if added:
        members.log_change(tx, after, Action.ADD_MEMBER, added)
    return Outcome(command, OutcomeStatus.APPLIED, Action.UPDATE, after)


async def _change_members(tx: Transaction, command: ChangeGroup) -> tuple[list[str], list[str]]:
    """Remove and add members. Return the ids that really left and joined, sorted."""
    leaving, coming = set(command.remove_member_ids), set(command.add_member_ids)
    if command.replace_member_ids is not None:
        query = select(_m.member_id).where(_m.group_id == command.group_id, _m.tenant_id == tx.tenant_id)
        current = set((await tx.conn.execute(query)).scalars())
        leaving, coming = current - set(command.replace_member_ids), set(command.replace_member_ids) - current
    known = await membership_writes.known_members(tx, coming)
    _check_members(command.group_id, sorted(coming), known)
    removed = await membership_writes.delete(tx, [(command.group_id, member) for member in sorted(leaving)])
    added = await membership_writes.insert(tx, command.group_id, coming, known)
    return sorted(member for _, member in removed), added


async def _link(tx: Transaction, command: LinkGroup, group: Group) -> Outcome:
    if group.entra_object_id == command.entra_object_id:
        return tx.unchanged(command, Action.LINK, group)
    after = structs.replace(group, entra_object_id=command.entra_object_id)
    await _check_unique(tx, after)
    after = await _update(tx, after)
    linked = Modified(attribute="entraObjectId", old=group.entra_object_id, new=after.entra_object_id)
    _note(tx, Action.LINK, after, (linked,))
    return Outcome(command, OutcomeStatus.APPLIED, Action.LINK, after)


async def _delete(tx: Transaction, command: DeleteGroup, group: Group) -> Outcome:
    gone = sql_delete(tables.memberships).where(_m.group_id == group.id, _m.tenant_id == tx.tenant_id)
    member_ids = sorted((await tx.conn.execute(gone.returning(_m.member_id))).scalars())
    await members.remove_from_all(tx, [group.id])
    after = await _update(tx, structs.replace(group, deleted_at=tx.now))
    left = [Modified(attribute="members", old=member, new=None) for member in member_ids]
    # The next increment reads the former members, and the vendor's app need not have
    # kept a list of its own.
    _note(tx, Action.DELETE, after, left, {"memberIds": member_ids})
    return Outcome(command, OutcomeStatus.APPLIED, Action.DELETE, after)


async def _check_unique(tx: Transaction, group: Group) -> None:
    """Raise `UniquenessConflict` if another live group of the connection has this name
    or Entra object.
    """
    others = tx.scope | {"id": group.id}
    if (await tx.conn.execute(_OTHER_OF_NAME, others | {"key": search_key(group.display_name)})).first():
        raise UniquenessConflict("displayName", group.display_name)
    if group.entra_object_id is None:
        return
    if (await tx.conn.execute(_OTHER_OF_ENTRA, others | {"key": group.entra_object_id})).first():
        raise UniquenessConflict("entraObjectId", group.entra_object_id)


def _check_members(group_id: GroupId, member_ids: Sequence[str], known: Mapping[str, SubjectType]) -> None:
    error = members.why_not(group_id, member_ids, known)
    if error is not None:
        raise error


def _columns(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "tenant_id": group.tenant_id,
        "connection_id": group.connection_id,
        "display_name": group.display_name,
        "display_name_key": search_key(group.display_name),
        "external_id": group.external_id,
        "entra_object_id": group.entra_object_id,
        "document": group.document,
        "version": group.version,
        "origin": group.origin.value,
        "created_at": group.created_at,
        "last_modified": group.last_modified,
        "deleted_at": group.deleted_at,
    }


async def _update(tx: Transaction, group: Group) -> Group:
    """Write the group as its next version and return it."""
    after = structs.replace(
        group, version=group.version + 1, last_modified=tx.now, origin=tx.origin_after(group.origin)
    )
    await tx.conn.execute(_UPDATE, [{"b_id": after.id, **_columns(after)}])
    return after


def _note(
    tx: Transaction,
    action: Action,
    group: Group,
    differing: Sequence[Modified],
    more: Mapping[str, JsonValue] | None = None,
) -> None:
    tx.journal.add_log_entry(tx.cause, action, LogStatus.SUCCESS, LogSubject.of(group), differing)
    tx.journal.add_event(
        _EVENTS[action],
        group.id,
        {
            "displayName": group.display_name,
            "externalId": group.external_id,
            "entraObjectId": group.entra_object_id,
            "origin": tx.cause.origin.value,
            "correlationId": tx.cause.correlation_id,
            **(more or {}),
        },
    )


def _new_subject(command: CreateGroup) -> LogSubject:
    label = command.document.get("displayName")
    return LogSubject(SubjectType.GROUP, command.id, label if isinstance(label, str) else "")
