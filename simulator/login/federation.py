"""Federated credentials: assertions of other issuers, checked with the keys those
issuers publish.
"""

import time
from collections.abc import Iterable

import aiohttp
import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from simulator.login.errors import LoginError
from simulator.registration import FederatedCredential
from simulator.signing import Claims

ALGORITHMS = ["RS256", "PS256", "ES256"]
FETCH_TIMEOUT_S = 5.0


async def published_keys(issuer: str) -> KeySet:
    """Fetch the signing keys of an issuer by its OpenID metadata; raise LoginError
    where there are none.
    """
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session:
            metadata = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            async with session.get(metadata) as answer:
                jwks_uri = (await answer.json(content_type=None))["jwks_uri"]
            async with session.get(jwks_uri) as answer:
                return KeySet.import_key_set(await answer.json(content_type=None))
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, JoseError) as error:
        message = f"The signing keys of the issuer '{issuer}' cannot be read."
        raise LoginError("invalid_request", 50013, message, status=401) from error


def unverified_claims(assertion: str) -> Claims:
    """Read an assertion's claims without a check, to know whose it says it is; raise
    LoginError for no JWT.
    """
    try:
        claims = orjson.loads(jws.extract_compact(assertion.encode(), registry=_REGISTRY).payload)
    except (JoseError, ValueError):
        raise LoginError("invalid_client", 50027, "JWT token is invalid or malformed.", 401) from None
    return claims if isinstance(claims, dict) else {}


def check_federated(assertion: str, keys: KeySet, trusted: Iterable[FederatedCredential]) -> None:
    """Check signature, times, issuer, subject and audience; raise LoginError with
    Entra's code.
    """
    try:
        claims = jwt.decode(assertion, keys, algorithms=ALGORITHMS, registry=_REGISTRY).claims
    except (JoseError, ValueError):
        raise LoginError("invalid_client", 50013, "Assertion failed signature validation.", 401) from None
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or expires <= time.time():
        raise LoginError(
            "invalid_client", 700024, "Client assertion is not within its valid time range.", 401
        )
    candidates = [known for known in trusted if known.issuer == claims.get("iss")]
    for code, name, given in (
        (700211, "issuer", claims.get("iss")),
        (700213, "subject", claims.get("sub")),
        (700212, "audience", claims.get("aud")),
    ):
        candidates = [known for known in candidates if getattr(known, name) == given]
        if not candidates:
            message = f"No matching federated identity record found for presented assertion {name} '{given}'."
            raise LoginError("invalid_client", code, message, 401)


_REGISTRY = jws.JWSRegistry(algorithms=ALGORITHMS)
_REGISTRY.max_header_length = 64 * 1024
