"""Memberships: one row each, inserted and deleted one by one; a group's list is never read to change it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    JSON,
    BindParameter,
    ColumnElement,
    Insert,
    Select,
    String,
    bindparam,
    func,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects import postgresql, sqlite

from store import tables
from store.columns import UtcDateTime
from store.errors import NotFound, Terminal, UnknownMember
from store.journal import Subject
from store.lifecycle.transaction import Transaction, in_scope
from store.prepared import fetch
from store.records import (
    Action,
    AddMembers,
    Cause,
    Group,
    GroupId,
    LogStatus,
    Modified,
    Origin,
    Outcome,
    OutcomeStatus,
    RemoveMembers,
    SubjectType,
)
from store.rows import to_group

_m = tables.memberships.c
_g = tables.groups.c
_u = tables.users.c

Pair: TypeAlias = tuple[GroupId, str]
T = TypeVar("T")

# Bound values in one statement: SQLite takes 32,766, PostgreSQL 32,767.
MOST_ROWS = 3000
MOST_IDS = 10_000


_ids: BindParameter[str] = bindparam("ids", expanding=True)
_KNOWN_USERS = (
    select(_u.id)
    .where(*in_scope(tables.users), _u.deleted_at.is_(None), _u.id.in_(_ids))
    .order_by(_u.id)
    .with_for_update(read=True, key_share=True)
)
_LIVE_GROUPS = (
    select(tables.groups)
    .where(*in_scope(tables.groups), _g.deleted_at.is_(None), _g.id.in_(_ids))
    .order_by(_g.id)
)
_GROUPS_TO_CHANGE = _LIVE_GROUPS.with_for_update()
# Compatible with itself: many may add members to one group at once, but none while it is being deleted.
_GROUPS_THAT_STAY = _LIVE_GROUPS.with_for_update(read=True, key_share=True)
_PROTECTED = select(_u.id).where(*in_scope(tables.users), _u.id.in_(_ids), _u.is_protected)
_COLUMNS = ("group_id", "member_id", "member_type", "tenant_id", "connection_id", "origin", "created_at")
_SAME_FOR_ALL = (
    bindparam("scope_tenant", type_=String),
    bindparam("scope_connection", type_=String),
    bindparam("origin", type_=String),
    bindparam("now", type_=UtcDateTime),
)


def _inserting(insert: Any, *rows: ColumnElement[str]) -> Insert:
    """Inserts what is not there yet, as many rows as the value of the statement has, and tells which."""
    source = select(*rows, *_SAME_FOR_ALL).where(true())  # SQLite takes ON CONFLICT for a join without it
    new = insert(tables.memberships).from_select(_COLUMNS, source, include_defaults=False)
    inserting: Insert = new.on_conflict_do_nothing().returning(_m.group_id, _m.member_id)
    return inserting


_row = func.json_each(bindparam("rows", type_=JSON)).table_valued("value").c.value
_INSERT = {
    "sqlite": _inserting(sqlite.insert, *(func.json_extract(_row, f"$[{place}]") for place in range(3))),
    "postgresql": _inserting(
        postgresql.insert,
        *(func.unnest(bindparam(name, type_=postgresql.ARRAY(String))) for name in _COLUMNS[:3]),
    ),
}
_TAKE_OUT = (
    sql_delete(tables.memberships)
    .where(
        *in_scope(tables.memberships),
        tuple_(_m.group_id, _m.member_id).in_(bindparam("pairs", expanding=True)),
    )
    .returning(_m.group_id, _m.member_id)
)
_LEAVE_ALL = (
    sql_delete(tables.memberships)
    .where(*in_scope(tables.memberships), _m.member_id.in_(_ids))
    .returning(_m.group_id, _m.member_id)
)
_TOUCH = (
    update(tables.groups)
    .where(*in_scope(tables.groups), _g.id.in_(bindparam("touched_ids", expanding=True)))
    .values(version=_g.version + 1, last_modified=bindparam("now"))
    .returning(*_g)
)


async def add(tx: Transaction, commands: Sequence[AddMembers]) -> list[Outcome]:
    """Adds who is not yet in; a command with a member nobody knows is refused whole."""
    known = await known_members(tx, {member for command in commands for member in command.member_ids})
    groups = await _groups_that_stay(tx, [command.group_id for command in commands])
    refused = {
        index: error
        for index, command in enumerate(commands)
        if (
            error := _refusal(groups.get(command.group_id), [m for m in command.member_ids if m not in known])
        )
    }
    pairs = _pairs(command for index, command in enumerate(commands) if index not in refused)
    added = await insert(tx, pairs, known)
    return _outcomes(tx, commands, Action.ADD_MEMBER, groups, refused, added)


async def remove(tx: Transaction, commands: Sequence[RemoveMembers]) -> list[Outcome]:
    """Takes out who is in. The worker takes nothing from a protected account."""
    groups = await _groups_that_stay(tx, [command.group_id for command in commands])
    refused: dict[int, Terminal] = {
        index: NotFound("no such group") for index, c in enumerate(commands) if c.group_id not in groups
    }
    wanted = _pairs(command for index, command in enumerate(commands) if index not in refused)
    kept = (
        await _protected(tx, {member for _, member in wanted}) if tx.cause.origin is Origin.GRAPH else set()
    )
    removed = await take_out(tx, [pair for pair in wanted if pair[1] not in kept])
    return _outcomes(tx, commands, Action.REMOVE_MEMBER, groups, refused, removed)


def _pairs(commands: Iterable[AddMembers | RemoveMembers]) -> list[Pair]:
    """Gives each pair once, in a fixed order, so that two transactions cannot wait for each other."""
    return sorted({(command.group_id, member) for command in commands for member in command.member_ids})


def _refusal(group: Group | None, unknown: list[str]) -> Terminal | None:
    if group is None:
        return NotFound("no such group")
    return UnknownMember(tuple(unknown)) if unknown else None


async def known_members(tx: Transaction, ids: set[str]) -> dict[str, SubjectType]:
    """Tells which ids are live users or groups of the connection; on PostgreSQL they stay so for the transaction."""
    known: dict[str, SubjectType] = {}
    for chunk in _chunks(sorted(ids), MOST_IDS):
        found = await fetch(tx.conn, _KNOWN_USERS, tx.scope | {"ids": chunk})
        known.update((row["id"], SubjectType.USER) for row in found)
    rest = ids - known.keys()
    if rest:
        known.update(dict.fromkeys(await _groups_that_stay(tx, sorted(rest)), SubjectType.GROUP))
    return known


async def live_groups(tx: Transaction, ids: Sequence[str]) -> dict[str, Group]:
    """Reads groups in order to change them; on PostgreSQL nobody else can until the transaction ends."""
    return await _read_groups(tx, _GROUPS_TO_CHANGE, ids)


async def _groups_that_stay(tx: Transaction, ids: Sequence[str]) -> dict[str, Group]:
    """Reads groups; on PostgreSQL they stay undeleted until the transaction ends."""
    return await _read_groups(tx, _GROUPS_THAT_STAY, ids)


async def _read_groups(tx: Transaction, query: Select[Any], ids: Sequence[str]) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for chunk in _chunks(sorted(set(ids)), MOST_IDS):
        rows = await fetch(tx.conn, query, tx.scope | {"ids": chunk})
        found.update((row["id"], to_group(row)) for row in rows)
    return found


async def _protected(tx: Transaction, user_ids: set[str]) -> set[str]:
    kept: set[str] = set()
    for chunk in _chunks(sorted(user_ids), MOST_IDS):
        kept.update((await tx.conn.execute(_PROTECTED, tx.scope | {"ids": chunk})).scalars())
    return kept


async def insert(tx: Transaction, pairs: Sequence[Pair], types: Mapping[str, SubjectType]) -> set[Pair]:
    """Inserts rows that are not there and gives those."""
    statement = _INSERT[tx.conn.dialect.name]
    values = tx.scope | {"origin": tx.cause.origin.value, "now": tx.now}
    added: set[Pair] = set()
    for chunk in _chunks(pairs, MOST_ROWS):
        rows = [(group_id, member_id, types[member_id].value) for group_id, member_id in chunk]
        given = {"rows": rows} | dict(zip(_COLUMNS, zip(*rows, strict=True), strict=False))
        found = await fetch(tx.conn, statement, values | given)
        added.update((row["group_id"], row["member_id"]) for row in found)
    return added


async def take_out(tx: Transaction, pairs: Sequence[Pair]) -> set[Pair]:
    """Deletes rows that are there and gives those."""
    removed: set[Pair] = set()
    for chunk in _chunks(pairs, MOST_IDS):
        gone = await tx.conn.execute(_TAKE_OUT, tx.scope | {"pairs": chunk})
        removed.update((row.group_id, row.member_id) for row in gone)
    return removed


async def leave_all(tx: Transaction, deleted: Sequence[str]) -> None:
    """Takes deleted users (or groups) out of every group they are in.

    The entries count as no removals of their own: they are part of the deletion.
    """
    gone = await tx.conn.execute(_LEAVE_ALL, tx.scope | {"ids": deleted})
    by_group: defaultdict[GroupId, list[str]] = defaultdict(list)
    for row in gone:
        by_group[row.group_id].append(row.member_id)
    for group in (await touch(tx, list(by_group))).values():
        note(tx, group, Action.REMOVE_MEMBER, by_group[group.id], amount=0)


async def touch(tx: Transaction, group_ids: Sequence[GroupId]) -> dict[GroupId, Group]:
    """Raises the version of groups whose members changed, without reading it first, and gives the groups."""
    touched: dict[GroupId, Group] = {}
    for chunk in _chunks(sorted(group_ids), MOST_IDS):
        tx.pending.append((_TOUCH, [tx.scope | {"touched_ids": chunk, "now": tx.now}]))
        touched.update((group.id, group) for group in map(to_group, await tx.write_pending()))
    return touched


def note(
    tx: Transaction,
    group: Group,
    action: Action,
    member_ids: Sequence[str],
    *,
    amount: int | None = None,
    cause: Cause | None = None,
) -> None:
    """Logs and tells which members came or went."""
    cause = cause or tx.cause
    came = action is Action.ADD_MEMBER
    modified = [Modified("members", None if came else m, m if came else None) for m in member_ids]
    amount = len(member_ids) if amount is None else amount
    tx.journal.log(cause, action, LogStatus.SUCCESS, Subject.of(group), modified, amount=amount)
    tx.journal.tell(
        "membership.added" if came else "membership.removed",
        group.id,
        {
            "displayName": group.display_name,
            "memberIds": list(member_ids),
            "origin": cause.origin.value,
            "correlationId": cause.correlation_id,
        },
    )


async def touch_changed(tx: Transaction, outcomes: list[Outcome]) -> list[Outcome]:
    """Raises the versions of all groups whose members changed, and gives the outcomes with the groups as they are now.

    It is the last thing a transaction does: from here on whoever changes members of the same group waits for us.
    """
    if not tx.changed_groups:
        await tx.write_pending()
        return outcomes
    groups: dict[str, Group] = {
        group.id: group for group in (await touch(tx, sorted(tx.changed_groups))).values()
    }
    return [
        replace(outcome, record=groups.get(outcome.record.id, outcome.record)) if outcome.record else outcome
        for outcome in outcomes
    ]


def _outcomes(
    tx: Transaction,
    commands: Sequence[AddMembers | RemoveMembers],
    action: Action,
    groups: Mapping[str, Group],
    refused: Mapping[int, Terminal],
    changed: set[Pair],
) -> list[Outcome]:
    """Gives each command what it changed; where two asked for the same, the first did it."""
    tx.changed_groups.update(group_id for group_id, _ in changed)
    left = set(changed)
    outcomes: list[Outcome] = []
    for index, command in enumerate(commands):
        group = groups.get(command.group_id)
        if index in refused or group is None:
            subject = (
                Subject.of(group) if group else Subject(SubjectType.GROUP, command.group_id, command.group_id)
            )
            outcomes.append(tx.refuse(command, action, refused[index], subject))
            continue
        mine = [member for member in dict.fromkeys(command.member_ids) if (command.group_id, member) in left]
        left.difference_update((command.group_id, member) for member in mine)
        if not mine:
            outcomes.append(tx.unchanged(command, action, group))
            continue
        note(tx, group, action, mine, cause=tx.cause_of(command))
        outcomes.append(Outcome(command, OutcomeStatus.APPLIED, action, group))
    return outcomes


def _chunks(items: Sequence[T], size: int) -> Iterable[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
