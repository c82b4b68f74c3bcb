"""Secret keys of tests: strong by their form, and nobody's."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256


def secret_key(name: str) -> str:
    """The same key for the same name, in the form of `LEAVER_SECRET_KEY`."""
    return urlsafe_b64encode(sha256(f"only for tests: {name}".encode()).digest()).decode().rstrip("=")
