"""The commands of `store.lifecycle.perform`, and their outcomes.

`expected_version` is the row's version the change was decided on. A row that changed
meanwhile is skipped (worker) or refused (If-Match). None: any version.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from store.records.actions import Action
from store.records.directory import Group, HolderBasis, User
from store.records.drift import Reason
from store.records.identifiers import Document, GraphId, GroupId, UserId


class CreateUser(Struct, frozen=True):
    document: Document
    id: UserId | None = None
    entra_object_id: GraphId | None = None
    """A deleted row of the same person is restored instead of created: of this object
    id, or with this object id as externalId.
    """
    directory_id: str | None = None


class ChangeUser(Struct, frozen=True):
    """Replace the document by the result of `change`.

    `active` turning false deprovisions, turning true re-enables.
    """

    user_id: UserId
    change: Callable[[Document], Document]
    expected_version: int | None = None
    reason: Reason | None = None


class DisableUser(Struct, frozen=True):
    user_id: UserId
    reason: Reason | None = None
    expected_version: int | None = None


class DeleteUser(Struct, frozen=True):
    """Deprovision the user, hide it from SCIM and remove it from every group.

    Nothing is erased.
    """

    user_id: UserId
    reason: Reason | None = None
    expected_version: int | None = None


class LinkUser(Struct, frozen=True):
    """Note the person that an account without holder stands for."""

    user_id: UserId
    entra_object_id: GraphId
    expected_version: int | None = None
    basis: HolderBasis = HolderBasis.PROOF
    directory_id: str | None = None
    names_agree: bool = False
    """userName and externalId are what the mapping gives this person."""


class ChangeHolder(Struct, frozen=True):
    """Hand an account to another person, as Entra did (identity.md, W3).

    Every key of the earlier holder ends, marks are dropped, memberships end except
    those in `keep_group_ids`; history stays with the earlier holder. Access stays.
    """

    user_id: UserId
    entra_object_id: GraphId
    expected_version: int | None = None
    basis: HolderBasis = HolderBasis.PROOF
    directory_id: str | None = None
    keep_group_ids: frozenset[str] = frozenset()


class ReleaseNames(Struct, frozen=True):
    """Take from an account every value that the push may match by.

    Its holder is gone and another person is to have the name. Access ends too.
    """

    user_id: UserId
    reason: Reason | None = None
    expected_version: int | None = None


class RetireUser(Struct, frozen=True):
    """End the second account of a person: names, access, and the link to the person.

    The other account becomes that person's only one (identity.md, W1).
    """

    user_id: UserId
    expected_version: int | None = None


class SealUser(Struct, frozen=True):
    """End every key of an account of which it is in doubt whose it is.

    Access stays; history is hidden and marks are suspended.
    """

    user_id: UserId
    expected_version: int | None = None


class UnsealUser(Struct, frozen=True):
    """The holder was seen again: history and marks come back."""

    user_id: UserId
    expected_version: int | None = None


class DecideHolder(Struct, frozen=True):
    """Note a person's decision about the holder of an account, or that it was taken
    back.

    Known: a seal is lifted. Taken back with `is_sealed`: the account is sealed again,
    and its keys end.
    """

    user_id: UserId
    is_known: bool
    is_sealed: bool = False


class ReleaseUser(Struct, frozen=True):
    """Make an account a local one: it stands for no person in Entra any more.

    Access and history stay.
    """

    user_id: UserId


class MarkUser(Struct, frozen=True):
    """Set the marks that guard an account; None leaves a mark as it is."""

    user_id: UserId
    is_protected: bool | None = None
    is_admin: bool | None = None
    expected_version: int | None = None


class CreateGroup(Struct, frozen=True):
    document: Document
    id: GroupId | None = None
    entra_object_id: GraphId | None = None
    member_ids: tuple[str, ...] = ()


class ChangeGroup(Struct, frozen=True):
    group_id: GroupId
    change: Callable[[Document], Document]
    add_member_ids: tuple[str, ...] = ()
    remove_member_ids: tuple[str, ...] = ()
    replace_member_ids: tuple[str, ...] | None = None
    """All members after; None: leave as they are.

    Never read-modify-write of a list for add and remove.
    """
    expected_version: int | None = None


class LinkGroup(Struct, frozen=True):
    group_id: GroupId
    entra_object_id: GraphId
    expected_version: int | None = None


class DeleteGroup(Struct, frozen=True):
    group_id: GroupId
    expected_version: int | None = None


class AddMembers(Struct, frozen=True):
    """Idempotent; an unknown member is refused (`UnknownMember`)."""

    group_id: GroupId
    member_ids: tuple[str, ...]


class RemoveMembers(Struct, frozen=True):
    """Idempotent; removing a non-member is a success that changes nothing."""

    group_id: GroupId
    member_ids: tuple[str, ...]


Command: TypeAlias = (
    CreateUser
    | ChangeUser
    | DisableUser
    | DeleteUser
    | LinkUser
    | ChangeHolder
    | ReleaseNames
    | RetireUser
    | SealUser
    | UnsealUser
    | DecideHolder
    | MarkUser
    | ReleaseUser
    | CreateGroup
    | ChangeGroup
    | LinkGroup
    | DeleteGroup
    | AddMembers
    | RemoveMembers
)


class OutcomeStatus(StrEnum):
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    """Already so: nothing written but, for a push, a `skipped` log entry."""
    SKIPPED = "skipped"
    """The row moved since `expected_version`, or vanished: looked at again in the next
    cycle.
    """
    FAILED = "failed"


class Outcome(Struct, frozen=True):
    command: Command
    status: OutcomeStatus
    action: Action
    record: User | Group | None
    """The row after the change; None where there is none."""
    detail: str = ""
