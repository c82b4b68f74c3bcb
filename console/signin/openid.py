"""The authorization code flow with PKCE through any standard OpenID provider.

OpenID Connect Core 1.0, Discovery 1.0, RFC 7636, RFC 9207. The ID token is verified by
`console.signin.id_token`, as Entra's is.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from console.admin.connections.openid_provider import PRIVATE_REMEDY
from console.admin.connections.service_urls import is_loopback
from console.admin.sessions.errors import SignInProblem, SignInRefused
from console.admin.sessions.provider_sign_in import ProviderClient
from console.signin.entra import BegunFlow, refusal
from console.signin.id_token import ExpectedIssuer
from console.signin.provider_http import ProviderHttp, ProviderUnreachable
from worker.delivery.targets import PrivateAddress, TargetRefused

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a provider says of itself."""

    document: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """Return a member that is text."""
        found = self.document.get(name)
        return found if isinstance(found, str) else None


def discover(client: ProviderClient, http: ProviderHttp) -> Discovered:
    """Read the provider's own description; blocks. Raises `SignInRefused`.

    Its issuer has to be the configured one, letter by letter (Discovery §4.3), and its
    endpoints https.
    """
    issuer = client.provider.issuer
    document = _answer(http, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise SignInRefused(SignInProblem.NOT_SET_UP, "the provider names another issuer")
    for name in _ENDPOINTS:
        url = document.get(name)
        if not isinstance(url, str) or not _is_safe(issuer, url):
            raise SignInRefused(SignInProblem.NOT_SET_UP, f"the provider names no good {name}")
    return Discovered(document)


class OpenIdFlow:
    """One connection's sign-in with its provider; its methods block."""

    def __init__(self, client: ProviderClient, discovered: Discovered, http: ProviderHttp) -> None:
        self._client = client
        self._http = http
        self._found = discovered
        provider = client.provider
        keys_url = str(discovered.document["jwks_uri"])
        self.expected = ExpectedIssuer(
            provider.issuer, provider.client_id, keys_url, link_claim=provider.link_claim
        )
        self.names_itself = discovered.document.get("authorization_response_iss_parameter_supported") is True
        """Its answers carry `iss` (RFC 9207): one without it is none of its."""

    def begin(self, redirect_uri: str, login_hint: str | None = None) -> BegunFlow:
        """Return the way to the provider."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"login_hint": login_hint} if login_hint else {}),
        }
        endpoint = str(self._found.document["authorization_endpoint"])
        url = f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"
        kept = {"nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri}
        return BegunFlow(url, state, json.dumps(kept))

    def redeem(self, text: str, answer: Mapping[str, str]) -> str:
        """Return the ID token for the code, not verified. Raises `SignInRefused`."""
        kept, code = json.loads(text), answer.get("code")
        if not code:
            raise SignInRefused(SignInProblem.PROVIDER_REFUSED, "it gave no code")
        provider, secret = self._client.provider, self._client.secret
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": kept["redirect_uri"],
            "code_verifier": kept["verifier"],
        }
        methods = self._found.document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        auth = None
        if "client_secret_basic" in methods:
            auth = httpx.BasicAuth(provider.client_id, secret)
        else:
            form |= {"client_id": provider.client_id, "client_secret": secret}
        result = _answer(self._http, "POST", str(self._found.document["token_endpoint"]), form, auth)
        token = result.get("id_token")
        if isinstance(token, str):
            return token
        raise refusal(str(result.get("error", "")), str(result.get("error_description", "")))

    def nonce(self, text: str) -> str:
        """Return the nonce that was sent."""
        return str(json.loads(text)["nonce"])

    def sign_out_url(self) -> str | None:
        """Return where the person signs out of the provider, if it says where.

        RP-Initiated Logout 1.0 §2: without a hint, since no ID token is kept, the
        provider asks the person first. No address to come back to is sent: some
        providers end nothing where it is not registered.
        """
        endpoint = self._found.text("end_session_endpoint")
        if endpoint is None or not _is_safe(self._client.provider.issuer, endpoint):
            return None
        query = urlencode({"client_id": self._client.provider.client_id})
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"


def _is_safe(issuer: str, url: str) -> bool:
    """Return whether an address is https, or on this machine as the provider is, which
    had to be allowed.
    """
    try:
        is_here = all(is_loopback(urlsplit(each).hostname or "") for each in (issuer, url))
    except ValueError:
        return False
    return url.startswith("https://") or (is_here and url.startswith("http://"))


def _answer(
    http: ProviderHttp,
    method: str,
    url: str,
    form: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
) -> dict[str, Any]:
    """Return a JSON object. Raises `SignInRefused`."""
    try:
        document = json.loads(http.send(method, url, form, auth))
    except ProviderUnreachable as error:
        raise SignInRefused(SignInProblem.PROVIDER_UNREACHABLE, str(error)) from error
    except PrivateAddress as error:
        raise SignInRefused(SignInProblem.NOT_SET_UP, f"{error}: {PRIVATE_REMEDY}") from error
    except TargetRefused as error:
        raise SignInRefused(SignInProblem.NOT_SET_UP, f"the provider's address: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SignInRefused(SignInProblem.PROVIDER_REFUSED, "its answer is no JSON") from error
    if not isinstance(document, dict):
        raise SignInRefused(SignInProblem.PROVIDER_REFUSED, "its answer is no JSON object")
    return document
