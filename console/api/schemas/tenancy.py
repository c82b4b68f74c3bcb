"""Schemas of tenants, connections, mappings and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr

from console.api.contract import AnswerModel, RequestModel
from console.api.schemas.common import JsonObject, Name, PageAnswer, Text
from store.records import MembershipMode, Mode, Scope


class TenantAnswer(AnswerModel):
    """One customer of the vendor."""

    id: str
    name: str
    slug: str


class TenantPage(PageAnswer[TenantAnswer]):
    """Tenants, by name."""


class NewTenantBody(RequestModel):
    """The tenant that is to be created."""

    name: Name


class CeilingsAnswer(AnswerModel):
    """Beyond these, removals of a cycle wait for a person."""

    floor: int
    percent: float
    count: int


class FederationAnswer(AnswerModel):
    """A workload whose assertions open a token."""

    subject: str
    audiences: list[str]


class FederatedTokenAnswer(FederationAnswer):
    """A token that is opened by assertions."""

    token_id: str
    name: str


class ConnectionAnswer(AnswerModel):
    """A tenant's link to one Entra directory; never its credential."""

    id: str
    tenant_id: str
    name: str
    scim_url: str
    scim_url_connection: str
    redirect_uri: str
    return_urls: list[str]
    token_url: str
    mode: str
    state: str
    scope: str
    membership: str
    extensions: list[str]
    filters: list[list[str]]
    ceilings: CeilingsAnswer
    held_plan_days: int
    full_every_hours: int
    evidence_max_age_s: int
    deprovision_local_accounts: bool
    clear_emptied_attributes: bool
    protect_from_push: bool
    brake_push: bool
    interval_minutes: int
    entra_tenant_id: str | None
    client_id: str | None
    app_id: str | None
    login_url: str
    graph_url: str
    has_credential: bool
    credential_expires_at: datetime | None
    credential_state: str
    last_cycle_at: datetime | None
    next_due_at: datetime | None
    paused_reason: str | None
    quarantine_reason: str | None
    consecutive_failures: int
    consecutive_incomplete: int
    incomplete_reason: str | None
    last_complete_at: datetime | None
    federation: list[FederatedTokenAnswer]


class ConnectionPage(PageAnswer[ConnectionAnswer]):
    """Connections of every tenant that the token can see."""


class CredentialBody(RequestModel):
    """What opens Microsoft Graph; it is stored sealed and never answered."""

    client_secret: SecretStr | None = None
    certificate: Annotated[
        SecretStr | None, Field(description="PEM text of a certificate with its private key.")
    ] = None


class NewConnectionBody(RequestModel):
    """The connection that is to be created."""

    tenant: Annotated[str, Field(description="Id, slug or name of its tenant.", max_length=200)]
    name: Name
    entra_tenant_id: Text | None = None
    client_id: Text | None = None
    credential: CredentialBody | None = None
    app_id: Text | None = None
    login_url: Text | None = None
    graph_url: Text | None = None
    scope: Scope = Scope.ASSIGNED
    membership: MembershipMode = MembershipMode.DIRECT
    interval_minutes: int | None = None
    mode: Mode = Mode.REPORT


class PolicyBody(RequestModel):
    """The parts of a policy that are to be changed; what is left out stays."""

    scope: Scope | None = None
    membership: MembershipMode | None = None
    filters: Annotated[
        list[list[Text]] | None,
        Field(
            description="Scoping filters, each a list of clauses; an empty list removes all.", max_length=50
        ),
    ] = None
    ceiling_floor: int | None = None
    ceiling_percent: float | None = None
    ceiling_count: int | None = None
    held_plan_days: int | None = None
    full_every_hours: int | None = None
    evidence_max_age_s: int | None = None
    deprovision_local_accounts: bool | None = None
    clear_emptied_attributes: bool | None = None
    protect_from_push: bool | None = None
    brake_push: bool | None = None


class ConnectionChangesBody(RequestModel):
    """The settings that are to be changed; what is left out stays."""

    name: Name | None = None
    mode: Mode | None = None
    interval_minutes: int | None = None
    entra_tenant_id: Text | None = None
    client_id: Text | None = None
    credential: CredentialBody | None = None
    app_id: Text | None = None
    login_url: Text | None = None
    graph_url: Text | None = None
    return_urls: Annotated[
        list[Text] | None,
        Field(description="All addresses of the app that a sign-in may return to.", max_length=50),
    ] = None
    policy: PolicyBody | None = None


class PauseBody(RequestModel):
    """Why push and pull are to stop."""

    reason: Text = ""


class DeletedConnectionAnswer(AnswerModel):
    """What belonged to a deleted connection."""

    id: str
    tenant_id: str
    name: str
    deleted: bool
    people: str
    active: int
    inactive: int
    groups: int
    sessions: int
    tokens: int
    held_plans: int


class DeletedTenantAnswer(AnswerModel):
    """What belonged to a deleted tenant."""

    id: str
    slug: str
    deleted: bool
    connections: list[DeletedConnectionAnswer]


class MappingVersionAnswer(AnswerModel):
    """One version of a mapping."""

    version: int
    origin: str
    by: str | None
    at: datetime | None


class MappingAnswer(MappingVersionAnswer):
    """The attribute mapping in use."""

    connection_id: str
    confirmed: bool
    mapping: dict[str, str]
    versions: list[MappingVersionAnswer]
    ended_plans: int
    """By the change that was just made; 0 where nothing was."""


class MappingBody(RequestModel):
    """A change of the mapping: single lines, or all of it."""

    set: dict[Name, Text] | None = None
    remove: list[Name] = Field(default_factory=list, max_length=200)
    whole: dict[Name, Text] | None = None
    to_default: bool = False


class MappingCheckBody(RequestModel):
    """A check of the mapping; `accept` says that a person confirms it."""

    accept: bool = False


class MappingCheckAnswer(AnswerModel):
    """Whether the mapping fits what the push wrote."""

    connection_id: str
    names_fit: bool | None
    confirmed: bool
    joined: int
    unmatched: int
    contradictory: int
    attributes: list[JsonObject]


class TokenAnswer(AnswerModel):
    """An API token; its secret is not kept."""

    id: str
    name: str
    prefix: str
    permissions: list[str]
    state: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str | None
    allowed_addresses: list[str]
    user_id: str | None
    ends_within_days: int | None
    replaces_id: str | None
    federation: FederationAnswer | None = None


class TokenPage(PageAnswer[TokenAnswer]):
    """Tokens of a connection, the oldest first."""


class CreatedTokenAnswer(AnswerModel):
    """A new token; this is the only time that its secret is shown."""

    id: str
    name: str
    token: str | None
    permissions: list[str]
    expires_at: datetime | None
    replaces_id: str | None = None
    federation: FederationAnswer | None = None


class NewTokenBody(RequestModel):
    """The token that is to be created."""

    name: Name
    permissions: list[Name] | None = Field(default=None, max_length=50)
    expires_days: int | None = Field(default=None, ge=1, le=3650)
    allowed_addresses: list[Name] = Field(default_factory=list, max_length=50)


class RotationBody(RequestModel):
    """How long the old token still works, and how long the new one will."""

    overlap_days: int = Field(default=7, ge=0, le=90)
    expires_days: int | None = Field(default=None, ge=1, le=3650)


class AddressesBody(RequestModel):
    """The only addresses a token is accepted from; none means everywhere."""

    allowed_addresses: list[Name] = Field(max_length=50)
