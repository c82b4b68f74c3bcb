"""Change, disable, delete, link and mark users.

`create_users` creates them, `holders` says which person each stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from msgspec import structs

from store.directory.documents import modified, user_columns
from store.errors import NotFound, VersionMoved
from store.lifecycle import user_writes
from store.lifecycle.transaction import Transaction
from store.lifecycle.user_writes import ConstraintChecker, UserChange
from store.logs.journal import LogSubject
from store.records import (
    Action,
    ChangeHolder,
    ChangeUser,
    DecideHolder,
    DeleteUser,
    DisableUser,
    HolderBasis,
    JsonValue,
    LinkUser,
    MarkUser,
    Modified,
    Origin,
    Outcome,
    OutcomeStatus,
    Reason,
    ReleaseNames,
    ReleaseUser,
    RetireUser,
    SealUser,
    SubjectType,
    UnsealUser,
    User,
    is_object_id,
)

_ACCESS_ENDED = Modified(attribute="active", old=True, new=False)

C = TypeVar(
    "C",
    ChangeUser,
    DisableUser,
    DeleteUser,
    LinkUser,
    ChangeHolder,
    ReleaseNames,
    RetireUser,
    SealUser,
    UnsealUser,
    DecideHolder,
    MarkUser,
    ReleaseUser,
)
Decide: TypeAlias = Callable[[C, User], UserChange | None]


async def change(tx: Transaction, commands: Sequence[ChangeUser]) -> list[Outcome]:
    """Replace documents. A changed `active` also deprovisions or re-enables."""

    def decide(command: ChangeUser, user: User) -> UserChange | None:
        columns = user_columns(command.change(user.document))
        differing = modified(user.document, columns["document"])
        if not differing:
            return None
        after = structs.replace(
            user,
            user_name=columns["user_name"],
            external_id=columns["external_id"],
            active=columns["active"],
            document=columns["document"],
        )
        if user.active and not after.active:
            return UserChange(Action.DISABLE, user, deprovisioned(tx, after, command.reason), differing)
        if after.active and not user.active:
            return UserChange(
                Action.ENABLE, user, sealed_without_proof(tx, reactivated(tx, after)), differing
            )
        if tx.cause.origin is Origin.SCIM and names_another_person(user, after):
            return UserChange(Action.UPDATE, user, sealed(tx, after), differing)
        return UserChange(Action.UPDATE, user, after, differing)

    return await decide_each(tx, commands, Action.UPDATE, decide)


async def disable(tx: Transaction, commands: Sequence[DisableUser]) -> list[Outcome]:
    """End access and keep the user's data."""

    def decide(command: DisableUser, user: User) -> UserChange | None:
        if not user.active:
            return None
        after = deprovisioned(tx, user, command.reason)
        return UserChange(Action.DISABLE, user, after, (_ACCESS_ENDED,))

    return await decide_each(tx, commands, Action.DISABLE, decide)


async def delete(tx: Transaction, commands: Sequence[DeleteUser]) -> list[Outcome]:
    """Delete users: end access, hide them from SCIM, remove them from their groups,
    free the userName.
    """

    def decide(command: DeleteUser, user: User) -> UserChange | None:
        ended = deprovisioned(tx, user, command.reason) if user.active else user
        differing = (_ACCESS_ENDED,) if user.active else ()
        return UserChange(Action.DELETE, user, structs.replace(ended, deleted_at=tx.now), differing)

    return await decide_each(tx, commands, Action.DELETE, decide)


async def link(tx: Transaction, commands: Sequence[LinkUser]) -> list[Outcome]:
    """Link local rows to Entra objects; a proof of the present holder is noted."""

    def decide(command: LinkUser, user: User) -> UserChange | None:
        if user.entra_object_id == command.entra_object_id:
            is_proved = command.basis is HolderBasis.PROOF and user.holder_basis is not HolderBasis.PROOF
            proved = differences("holderBasis", user.holder_basis, command.basis)
            after = structs.replace(user, holder_basis=command.basis, directory_id=command.directory_id)
            return UserChange(Action.LINK, user, after, proved) if is_proved else None
        differing = differences("entraObjectId", user.entra_object_id, command.entra_object_id)
        after = structs.replace(
            user,
            entra_object_id=command.entra_object_id,
            directory_id=command.directory_id,
            holder_basis=command.basis,
            holder_seen_at=None,
            agreed_user_name=user.user_name if command.names_agree else user.agreed_user_name,
            agreed_external_id=user.external_id if command.names_agree else user.agreed_external_id,
        )
        return UserChange(Action.LINK, user, after, differing)

    return await decide_each(tx, commands, Action.LINK, decide)


