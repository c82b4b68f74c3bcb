"""Find the client address of a request: from trusted proxies, else the peer itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def client_address(peer: str | None, forwarded_for: Iterable[str], trusted: Sequence[Network]) -> str | None:
    """Return the nearest address that is no trusted proxy, from the peer backwards.

    Any client can send X-Forwarded-For: an entry counts only if the hop that wrote it
    is trusted.
    """
    if not trusted or peer is None:
        return peer
    hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
    nearest = peer
    while is_among(nearest, trusted) and hops:
        address = _read(hops.pop())
        if address is None:
            break
        nearest = str(address)
    return nearest


def is_among(address: str | None, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks; an unreadable one is in none."""
    found = _read(address or "")
    return found is not None and any(found in network for network in networks)


def _read(text: str) -> Address | None:
    """Read an address; some proxies add the port (`203.0.113.7:443`,
    `[2001:db8::1]:443`).
    """
    bare = text.partition("]")[0].lstrip("[") if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    # A socket that listens on both families shows IPv4 clients as ::ffff:203.0.113.7.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
