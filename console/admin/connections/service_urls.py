"""The login and Graph URLs of a connection: https, and of one cloud."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from console.admin.errors import CloudMismatch, InvalidServiceUrl, UrlProblem, UrlRole
from worker.graph.auth import clouds


def check_cloud(login_url: str, graph_url: str) -> tuple[str, str]:
    """Return both URLs without a trailing slash.

    Raises `InvalidServiceUrl`, and `CloudMismatch` unless both belong to one of
    Microsoft's clouds or to a simulator on this machine.
    """
    login = check_service_url(login_url, UrlRole.LOGIN)
    graph = check_service_url(graph_url, UrlRole.GRAPH)
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
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Return whether a host name stands for this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
