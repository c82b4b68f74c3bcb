"""Where a connection leads: its login and Graph URLs, and the directory."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from console.admin.connections.errors import (
    CloudMismatch,
    InvalidDirectory,
    InvalidServiceUrl,
    UrlProblem,
    UrlRole,
)
from store.records import is_object_id
from worker.graph.auth import clouds

_DOMAIN = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}", re.I | re.A
)
_RETURN_URL = re.compile(r"[a-z]+://[\x21\x24-\x3b\x3d\x3f-\x5b\x5d_a-z~]{1,1000}", re.I | re.A)
"""Visible characters of RFC 3986, and no fragment."""
_PATHS = {UrlRole.LOGIN: ("",), UrlRole.GRAPH: ("", "/v1.0", "/beta")}
"""Graph's versions: the check of the connection says which of them is read."""


def check_directory(entra_tenant_id: str | None) -> None:
    """Raise `InvalidDirectory` unless it is a GUID or a domain.

    It becomes part of the login URL. `common` and `organizations` name no directory.
    """
    if entra_tenant_id is None or is_object_id(entra_tenant_id) or _DOMAIN.fullmatch(entra_tenant_id):
        return
    raise InvalidDirectory(entra_tenant_id)


def check_cloud(login_url: str, graph_url: str, *, allow_simulator: bool) -> tuple[str, str]:
    """Return both URLs without a trailing slash.

    Raises `InvalidServiceUrl`, and `CloudMismatch` unless both belong to one of
    Microsoft's clouds, or to a simulator on this machine where that is allowed.
    """
    login = check_service_url(login_url, UrlRole.LOGIN)
    graph = check_service_url(graph_url, UrlRole.GRAPH)
    for url, role in ((login, UrlRole.LOGIN), (graph, UrlRole.GRAPH)):
        if is_loopback(urlsplit(url).hostname or "") and not allow_simulator:
            raise InvalidServiceUrl(role, url, UrlProblem.SIMULATOR_NOT_ALLOWED)
    if wrong := clouds.misfit(login, graph):
        raise CloudMismatch(login, graph, wrong.why, wrong.remedy)
    return login, graph


def check_service_url(url: str, role: UrlRole) -> str:
    """Return the URL without a trailing slash.

    Raises `InvalidServiceUrl` unless it is https, or http to this machine.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # half a bracket of an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidServiceUrl(role, url, UrlProblem.NOT_A_URL)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InvalidServiceUrl(role, url, UrlProblem.PLAIN_HTTP)
    if parts.path.rstrip("/") not in _PATHS[role] or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidServiceUrl(role, url, UrlProblem.NOT_AN_ORIGIN)
    return url.rstrip("/")


def check_return_url(url: str) -> None:
    """Raise `InvalidServiceUrl` for an address that no code may be sent to.

    It is https, or http to this machine (RFC 8252 §7.3), without a fragment
    (RFC 6749 §3.1.2), and is compared letter by letter.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not _RETURN_URL.fullmatch(url):
        raise InvalidServiceUrl(UrlRole.RETURN, url, UrlProblem.NOT_A_URL)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InvalidServiceUrl(UrlRole.RETURN, url, UrlProblem.PLAIN_HTTP)
    if "@" in parts.netloc:
        raise InvalidServiceUrl(UrlRole.RETURN, url, UrlProblem.NOT_A_URL)


def is_loopback(host: str) -> bool:
    """Return whether a host name stands for this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
