"""/oauth/token: the client credentials grant (RFC 6749 §4.4).

Entra calls it "OAuth2 client credentials grant". With an assertion instead of a secret
(RFC 7523 §2.2) it is Entra's "Workload identity based authentication".

The client is a connection; each of its API tokens is one of its secrets. So secrets
overlap, expire, are revoked and audited like any API token, and an access token ends
with the API token behind it. The secret of a federated token is given to no client; an
assertion stands for it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote_plus

import orjson
from aiohttp import web
from scim2_models import SCIMException

from scim.auth.access_tokens import AccessTokens
from scim.auth.federation import ASSERTION_TYPE
from scim.auth.gate import Authenticator
from scim.errors import NotNow, TooManyRequests, refusal_of
from scim.http.body import read_body
from scim.limits import ScimLimits
from store.errors import StoreError
from store.records import ApiToken

PATH = "/oauth/token"
MAX_BODY_BYTES = 16_384


Grant: TypeAlias = "Callable[[TokenRequest], Awaitable[Mapping[str, Any]]]"
"""Authenticates the client and answers a grant of another room, or raises `OAuthError`,
and what `Authenticator.identify` raises.
"""


class OAuthError(Exception):
    """A refusal with an error code of RFC 6749 §5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class Credentials:
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What was sent to the token endpoint."""

    form: Mapping[str, str]
    authorization: str | None
    address: str | None
    authenticator: Authenticator

    async def token(self) -> ApiToken:
        """Return the API token of the client. Raises `OAuthError`, and what
        `Authenticator.identify` raises.
        """
        return await _token(self.form, self.authorization, self.address, self.authenticator)

    def credentials(self) -> Credentials | None:
        """Return client id and secret; None for a client that shows an assertion.

        Raises `OAuthError`.
        """
        if "client_assertion" in self.form or "client_assertion_type" in self.form:
            return None
        return _credentials(self.authorization, self.form)


async def issue(
    request: web.Request,
    address: str | None,
    authenticator: Authenticator,
    access_tokens: AccessTokens,
    limits: ScimLimits,
    grants: Mapping[str, Grant],
) -> web.Response:
    """Answer a token request; a refusal has the form of RFC 6749 §5.2 and says why."""
    try:
        form = await _form(request, limits.body_timeout_s)
        grant = _grant(form, grants)
        wanted = TokenRequest(form, request.headers.get("Authorization"), address, authenticator)
        if grant is not None:
            return _answer(200, await grant(wanted))
        token = await wanted.token()
    except OAuthError as error:
        return _answer(error.status, {"error": error.error, "error_description": error.description})
    except (TooManyRequests, NotNow, StoreError) as error:
        refusal = refusal_of(error)
        body = {"error": "temporarily_unavailable", "error_description": refusal.body["detail"]}
        return _answer(refusal.status, body, refusal.headers)
    except SCIMException as error:
        return _answer(401, {"error": "invalid_client", "error_description": error.detail})
    access_token, expires_in = access_tokens.issue(token, limits.access_token_s)
    return _answer(
        200,
        {"access_token": access_token, "token_type": "Bearer", "expires_in": expires_in, "scope": "scim"},
    )


async def _token(
    form: Mapping[str, str], authorization: str | None, address: str | None, authenticator: Authenticator
) -> ApiToken:
    if "client_assertion" not in form and "client_assertion_type" not in form:
        credentials = _credentials(authorization, form)
        return await authenticator.identify(credentials.client_secret, credentials.client_id, address)
    if authorization or "client_secret" in form:
        raise OAuthError("invalid_request", "Send an assertion or a secret, not both.")
    if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
        raise OAuthError(
            "invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}, with an assertion."
        )
    if not form.get("client_id"):
        raise OAuthError("invalid_client", "client_id is missing: it is the id of the connection.", 401)
    return await authenticator.identify_workload(form["client_assertion"], form["client_id"], address)


async def _form(request: web.Request, timeout_s: float) -> dict[str, str]:
    """Read the form, of any media type.

    Entra takes a 415 for a wrong credential location.
    """
    try:
        body = await read_body(request, MAX_BODY_BYTES, timeout_s=timeout_s)
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50)
    except SCIMException as error:
        raise OAuthError("invalid_request", error.detail, error.status) from error
    except ValueError as error:
        raise OAuthError("invalid_request", "The body is not a form.") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    return dict(pairs)


def _grant(form: Mapping[str, str], grants: Mapping[str, Grant]) -> Grant | None:
    """Return what answers the grant; None for client credentials."""
    grant = form.get("grant_type")
    if not grant:
        raise OAuthError("invalid_request", "grant_type is missing; it must be client_credentials.")
    if grant == "client_credentials":
        return None
    if grant not in grants:
        supported = ", ".join(("client_credentials", *grants))
        raise OAuthError("unsupported_grant_type", f"Supported grant types: {supported}.")
    return grants[grant]


def _credentials(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """Read client id and secret from a Basic header, as Entra sends, or from the form.

    See RFC 6749 §2.3.1.
    """
    scheme, _, encoded = (authorization or "").strip().partition(" ")
    if scheme.lower() == "basic":
        if "client_secret" in form:
            # RFC 6749 §2.3: a client must not use more than one way to authenticate.
            raise OAuthError("invalid_request", "Send the secret in the header or in the body, not in both.")
        try:
            client_id, found, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            found = ""
        if not found:
            raise OAuthError("invalid_client", "The Basic header holds no client id and secret.", 401)
        if form.get("client_id", unquote_plus(client_id)) != unquote_plus(client_id):
            raise OAuthError("invalid_request", "Header and body name different clients.")
        return Credentials(unquote_plus(client_id), unquote_plus(secret))
    if not form.get("client_id") or not form.get("client_secret"):
        raise OAuthError(
            "invalid_client", "Client id and secret are missing, in the header and in the body.", 401
        )
    return Credentials(form["client_id"], form["client_secret"])


def _answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    kept_out_of_caches = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    challenge = {"WWW-Authenticate": 'Basic realm="Leaver"'} if status == 401 else {}
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        content_type="application/json",
        headers={**kept_out_of_caches, **challenge, **(headers or {})},
    )
