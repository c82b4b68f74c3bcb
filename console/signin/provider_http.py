"""Ask an OpenID provider that an administrator of a tenant chose.

Its addresses, and those that its own description names, must not lead into the
operator's network (SSRF). So a host is looked up here, what it resolves to is checked
as the target of a webhook is, and the connection is made to the checked address. No
redirect is followed, and no proxy is used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from socket import SOCK_STREAM, getaddrinfo
from typing import Any

import httpx

from scim.auth.jwks import KeysUnreachable
from worker.delivery.targets import TargetRefused, check_address, check_url

ANSWER_WITHIN_S = 10.0
LARGEST_ANSWER_BYTES = 262_144


class ProviderUnreachable(Exception):
    """The provider did not answer; the message says why."""


@dataclass(frozen=True, slots=True)
class ProviderHttp:
    """Requests to providers, within what the operator allows."""

    allows_loopback: bool
    allows_private: bool

    def send(
        self, method: str, url: str, form: Mapping[str, str] | None = None, auth: httpx.Auth | None = None
    ) -> bytes:
        """Return the body of an answer with any status; blocks.

        Raises `TargetRefused`, `ProviderUnreachable`.
        """
        check_url(url, allows_loopback=self.allows_loopback, allows_private=self.allows_private)
        body, until = bytearray(), time.monotonic() + ANSWER_WITHIN_S
        try:
            with (
                httpx.Client(transport=_CheckedTransport(self), timeout=ANSWER_WITHIN_S) as http,
                http.stream(method, url, data=form, auth=auth, follow_redirects=False) as answer,
            ):
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > LARGEST_ANSWER_BYTES:
                        raise ProviderUnreachable("its answer is too large")
                    if time.monotonic() > until:
                        raise ProviderUnreachable("its answer takes too long")
        except (httpx.HTTPError, OSError, UnicodeError) as error:
            raise ProviderUnreachable(type(error).__name__) from error
        return bytes(body)

    async def fetch_keys(self, url: str) -> bytes:
        """Fetch a key set for `scim.auth.jwks`. Raises `KeysUnreachable`."""
        try:
            return await asyncio.to_thread(self.send, "GET", url)
        except (ProviderUnreachable, TargetRefused) as error:
            raise KeysUnreachable(str(error)) from error

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return what a host resolves to, if all of it is allowed.

        Raises `TargetRefused`.
        """
        found = getaddrinfo(host, port, type=SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        for each in addresses:
            check_address(
                ip_address(each), allows_loopback=self.allows_loopback, allows_private=self.allows_private
            )
        return addresses


class _CheckedTransport(httpx.BaseTransport):
    """Connects to the very address that was checked; the certificate is the name's."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self._wrapped = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        extensions: dict[str, Any] = {**request.extensions, "sni_hostname": host}
        refused: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in self._http.addresses(host, port):
            addressed = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # `Host` is the name
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return self._wrapped.handle_request(addressed)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                refused = error
        raise refused or httpx.ConnectError("the host has no address")

    def close(self) -> None:
        self._wrapped.close()
