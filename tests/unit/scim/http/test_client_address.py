"""From which address a request came, behind proxies that are trusted and others that are not."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from scim.http.connections import client_address, is_among

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("203.0.113.7", [], "203.0.113.7", id="no proxy"),
        pytest.param("203.0.113.7", ["198.51.100.1"], "203.0.113.7", id="a stranger claims to be a proxy"),
        pytest.param("10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="one proxy"),
        pytest.param("10.0.0.1", ["198.51.100.1, 10.2.2.2"], "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.1", ["198.51.100.1", "10.2.2.2"], "198.51.100.1", id="two header lines"),
        pytest.param("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1", id="the client forged an entry"),
        pytest.param("10.0.0.1", ["10.9.9.9"], "10.9.9.9", id="nothing but proxies"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", ["unknown"], "10.0.0.1", id="an entry that is no address"),
        pytest.param("10.0.0.1", ["1.1.1.1, nonsense"], "10.0.0.1", id="nothing is believed beyond nonsense"),
        pytest.param("10.0.0.1", ["198.51.100.1:443"], "198.51.100.1", id="with a port"),
        pytest.param("::1", ["[2001:db8::1]:443"], "2001:db8::1", id="IPv6 with a port"),
        pytest.param("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="a socket of both families"),
    ],
)
def test_each_entry_is_believed_as_far_as_who_wrote_it_is_trusted(
    peer: str, forwarded: list[str], client: str
) -> None:
    """Anybody may send X-Forwarded-For; only what a trusted proxy appended to it counts."""
    assert client_address(peer, forwarded, PROXIES) == client
    assert client_address(peer, forwarded, ()) == peer


@pytest.mark.parametrize("address", [None, "", "nonsense", "192.168.0.1", "2001:db8::1"])
def test_what_is_no_address_of_the_networks_is_not_among_them(address: str | None) -> None:
    """A Unix socket has no address at all: an allow-list lets nothing of it in."""
    assert not is_among(address, PROXIES)
    assert is_among("::ffff:10.1.1.1", PROXIES)
