"""Errors of the use cases, as values: each face words them itself.

The command line does so in `console.cli.error_messages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Noun(StrEnum):
    """The kind of a record that a reference stands for."""

    TENANT = "tenant"
    CONNECTION = "connection"
    TOKEN = "token"  # noqa: S105 - a noun, not a secret
    USER = "user"
    GROUP = "group"
    CYCLE = "cycle"
    PLAN = "plan"
    SESSION = "session"
    RECEIPT = "receipt"
    RUN = "run"
    WEBHOOK = "webhook"
    LOG_ENTRY = "log entry"
    OPERATOR = "operator"
    LINK = "link"
    STREAM = "stream"


class UseCaseError(Exception):
    """A use case refused what was asked; nothing was changed."""


@dataclass(eq=False)
class UnknownReference(UseCaseError):
    """No record that the actor can see has this name or id."""

    noun: Noun
    reference: str
    near: tuple[str, ...] = ()
    """Known names that resemble the reference, the nearest first."""
    known: tuple[str, ...] = ()
    """Every name that the actor could have meant, sorted."""
    connection_name: str | None = None
    """The connection that was searched; set for what belongs to one only."""


@dataclass(eq=False)
class AmbiguousReference(UseCaseError):
    """Several records have this name."""

    noun: Noun
    reference: str
    matches: int


@dataclass(eq=False)
class ReferenceTooShort(UseCaseError):
    """The beginning of a checksum is too short to name one plan safely."""

    noun: Noun
    reference: str
    fewest_characters: int


@dataclass(eq=False)
class AccountDeleted(UseCaseError):
    """The account is deleted: it has no access that a mark could guard."""

    user_name: str
    deleted_at: datetime


@dataclass(eq=False)
class AccountElsewhere(UseCaseError):
    """The account belongs to another connection of the tenant: what is decided about
    people is decided within one.
    """

    noun: Noun
    reference: str
    connection_name: str
    other_connection_name: str


class JoinProblem(StrEnum):
    """Why two holders are not declared one person, or a seal is not lifted."""

    ONE_HOLDER = "one_holder"
    TWO_DIRECTORIES = "two_directories"
    JOINED_ALREADY = "joined_already"
    NOT_JOINED = "not_joined"
    NOT_SEALED = "not_sealed"
    SEALED = "sealed"


@dataclass(eq=False)
class JoinRefused(UseCaseError):
    """The decision about one or two people cannot be written."""

    refusal: JoinProblem
    one: str
    other: str | None = None


@dataclass(eq=False)
class ConnectionRuns(UseCaseError):
    """A cycle or an on-demand run works on the connection, so it cannot be deleted."""

    connection_name: str
    until: datetime


@dataclass(eq=False)
class NameTaken(UseCaseError):
    """Another record has this name, or the slug that is made from it."""

    noun: Noun
    name: str
    tenant_slug: str | None = None
    """The tenant in which the name is taken; None for the name of a tenant."""


@dataclass(eq=False)
class InvalidName(UseCaseError):
    """A name has to be 1 to 100 printable characters without `/`."""

    noun: Noun
    name: str


@dataclass(eq=False)
class ValueOutOfRange(UseCaseError):
    """A number of the settings is outside `store.records.connections.LIMITS`."""

    setting: str
    value: float
    least: int
    most: int


@dataclass(eq=False)
class InvalidPolicy(UseCaseError):
    """A scoping filter or a mapping cannot be used; `why` is a sentence with the
    place.
    """

    setting: str
    why: str


@dataclass(eq=False)
class AllTenantsRequired(UseCaseError):
    """The deed concerns the whole installation, and the actor belongs to one tenant."""

    deed: str


@dataclass(eq=False)
class PermissionMissing(UseCaseError):
    """The actor may not do this."""

    permission: str


@dataclass(eq=False)
class SignInTooOld(UseCaseError):
    """The deed needs a sign-in of the last minutes (`console.admin.actor.RECENT`)."""

    permission: str


class SecretKeyMissing(UseCaseError):
    """`LEAVER_SECRET_KEY` is not set, and credentials are stored sealed only."""


@dataclass(eq=False)
class BackupExists(UseCaseError):
    """A file that a backup would have to overwrite."""

    path: str


@dataclass(eq=False)
class NotOnSqlite(UseCaseError):
    """PostgreSQL has programs of its own for this; `command` is what to type."""

    command: str


@dataclass(eq=False)
class UnknownPermission(UseCaseError):
    """A token cannot have this permission; `known` maps sections to their actions."""

    permission: str
    known: Mapping[str, Sequence[str]]


@dataclass(eq=False)
class InvalidAddress(UseCaseError):
    """The value is neither an IP address nor a network."""

    address: str


class FederationIncomplete(UseCaseError):
    """A federated token needs the subject and an audience of its assertions."""


class FederationForUser(UseCaseError):
    """A federated token cannot stand for a user: Entra's own assertion names none."""


@dataclass(eq=False)
class TokenRevoked(UseCaseError):
    """The token is revoked for good, so it can be neither suspended nor resumed."""

    name: str


@dataclass(eq=False)
class InvalidResult(UseCaseError):
    """A field of an assessment result, or of its erasure, cannot be used."""

    field: str
    why: str


@dataclass(eq=False)
class NoDriftReport(UseCaseError):
    """The connection has no drift report, or none of the cycle that was named."""

    why: str
