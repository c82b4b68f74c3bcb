"""Find the signing keys of an authority by the URL at which it publishes them.

Keys are fetched when needed and kept. They are fetched again when an unknown key id
appears (Microsoft Learn, "Signing key rollover").
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from scim.errors import NotNow

FRESH_S = 86_400.0
"""Microsoft asks clients to read the keys every 24 hours."""
STALE_S = 2 * FRESH_S
"""Age in seconds up to which keys are used while the authority does not answer."""
PAUSE_S = 60.0
"""Seconds between fetches for unknown key ids: any client can send one."""
PAUSE_AFTER_FAILURE_S = 5.0
TIMEOUT_S = 5.0
_LARGEST_ANSWER_BYTES = 262_144
LEAST_KEY_BITS, MOST_KEY_BITS = 2048, 8192
"""RFC 7518 §3.3 wants 2048 bits at least; beyond the most a check costs too much."""

SigningKey: TypeAlias = RSAKey | ECKey | OKPKey
_PUBLIC: Mapping[str, tuple[type[SigningKey], tuple[str, ...]]] = {
    "RSA": (RSAKey, ("kty", "n", "e")),
    "EC": (ECKey, ("kty", "crv", "x", "y")),
    "OKP": (OKPKey, ("kty", "crv", "x")),
}
"""Asymmetric keys and their public members; a shared secret (`oct`) verifies nothing.
"""

Fetch = Callable[[str], Awaitable[bytes]]


class KeysUnreachable(Exception):
    """The authority gave no keys; the message says why."""


@dataclass(slots=True)
class _Published:
    keys: Mapping[str, SigningKey] = field(default_factory=dict)
    read_at: float = float("-inf")
    asked_at: float = float("-inf")
    failed: bool = False


class SigningKeys:
    """Finds keys by their id, with one fetch at a time for each authority."""

    def __init__(self, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch or fetch_over_http
        self._clock = clock
        self._published: dict[str, _Published] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def find(self, url: str, issuer: str, key_id: str) -> SigningKey | None:
        """Return the key of this id published at `url` for this issuer, None if there
        is none.

        Raises NotNow when the authority does not answer and the kept keys do not
        decide.
        """
        published = self._published.setdefault(url, _Published())
        if not self._decides(published, key_id):
            async with self._locks.setdefault(url, asyncio.Lock()):
                if not self._decides(published, key_id):
                    await self._ask(url, issuer, published)
        key = published.keys.get(key_id)
        if published.failed and (key is None or self._clock() - published.read_at > STALE_S):
            raise NotNow(
                "The keys of Entra's login authority could not be read; nothing is wrong with the assertion "
                "as far as is known. Try again.",
                PAUSE_AFTER_FAILURE_S,
            )
        return key

    def _decides(self, published: _Published, key_id: str) -> bool:
        now = self._clock()
        if key_id in published.keys and now - published.read_at < FRESH_S:
            return True
        return now - published.asked_at < (PAUSE_AFTER_FAILURE_S if published.failed else PAUSE_S)

    async def _ask(self, url: str, issuer: str, published: _Published) -> None:
        published.asked_at = self._clock()
        try:
            published.keys = read_keys(await self._fetch(url), issuer)
        except KeysUnreachable:
            published.failed = True
            return
        published.failed, published.read_at = False, self._clock()


def read_keys(body: bytes, issuer: str) -> dict[str, SigningKey]:
    """Read a JSON Web Key Set: the asymmetric keys for signatures, by id.

    A key that names another issuer is left out (Microsoft Learn, "Validate the signing
    key issuer"). Raises KeysUnreachable for what is no key set, such as a proxy's page.
    """
    try:
        candidates = [each for each in json.loads(body)["keys"] if _signs_for(each, issuer)]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise KeysUnreachable("the answer is no key set") from error
    keys: dict[str, SigningKey] = {}
    for each in candidates:
        try:
            kind, members = _PUBLIC[each["kty"]]
            if kind is not RSAKey or LEAST_KEY_BITS <= _bits(each["n"]) <= MOST_KEY_BITS:
                keys[str(each["kid"])] = kind.import_key({name: each[name] for name in members})
        except (JoseError, KeyError, TypeError, ValueError, AttributeError):
            continue  # an unreadable key counts as unknown
    return keys


def _bits(modulus: str) -> int:
    """Return the size of a key whose modulus is base64url (RFC 7518 §6.3.1.1)."""
    raw = urlsafe_b64decode(modulus.encode() + b"=" * (-len(modulus) % 4))
    return int.from_bytes(raw).bit_length()


def _signs_for(key: Mapping[str, Any], issuer: str) -> bool:
    tenant = issuer.rstrip("/").split("/")[-2]
    named = str(key.get("issuer", issuer)).replace("{tenantid}", tenant)
    return key.get("kty") in _PUBLIC and key.get("use", "sig") == "sig" and named == issuer


async def fetch_over_http(url: str) -> bytes:
    """Fetch a key set: 5 s, 256 KiB and no redirect at most.

    Raises KeysUnreachable.
    """
    import httpx  # slow to import, and most installations never need it

    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S) as http,
            asyncio.timeout(TIMEOUT_S),
            http.stream("GET", url, follow_redirects=False) as answer,
        ):
            answer.raise_for_status()
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_ANSWER_BYTES:
                    raise KeysUnreachable("the answer is too large for a key set")
    except (httpx.HTTPError, OSError, TimeoutError) as error:
        raise KeysUnreachable(f"{type(error).__name__}") from error
    return bytes(body)
