"""Sign security events (RFC 8417) with the installation's key, which is rotated.

A new key is published before it signs, and an old one long after: receivers keep the
keys that they have read, and a token has no end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

import orjson
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeyParameters, OKPKey, RSAKey
from sqlalchemy.ext.asyncio import AsyncConnection

from config.keys import Sealer
from config.settings import SignatureAlgorithm
from store.integration import signing_keys
from store.records import EventStream, JsonValue, SigningKey
from worker.delivery.security_events import SecurityEvent

MEDIA_TYPE = "application/secevent+jwt"
KEYS_KEPT_S = 300
"""How long receivers may keep the published keys without asking again."""
SIGNS_AFTER = timedelta(seconds=2 * KEYS_KEPT_S)
PUBLISHED_AFTER = timedelta(days=7)
"""Longer than a push is tried, from the last token that an old key signed."""
LEAST_RSA_BITS = 2048
_REGISTRY = jws.JWSRegistry(algorithms=[each.value for each in SignatureAlgorithm])

PrivateKey = RSAKey | ECKey | OKPKey


def new_key(algorithm: SignatureAlgorithm) -> PrivateKey:
    """Return a new key; its id is its thumbprint (RFC 7638)."""
    use: KeyParameters = {"use": "sig", "alg": algorithm.value}
    if algorithm is SignatureAlgorithm.RS256:
        return RSAKey.generate_key(LEAST_RSA_BITS, use, auto_kid=True)
    if algorithm is SignatureAlgorithm.ES256:
        return ECKey.generate_key("P-256", use, auto_kid=True)
    return OKPKey.generate_key("Ed25519", use, auto_kid=True)


async def rotate(
    conn: AsyncConnection,
    sealer: Sealer,
    key: PrivateKey,
    algorithm: SignatureAlgorithm,
    now: datetime,
    *,
    at_once: bool = False,
) -> SigningKey:
    """Publish a new key; it signs after a while, and the earlier ones go later.

    `at_once`, for a key that others know: it signs now, and no earlier one is published
    any more.
    """
    known = await signing_keys.published(conn, now)
    signs_from = now if at_once or not known else now + SIGNS_AFTER
    until = now if at_once else signs_from + PUBLISHED_AFTER
    await signing_keys.retire(conn, until)
    sealed = sealer.seal(orjson.dumps(key.as_dict(private=True)).decode())
    public = dict(key.as_dict(private=False))
    return await signing_keys.add(conn, str(key.kid), algorithm.value, public, sealed, signs_from, now)


async def current(conn: AsyncConnection, sealer: Sealer, now: datetime) -> PrivateKey:
    """Return the key that signs now. Raises `store.errors.NotFound` before any."""
    found, sealed = await signing_keys.current(conn, now)
    return _private_key(found.algorithm, sealer.unseal(sealed))


@lru_cache(maxsize=4)
def _private_key(algorithm: str, text: str) -> PrivateKey:
    kinds: Mapping[str, type[PrivateKey]] = {"RS256": RSAKey, "ES256": ECKey}
    return kinds.get(algorithm, OKPKey).import_key(orjson.loads(text))


def signed(event: SecurityEvent, stream: EventStream, key: PrivateKey, now: datetime) -> str:
    """Return the token: it has no `exp`, no `nonce` and no `sub` (SSF 1.0 §4)."""
    claims: dict[str, JsonValue] = {
        "iss": stream.issuer,
        "jti": event.id,
        "iat": int(now.timestamp()),
        "aud": stream.audience,
        "sub_id": dict(event.subject),
        "events": {event.uri: dict(event.payload)},
    }
    if event.at is not None:
        claims["toe"] = int(event.at.timestamp())
    if event.cause is not None:
        claims["txn"] = event.cause
    header = {"alg": str(key.alg), "typ": "secevent+jwt", "kid": str(key.kid)}
    return jwt.encode(header, claims, key, registry=_REGISTRY)
