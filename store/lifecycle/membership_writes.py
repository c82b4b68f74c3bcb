"""Insert and delete membership rows one by one.

A group's list of members is never read to change it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from store.engine.prepared_statements import fetch, fetch_tuples
from store.keys import to_group
from store.lifecycle.transaction import Transaction, in_scope
from store.records import Group, GroupId, SubjectType
from store.tables.columns import UtcDateTime

_m = tables.memberships.c
_g = tables.groups.c
_u = tables.users.c

Pair: TypeAlias = tuple[GroupId, str]
T = TypeVar("T")

# Bound values in one statement: SQLite takes 32,766, PostgreSQL 32,767.
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
# Compatible with itself: many may add members to one group at once, but none while it
# is being deleted.
_GROUPS_THAT_STAY = _LIVE_GROUPS.with_for_update(read=True, key_share=True)
_PROTECTED = select(_u.id).where(*in_scope(tables.users), _u.id.in_(_ids), _u.is_protected)
_COLUMNS = ("group_id", "member_id", "member_type", "tenant_id", "connection_id", "origin", "created_at")


def _inserting(insert: Any, member_ids: ColumnElement[str]) -> Insert:
    """Return the statement that adds members of one type to a group.

    All member ids are the value of one statement. It returns the ids that were not
    members yet.
    """
    source = select(
        bindparam("group_id", type_=String),
        member_ids,
        bindparam("member_type", type_=String),
        bindparam("scope_tenant", type_=String),
        bindparam("scope_connection", type_=String),
        bindparam("origin", type_=String),
        bindparam("now", type_=UtcDateTime),
    ).where(true())  # SQLite takes ON CONFLICT for a join without it
    new = insert(tables.memberships).from_select(_COLUMNS, source, include_defaults=False)
    inserting: Insert = new.on_conflict_do_nothing().returning(_m.member_id)
    return inserting


_INSERT = {
    "sqlite": _inserting(
        sqlite.insert, func.json_each(bindparam("member_ids", type_=JSON)).table_valued("value").c.value
    ),
    "postgresql": _inserting(
        postgresql.insert, func.unnest(bindparam("member_ids", type_=postgresql.ARRAY(String)))
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
    .where(
        *in_scope(tables.memberships),
        _m.member_id.in_(_ids),
        _m.group_id.not_in(bindparam("kept_groups", expanding=True)),
    )
    .returning(_m.group_id, _m.member_id)
)
_TOUCH = (
    update(tables.groups)
    .where(*in_scope(tables.groups), _g.id.in_(bindparam("touched_ids", expanding=True)))
    .values(version=_g.version + 1, last_modified=bindparam("now"))
    .returning(*_g)
)


async def known_members(tx: Transaction, ids: set[str]) -> dict[str, SubjectType]:
    """Return the type of each id that is a live user or group of the connection.

    On PostgreSQL their rows stay so for the transaction.
    """
    known: dict[str, SubjectType] = {}
    for chunk in _chunks(sorted(ids), MOST_IDS):
        found = await fetch(tx.conn, _KNOWN_USERS, tx.scope | {"ids": chunk})
        known.update((row["id"], SubjectType.USER) for row in found)
    rest = ids - known.keys()
    if rest:
        known.update(dict.fromkeys(await groups_that_stay(tx, sorted(rest)), SubjectType.GROUP))
    return known


async def live_groups(tx: Transaction, ids: Sequence[str]) -> dict[str, Group]:
    """Read groups to change them.

    On PostgreSQL no other transaction changes them until this one ends.
    """
    return await _read_groups(tx, _GROUPS_TO_CHANGE, ids)


async def groups_that_stay(tx: Transaction, ids: Sequence[str]) -> dict[str, Group]:
    """Read groups; on PostgreSQL they stay undeleted until the transaction ends."""
    return await _read_groups(tx, _GROUPS_THAT_STAY, ids)


async def _read_groups(tx: Transaction, query: Select[Any], ids: Sequence[str]) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for chunk in _chunks(sorted(set(ids)), MOST_IDS):
        rows = await fetch(tx.conn, query, tx.scope | {"ids": chunk})
        found.update((row["id"], to_group(row)) for row in rows)
    return found


async def protected(tx: Transaction, user_ids: set[str]) -> set[str]:
    kept: set[str] = set()
    for chunk in _chunks(sorted(user_ids), MOST_IDS):
        kept.update((await tx.conn.execute(_PROTECTED, tx.scope | {"ids": chunk})).scalars())
    return kept


async def insert(
    tx: Transaction, group_id: GroupId, member_ids: Iterable[str], types: Mapping[str, SubjectType]
) -> list[str]:
    """Add members to a group and return the ids that were not in it, sorted."""
    of_type: defaultdict[SubjectType, list[str]] = defaultdict(list)
    for member_id in sorted(member_ids):  # so that two transactions cannot wait for each other
        of_type[types[member_id]].append(member_id)
    values = tx.scope | {"group_id": group_id, "origin": tx.cause.origin.value, "now": tx.now}
    added: list[str] = []
    for member_type, members in sorted(of_type.items()):
        given = values | {"member_type": member_type.value, "member_ids": members}
        added += [row[0] for row in await fetch_tuples(tx.conn, _INSERT[tx.conn.dialect.name], given)]
    return sorted(added)


async def delete(tx: Transaction, pairs: Sequence[Pair]) -> set[Pair]:
    """Delete membership rows and return the pairs that existed."""
    removed: set[Pair] = set()
    for chunk in _chunks(pairs, MOST_IDS):
        gone = await tx.conn.execute(_TAKE_OUT, tx.scope | {"pairs": chunk})
        removed.update((row.group_id, row.member_id) for row in gone)
    return removed


async def delete_of_members(
    tx: Transaction, member_ids: Sequence[str], keep: Collection[str] = ()
) -> dict[GroupId, list[str]]:
    """Delete the memberships of these members, but those of the groups in `keep`, and
    return them by group.
    """
    by_group: defaultdict[GroupId, list[str]] = defaultdict(list)
    values = tx.scope | {"ids": member_ids, "kept_groups": sorted(keep)}
    for row in await tx.conn.execute(_LEAVE_ALL, values):
        by_group[row.group_id].append(row.member_id)
    return by_group


async def touch(tx: Transaction, group_ids: Sequence[GroupId]) -> dict[GroupId, Group]:
    """Raise the version of groups whose members changed, and return the groups.

    The version is not read before.
    """
    touched: dict[GroupId, Group] = {}
    for chunk in _chunks(sorted(group_ids), MOST_IDS):
        tx.pending.append((_TOUCH, [tx.scope | {"touched_ids": chunk, "now": tx.now}]))
        touched.update((group.id, group) for group in map(to_group, await tx.write_pending()))
    return touched


def _chunks(items: Sequence[T], size: int) -> Iterable[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
