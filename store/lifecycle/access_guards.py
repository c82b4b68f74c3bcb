"""The brake on removals by push: what it counts, and when it holds.

Checked at the end of each transaction of a push that takes something away, in that
transaction: what is above the ceilings is rolled back. The brake's row is locked while
removals are counted, so that servers which write at the same time count one another's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, TextClause, and_, bindparam, case, func, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory.users import IS_ACTIVE
from store.engine.prepared_statements import fetch
from store.errors import Protected, PushBraked
from store.lifecycle.transaction import Transaction, in_scope
from store.logs.journal import Journal
from store.logs.provisioning_log import IS_REMOVAL
from store.records import (
    DIRECTORY,
    Cause,
    Ceilings,
    ConnectionId,
    Origin,
    PushRemoval,
    SubjectType,
    TenantId,
    User,
)
from store.tables.base import UtcDateTime
from store.tenancy import push_brakes
from store.tenancy.push_brakes import PushBrake

WINDOW = timedelta(minutes=10)
FEW = 50
"""In a connection with fewer users, groups or memberships, those that were made within
the window count against the number only: a validator makes accounts to delete them.
"""

_l, _u, _g, _m = (
    tables.provisioning_log.c,
    tables.users.c,
    tables.groups.c,
    tables.memberships.c,
)


_WORDS: Mapping[PushRemoval, tuple[str, str]] = {
    PushRemoval.USERS: ("active users", "disabled or deleted"),
    PushRemoval.GROUPS: ("groups", "deleted"),
    PushRemoval.MEMBERSHIPS: ("memberships", "removed"),
}


@dataclass(frozen=True, slots=True)
class RemovalCount:
    """Removals of one kind by push within the window, and what is left."""

    kind: PushRemoval
    removed: int
    established: int
    """Of them those of users and groups that were there before the window."""
    left: int
    """What is left, counted as far as the ceilings need it."""

    def excess(self, ceilings: Ceilings) -> str | None:
        """Return the sentence that says which ceiling is exceeded, or None."""
        share = self.established if self.left < FEW else self.removed
        things, done = _WORDS[self.kind]
        within = f"{WINDOW.total_seconds() / 60:g} minutes"
        if self.removed > max(ceilings.floor, ceilings.count):
            return f"More than {ceilings.count} {things} would be {done} by push within {within}."
        if share <= ceilings.floor or share * 100 <= ceilings.percent * (share + self.left):
            return None
        if not self.left:
            return f"All {things} would be {done} by push within {within}."
        return f"More than {ceilings.percent:g} % of the {things} would be {done} by push within {within}."


async def check(tx: Transaction) -> None:
    """Raise `PushBraked` where a push takes away more than it may; else do nothing.

    It runs last, when all writes are sent. A transaction that takes nothing away costs
    no statement.
    """
    ceilings = tx.cause.push_rules.ceilings
    kinds = _kinds_removed(tx.journal) if tx.cause.origin is Origin.SCIM and ceilings else ()
    if not kinds or ceilings is None:
        return
    for kind in kinds:
        await _check_kind(tx, kind, ceilings)


async def _check_kind(tx: Transaction, kind: PushRemoval, ceilings: Ceilings) -> None:
    brake = await _locked(tx, kind)
    if brake.braked_at is not None:
        raise PushBraked(kind, brake.reason or "", brake.counted_from, is_new=False)
    if brake.is_released(tx.now):
        return
    since = max(filter(None, (tx.now - WINDOW, brake.counted_from)))
    counted = await _count(tx.conn, tx.scope, kind, since, ceilings)
    if reason := counted.excess(ceilings):
        raise PushBraked(kind, reason, brake.counted_from, is_new=True)


async def _locked(tx: Transaction, kind: PushRemoval) -> PushBrake:
    values = {**tx.scope, **push_brakes.NEW, "kind": kind.value}
    [row] = await fetch(tx.conn, push_brakes.LOCK[tx.conn.dialect.name], values)
    return PushBrake(**row)


async def removed_since(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, since: datetime
) -> dict[PushRemoval, int]:
    """Return how much the push took away since a time, of the kinds it took any of."""
    scope = {"scope_tenant": tenant_id, "scope_connection": connection_id, "since": since}
    counted = {kind: (await fetch(conn, _REMOVED[kind], scope))[0]["removed"] for kind in PushRemoval}
    return {kind: int(number) for kind, number in counted.items() if number}


def _kinds_removed(journal: Journal) -> tuple[PushRemoval, ...]:
    """Return the kinds of which the transaction takes something away."""
    removed = set(journal.removed())
    return tuple(kind for kind in PushRemoval if kind.value in removed)


async def _count(
    conn: AsyncConnection, scope: Mapping[str, Any], kind: PushRemoval, since: datetime, ceilings: Ceilings
) -> RemovalCount:
    [row] = await fetch(conn, _REMOVED[kind], {**scope, "since": since})
    removed, established = int(row["removed"] or 0), int(row["established"] or 0)
    if not ceilings.floor < removed <= ceilings.count:
        return RemovalCount(kind, removed, established, FEW)
    # So many are enough to be under the percentage.
    most = max(FEW, math.ceil(removed * 100 / ceilings.percent))
    [found] = await fetch(conn, _LEFT[kind], {**scope, "most": most})
    return RemovalCount(kind, removed, established, int(found["number"]))


def _removals(subject: SubjectType) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the log entries of removals by push in the window."""
    return (
        *in_scope(tables.provisioning_log),
        _l.at >= bindparam("since", type_=UtcDateTime),
        _l.origin == Origin.SCIM.value,
        _l.subject_type == subject.value,
    )


