"""Login and Graph belong to one cloud, or both to a simulator on this machine."""

import pytest

from worker.graph.auth.clouds import exchange_audience, misfit
from worker.graph.network import HttpOrigin

GLOBAL, GOVERNMENT, CHINA = (
    "https://login.microsoftonline.com",
    "https://login.microsoftonline.us",
    "https://login.chinacloudapi.cn",
)


@pytest.mark.parametrize(
    ("login", "graph"),
    [
        (GLOBAL, "https://graph.microsoft.com"),
        (GLOBAL, "https://graph.microsoft.com/v1.0"),
        (GOVERNMENT, "https://graph.microsoft.us"),
        (GOVERNMENT, "https://dod-graph.microsoft.us"),
        (CHINA, "https://microsoftgraph.chinacloudapi.cn"),
        ("http://127.0.0.1:5000", "http://localhost:5001"),
    ],
)
def test_what_belongs_together_is_accepted(login: str, graph: str) -> None:
    """Graph, "National cloud deployments": global, US Gov L4 and L5, China; and the simulator."""
    assert misfit(login, graph) is None


@pytest.mark.parametrize(
    ("login", "graph", "why", "remedy"),
    [
        (GLOBAL, "https://graph.microsoft.us", "different clouds", "https://graph.microsoft.com"),
        (
            GLOBAL,
            "https://microsoftgraph.chinacloudapi.cn",
            "different clouds",
            "https://graph.microsoft.com",
        ),
        (GOVERNMENT, "https://graph.microsoft.com", "different clouds", "dod-graph.microsoft.us"),
        (CHINA, "https://graph.microsoft.com", "different clouds", "microsoftgraph.chinacloudapi.cn"),
        (GLOBAL, "https://graph.microsoft.de", "no Graph URL", "https://graph.microsoft.com"),
        (GLOBAL, "https://graph.microsoft.com.evil.example", "no Graph URL", "https://graph.microsoft.com"),
        (GLOBAL, "https://graph.microsoft.com:8443", "no Graph URL", "https://graph.microsoft.com"),
        (GLOBAL, "http://graph.microsoft.com", "no Graph URL", "https://graph.microsoft.com"),
        ("https://login.evil.example", "https://graph.microsoft.com", "no login URL", GLOBAL),
        (GLOBAL, "http://127.0.0.1:5000", "this machine's", "simulator"),
        ("http://127.0.0.1:5000", "https://graph.microsoft.com", "this machine's", "simulator"),
    ],
)
def test_what_does_not_is_refused_with_what_would(login: str, graph: str, why: str, remedy: str) -> None:
    """A credential shown at a stranger's login is lost; a token of another cloud is worth nothing."""
    wrong = misfit(login, graph)
    assert wrong is not None
    assert why in wrong.why
    assert remedy in wrong.remedy


@pytest.mark.parametrize(
    ("login", "audience"),
    [
        (GLOBAL, "api://AzureADTokenExchange"),
        (GOVERNMENT, "api://AzureADTokenExchangeUSGov"),
        (CHINA, "api://AzureADTokenExchangeChina"),
        ("http://127.0.0.1:5000", "api://AzureADTokenExchange"),
    ],
)
def test_a_managed_identity_speaks_to_its_own_cloud(login: str, audience: str) -> None:
    assert exchange_audience(HttpOrigin.of(login)) == audience
