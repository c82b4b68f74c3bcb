"""A webhook reaches no address inside the operator's network, whatever its name says."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from worker.delivery.targets import (
    PublicResolver,
    TargetRefused,
    check_address,
    check_url,
    open_session,
    post,
)

PRIVATE = [
    *("127.0.0.1", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104 - refused, not bound
    *("255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
    *("::ffff:10.0.0.8", "::ffff:127.0.0.1", "64:ff9b::a00:8", "64:ff9b::7f00:1", "2002:a00:8::1"),
]
URLS = [
    *("http://app.example.com/", "ftp://app.example.com/", "https://", "https://ann@app.example.com/"),
    *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.8]/", "https://169.254.169.254/latest"),
    *("https://app.example.com/#part", "https://app.example.com:0/", "https://[::1/", "//app.example.com"),
    *("https://app.example.com/\n", "https://bücher.example/", "https://app.example.com/" + "x" * 2_000),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(TargetRefused):
        check_address(ip_address(address), allows_loopback=False)


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_is_no_public_https_one_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        check_url(url, allows_loopback=False)


def test_public_targets_are_sent_to() -> None:
    check_url("https://app.example.com:8443/hooks?key=1", allows_loopback=False)
    for address in ("93.184.216.34", "2606:2800:220:1::1"):
        check_address(ip_address(address), allows_loopback=False)


def test_the_simulators_switch_opens_this_machine_alone() -> None:
    check_url("http://127.0.0.1:9000/", allows_loopback=True)
    check_url("http://localhost:9000/", allows_loopback=True)
    for url in ("http://10.0.0.8/", "http://app.example.com/", "https://192.168.1.1/"):
        with pytest.raises(TargetRefused):
            check_url(url, allows_loopback=True)


NEVER = [*("169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "127.0.0.1", "::1")]  # noqa: S104


def test_an_operators_own_network_is_allowed_without_this_machine_and_link_local_addresses() -> None:
    """Decision 16: at 169.254.169.254 a cloud gives its machines their credentials."""
    for address in ("10.0.0.8", "172.16.3.4", "192.168.1.1", "fc00::1", "::ffff:10.0.0.8", "93.184.216.34"):
        check_address(ip_address(address), allows_loopback=False, allows_private=True)
    for address in (*NEVER, "::ffff:169.254.169.254", "64:ff9b::7f00:1"):
        with pytest.raises(TargetRefused):
            check_address(ip_address(address), allows_loopback=False, allows_private=True)
    check_url("https://10.0.0.8/realm", allows_loopback=False, allows_private=True)
    with pytest.raises(TargetRefused):
        check_url("http://10.0.0.8/realm", allows_loopback=False, allows_private=True)


class Rebinding(AbstractResolver):
    """Answers a public address first, and this machine from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        address = "93.184.216.34" if self.asked == 1 else "127.0.0.1"
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_that_points_elsewhere_at_the_second_look_is_refused() -> None:
    """Between check and use: what is connected to is the very answer that was checked."""
    names = Rebinding()
    resolver = PublicResolver(names, allows_loopback=False)
    assert (await resolver.resolve("rebind.example", 443))[0]["host"] == "93.184.216.34"
    async with open_session(allows_loopback=False, resolver=names) as session:
        result = await post(session, "https://rebind.example/", b"{}", {}, allows_loopback=False)
    assert not result.is_taken
    assert "local" in result.why
    assert names.asked == 2, "one look-up for one delivery"
