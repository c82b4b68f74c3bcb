"""Lock, check and write rows of users, with everything that belongs to a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec import Struct, structs
from sqlalchemy import bindparam, select, update

from store import tables
from store.directory.documents import document_keys
from store.directory.users import IS_ADMIN
from store.engine.bulk_write import bind_names, insert_statement, update_statement
from store.engine.list_lookups import is_live, with_one_of, with_one_of_any
from store.errors import OtherAccount, Protected, UniquenessConflict
from store.keys import search_key, to_user
from store.lifecycle import members
from store.lifecycle.access_guards import LAST_ADMIN, AccessGuards
from store.lifecycle.ended_access import EndedAccess, end_access
from store.lifecycle.shared_anchors import ended_by_push, note_shared
from store.lifecycle.transaction import Transaction, beside_id, in_scope
from store.logs.event_types import user_event
from store.logs.journal import LogSubject
from store.records import (
    Action,
    Cause,
    Command,
    LogStatus,
    Modified,
    Origin,
    User,
    UserId,
    is_object_id,
)

_c = tables.users.c

_LOCK = with_one_of(
    select(tables.users).where(*beside_id(tables.users), _c.deleted_at.is_(None)).with_for_update(),
    _c.id,
    "ids",
)
_TAKERS = with_one_of_any(
    select(_c.id, _c.user_name, _c.user_name_key, _c.entra_object_id, _c.external_id).where(
        *in_scope(tables.users), is_live(tables.users)
    ),
    tables.users,
    {"names": _c.user_name_key, "entra_ids": _c.entra_object_id, "external_ids": _c.external_id},
)
_ACTIVE_ADMINS = (
    select(_c.id)
    .where(_c.tenant_id == bindparam("scope_tenant"), IS_ADMIN, _c.active, _c.deleted_at.is_(None))
    .with_for_update()
)


class UserChange(Struct, frozen=True):
    """A user's row before (None for a new one) and after, and the action."""

    action: Action
    before: User | None
    after: User
    modified: tuple[Modified, ...]
    cause: Cause | None = None
    """The cause of the change, set by `stamped`."""

    @property
    def ends_access(self) -> bool:
        return self.before is not None and self.before.active and not self.after.active

    @property
    def ends_keys(self) -> bool:
        """Return whether every session and token issued until now ends."""
        return self.before is not None and self.before.period != self.after.period


async def lock(tx: Transaction, user_ids: Sequence[UserId]) -> dict[UserId, User]:
    """Read live users of the connection.

    On PostgreSQL their rows are locked until the transaction ends.
    """
    # Sorted, so that two transactions cannot wait for each other.
    values = tx.scope | {"ids": sorted(set(user_ids))}
    rows = await _LOCK.rows(tx.conn, values)
    return {user.id: user for user in map(to_user, rows)}


UniqueClaim: TypeAlias = tuple[str, str]
"""A unique attribute and the key of a value that one live user of the connection may
have.
"""


@dataclass(slots=True)
class ConstraintChecker:
    """Check changes against taken names and against accounts that must keep their
    access.
    """

    holders: dict[UniqueClaim, UserId]
    names: dict[UserId, str]
    """userNames of the accounts that hold a claimed value."""
    admins: set[UserId]
    guards: AccessGuards
    has_proofs: bool

    @classmethod
    async def load(cls, tx: Transaction, changes: Sequence[UserChange]) -> ConstraintChecker:
        guards = AccessGuards.of(tx.cause)
        leaves = guards.last_admin and any(each.ends_access and each.after.is_admin for each in changes)
        takers, names = await _takers(tx, changes)
        return cls(
            holders=_holders(changes, takers, proofs=tx.cause.can_prove),
            names=names,
            admins=await _active_admins(tx) if leaves else set(),
            guards=guards,
            has_proofs=tx.cause.can_prove,
        )

    def check(self, change: UserChange) -> None:
        """Raise `Protected` or `UniquenessConflict`, or count the change as done."""
        if change.ends_access or change.action is Action.DELETE:
            self._check_access(change)
        for attribute, key, shown in _claims(change, proofs=self.has_proofs):
            holder = self.holders.setdefault((attribute, key), change.after.id)
            if holder != change.after.id:
                object_id = key if attribute == "externalId" else None
                raise UniquenessConflict(
                    attribute, shown, OtherAccount(holder, self.names.get(holder, ""), object_id)
                )
            self.names[holder] = change.after.user_name

    def _check_access(self, change: UserChange) -> None:
        user = change.after
        # The person is gone and the name is another's: that a mark does not stop.
        if change.action is not Action.RELEASE_NAMES:
            self.guards.check_marks(user)
        if self.guards.last_admin and user.is_admin and change.ends_access and self.admins <= {user.id}:
            raise Protected(LAST_ADMIN.format(user=user))
        self.admins.discard(user.id)


