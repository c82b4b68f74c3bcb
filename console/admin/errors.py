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
class InvalidObjectId(UseCaseError):
    """The value has not the form of an id of Entra's (a GUID)."""

    setting: str
    value: str


@dataclass(eq=False)
class InvalidDirectory(UseCaseError):
    """The value is neither the GUID of an Entra tenant nor one of its domains."""

    entra_tenant_id: str


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


class NothingToChange(UseCaseError):
    """The request names no value that is to be changed."""


class CredentialIncomplete(UseCaseError):
    """Client, Entra tenant or cloud were to change without their credential.

    A stored secret belongs to one client and is never shown to another login endpoint.
    """


@dataclass(eq=False)
class CredentialRefused(UseCaseError):
    """Entra refuses the new credential: the stored one stays."""

    why: str
    remedy: str


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


class UrlRole(StrEnum):
    """The service that a URL of a connection leads to."""

    LOGIN = "login"
    GRAPH = "graph"
    RETURN = "return"
    """The vendor's app, to which a person returns after sign-in."""


class UrlProblem(StrEnum):
    """Why a URL of a service is refused."""

    NOT_A_URL = "not_a_url"
    PLAIN_HTTP = "plain_http"
    """Plain http to another machine: the credential would be sent in clear."""
    NOT_AN_ORIGIN = "not_an_origin"
    """A URL with more than scheme and host: a path, a query, a user."""
    SIMULATOR_NOT_ALLOWED = "simulator_not_allowed"
    """This machine, where the operator did not allow a simulator."""


@dataclass(eq=False)
class InvalidServiceUrl(UseCaseError):
    """A login, Graph or return URL of a connection is refused."""

    role: UrlRole
    url: str
    problem: UrlProblem


@dataclass(eq=False)
class CloudMismatch(UseCaseError):
    """The login and the Graph URL do not belong to one cloud of Microsoft's."""

    login_url: str
    graph_url: str
    why: str
    remedy: str


@dataclass(eq=False)
class InvalidAttributePath(UseCaseError):
    """The path names no attribute of a custom SCIM extension."""

    path: str


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


class SignInProblem(StrEnum):
    """Why a person cannot sign in; each has a page that says what to do."""

    NOT_STARTED_HERE = "not_started_here"
    """The answer belongs to no sign-in that this browser began, or was used before."""
    UNKNOWN_PERSON = "unknown_person"
    NO_ACCESS = "no_access"
    CONTESTED = "contested"
    """The push gave the account to this person while another one still holds it."""
    ANOTHER_DIRECTORY = "another_directory"
    NO_CONSENT = "no_consent"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason, not a secret
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    NOT_SET_UP = "not_set_up"
    """The connection has no directory, client or credential."""
    RETURN_REFUSED = "return_refused"
    """The app's address is none that the connection allows: no open redirect."""
    PLAIN_HTTP = "plain_http"
    """Cookies of a session travel over https only, but for this machine itself."""


@dataclass(eq=False)
class SignInRefused(UseCaseError):
    """A person is not signed in; nothing was changed."""

    problem: SignInProblem
    detail: str = ""
    """For the log and the administrator; no secret and no personal data."""


@dataclass(eq=False)
class CodeRefused(UseCaseError):
    """A code of a sign-in is unknown, used, too old, or another client's."""


@dataclass(eq=False)
class InvalidResult(UseCaseError):
    """A field of an assessment result, or of its erasure, cannot be used."""

    field: str
    why: str


@dataclass(eq=False)
class NotBraked(UseCaseError):
    """No brake holds back removals by push, and no time to be without one was given."""

    connection_name: str


@dataclass(eq=False)
class NoDriftReport(UseCaseError):
    """The connection has no drift report, or none of the cycle that was named."""

    why: str


class InvalidEventCursor(UseCaseError):
    """The cursor is garbled, or of another feed."""


@dataclass(eq=False)
class EventsGone(UseCaseError):
    """Events after the cursor were deleted by retention, or the database was restored.

    `snapshot` is the cursor from which to go on after users and groups were read.
    """

    snapshot: str


@dataclass(eq=False)
class UnknownEventType(UseCaseError):
    """There is no such type of event, and no such family."""

    wanted: str
    known: Sequence[str]


@dataclass(eq=False)
class InvalidWebhookUrl(UseCaseError):
    """Events must not be sent to this URL."""

    why: str
