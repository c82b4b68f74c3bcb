"""Check the assertions of workload identity federation (RFC 7523 §2.2).

Entra sends an assertion that it signed itself instead of a secret. The source for its
claims is `AzureAD/SCIMReferenceCode`, "Workload Identity Federation for SCIM
Provisioning" (June 2026). Microsoft's page and captures differ: `aud` is `api://{id}`,
`api://{id}/.default` or the bare id, so each token has a set of audiences. There is no
`jti`; `uti` is unique.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from scim2_models import UnauthorizedException

from scim.auth.jwks import LEAST_KEY_BITS, SigningKeys
from store.records import ApiToken, Connection

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LEEWAY_S = 60
"""How far two clocks may be apart."""
_ALGORITHMS = ["RS256"]
"""The only algorithm Entra signs with.

An allow-list, since `none` and HMAC with a public key are the classic forgeries.
"""
_LONGEST_UTI = 200
LONGEST_LIFE_S = 86_400
"""Entra's assertions live some 65 minutes; one of a day is none of its own."""
_LATEST_TIME = 2**33
"""In seconds since 1970; what is later is a mistake or an attack."""
_REGISTRY = jws.JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion with a valid signature, issuer and times."""

    subject: str
    audiences: tuple[str, ...]
    uti: str
    ends_at: datetime
    """The moment from which it is not accepted."""


def issuer_of(connection: Connection) -> str:
    """Return the issuer for a connection: its login authority and its directory.

    Raises scim2_models.UnauthorizedException where the directory is not known.
    """
    if not connection.entra_tenant_id:
        raise _refused(
            "this connection does not know its directory: leaver connection set "
            f"{connection.id} --entra-tenant-id …"
        )
    return f"{connection.login_url}/{connection.entra_tenant_id.lower()}/v2.0"


def keys_url(connection: Connection) -> str:
    """Return where the login authority of a connection publishes the keys of its
    directory.
    """
    return f"{connection.login_url}/{connection.entra_tenant_id}/discovery/v2.0/keys"


async def read_assertion(
    text: str, connection: Connection, keys: SigningKeys, clock: Callable[[], float] = time.time
) -> Assertion:
    """Check the signature, issuer and times of an assertion, but not its audience.

    Raises scim2_models.UnauthorizedException with the reason, and scim.errors.NotNow
    while the keys cannot be read.
    """
    issuer = issuer_of(connection)
    key_id = _key_id(text)
    key = await keys.find(keys_url(connection), issuer, key_id)
    if key is None:
        raise _refused(
            "it is signed with a key that the login authority of this connection does not publish, "
            f"or that has fewer than {LEAST_KEY_BITS} bits"
        )
    try:
        claims: Mapping[str, Any] = jwt.decode(text, key, registry=_REGISTRY).claims
    except (JoseError, ValueError, RecursionError) as error:
        raise _refused("its signature is not good") from error
    if not isinstance(claims, Mapping):
        raise _refused("its claims are no JSON object")
    _check_times(claims, clock)
    if claims.get("iss") != issuer or issuer.split("/")[-2] != claims.get("tid", issuer.split("/")[-2]):
        seen = f"{claims.get('iss')!r:.200}"
        raise _refused(
            f"its issuer is {seen}, and this connection's is {issuer!r}: compare its directory's id"
        )
    return _assertion(claims)


def opened_by(assertion: Assertion, tokens: Sequence[ApiToken]) -> ApiToken:
    """Return the token for the subject and an audience of an assertion, a usable one
    first.

    Raises scim2_models.UnauthorizedException.
    """
    federated = [each for each in tokens if each.federation is not None]
    if not federated:
        raise _refused("no token of this connection is opened by assertions: leaver token create --help")
    ours = [each for each in federated if each.federation and each.federation.subject == assertion.subject]
    if not ours:
        raise _refused(f"its subject is {assertion.subject!r:.200}, for which this connection has no token")
    for_us = [
        each
        for each in ours
        if each.federation and not set(assertion.audiences).isdisjoint(each.federation.audiences)
    ]
    if not for_us:
        seen = ", ".join(assertion.audiences)
        raise _refused(
            f"its audience is {seen!r:.200}, which is not among those of the token '{ours[0].name}'"
        )
    return min(for_us, key=_is_spent)


def _is_spent(token: ApiToken) -> bool:
    has_ended = token.expires_at is not None and token.expires_at <= datetime.now(UTC)
    return has_ended or token.revoked_at is not None or token.suspended_at is not None


def _key_id(text: str) -> str:
    """Read the id of the signing key from the unverified header."""
    try:
        header = jws.extract_compact(text.encode(), registry=_REGISTRY).headers()
    except (JoseError, ValueError, RecursionError) as error:
        raise _refused("it is not a signed JWT") from error
    if header.get("alg") not in _ALGORITHMS:
        raise _refused("it is not signed with RS256")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise _refused("it does not say which key signed it")
    return key_id


def _check_times(claims: Mapping[str, Any], clock: Callable[[], float]) -> None:
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if not all(map(_is_time, times.values())):
        raise _refused("'exp', 'nbf' or 'iat' is no time in seconds since 1970: compare the clocks")
    begins = float(times.get("iat", times.get("nbf", clock())))
    if times.get("exp", 0) - max(begins, clock() - LONGEST_LIFE_S) > LONGEST_LIFE_S:
        raise _refused("it is good for longer than a day")
    registry = jwt.JWTClaimsRegistry(now=lambda: int(clock()), leeway=LEEWAY_S, exp={"essential": True})
    try:
        registry.validate(times)
    except ExpiredTokenError as error:
        raise _refused("it has expired") from error
    except ClaimError as error:
        raise _refused("it is not valid yet, or does not say how long it is: compare the clocks") from error


def _is_time(value: object) -> bool:
    """Whether a claim is a NumericDate (RFC 7519 §2) of this and the next century."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST_TIME


def _assertion(claims: Mapping[str, Any]) -> Assertion:
    audience, uti, subject = claims.get("aud"), claims.get("uti"), claims.get("sub")
    audiences = (
        (audience,) if isinstance(audience, str) else tuple(audience) if isinstance(audience, list) else ()
    )
    if not (isinstance(uti, str) and 0 < len(uti) <= _LONGEST_UTI):
        raise _refused("it has no 'uti', by which a second use would be known")
    if not (isinstance(subject, str) and all(isinstance(each, str) for each in audiences)):
        raise _refused("its subject or audience is not text")
    return Assertion(subject, audiences, uti, datetime.fromtimestamp(claims["exp"] + LEEWAY_S, UTC))


def _refused(why: str) -> UnauthorizedException:
    return UnauthorizedException(detail=f"The assertion is not accepted: {why}.")