def _claims(change: UserChange, *, proofs: bool) -> Iterable[tuple[str, str, str]]:
    """Yield the unique values that the change takes: attribute, key, and the value as
    sent.
    """
    before, after = change.before, change.after
    if before is None or before.deleted_at or before.user_name != after.user_name:
        yield "userName", search_key(after.user_name), after.user_name
    entra = after.entra_object_id
    if entra and (before is None or before.deleted_at or before.entra_object_id != entra):
        yield "entraObjectId", entra, entra
    if proofs and (claimed := claimed_object_id(before, after)):
        yield "externalId", claimed, after.external_id or ""


def claimed_object_id(before: User | None, after: User) -> str | None:
    """Return the object id that a change writes into an account with access.

    A change that leaves the account without access claims nothing: it is applied as
    sent (identity.md, W1).
    """
    external_id = after.external_id or ""
    is_same = before is not None and not before.deleted_at and before.external_id == after.external_id
    is_back = before is not None and after.active and not before.active
    if not after.active or not is_object_id(external_id) or (is_same and not is_back):
        return None
    return external_id.lower()


def _holders(
    changes: Sequence[UserChange], takers: Mapping[UniqueClaim, UserId], *, proofs: bool
) -> dict[UniqueClaim, UserId]:
    """Return the holder of each claimed value after the changes.

    A value that one user gives up another may take, so two people may swap their names.
    A user that cannot have the new name keeps the old one, which another may wait for:
    this is decided in rounds.
    """
    moving = {change.after.id: change for change in changes}
    while True:
        given_up = {("userName", key): c.after.id for c in moving.values() if (key := _given_up_name(c))}
        holders = {claim: holder for claim, holder in takers.items() if given_up.get(claim) != holder}
        stuck = {
            change.after.id
            for change in moving.values()
            for attribute, key, _ in _claims(change, proofs=proofs)
            if holders.setdefault((attribute, key), change.after.id) != change.after.id
        }
        if not stuck:
            return holders
        moving = {user_id: change for user_id, change in moving.items() if user_id not in stuck}


def _given_up_name(change: UserChange) -> str | None:
    """Return the key of the name that is free after the change, or None.

    A change that may yet be refused frees no name.
    """
    before = change.before
    # Names that are released are free though access ends: there is no one to keep them.
    releases = (Action.RELEASE_NAMES, Action.RETIRE)
    is_refusable = change.ends_access and change.action not in releases
    if before is None or before.deleted_at or is_refusable:
        return None
    key = search_key(before.user_name)
    return None if key == search_key(change.after.user_name) else key


async def _takers(
    tx: Transaction, changes: Sequence[UserChange]
) -> tuple[dict[UniqueClaim, UserId], dict[UserId, str]]:
    claims = [claim for change in changes for claim in _claims(change, proofs=tx.cause.can_prove)]
    if not claims:
        return {}, {}
    names = [key for attribute, key, _ in claims if attribute == "userName"]
    object_ids = [key for attribute, key, _ in claims if attribute == "externalId"]
    entra_ids = [key for attribute, key, _ in claims if attribute == "entraObjectId"] + object_ids
    spellings = [spelling for key in object_ids for spelling in (key, key.upper())]
    values = {"names": names, "entra_ids": entra_ids, "external_ids": spellings}
    takers: dict[UniqueClaim, UserId] = {}
    shown: dict[UserId, str] = {}
    for row in await _TAKERS.rows(tx.conn, tx.scope | values):
        shown[row["id"]] = row["user_name"]
        takers["userName", row["user_name_key"]] = row["id"]
        takers["entraObjectId", row["entra_object_id"]] = row["id"]
        for held in (row["external_id"], row["entra_object_id"]):
            if held and held.lower() in object_ids:
                takers.setdefault(("externalId", held.lower()), row["id"])
    return takers, shown


async def _active_admins(tx: Transaction) -> set[UserId]:
    return set((await tx.conn.execute(_ACTIVE_ADMINS, tx.scope)).scalars())


def stamped(tx: Transaction, command: Command, change: UserChange) -> UserChange:
    """Return the change with version, time and origin of the new row, and with its
    cause.
    """
    cause = tx.cause_of(command)
    wrote_at = tx.now if tx.cause.origin is Origin.SCIM else change.after.push_wrote_at
    unread_at = change.after.unread_write_at if tx.cause.origin is Origin.GRAPH else tx.now
    given = structs.replace(_agreed(tx, change), push_wrote_at=wrote_at, unread_write_at=unread_at)
    if change.before is None:
        return structs.replace(change, after=given, cause=cause)
    is_released = change.after.origin is not change.before.origin
    origin = change.after.origin if is_released else tx.origin_after(change.before.origin)
    after = structs.replace(
        given,
        version=change.before.version + 1,
        last_modified=tx.now,
        origin=origin,
    )
    return structs.replace(change, after=after, cause=cause)


