"""Send to public https addresses only, and to the very address that was checked.

A URL of a tenant must not reach into the operator's network (SSRF): names are resolved
by `PublicResolver`, and the connection is made to what it returns, so no second answer
of the name server counts. No redirect is followed, no proxy is used.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
LONGEST_URL = 2_000
LONGEST_ERROR_BYTES = 2_000
ERROR_CODES = frozenset(
    {
        *("invalid_request", "invalid_key", "invalid_issuer", "invalid_audience"),
        *("authentication_failed", "access_denied", "invalid_state"),
    }
)
"""RFC 8935 §2.4, and SSF 1.0."""
_NAT64 = ip_network("64:ff9b::/96")
_6TO4 = ip_network("2002::/16")


class TargetRefused(Exception):
    """The URL, or what its host resolves to, must not be sent to."""


class PrivateAddress(TargetRefused):
    """The host is, or resolves to, an address of the operator's own network."""


def check_url(url: str, *, allows_loopback: bool, allows_private: bool = False) -> None:
    """Raise `TargetRefused` unless the URL, which a tenant gave, may be sent to.

    Its host is looked up when it is sent to. `allows_loopback` is the operator's
    switch for a simulator on this machine, `allows_private` for their own network.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetRefused("this is not a URL") from None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or port == 0:
        raise TargetRefused("a URL is up to 2,000 printable ASCII characters")
    if not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise TargetRefused("the URL needs a host, and has no user name and no fragment")
    is_here = allows_loopback and _is_loopback(parts.hostname)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise TargetRefused("only https is sent to")
    if (literal := _literal(parts.hostname)) is not None:
        check_address(literal, allows_loopback=allows_loopback, allows_private=allows_private)


def check_address(
    address: IPv4Address | IPv6Address, *, allows_loopback: bool, allows_private: bool = False
) -> None:
    """Raise `TargetRefused` for an address that is not public.

    Link-local ones never are: there a cloud gives its machines their credentials.
    """
    real = _embedded(address)
    if real.is_loopback and allows_loopback:
        return
    is_never = real.is_loopback or real.is_link_local or real.is_unspecified
    if is_never or real.is_multicast or real.is_reserved:
        raise TargetRefused("the host is a local or reserved address")
    if not (real.is_global or allows_private):
        raise PrivateAddress("the host is a private address")


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one leads to, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _6TO4:
        return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    literal = _literal(host)
    return host.lower() == "localhost" if literal is None else literal.is_loopback


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses a name one of whose addresses is not public."""

    def __init__(self, wrapped: AbstractResolver | None = None, *, allows_loopback: bool) -> None:
        self._wrapped = wrapped or ThreadedResolver()
        self._allows_loopback = allows_loopback

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises `TargetRefused`."""
        found = await self._wrapped.resolve(host, port, family)
        for each in found:
            check_address(ip_address(each["host"]), allows_loopback=self._allows_loopback)
        return found

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._wrapped.close()


def open_session(*, allows_loopback: bool, resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """Return a session for deliveries; each waits for its own endpoint only."""
    connector = aiohttp.TCPConnector(
        resolver=PublicResolver(resolver, allows_loopback=allows_loopback),
        use_dns_cache=False,
        limit=0,
        # No limit to a host: each endpoint has one request at a time, and those of one
        # host that hang must not use up what the others need.
        limit_per_host=0,
    )
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
    )


@dataclass(frozen=True, slots=True)
class SendResult:
    """The answer of an endpoint; `status` is None where none came."""

    status: int | None
    why: str = ""

    @property
    def is_taken(self) -> bool:
        """Return whether the endpoint took the event."""
        return self.status is not None and 200 <= self.status < 300


async def _error_code(answer: aiohttp.ClientResponse) -> str:
    """Return the error code of RFC 8935 §2.3, where a receiver gives one."""
    if answer.status != 400 or answer.content_type != "application/json":
        return ""
    try:
        code = json.loads(await answer.content.read(LONGEST_ERROR_BYTES))["err"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f" {code}" if code in ERROR_CODES else ""


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allows_loopback: bool,
) -> SendResult:
    """Send one event; never raises for what the endpoint does."""
    sent = {**headers, "User-Agent": "Leaver-Webhooks/1"}
    try:
        check_url(url, allows_loopback=allows_loopback)
        async with session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
            why = "" if 200 <= answer.status < 300 else f"answered {answer.status}{await _error_code(answer)}"
            answer.close()  # the body says nothing more, and may be endless
            return SendResult(answer.status, why)
    except TargetRefused as refused:
        return SendResult(None, str(refused))
    except TimeoutError:
        return SendResult(None, f"did not answer within {TIMEOUT_S:g} seconds")
    except (aiohttp.ClientError, OSError) as error:
        cause = error.__cause__ or error
        why = str(cause) if isinstance(cause, TargetRefused) else type(error).__name__
        return SendResult(None, why)
