"""Say which person an account stands for: change the holder, release names, lift seals.

What belongs to a person stays with that person (identity.md, W3, W4): the holders of an
account are numbered, and history is kept by account and number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import bindparam, select, update

from store import tables
from store.engine.bulk_write import bind_names, insert_statement
from store.engine.prepared_statements import fetch
from store.lifecycle import members, user_writes
from store.lifecycle.transaction import Transaction
from store.lifecycle.user_writes import UserChange
from store.lifecycle.users import decide_each, deprovisioned, differences, sealed
from store.records import (
    Action,
    ChangeHolder,
    DecideHolder,
    Document,
    HolderBasis,
    Modified,
    Origin,
    Outcome,
    OutcomeStatus,
    Reason,
    ReleaseNames,
    ReleaseUser,
    RetireUser,
    SealUser,
    UnsealUser,
    User,
    UserId,
)

_h = tables.account_holders.c
_KNOWN = select(tables.account_holders).where(
    _h.tenant_id == bindparam("scope_tenant"), _h.user_id.in_(bindparam("ids", expanding=True))
)
_INSERT = insert_statement(tables.account_holders)
_END = (
    update(tables.account_holders)
    .where(
        _h.tenant_id == bindparam("ended_tenant"),
        _h.user_id == bindparam("ended_user"),
        _h.number == bindparam("ended_number"),
    )
    .values(until=bindparam("ended_at"))
)

_r = tables.assessment_results.c
_SINCE_THE_SEAL = (
    _r.user_id == bindparam("in_doubt_user"),
    _r.holder_number == bindparam("in_doubt"),
    _r.recorded_at >= bindparam("since"),
)
_IN_DOUBT = select(_r.id).where(_r.tenant_id == bindparam("scope_tenant"), *_SINCE_THE_SEAL).limit(1)
_SET_APART = (
    update(tables.assessment_results)
    .where(_r.tenant_id == bindparam("moved_tenant"), *_SINCE_THE_SEAL)
    .values(holder_number=bindparam("number_of_no_one"))
)


async def change_holder(tx: Transaction, commands: Sequence[ChangeHolder]) -> list[Outcome]:
    """Hand accounts to other people, as Entra did.

    The earlier holder's sessions and tokens end, marks are dropped, memberships end
    except those that the command keeps. A person who had the account before gets the
    old number back, and with it the history.
    """
    known = await _known_holders(tx, [command.user_id for command in commands])

    def decide(command: ChangeHolder, user: User) -> UserChange | None:
        if user.entra_object_id == command.entra_object_id and user.sealed_at is None:
            return None
        number = _number(known, user, command)
        after = structs.replace(
            user,
            entra_object_id=command.entra_object_id,
            directory_id=command.directory_id,
            holder_basis=command.basis,
            holder_number=number,
            holder_seen_at=None,
            is_protected=False,
            is_admin=False,
            sealed_at=None,
            period=user.period + 1,
        )
        modified: tuple[Modified, ...] = (
            *differences("entraObjectId", user.entra_object_id, command.entra_object_id),
            *differences("holderNumber", user.holder_number, number),
            *differences("isProtected", user.is_protected, False),
            *differences("isAdmin", user.is_admin, False),
        )
        return UserChange(Action.CHANGE_HOLDER, user, after, modified)

    before = await _present(tx, commands)
    outcomes = await decide_each(tx, commands, Action.CHANGE_HOLDER, decide)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.status is OutcomeStatus.APPLIED and isinstance(outcome.record, User):
            _note_holders(tx, before[command.user_id], outcome.record, known)
            await _set_apart(tx, before[command.user_id], outcome.record, known)
            await members.remove_but_from(tx, command.user_id, command.keep_group_ids)
    return outcomes


async def _set_apart(tx: Transaction, before: User, after: User, known: Sequence[Any]) -> None:
    """Give the results since the seal a number that is no one's: whether they are the
    earlier or the new holder's is not known (W4). An admin sees them under it.
    """
    if before.sealed_at is None or before.holder_number == after.holder_number:
        return
    since = {"in_doubt_user": after.id, "in_doubt": before.holder_number, "since": before.sealed_at}
    if not await fetch(tx.conn, _IN_DOUBT, {"scope_tenant": tx.tenant_id, **since}):
        return
    numbers = [int(row["number"]) for row in known if row["user_id"] == after.id]
    number = max(before.holder_number, after.holder_number, *numbers, 0) + 1
    row = {
        "tenant_id": tx.tenant_id,
        "user_id": after.id,
        "number": number,
        "user_name": before.user_name,
        "directory_id": None,
        "entra_object_id": None,
        "basis": None,
        "until": tx.now,
    }
    tx.pending.append((_INSERT, [bind_names(tables.account_holders, row)]))
    tx.pending.append((_SET_APART, [{"moved_tenant": tx.tenant_id, **since, "number_of_no_one": number}]))


async def release_names(tx: Transaction, commands: Sequence[ReleaseNames]) -> list[Outcome]:
    """Take from accounts every value that the push may match by, and access.

    The old values stay in the log. The account and its history stay.
    """

    def decide(command: ReleaseNames, user: User) -> UserChange | None:
        if user.user_name == released_name(user):
            return None
        after, modified = _released(tx, user, command.reason)
        return UserChange(Action.RELEASE_NAMES, user, after, modified)

    return await decide_each(tx, commands, Action.RELEASE_NAMES, decide)


def _released(tx: Transaction, user: User, reason: Reason | None) -> tuple[User, tuple[Modified, ...]]:
    name = released_name(user)
    document = _without_names(user.document, name)
    after = structs.replace(user, user_name=name, external_id=None, document=document)
    modified = (
        *differences("active", user.active, False),
        *differences("userName", user.user_name, name),
        *differences("externalId", user.external_id, None),
    )
    return deprovisioned(tx, after, reason) if user.active else after, modified


async def retire(tx: Transaction, commands: Sequence[RetireUser]) -> list[Outcome]:
    """End second accounts: they give up names, access, and the person.

    Who it was is kept with the number of the holder, and so is the history.
    """
    ids = [command.user_id for command in commands]
    known = await _known_holders(tx, ids)
    before = await user_writes.lock(tx, ids)

    def decide(_command: RetireUser, user: User) -> UserChange | None:
        if user.entra_object_id is None:
            return None
        after, modified = _released(tx, user, None)
        after = _without_holder(structs.replace(after, period=user.period + 1))
        gone = differences("entraObjectId", user.entra_object_id, None)
        return UserChange(Action.RETIRE, user, after, (*modified, *gone))

    outcomes = await decide_each(tx, commands, Action.RETIRE, decide)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.status is OutcomeStatus.APPLIED and isinstance(outcome.record, User):
            _note_holders(tx, before[command.user_id], outcome.record, known)
    return outcomes


def _without_holder(user: User) -> User:
    return structs.replace(
        user, entra_object_id=None, directory_id=None, holder_basis=None, holder_seen_at=None
    )


async def release(tx: Transaction, commands: Sequence[ReleaseUser]) -> list[Outcome]:
    """Make local accounts of Entra's: they stand for no person there any more.

    Access, sessions, the number of the holder and the history stay, and who it was is
    kept with the number.
    """
    ids = [command.user_id for command in commands]
    known = await _known_holders(tx, ids)
    before = await user_writes.lock(tx, ids)

    def decide(_command: ReleaseUser, user: User) -> UserChange | None:
        after = structs.replace(_without_holder(user), origin=Origin.CONSOLE)
        modified: tuple[Modified, ...] = (
            *differences("entraObjectId", user.entra_object_id, None),
            *differences("origin", user.origin.value, after.origin.value),
        )
        return UserChange(Action.UPDATE, user, after, modified) if modified else None

    outcomes = await decide_each(tx, commands, Action.UPDATE, decide)
    for command, outcome in zip(commands, outcomes, strict=True):
        held = before.get(command.user_id)
        if outcome.status is OutcomeStatus.APPLIED and held is not None and held.entra_object_id:
            assert isinstance(outcome.record, User)
            _note_holders(tx, held, outcome.record, known)
    return outcomes


async def seal(tx: Transaction, commands: Sequence[SealUser]) -> list[Outcome]:
    """End every key of accounts; access stays, history is hidden and marks are
    suspended.
    """

    def decide(_command: SealUser, user: User) -> UserChange | None:
        if user.sealed_at is not None:
            return None
        return UserChange(Action.SEAL, user, sealed(tx, user), differences("sealed", False, True))

    return await decide_each(tx, commands, Action.SEAL, decide)


async def unseal(tx: Transaction, commands: Sequence[UnsealUser]) -> list[Outcome]:
    """Note that the holder was seen again: history and marks come back.

    Keys that were issued under a seal end: whose they are is not known.
    """

    def decide(command: UnsealUser, user: User) -> UserChange | None:
        if user.sealed_at is None and user.holder_seen_at is None:
            return None
        modified = differences("sealed", user.sealed_at is not None, False)
        period = user.period if user.sealed_at is None else user.period + 1
        after = structs.replace(user, sealed_at=None, holder_seen_at=None, period=period)
        return UserChange(Action.UNSEAL, user, after, modified)

    return await decide_each(tx, commands, Action.UNSEAL, decide)


async def decide_holder(tx: Transaction, commands: Sequence[DecideHolder]) -> list[Outcome]:
    """Write what a person decided about the holders of accounts."""

    def decide(command: DecideHolder, user: User) -> UserChange | None:
        basis = _basis(user, is_decided=command.is_known)
        after = structs.replace(
            user, holder_basis=basis, sealed_at=None if command.is_known else user.sealed_at
        )
        if command.is_sealed and user.sealed_at is None:
            after = sealed(tx, after)
        modified = (
            *differences("holderBasis", user.holder_basis, basis),
            *differences("sealed", user.sealed_at is not None, after.sealed_at is not None),
        )
        if user.sealed_at is None and after.sealed_at is None:
            return UserChange(Action.OTHER, user, after, modified) if modified else None
        action = Action.SEAL if after.sealed_at else Action.UNSEAL
        return UserChange(action, user, after, modified) if modified else None

    return await decide_each(tx, commands, Action.OTHER, decide)


def _basis(user: User, *, is_decided: bool) -> HolderBasis | None:
    """Return how the holder is known: a proof says more than a person's word."""
    if user.holder_basis is HolderBasis.PROOF:
        return HolderBasis.PROOF
    if is_decided:
        return HolderBasis.PERSON
    return None if user.entra_object_id is None else HolderBasis.NAMES


