"""Errors of the use cases of connections: settings, credential, URLs, brakes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from console.admin.errors import UseCaseError


class CredentialIncomplete(UseCaseError):
    """Client, Entra tenant or cloud were to change without their credential.

    A stored secret belongs to one client and is never shown to another login endpoint.
    """


@dataclass(eq=False)
class CredentialRefused(UseCaseError):
    """Entra refuses the new credential: the stored one stays."""

    why: str
    remedy: str


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
class InvalidDirectory(UseCaseError):
    """The value is neither the GUID of an Entra tenant nor one of its domains."""

    entra_tenant_id: str


@dataclass(eq=False)
class InvalidObjectId(UseCaseError):
    """The value has not the form of an id of Entra's (a GUID)."""

    setting: str
    value: str


@dataclass(eq=False)
class NotBraked(UseCaseError):
    """No brake holds back removals by push, and no time to be without one was given."""

    connection_name: str


class NothingToChange(UseCaseError):
    """The request names no value that is to be changed."""
