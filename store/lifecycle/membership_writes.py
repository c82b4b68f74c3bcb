"""Insert and delete membership rows one by one.

A group's list of members is never read to change it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    JSON,
    ColumnElement,
    Insert,
    String,
    bindparam,
    func,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects import postgresql, sqlite

from store import tables
from store.engine.list_lookups import Lookup, for_each, has_key_found, is_one_of, with_one_of
from store.engine.prepared_statements import fetch, fetch_tuples
from store.keys import to_group
from store.lifecycle.transaction import Transaction, beside_id
from store.records import Group, GroupId, SubjectType
from store.tables.base import UtcDateTime

_m = tables.memberships.c
_g = tables.groups.c
_u = tables.users.c

Pair: TypeAlias = tuple[GroupId, str]
T = TypeVar("T")

# Bound values in one statement: SQLite takes 32,766, PostgreSQL 32,767.
MOST_IDS = 10_000


_users = select(_u.id).where(*beside_id(tables.users))
_KNOWN_USERS = with_one_of(
    _users.where(_u.deleted_at.is_(None)).with_for_update(read=True, key_share=True), _u.id, "ids"
)
_live_groups = select(tables.groups).where(*beside_id(tables.groups), _g.deleted_at.is_(None))
_GROUPS_TO_CHANGE = with_one_of(_live_groups.with_for_update(), _g.id, "ids")
# Compatible with itself: many may add members to one group at once, but none while it
# is being deleted.
_GROUPS_THAT_STAY = with_one_of(_live_groups.with_for_update(read=True, key_share=True), _g.id, "ids")
_PROTECTED = with_one_of(_users.where(_u.is_protected), _u.id, "ids")
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
_DELETE = sql_delete(tables.memberships).returning(_m.group_id, _m.member_id)
_in_scope = beside_id(tables.memberships)
_pair: ColumnElement[Any] = func.json_each(bindparam("pairs", type_=JSON)).table_valued("value").c.value
_given_pairs = select(func.json_extract(_pair, "$[0]"), func.json_extract(_pair, "$[1]"))
# A membership is locked where it is found and never updated: its place stays the same.
_place: ColumnElement[Any] = literal_column("memberships.ctid")
_found = select(_place.label("place")).select_from(tables.memberships).where(*_in_scope).with_for_update()
_TAKE_OUT = {
    "sqlite": _DELETE.where(*_in_scope, tuple_(_m.group_id, _m.member_id).in_(_given_pairs)),
    "postgresql": _DELETE.where(
        has_key_found(_place, for_each(_found, {"group_ids": _m.group_id, "member_ids": _m.member_id}))
    ),
}
_LEAVE_ALL = {
    "sqlite": _DELETE.where(*_in_scope, _m.member_id.in_(bindparam("member_ids", expanding=True))),
    "postgresql": _DELETE.where(has_key_found(_place, for_each(_found, {"member_ids": _m.member_id}))),
}
_GROUPS_OF_ONE = select(_m.group_id).where(*_in_scope, _m.member_id == bindparam("member_id"))
_TOUCH = {
    dialect: update(tables.groups)
    .where(*beside_id(tables.groups), is_touched)
    .values(version=_g.version + 1, last_modified=bindparam("now"))
    .returning(*_g)
    for dialect, is_touched in is_one_of(_g.id, "touched_ids").items()
}


async def known_members(tx: Transaction, ids: set[str]) -> dict[str, SubjectType]:
    """Return the type of each id that is a live user or group of the connection.

    On PostgreSQL their rows stay so for the transaction.
    """
    known: dict[str, SubjectType] = {}
    for chunk in _chunks(sorted(ids), MOST_IDS):
        found = await _KNOWN_USERS.rows(tx.conn, tx.scope | {"ids": chunk})
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


async def _read_groups(tx: Transaction, query: Lookup, ids: Sequence[str]) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for chunk in _chunks(sorted(set(ids)), MOST_IDS):
        rows = await query.rows(tx.conn, tx.scope | {"ids": chunk})
        found.update((row["id"], to_group(row)) for row in rows)
    return found


async def protected(tx: Transaction, user_ids: set[str]) -> set[str]:
    kept: set[str] = set()
    for chunk in _chunks(sorted(user_ids), MOST_IDS):
        found = await _PROTECTED.rows(tx.conn, tx.scope | {"ids": chunk})
        kept.update(row["id"] for row in found)
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
        given = {
            "pairs": chunk,
            "group_ids": [group_id for group_id, _ in chunk],
            "member_ids": [member_id for _, member_id in chunk],
        }
        gone = await fetch(tx.conn, _TAKE_OUT[tx.conn.dialect.name], tx.scope | given)
        removed.update((row["group_id"], row["member_id"]) for row in gone)
    return removed


async def delete_of_members(tx: Transaction, member_ids: Sequence[str]) -> dict[GroupId, list[str]]:
    """Delete all memberships of these members and return them by group."""
    by_group: defaultdict[GroupId, list[str]] = defaultdict(list)
    values = tx.scope | {"member_ids": sorted(member_ids)}
    for row in await fetch(tx.conn, _LEAVE_ALL[tx.conn.dialect.name], values):
        by_group[row["group_id"]].append(row["member_id"])
    return by_group


async def delete_of_member(tx: Transaction, member_id: str, keep: Collection[str]) -> set[Pair]:
    """Delete the memberships of one member, but those of the groups in `keep`."""
    values = tx.scope | {"member_id": member_id}
    held = (await tx.conn.execute(_GROUPS_OF_ONE, values)).scalars()
    return await delete(tx, [(GroupId(group_id), member_id) for group_id in held if group_id not in keep])


async def touch(tx: Transaction, group_ids: Sequence[GroupId]) -> dict[GroupId, Group]:
    """Raise the version of groups whose members changed, and return the groups.

    The version is not read before.
    """
    touched: dict[GroupId, Group] = {}
    for chunk in _chunks(sorted(group_ids), MOST_IDS):
        tx.pending.append((_TOUCH[tx.conn.dialect.name], [tx.scope | {"touched_ids": chunk, "now": tx.now}]))
        touched.update((group.id, group) for group in map(to_group, await tx.write_pending()))
    return touched


def _chunks(items: Sequence[T], size: int) -> Iterable[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
