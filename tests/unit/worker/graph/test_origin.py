"""The token goes to one origin and nowhere else."""

import pytest

from worker.graph.network import HttpOrigin

GRAPH = HttpOrigin.of("https://graph.microsoft.com/v1.0")


@pytest.mark.parametrize(
    "url",
    [
        "https://graph.microsoft.com/v1.0/users?$skiptoken=x",
        "https://GRAPH.microsoft.com:443/v1.0",
        "HTTPS://graph.microsoft.com",
    ],
)
def test_links_on_graph_are_held(url: str) -> None:
    assert GRAPH.holds(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://graph.microsoft.com/v1.0",
        "https://graph.microsoft.com:8443/",
        "https://graph.microsoft.com.evil.example/",
        "https://evil.example/graph.microsoft.com",
        "https://graph.microsoft.com@evil.example/",
        "https://evil.example#graph.microsoft.com",
        "//graph.microsoft.com/v1.0",
        "/v1.0/users",
        "https://[broken",
        "https://graph.microsoft.com:port/",
        "ftp://graph.microsoft.com/",
        "",
    ],
)
def test_everything_else_is_foreign(url: str) -> None:
    """SDK trap: `with_url` and the default provider hand the token to any host of a next link."""
    assert not GRAPH.holds(url)


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://graph.microsoft.us", True),
        ("http://127.0.0.1:5000", True),
        ("http://localhost:5000", True),
        ("http://[::1]:5000", True),
        ("http://graph.microsoft.com", False),
        ("http://10.0.0.7", False),
    ],
)
def test_plain_http_is_for_this_machine_only(url: str, private: bool) -> None:
    """design.md §6: "plain http is refused except for loopback"."""
    assert HttpOrigin.of(url).is_private_to_the_wire is private


def test_an_origin_prints_as_a_scope_needs_it() -> None:
    assert str(HttpOrigin.of("https://graph.microsoft.com:443/v1.0")) == "https://graph.microsoft.com"
    assert str(HttpOrigin.of("http://[::1]:5000/")) == "http://[::1]:5000"