def released_name(user: User) -> str:
    """Return a userName that no one else has: names under `.invalid` belong to no one
    (RFC 6761 §6.4).
    """
    return f"{user.id}@released.invalid"


def _without_names(document: Document, name: str) -> Document:
    kept = {key: value for key, value in document.items() if key not in ("externalId", "emails")}
    return {**kept, "userName": name}


async def _known_holders(tx: Transaction, user_ids: Sequence[str]) -> list[Any]:
    return list(await fetch(tx.conn, _KNOWN, tx.scope | {"ids": list(user_ids)}))


async def _present(tx: Transaction, commands: Sequence[ChangeHolder]) -> dict[UserId, User]:
    return await user_writes.lock(tx, [command.user_id for command in commands])


def _number(known: Sequence[Any], user: User, command: ChangeHolder) -> int:
    """Return the number of the person: the old one, or the next that is free."""
    if user.entra_object_id == command.entra_object_id:
        return user.holder_number
    of_account = [row for row in known if row["user_id"] == user.id]
    for row in of_account:
        if (row["entra_object_id"], row["directory_id"]) == (command.entra_object_id, command.directory_id):
            return int(row["number"])
    return max([user.holder_number, *(int(row["number"]) for row in of_account)]) + 1


def _note_holders(tx: Transaction, before: User, after: User, known: Sequence[Any]) -> None:
    numbers = {row["number"] for row in known if row["user_id"] == after.id}
    for user, until in ((before, tx.now), (after, None)):
        if user.holder_number in numbers:
            ended = {
                "ended_tenant": tx.tenant_id,
                "ended_user": user.id,
                "ended_number": user.holder_number,
                "ended_at": until,
            }
            tx.pending.append((_END, [ended]))
            continue
        row = {
            "tenant_id": tx.tenant_id,
            "user_id": user.id,
            "number": user.holder_number,
            "directory_id": user.directory_id,
            "entra_object_id": user.entra_object_id,
            "user_name": user.user_name,
            "basis": user.holder_basis,
            "until": until,
        }
        numbers.add(user.holder_number)
        tx.pending.append((_INSERT, [bind_names(tables.account_holders, row)]))
