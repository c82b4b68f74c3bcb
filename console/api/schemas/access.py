"""Schemas of operators, set-ups, links and the provider of sign-in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr

from console.api.contract import AnswerModel, RequestModel
from console.api.schemas.common import CheckAnswer, Moment, Name, PageAnswer
from store.access.records import LinkKind, Role


class OperatorAnswer(AnswerModel):
    """A person who enters the console by an invitation."""

    id: str
    name: str
    role: Role
    tenant: Annotated[str | None, Field(description="The slug of the only tenant; null: all.")]
    created_at: datetime
    created_by: str


class OperatorPage(PageAnswer[OperatorAnswer]):
    """Operators by name."""


class InvitationBody(RequestModel):
    """The person to invite."""

    name: Name
    role: Role | None = None
    tenant: Annotated[str | None, Field(max_length=200, description="Default: all tenants.")] = None


class LinkAnswer(AnswerModel):
    """A link; never its secret."""

    id: str
    kind: LinkKind
    state: Annotated[str, Field(description="open, opened, over or revoked.")]
    created_at: datetime
    created_by: str
    expires_at: datetime
    opened_at: Moment
    opened_from: str | None
    frame_ancestors: list[str]
    may_sync: bool


class LinkPage(PageAnswer[LinkAnswer]):
    """Links of a connection."""


class CreatedLinkAnswer(LinkAnswer):
    """A new link: the only answer with its URL."""

    url: str


class StatusLinkBody(RequestModel):
    """How a status page may be shown."""

    frame_ancestors: Annotated[list[str], Field(max_length=10, default_factory=list)]
    may_sync: bool = False


class SetupStepAnswer(AnswerModel):
    """One step of a set-up."""

    step: str
    done: bool
    at: Moment
    proof: str


class RefusedPushAnswer(AnswerModel):
    """The last request of Entra's that was refused, with no accepted one after it."""

    at: datetime
    why: str
    address: str


class SetupAnswer(AnswerModel):
    """The set-up of a connection: what to paste into Entra, and what was seen."""

    connection_id: str
    tenant_url: str
    tenant_url_connection: str
    redirect_uri: str
    steps: list[SetupStepAnswer]
    refused: RefusedPushAnswer | None


class TestedSetupAnswer(SetupAnswer):
    """The set-up after a test, with every check."""

    checks: list[CheckAnswer]


class SignInProviderAnswer(AnswerModel):
    """By what the people of a connection sign in; never a secret."""

    kind: Annotated[str, Field(description="entra, or openid: another provider.")]
    issuer: str | None
    client_id: str | None
    link_claim: str | None
    redirect_uri: Annotated[str, Field(description="Register it there, letter by letter.")]
    front_channel_logout_uri: str
    back_channel_logout_uri: str


class SignInProviderBody(RequestModel):
    """A standard OpenID provider, and Leaver's registration with it."""

    issuer: Annotated[str, Field(max_length=255, description="As its tokens name it, letter by letter.")]
    client_id: Annotated[str, Field(min_length=1, max_length=255)]
    client_secret: Annotated[SecretStr, Field(min_length=1, max_length=2_000)]
    link_claim: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=100,
            description="A claim with the account's externalId or object id: it links at the first sign-in.",
        ),
    ] = None


class SubjectBody(RequestModel):
    """The person's name at the provider."""

    subject: Annotated[str, Field(min_length=1, max_length=255, description="`sub` of the person's tokens.")]


class LinkedPersonAnswer(AnswerModel):
    """Who signs in as which account."""

    user_id: str
    user_name: str
    subject: str