async def mark(tx: Transaction, commands: Sequence[MarkUser]) -> list[Outcome]:
    """Set the marks that guard an account."""

    def decide(command: MarkUser, user: User) -> UserChange | None:
        is_protected = user.is_protected if command.is_protected is None else command.is_protected
        is_admin = user.is_admin if command.is_admin is None else command.is_admin
        differing = (
            *differences("isProtected", user.is_protected, is_protected),
            *differences("isAdmin", user.is_admin, is_admin),
        )
        if not differing:
            return None
        return UserChange(
            Action.OTHER, user, structs.replace(user, is_protected=is_protected, is_admin=is_admin), differing
        )

    return await decide_each(tx, commands, Action.OTHER, decide)


def differences(attribute: str, old: JsonValue, new: JsonValue) -> tuple[Modified, ...]:
    return () if old == new else (Modified(attribute=attribute, old=old, new=new),)


def deprovisioned(tx: Transaction, user: User, reason: Reason | None) -> User:
    """Return the user without access, with the time and the reason.

    The period of access ends: no credential of it works again (identity.md, W7).
    """
    why = reason.value if reason else f"by {tx.cause.origin.value}"
    return structs.replace(
        user,
        active=False,
        document={**user.document, "active": False},
        deprovisioned_at=tx.now,
        deprovision_reason=why,
        period=user.period + 1,
        access_ended_by=tx.cause.origin,
        access_ended_reason=why,
    )


def sealed_without_proof(tx: Transaction, user: User) -> User:
    """Return a user that the push gives access again: sealed unless the push proves
    that it is the same person (identity.md, W5).
    """
    proof = (user.external_id or "").lower()
    is_proved = is_object_id(proof) and proof == (user.entra_object_id or proof).lower()
    if tx.cause.origin is not Origin.SCIM or is_proved:
        return user
    return structs.replace(user, sealed_at=user.sealed_at or tx.now)


def names_another_person(before: User, after: User) -> bool:
    """Return whether the object id in externalId became another than the holder's."""
    external_id = (after.external_id or "").lower()
    if after.external_id == before.external_id or not is_object_id(external_id):
        return False
    earlier = (before.external_id or "").lower()
    known = before.entra_object_id or (earlier if is_object_id(earlier) else None)
    return known is not None and known.lower() != external_id


def sealed(tx: Transaction, user: User) -> User:
    """Return the user whose keys end because Entra may have given the account away.

    Access stays; the next cycle says whose the account is (identity.md, W3).
    """
    return structs.replace(user, sealed_at=user.sealed_at or tx.now, period=user.period + 1)


def reactivated(tx: Transaction, user: User) -> User:
    """Return the user with access again."""
    return structs.replace(
        user,
        active=True,
        document={**user.document, "active": True},
        deprovisioned_at=None,
        deprovision_reason=None,
        deleted_at=None,
        access_given_by=tx.cause.origin,
    )


async def decide_each(
    tx: Transaction, commands: Sequence[C], action: Action, decide: Decide[C]
) -> list[Outcome]:
    """Read all rows at once, decide in memory, and write all changes at once.

    No other change comes between: the rows are locked (PostgreSQL), or there is one
    writer (SQLite).
    """
    found = await user_writes.lock(tx, [command.user_id for command in commands])
    proposals = [_propose(command, found.get(command.user_id), decide) for command in commands]
    referee = await ConstraintChecker.load(
        tx, [proposal for proposal in proposals if isinstance(proposal, UserChange)]
    )
    outcomes: list[Outcome] = []
    accepted: list[UserChange] = []
    for command, proposal in zip(commands, proposals, strict=True):
        user = found.get(command.user_id)
        try:
            if isinstance(proposal, Exception):
                raise proposal
            if proposal is not None:
                referee.check(proposal)
        except Exception as error:
            outcomes.append(tx.refuse(command, action, error, _subject(command.user_id, user)))
            continue
        if proposal is None:
            assert user is not None, "an unknown user is refused"
            outcomes.append(tx.unchanged(command, action, user))
            continue
        changed = user_writes.stamped(tx, command, proposal)
        accepted.append(changed)
        outcomes.append(Outcome(command, OutcomeStatus.APPLIED, changed.action, changed.after))
    await user_writes.write(tx, accepted)
    return outcomes


def _propose(command: C, user: User | None, decide: Decide[C]) -> UserChange | Exception | None:
    """Return the change, None where nothing changes, or the error against it."""
    if user is None:
        return NotFound("no such user")
    expected: int | None = getattr(command, "expected_version", None)
    if expected is not None and expected != user.version:
        return VersionMoved(f"the user is at version {user.version}, the change was decided on {expected}")
    try:
        return decide(command, user)
    except Exception as error:  # a push decides by reading the row: what its decision raises is its caller's
        return error


def _subject(user_id: str, user: User | None) -> LogSubject:
    return LogSubject.of(user) if user else LogSubject(SubjectType.USER, user_id, user_id)
