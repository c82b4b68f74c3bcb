"""Where requests to login and Graph may go, and how: origins, proxies and trust.

A token goes to one scheme, one host, one port. What the environment of this process
gets wrong (a proxy without a scheme, a missing file of authorities, an untrusted
certificate, a proxy that wants a login) is no fault of a connection and does not pass
by waiting: one line names the variable, at once.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from worker.errors import InstallationFault
from worker.graph.errors import GraphError

PROXY_WANTS_LOGIN = 407
_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_VARIABLES = (*_NAMES, *map(str.upper, _NAMES))


class NetworkMisconfigured(GraphError, InstallationFault):
    """Only the operator can help: the environment of this process is wrong."""


@dataclass(frozen=True, slots=True)
class Proxy:
    url: str
    variable: str
    """The environment variable that names it."""

    @property
    def host(self) -> str:
        """Host and port, without the password that the URL may hold."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def proxy_to(origin: HttpOrigin) -> Proxy | None:
    """Return the environment's proxy for this origin, or None.

    `HTTPS_PROXY` (for plain http `HTTP_PROXY`), else `ALL_PROXY`; a host of `NO_PROXY`
    is reached directly. Raises `NetworkMisconfigured` for a value that is no http(s)
    URL.
    """
    return _proxy_to(origin, tuple(map(os.environ.get, _VARIABLES)))


@lru_cache(maxsize=1024)
def _proxy_to(origin: HttpOrigin, _environment: tuple[str | None, ...]) -> Proxy | None:
    """Read the environment anew only where it changed: that takes a millisecond."""
    proxy = None if proxy_bypass(origin.host) else _named_proxy(origin.scheme)
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy.url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise NetworkMisconfigured(
            f"{proxy.variable} is not the URL of an http proxy, so Microsoft's login and Graph are out of reach.",
            f"Set {proxy.variable} to http://host:port (a SOCKS proxy cannot be used), or NO_PROXY to the hosts "
            "that need none.",
        )
    return proxy


def _named_proxy(scheme: str) -> Proxy | None:
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if url := os.environ.get(variable, "").strip():
                return Proxy(url, variable)
    return None


# One TLS context for the whole process: loading the certificate authorities takes 15
# ms.


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return the TLS context for login and Graph.

    It trusts the authorities of certifi, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    Raises `NetworkMisconfigured` where these cannot be read.
    """
    import httpx

    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        variable = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        raise NetworkMisconfigured(
            f"The certificate authorities of {variable} ({os.environ.get(variable, '')}) cannot be read: "
            f"{error.strerror or type(error).__name__}.",
            f"Let {variable} name a readable PEM file (or directory), or unset it.",
        ) from error


def lasting_fault(
    error: BaseException, origin: HttpOrigin, proxy: Proxy | None
) -> NetworkMisconfigured | None:
    """Return what only the operator can mend about a failed request, or None.

    An untrusted certificate and a proxy that wants a login are the same the next time.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, origin)
        if getattr(cause, "status", None) == PROXY_WANTS_LOGIN or str(cause).startswith(
            str(PROXY_WANTS_LOGIN)
        ):
            return proxy_wants_login(proxy)
    return None


def proxy_wants_login(proxy: Proxy | None) -> NetworkMisconfigured:
    """Return the error for a 407."""
    variable = proxy.variable if proxy else "HTTPS_PROXY"
    where = f" {proxy.host} ({proxy.variable})" if proxy else ""
    return NetworkMisconfigured(
        f"The proxy{where} wants a login (407), so Microsoft's login and Graph are out of reach.",
        f"Set {variable} to http://user:password@host:port, or let the proxy pass this machine.",
    )


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Why a host gave no answer, and what to look at on the way to it."""

    why: str
    remedy: str


def unreachable(error: BaseException, origin: HttpOrigin, proxy: Proxy | None) -> Unreachable:
    """Return what a failed request says about the way to a host, with its name.

    It may pass by waiting, unlike a `lasting_fault`.
    """
    place = f"{origin.host}:{origin.port}"
    if proxy is not None:
        return Unreachable(
            f"{origin.host} did not answer through the proxy {proxy.host} ({proxy.variable})",
            f"Check that the proxy of {proxy.variable} answers and lets {place} through; NO_PROXY names hosts "
            "that need none.",
        )
    causes = tuple(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Unreachable(
            f"the name {origin.host} cannot be resolved (DNS)",
            f"Look it up on this machine (getent hosts {origin.host}) and correct its DNS, or the URL of the "
            "connection. Where only a proxy reaches the internet, set HTTPS_PROXY.",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unreachable(
            f"{place} refuses the connection",
            f"Let a firewall open {place} to this machine, or correct the URL of the connection.",
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Unreachable(
            f"{place} does not speak TLS as it should",
            f"Look for a proxy or a firewall before {place} that answers in its place, or correct the URL.",
        )
    return Unreachable(
        f"{place} did not answer, or broke off ({type(error).__name__})",
        f"Check that this machine reaches {place}: a firewall that drops packets looks like this.",
    )


def _untrusted(error: BaseException, origin: HttpOrigin) -> NetworkMisconfigured:
    # aiohttp's own error is a subclass, and holds the one that says why.
    said = getattr(getattr(error, "certificate_error", error), "verify_message", "") or "verification failed"
    trusted = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "the authorities that come with Leaver"
    return NetworkMisconfigured(
        f"The certificate that {origin.host} shows is not trusted ({said}); trusted are those of {trusted}.",
        "If a proxy of your network opens TLS, set SSL_CERT_FILE to a PEM file with its certificate authority "
        "and the public ones.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything it was raised from."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


_DEFAULT_PORTS = {"https": 443, "http": 80}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class HttpOrigin:
    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Parse the origin of a URL.

        Raises `ValueError` for a text that is no absolute http(s) URL, or has a user
        name.
        """
        parts = urlsplit(url.strip())
        scheme = parts.scheme.lower()
        if scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
            raise ValueError("not an absolute http(s) URL")
        return cls(scheme, parts.hostname.lower(), parts.port or _DEFAULT_PORTS[scheme])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (
            "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        )

    def holds(self, url: str) -> bool:
        """Return whether `url` is on this origin."""
        try:
            return HttpOrigin.of(url) == self
        except ValueError:
            return False

    @property
    def is_private_to_the_wire(self) -> bool:
        """https anywhere; plain http on the loopback interface only (design.md §6)."""
        return self.scheme == "https" or self.is_loopback

    @property
    def is_loopback(self) -> bool:
        """This machine."""
        return self.host in _LOOPBACK
