"""Errors of the ways in: sign-in, its codes, links that open the console or a part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from console.admin.errors import UseCaseError


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


class LinkProblem(StrEnum):
    """Why a link opens nothing."""

    UNKNOWN = "unknown"
    USED = "used"
    OVER = "over"
    REVOKED = "revoked"


@dataclass(eq=False)
class LinkRefused(UseCaseError):
    """A link was opened before, is revoked, or is over; `at`: when that was."""

    problem: LinkProblem
    at: datetime | None = None


@dataclass(eq=False)
class InvalidFrameAncestor(UseCaseError):
    """An origin that may show a status page has to be `https://host`."""

    origin: str
