"""Turn errors into SCIM error bodies (RFC 7644 §3.12).

The protocol's own errors are exceptions of scim2-models. This module adds those of
HTTP, and translates the errors of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scim2_models import (
    ConflictException,
    ForbiddenException,
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    SCIMException,
    UnauthorizedException,
    UniquenessException,
)
from scim2_server.errors import MethodNotAllowedException, UnsupportedMediaTypeException

from store import errors as store_errors

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"


class TooManyRequests(SCIMException):
    """More requests than the token may make; try again after `delay_s` seconds."""

    status = 429

    def __init__(self, delay_s: float, detail: str = "") -> None:
        super().__init__(
            detail=detail
            or "Too many requests with this token: slow down, and try again as Retry-After says."
        )
        self.delay_s = delay_s


class TooManyLargeRequests(TooManyRequests):
    """So many large requests of a tenant wait that another would only wait as well."""

    def __init__(self, setting: str) -> None:
        super().__init__(
            2,
            "Too many large requests of this customer at once: send searches that no index answers, large bodies and "
            f"large pages one after another, or have the operator of Leaver raise {setting}.",
        )


class NotNow(SCIMException):
    """The server cannot answer now; try again after `delay_s` seconds."""

    status = 503

    def __init__(self, detail: str, delay_s: float) -> None:
        super().__init__(detail=detail)
        self.delay_s = delay_s


class RequestTimeout(SCIMException):
    """The body did not come in time (RFC 9110 §15.5.9)."""

    status = 408

    def __init__(self, timeout_s: float) -> None:
        super().__init__(
            detail=f"The body did not come within {timeout_s:g} seconds: nothing was changed. Send it again."
        )


class UnsupportedEncoding(SCIMException):
    """A Content-Encoding that is not supported (RFC 9110 §15.5.16)."""

    status = 415

    def __init__(self, encoding: str) -> None:
        super().__init__(
            detail=f"The body must not be encoded as '{encoding[:50]}': send it as it is, or by gzip. Entra does not encode "
            "bodies; a proxy may."
        )


OPERATOR_DELAY_S = 60.0
"""Seconds until a retry where the operator of Leaver has to act first."""


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def refusal_of(error: Exception) -> Refusal:
    """Return the answer for an error; an unexpected one is a 500 without internal
    details.
    """
    known = error if isinstance(error, SCIMException) else _in_scim_words(error)
    if known is None:
        return Refusal(500, error_body(500, _UNFORESEEN))
    return Refusal(known.status, error_body(known.status, _detail(known), known.scim_type), _headers(known))


_UNFORESEEN = (
    "Something went wrong inside Leaver; nothing was changed. Entra tries again by itself. If it stays, give the "
    "operator the X-Request-Id of this answer: the log of `leaver serve` has the details."
)


_BRAKED = (
    "No more of this is removed by push until a person releases the brake, with: leaver connection release-brake. "
    "Nothing is lost: Entra asks again by itself."
)


def _detail(error: SCIMException) -> str:
    """Return the detail that an admin reads in Entra's provisioning log.

    Brief messages of the library are replaced by longer ones.
    """
    if isinstance(error, PreconditionFailedException):
        return (
            "The resource has changed since the version that If-Match names: read it again, then try again."
        )
    if isinstance(error, MethodNotAllowedException):
        takes = ", ".join(error.allowed)
        return f"This endpoint takes {takes} only. Check that nothing follows the tenant URL in Entra."
    if isinstance(error, UnsupportedMediaTypeException):
        return "The body must be application/scim+json: a proxy may have changed its Content-Type."
    return error.detail


def with_derived(methods: Sequence[str]) -> list[str]:
    """Return methods with those that come with them: HEAD where GET is, and OPTIONS."""
    return [*(["GET", "HEAD"] if "GET" in methods else []), *(m for m in methods if m != "GET"), "OPTIONS"]


def error_body(status: int, detail: str, scim_type: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {"schemas": [ERROR_URN], "status": str(status), "detail": detail}
    return {**body, "scimType": scim_type} if scim_type else body


def _headers(error: SCIMException) -> dict[str, str]:
    if isinstance(error, TooManyRequests | NotNow):
        return {"Retry-After": str(max(1, round(error.delay_s)))}
    if isinstance(error, MethodNotAllowedException):
        return {"Allow": ", ".join(with_derived(error.allowed))}
    if isinstance(error, UnsupportedEncoding):
        return {"Accept-Encoding": "gzip, deflate"}  # what would be taken (RFC 9110 §12.5.3)
    if isinstance(error, UnauthorizedException):
        return {"WWW-Authenticate": 'Bearer realm="Leaver SCIM"'}
    return {}


def _taken(error: store_errors.UniquenessConflict) -> str:
    attribute, other = error.attribute, error.other
    if other is not None and other.object_id is not None:
        return (
            f"The account {other.user_name} (id {other.id}) has the object id {other.object_id} already: a person has "
            "one account with access. In Entra, look which of the two the user is provisioned to: the matching "
            "attributes of the mapping have to find that account. Then restart provisioning with a full reset, or "
            "delete the object connection of this user (On-demand, or the synchronization API) and provision the user "
            "anew; or disable or delete the account that nobody needs."
        )
    if other is not None:
        return (
            f"The account {other.user_name} (id {other.id}) has this {attribute} already; upper and lower case are the "
            f"same. Check the matching attribute in Entra and look for a second account with the same {attribute}."
        )
    if attribute == "displayName":
        return (
            "Another group has this displayName already; upper and lower case are the same. Rename one of the two in "
            "Entra, or delete the one here that Entra does not know."
        )
    return (
        f"Another object has this {attribute} already; upper and lower case are the same. Check the matching attribute "
        f"in Entra and look for a second account with the same {attribute}."
    )


def _first(ids: tuple[str, ...]) -> str:
    shown = ", ".join(each[:64] for each in ids[:3])
    return f"{shown} (and {len(ids) - 3} more)" if len(ids) > 3 else shown


def _in_scim_words(error: Exception) -> SCIMException | None:
    if isinstance(error, store_errors.UniquenessConflict):
        return UniquenessException(detail=_taken(error))
    if isinstance(error, store_errors.UnknownMember):
        # Not 404: Entra would drop its link to the group (InvalidAnchor).
        return InvalidValueException(
            detail=f"A member is no user or group of this connection: {_first(error.member_ids)}. If it was deleted here, "
            "provision it on demand in Entra, so that it is matched anew; otherwise Entra tries again later."
        )
    if isinstance(error, store_errors.NotFound):
        return NotFoundException(
            detail="No such resource: it was deleted here, or never existed in this connection. In Entra, provision it on "
            "demand or restart provisioning, so that it is matched or created anew."
        )
    if isinstance(error, store_errors.VersionMoved):
        return PreconditionFailedException(
            detail="The resource has changed since the version that If-Match names."
        )
    if isinstance(error, store_errors.InvalidRecord):
        return InvalidValueException(detail=str(error))
    if isinstance(error, store_errors.Protected):
        return ForbiddenException(detail=str(error))
    if isinstance(error, store_errors.Terminal):
        return ConflictException(detail=str(error))
    if isinstance(error, store_errors.PushBraked):
        return NotNow(f"{error.reason} {_BRAKED}", error.delay_s)
    if isinstance(error, store_errors.TryAgain):
        return NotNow("The database is busy or away; nothing was changed. Try again.", error.delay_s)
    if isinstance(error, store_errors.NeedsHuman):
        full = isinstance(error, store_errors.DiskFull)
        why = "The disk of Leaver's database is full" if full else "Leaver's database cannot be used"
        return NotNow(f"{why}; nothing was changed. Its operator has to act.", OPERATOR_DELAY_S)
    return None
