"""Get access tokens of one app in one directory (msal, client credentials grant).

msal accepts https only. `LoginHttp` maps addresses for a simulator on the loopback
interface: msal sees https, the connection uses http. Any other plain-http login URL is
refused.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import msgspec

from worker.graph.auth import clouds
from worker.graph.auth.credentials import Credential
from worker.graph.auth.kept_tokens import HeldToken, KeptTokens, key_of
from worker.graph.errors import (
    ConnectionFault,
    CredentialExpired,
    CredentialsRejected,
    GraphResponse,
    MalformedAnswer,
    credential_unusable,
    error_from_answer,
    token_refused,
)
from worker.graph.network import (
    PROXY_WANTS_LOGIN,
    HttpOrigin,
    lasting_fault,
    proxy_to,
    proxy_wants_login,
    tls_context,
    unreachable,
)

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 30.0
"""Timeout to connect and between two pieces of an answer.

The caller gives the limit of a whole answer.
"""
_MOST_BYTES = 1024 * 1024
"""A token is some kilobytes, the metadata of a directory a few."""
_EARLY_S = 300.0
"""A token is renewed this long before it ends; msal does the same."""
_LONGEST_HOLD_S = 3600.0
_NONSENSE = (ValueError, KeyError, TypeError, AttributeError)
"""Errors of msal where the answer is neither OpenID metadata nor a token."""


class TokenSource:
    """Give tokens of one app in one directory.

    No request is sent before the first token is needed.
    """

    def __init__(
        self,
        login_url: str,
        entra_tenant_id: str,
        client_id: str,
        credential: Credential,
        scope: str,
        answer_within_s: float = _TIMEOUT_S,
        kept: KeptTokens | None = None,
    ) -> None:
        """Build a source.

        `answer_within_s` limits each whole answer of the login endpoint. A token of
        `kept` is used, and a new one kept there.
        """
        self._http = LoginHttp(login_url, answer_within_s)
        self._authority = f"{self._http.authority_for_msal}/{entra_tenant_id}"
        self._client_id = client_id
        self._credential = credential
        self._scope = scope
        self._lock = asyncio.Lock()
        self._kept = kept
        self._key = key_of(self._authority, client_id, scope, credential.to_text()) if kept else b""
        self._held = (kept and kept.find(self._key)) or HeldToken("", 0.0)
        self._is_of_earlier = bool(self._held.token)

    async def token(self, *, renew: bool = False) -> str:
        """Return a valid access token.

        `renew` discards the cached token first (Graph refused it). Raises
        `CredentialsRejected`, `ConnectionUnusable`, `ConnectionFault`, `ServiceFault`
        or `Throttled`.
        """
        async with self._lock:
            if renew or time.monotonic() >= self._held.fresh_until:
                self._held = await asyncio.to_thread(self._acquire)
                self._is_of_earlier = False
                if self._kept is not None:
                    self._kept.keep(self._key, self._held)
            return self._held.token

    async def roles(self) -> frozenset[str]:
        """Return the permissions in the current token (its `roles` claim)."""
        return roles_of(await self.token())

    def renew_if_kept(self) -> None:
        """Let the next request take a new token if this one is of an earlier client."""
        if self._is_of_earlier:
            self._held = HeldToken("", 0.0)

    def forget(self) -> None:
        """Keep no token for later clients."""
        if self._kept is not None:
            self._kept.drop(self._key)

    def close(self) -> None:
        self._http.close()

    def _acquire(self) -> HeldToken:
        """Ask Entra for a token with a new msal application each time.

        A credential in a file is read at each use. msal repeats a refusal from its
        cache for a minute, and a repaired app should not have to wait for that.
        """
        credential = self._credential.in_hand()
        if credential.certificate_pem:
            _check_not_ended(credential)
        try:
            answer = self._application(credential).acquire_token_for_client(scopes=[self._scope])
            token = answer.get("access_token")
        except _NONSENSE as error:
            raise _no_login_endpoint() from error
        if isinstance(token, str):
            lifetime_s = min(float(answer.get("expires_in", 0)), _LONGEST_HOLD_S)
            now = time.monotonic()
            return HeldToken(token, now + lifetime_s - _EARLY_S, now)
        raise token_refused(400, msgspec.json.encode(answer))

    def _application(self, credential: Credential) -> Any:
        import msal  # 70 ms, for those who read Graph only

        return msal.ConfidentialClientApplication(
            self._client_id,
            client_credential=credential.for_msal(clouds.exchange_audience(self._http.origin)),
            authority=self._authority,
            http_client=self._http,
            instance_discovery=False,  # the login URL is one of ours to allow, for any cloud
        )


def _check_not_ended(credential: Credential) -> None:
    ends = credential.expires_at
    if ends is not None and ends <= datetime.now(UTC):
        raise CredentialExpired(
            f"The certificate ended on {ends:%Y-%m-%d}.",
            "Upload a new certificate to the app registration and set it for the connection: "
            "leaver connection set CONNECTION --certificate @FILE",
        )


def _no_login_endpoint() -> CredentialsRejected:
    return CredentialsRejected(
        "The login URL does not answer as an Entra directory does.",
        "Check login URL and tenant id: {login URL}/{tenant id}/v2.0/.well-known/openid-configuration must "
        "answer, without a proxy's own page before it.",
    )


def roles_of(token: str) -> frozenset[str]:
    """Return the `roles` claim of an access token without verifying it.

    Graph verifies the token; here the claim is only shown and compared. Raises
    `MalformedAnswer` if the token is no JWT.
    """
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return frozenset(map(str, claims.get("roles", ())))
    except (IndexError, ValueError, AttributeError, TypeError) as error:
        raise MalformedAnswer(
            "Entra's access token is not a JWT, so its permissions cannot be checked."
        ) from error


@dataclass(frozen=True, slots=True)
class _LoginAnswer:
    """An HTTP answer in the shape msal wants (`msal.oauth2cli.http.Response`)."""

    status_code: int
    text: str
    headers: dict[str, str]

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise error_from_answer(
                GraphResponse(self.status_code, self.headers, self.text.encode()),
                "the login endpoint",
                "none",
            )


class LoginHttp:
    """Implement msal's `http_client`.

    It has no retries and no cache of failures, and raises our own errors.
    """

    def __init__(self, login_url: str, answer_within_s: float) -> None:
        try:
            origin = HttpOrigin.of(login_url)
        except ValueError as error:
            raise credential_unusable(
                "the login URL is not an absolute URL", "Set an https login URL."
            ) from error
        if not origin.is_private_to_the_wire:
            raise credential_unusable(
                "the login URL is neither https nor on this machine", "Set an https login URL."
            )
        self.origin = origin
        self._origin = str(origin)
        self.origin_for_msal = self._origin.replace("http://", "https://")
        self.authority_for_msal = self.origin_for_msal + urlsplit(login_url).path.rstrip("/")
        self._answer_within_s = answer_within_s
        self._proxy = proxy_to(origin)
        self._client: httpx.Client | None = None

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> _LoginAnswer:
        answer = self._request("GET", url, params=params, headers=headers)
        if 400 <= answer.status_code < 500:  # msal would only say that the metadata cannot be read
            raise token_refused(answer.status_code, answer.text.encode())
        return answer

    def post(
        self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any
    ) -> _LoginAnswer:
        body = data if isinstance(data, (str, bytes)) else urlencode(data or {})
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        answer = self._request("POST", url, params=params, headers=form, content=body)
        try:
            msgspec.json.decode(answer.text)
        except msgspec.DecodeError as error:  # msal would log the whole answer, with half a token in it
            raise _no_login_endpoint() from error
        return answer

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _opened(self) -> httpx.Client:
        """Return the client, opened at its first use: with a kept token it has none."""
        if self._client is None:
            import httpx

            self._client = httpx.Client(
                timeout=min(_TIMEOUT_S, self._answer_within_s),
                verify=tls_context(),
                proxy=self._proxy.url if self._proxy else None,
                trust_env=False,  # the rule of `worker.graph.network` holds for login and Graph
            )
        return self._client

    def _request(self, method: str, url: str, **options: Any) -> _LoginAnswer:
        import httpx

        if url.startswith(self.origin_for_msal):
            url = self._origin + url.removeprefix(self.origin_for_msal)
        try:
            with self._opened().stream(method, url, **options) as answer:
                body = self._whole(answer.iter_bytes(), time.monotonic() + self._answer_within_s)
        except (httpx.HTTPError, OSError) as error:
            if lasting := lasting_fault(error, self.origin, self._proxy):
                raise lasting from error
            found = unreachable(error, self.origin, self._proxy)
            raise ConnectionFault(f"No token: {found.why}.", found.remedy) from error
        if answer.status_code == PROXY_WANTS_LOGIN:
            raise proxy_wants_login(self._proxy)
        text = body.decode(errors="replace").replace(self._origin, self.origin_for_msal)
        converted = _LoginAnswer(answer.status_code, text, {k.lower(): v for k, v in answer.headers.items()})
        if answer.status_code == 429 or answer.status_code >= 500:
            converted.raise_for_status()
        return converted

    def _whole(self, pieces: Iterable[bytes], until: float) -> bytes:
        """Return the whole body.

        Raises `TimeoutError` for a body that is slow or too large; no idle timeout ends
        a body whose bytes keep coming.
        """
        body = b""
        for piece in pieces:
            body += piece
            if time.monotonic() > until or len(body) > _MOST_BYTES:
                raise TimeoutError
        return body
