"""Refusals of Graph and of the token endpoint by name, as an armed fault can give them.

`POST /admin/faults` with `{"match": ..., "refusal": "Authorization_IdentityNotFound"}`
answers every matching request so, `times` or `nth` limit it. An `AADSTS` name fits
requests to `/oauth2/v2.0/token`; the others fit Graph.

The Graph codes are from Microsoft's error references and from public issues:
`Authorization_IdentityNotFound` is 401 there (Worklytics/psoxy#875,
msgraph-sdk-php#230). The AADSTS codes are from *Microsoft Entra authentication and
authorization error codes*; that page does not give the OAuth word (`error`), which is
not verified for most of them.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from simulator.login.errors import LoginError, error_body
from simulator.objects import JsonValue


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal: what is answered instead of the real answer."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    aadsts: int | None = None
    """The number of the token endpoint's own code; `code` is the OAuth word then."""

    def body(self) -> bytes:
        """Return the error document, with fresh request ids."""
        now = datetime.now(UTC)
        if self.aadsts is not None:
            refused = LoginError(self.code, self.aadsts, self.message, self.status)
            return orjson.dumps(error_body(refused, now))
        inner: JsonValue = {
            "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": str(uuid.uuid4()),
            "client-request-id": str(uuid.uuid4()),
        }
        error = {"code": self.code, "message": self.message, "innerError": inner}
        return orjson.dumps({"error": error})


REFUSALS: Mapping[str, Refusal] = {
    "Authorization_RequestDenied": Refusal(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
    ),
    "Authorization_IdentityNotFound": Refusal(
        401,
        "Authorization_IdentityNotFound",
        "The identity of the calling application could not be established.",
    ),
    "Authorization_IdentityDisabled": Refusal(
        403, "Authorization_IdentityDisabled", "The identity of the calling application is disabled."
    ),
    "Authentication_MSGraphPermissionMissing": Refusal(
        403,
        "Authentication_MSGraphPermissionMissing",
        "The caller does not have any of the required permissions.",
    ),
    "TooManyRequests": Refusal(429, "TooManyRequests", "Please retry again later.", {"Retry-After": "3600"}),
}
"""Answers of Graph. `TooManyRequests` asks for an hour; `headers` of the fault override
it."""


def _login(status: int, word: str, number: int, message: str) -> tuple[str, Refusal]:
    return f"AADSTS{number}", Refusal(status, word, message, aadsts=number)


LOGIN_REFUSALS: Mapping[str, Refusal] = dict(
    [
        _login(
            400,
            "unauthorized_client",
            7000229,
            "The client application is missing service principal in the tenant.",
        ),
        _login(
            400,
            "invalid_resource",
            500011,
            "The resource principal named https://graph.microsoft.com was not found in the tenant.",
        ),
        _login(
            400,
            "invalid_resource",
            500014,
            "The service principal for resource 'https://graph.microsoft.com' is disabled.",
        ),
        _login(400, "invalid_grant", 5000225, "This tenant has been blocked due to inactivity."),
        _login(
            401,
            "invalid_client",
            1000502,
            "The provided certificate is not within its specified validity window.",
        ),
        _login(400, "invalid_grant", 530035, "Access has been blocked by security defaults."),
        _login(
            400,
            "invalid_request",
            900382,
            "Confidential Client is not supported in Cross Cloud request.",
        ),
        _login(400, "invalid_client", 7000112, "Application is disabled."),
        _login(400, "invalid_request", 50194, "The application is not configured as multi-tenant."),
        _login(400, "access_denied", 53003, "Access has been blocked by Conditional Access policies."),
        _login(400, "temporarily_unavailable", 90033, "A transient error has occurred. Please try again."),
        _login(400, "server_error", 90025, "Request processing has exceeded gateway allowance."),
        _login(400, "invalid_request", 90006, "An external server is busy. Please try again."),
    ]
)
"""Answers of the token endpoint. The last three are transient although they are 400."""


def find_refusal(name: str) -> Refusal:
    """Return a refusal by name; raise ValueError that lists the names."""
    known = {**REFUSALS, **LOGIN_REFUSALS}
    if name not in known:
        raise ValueError(f"unknown refusal {name!r}; known: {', '.join(sorted(known))}")
    return known[name]