def _was_there(created_at: ColumnElement[Any], amount: Any) -> ColumnElement[Any]:
    is_established = created_at < bindparam("since", type_=UtcDateTime)
    return func.sum(case((is_established, amount), else_=0)).label("established")


# A person who was disabled twice is one person, and who is back lost nothing.
_of_users = select(_l.subject_id).where(*_removals(SubjectType.USER)).where(IS_REMOVAL)
_of_groups = (
    select(_l.subject_id).where(*_removals(SubjectType.GROUP), _l.action == "delete").where(IS_REMOVAL)
)
_REMOVED: Mapping[PushRemoval, Select[Any]] = {
    PushRemoval.USERS: select(func.count().label("removed"), _was_there(_u.created_at, 1)).where(
        *in_scope(tables.users), _u.id.in_(_of_users), not_(and_(_u.active, _u.deleted_at.is_(None)))
    ),
    PushRemoval.GROUPS: select(func.count().label("removed"), _was_there(_g.created_at, 1)).where(
        *in_scope(tables.groups), _g.id.in_(_of_groups), _g.deleted_at.is_not(None)
    ),
    PushRemoval.MEMBERSHIPS: select(
        func.sum(_l.amount).label("removed"), _was_there(_g.created_at, _l.amount)
    )
    .select_from(tables.provisioning_log.join(tables.groups, _g.id == _l.subject_id))
    .where(*_removals(SubjectType.GROUP), _l.action == "remove_member")
    .where(IS_REMOVAL),
}


def _up_to_most(*conditions: ColumnElement[bool] | TextClause, table: Table) -> Select[Any]:
    found = select(table.c.connection_id).where(*conditions).limit(bindparam("most")).subquery()
    return select(func.count().label("number")).select_from(found)


_LEFT: Mapping[PushRemoval, Select[Any]] = {
    PushRemoval.USERS: _up_to_most(*in_scope(tables.users), IS_ACTIVE, table=tables.users),
    PushRemoval.GROUPS: _up_to_most(*in_scope(tables.groups), _g.deleted_at.is_(None), table=tables.groups),
    PushRemoval.MEMBERSHIPS: _up_to_most(*in_scope(tables.memberships), table=tables.memberships),
}


@dataclass(frozen=True, slots=True)
class AccessGuards:
    """Whose access must not end by a cause without a person."""

    protected: bool
    admins_and_local: bool
    last_admin: bool

    @classmethod
    def of(cls, cause: Cause) -> AccessGuards:
        """Return the guards against a cause: a person may do everything, a push what
        the connection's policy says.
        """
        is_push, is_pull = cause.origin is Origin.SCIM, cause.origin is Origin.GRAPH
        protects = is_push and cause.push_rules.protects_accounts
        return cls(
            is_pull or protects, protects, is_pull or (is_push and cause.push_rules.protects_last_admin)
        )

    def check_marks(self, user: User) -> None:
        """Raise `Protected` for an account that keeps its access."""
        if self.protected and user.is_guarded:
            raise Protected(_PROTECTED.format(user=user))
        if self.admins_and_local and user.is_admin:
            raise Protected(_ADMIN.format(user=user))
        if self.admins_and_local and user.origin not in DIRECTORY:
            raise Protected(_LOCAL.format(user=user))


_BY_POLICY = (
    "Or let the push end the access of such accounts: leaver connection set {user.connection_id} "
    "--no-protect-from-push"
)
_PROTECTED = (
    "This account is marked protected: its access ends when the mark is taken away, with: "
    "leaver user unprotect {user.connection_id} {user.id}. " + _BY_POLICY
)
_ADMIN = (
    "This account is an admin's: its access ends when it is one no more, with: "
    "leaver user admin {user.connection_id} {user.id} --off. " + _BY_POLICY
)
_LOCAL = "This account was made here and not by Entra: a push does not end its access. " + _BY_POLICY
LAST_ADMIN = (
    "This is the last active admin of the tenant: name another one first, with: "
    "leaver user admin {user.connection_id} USER"
)
