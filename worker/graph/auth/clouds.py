"""Check that login URL and Graph URL belong to one Microsoft cloud, or to a simulator.

A token of one cloud is worth nothing in another, and a credential that is sent to a
foreign login is lost. So both hosts must be known and belong together (Graph, "National
cloud deployments").
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.graph.network import HttpOrigin


@dataclass(frozen=True, slots=True)
class Cloud:
    name: str
    login: str
    graph: str
    exchange_audience: str
    """Audience for a managed identity's token (Entra, "Federated credentials")."""


CLOUDS = (
    Cloud(
        "global", "login.microsoftonline.com", "graph.microsoft.com", "api://AzureADTokenExchange"
    ),  # US GCC as well
    Cloud(
        "US Government L4 (GCC High)",
        "login.microsoftonline.us",
        "graph.microsoft.us",
        "api://AzureADTokenExchangeUSGov",
    ),
    Cloud(
        "US Government L5 (DoD)",
        "login.microsoftonline.us",
        "dod-graph.microsoft.us",
        "api://AzureADTokenExchangeUSGov",
    ),
    Cloud(
        "China (21Vianet)",
        "login.chinacloudapi.cn",
        "microsoftgraph.chinacloudapi.cn",
        "api://AzureADTokenExchangeChina",
    ),
)
_LOGINS = {cloud.login for cloud in CLOUDS}
_GRAPHS = {cloud.graph for cloud in CLOUDS}


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why two URLs cannot be used together, and what can."""

    why: str
    remedy: str


def misfit(login_url: str, graph_url: str) -> Misfit | None:
    """Return why the two URLs do not fit, or None if they do.

    They fit where both belong to one cloud, or both to this machine (a simulator).
    Raises `ValueError` for a text that is no absolute http(s) URL.
    """
    login, graph = HttpOrigin.of(login_url), HttpOrigin.of(graph_url)
    for what, origin, known in (("login", login, _LOGINS), ("Graph", graph, _GRAPHS)):
        if not (origin.is_loopback or _is_one_of(origin, known)):
            return Misfit(
                f"{origin} is no {what} URL of Microsoft's", f"Set the {what} URL to one of: {_listed(known)}"
            )
    if login.is_loopback and graph.is_loopback:
        return None
    if login.is_loopback or graph.is_loopback:
        return Misfit(
            "one URL is Microsoft's and the other is this machine's",
            "Set both to the simulator's, or both to those of one cloud",
        )
    if any((login.host, graph.host) == (cloud.login, cloud.graph) for cloud in CLOUDS):
        return None
    fitting = {cloud.graph for cloud in CLOUDS if cloud.login == login.host}
    return Misfit(
        f"{login.host} and {graph.host} belong to different clouds",
        f"Set the Graph URL to {_listed(fitting)}, or the login URL to that of the other cloud",
    )


def exchange_audience(login: HttpOrigin) -> str:
    """Return the audience of a federated assertion.

    A simulator gets that of the global cloud.
    """
    return next((cloud for cloud in CLOUDS if cloud.login == login.host), CLOUDS[0]).exchange_audience


def _is_one_of(origin: HttpOrigin, hosts: set[str]) -> bool:
    return origin.host in hosts and (origin.scheme, origin.port) == ("https", 443)


def _listed(hosts: set[str]) -> str:
    return ", ".join(f"https://{host}" for host in sorted(hosts))