def _agreed(tx: Transaction, change: UserChange) -> User:
    """Return the row with the names on which both sides agree now: what the pull
    writes is Entra's.
    """
    before, after = change.before, change.after
    if tx.cause.origin is not Origin.GRAPH or change.action is Action.RELEASE_NAMES:
        return after
    held = None if before is None or before.deleted_at else before
    if held is None or held.user_name != after.user_name:
        after = structs.replace(after, agreed_user_name=after.user_name)
    if held is None or held.external_id != after.external_id:
        after = structs.replace(after, agreed_external_id=after.external_id)
    return after


async def write(tx: Transaction, changes: Sequence[UserChange]) -> None:
    """Write rows, log entries and events.

    Sessions and memberships end where access ends or the user is deleted.
    """
    new = [bind_names(tables.users, _columns(change.after)) for change in changes if change.before is None]
    update_rows, columns_of = _UPDATE, _changing
    if all(map(_keeps_names, changes)):
        update_rows, columns_of = _UPDATE_STATE, _state
    old = [bind_names(tables.users, columns_of(change.after)) for change in changes if change.before]
    writes = (
        (_INSERT, new),
        (_PARK, _parked(changes)),
        (update_rows, old),
    )
    tx.pending += [(statement, rows) for statement, rows in writes if rows]
    for change in changes:
        _note(tx, change)
    ended = (ended_by_push(each.before, each.after, each.cause or tx.cause) for each in changes)
    if by_push := [each for each in ended if each is not None]:
        await note_shared(tx, by_push)
    await end_access(
        tx,
        [
            EndedAccess(change.before, change.after, change.action, change.cause or tx.cause)
            for change in changes
            if change.before is not None and (change.ends_access or change.ends_keys)
        ],
    )
    deleted = [change.after.id for change in changes if change.action is Action.DELETE]
    if deleted:
        await members.remove_from_all(tx, deleted)


def _columns(user: User) -> dict[str, Any]:
    return {
        "tenant_id": user.tenant_id,
        "connection_id": user.connection_id,
        "created_at": user.created_at,
        "agreed": None,
        **_changing(user),
    }


_INSERT = insert_statement(tables.users)
_NAMES = ("user_name", "external_id", "entra_object_id", "deleted_at")
_KEYED_BY = ("userName", "displayName", "emails")
"""Attributes that `document_keys` reads."""
_STATE = (
    "id", "active", "document", "version", "origin", "last_modified",
    "is_protected", "is_admin", "deprovisioned_at", "deprovision_reason",
    "directory_id", "holder_number", "holder_basis", "holder_seen_at", "push_wrote_at", "push_found_at",
    "unread_write_at",
    "period", "sealed_at", "access_ended_by", "access_ended_reason", "access_given_by",
    "agreed_user_name", "agreed_external_id",
)  # fmt: skip


def _changing(user: User) -> Mapping[str, Any]:
    names = {name: getattr(user, name) for name in _NAMES}
    return {**_state(user), **names, **document_keys(user.document)}


def _state(user: User) -> Mapping[str, Any]:
    return {name: getattr(user, name) for name in _STATE}


def _keeps_names(change: UserChange) -> bool:
    before, after = change.before, change.after
    if before is None or any(getattr(before, name) != getattr(after, name) for name in _NAMES):
        return False
    return all(before.document.get(path) == after.document.get(path) for path in _KEYED_BY)


_UPDATE_STATE = update_statement(tables.users, _STATE[1:])
"""For rows whose names stay: SQLite writes every index on a column that a statement
sets, changed or not, and most of the thirteen are on names.
"""
_UPDATE = update_statement(
    tables.users, (*_STATE[1:], *_NAMES, "user_name_key", "display_name_key", "work_email_key")
)


_PARK = update(tables.users).where(_c.id == bindparam("b_id")).values(user_name_key=bindparam("parked"))


def _parked(changes: Sequence[UserChange]) -> list[dict[str, str]]:
    """Return writes that free names which other changes of the batch take.

    A unique index checks each row as it is written.
    """
    taken = {search_key(change.after.user_name) for change in changes}
    leaving = [change.after.id for change in changes if _given_up_name(change) in taken]
    return [{"b_id": user_id, "parked": f"\x1f{user_id}"} for user_id in leaving]


def _note(tx: Transaction, change: UserChange) -> None:
    user, cause = change.after, change.cause or tx.cause
    # Names that are given up without access are no removal: no ceiling counts them.
    amount = 0 if change.action is Action.RELEASE_NAMES and not change.ends_access else 1
    subject = LogSubject.of(user)
    tx.journal.add_log_entry(cause, change.action, LogStatus.SUCCESS, subject, change.modified, amount=amount)
    tx.journal.add_event(
        user_event(change.action, ends_access=change.ends_access, is_active=user.active),
        user.id,
        {
            "userName": user.user_name,
            "externalId": user.external_id,
            "entraObjectId": user.entra_object_id,
            "active": user.active,
            "reason": user.deprovision_reason,
            "origin": cause.origin.value,
            "correlationId": cause.correlation_id,
            "holderNumber": user.holder_number,
            "period": user.period,
        },
    )
