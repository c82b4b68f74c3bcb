"""Where the token may go: one scheme, one host, one port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

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
