"""Verify the whole ID token, for Entra and for every other provider alike.

msal 1.38 and newer leaves all but the nonce to the application (its pull request 943).
OpenID Connect Core 1.0 §3.1.3.7 and Microsoft's "Validate tokens" say what to check.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError

from scim.auth.jwks import SigningKeys

ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
]
"""Asymmetric ones only: never `none`, never a secret that both sides hold."""
LEEWAY_S = 60
"""How far two clocks may be apart."""
LONGEST_BYTES = 64 * 1024
_REGISTRY = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_REGISTRY.max_payload_length = LONGEST_BYTES


@dataclass(frozen=True, slots=True)
class ExpectedIssuer:
    """What a token of one connection's provider has to say."""

    issuer: str
    client_id: str
    keys_url: str
    directory_id: str | None = None
    """The Entra directory (`tid`); None for another provider, which has none."""
    link_claim: str | None = None
    """The one claim that links a person at the first sign-in."""


@dataclass(frozen=True, slots=True)
class IdentityClaims:
    """The person that a verified token is about."""

    issuer: str
    subject: str
    directory_id: str | None
    object_id: str | None
    """`oid`: with `tid` the identity of a person in Entra. E-mail, UPN and name are
    given to others, so they are not even read.
    """
    session_id: str | None
    """`sid`: the provider's own session."""
    link_value: str | None = None
    """What the chosen claim says."""


class TokenRefused(Exception):
    """A token is not accepted; the message says which check failed."""


class ForeignDirectory(TokenRefused):
    """A good token of another directory: the person has the wrong account."""


async def verify_id_token(
    text: str,
    expected: ExpectedIssuer,
    nonce: str,
    keys: SigningKeys,
    clock: Callable[[], float] = time.time,
) -> IdentityClaims:
    """Return the identity in an ID token after every check.

    Raises `TokenRefused`, and scim.errors.NotNow while the keys cannot be read.
    """
    claims = await _signed_claims(text, expected, keys, types=(None, "JWT"))
    _check_issuer(claims, expected)
    _check_audience(claims, expected.client_id)
    _check_times(claims, clock)
    given = claims.get("nonce")
    if not isinstance(given, str) or not secrets.compare_digest(given.encode(), nonce.encode()):
        raise TokenRefused("its nonce is not the one that was sent")
    if expected.directory_id is not None and claims.get("ver", "2.0") != "2.0":
        raise TokenRefused("it is not a token of version 2.0")
    return _identity(claims, expected)


async def verify_logout_token(
    text: str, expected: ExpectedIssuer, keys: SigningKeys, clock: Callable[[], float] = time.time
) -> Mapping[str, Any]:
    """Return the claims of a logout token (OpenID Connect Back-Channel Logout §2.6).

    Raises `TokenRefused`, and scim.errors.NotNow while the keys cannot be read.
    """
    claims = await _signed_claims(text, expected, keys, types=(None, "JWT", "logout+jwt"))
    if claims.get("iss") != expected.issuer:
        raise TokenRefused("its issuer is not the one of this connection")
    _check_audience(claims, expected.client_id)
    _check_times(claims, clock)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise TokenRefused("it does not carry the logout event")
    if "nonce" in claims:
        raise TokenRefused("it has a nonce, which an ID token has and a logout token must not")
    if not any(isinstance(claims.get(name), str) for name in ("sid", "sub")):
        raise TokenRefused("it names neither a session nor a subject")
    if not isinstance(claims.get("jti"), str) or not 0 < len(claims["jti"]) <= _LONGEST_ID:
        raise TokenRefused("it has no id, by which a second use would be known")
    if clock() - claims["iat"] > LOGOUT_AGE_S:
        raise TokenRefused("it is too old")
    return claims


LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_AGE_S = 300
_LONGEST_ID = 255


async def _signed_claims(
    text: str, expected: ExpectedIssuer, keys: SigningKeys, types: tuple[str | None, ...]
) -> Mapping[str, Any]:
    if len(text) > LONGEST_BYTES:
        raise TokenRefused("it is too long")
    try:
        header = jws.extract_compact(text.encode(), registry=_REGISTRY).headers()
    except (JoseError, ValueError) as error:
        raise TokenRefused("it is not a signed JWT") from error
    if header.get("alg") not in ALGORITHMS:
        raise TokenRefused("it is not signed with an asymmetric key")
    if header.get("typ") not in types or "crit" in header:
        raise TokenRefused("it is a token of another kind")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise TokenRefused("it does not say which key signed it")
    key = await keys.find(expected.keys_url, expected.issuer, key_id)
    if key is None:
        raise TokenRefused("it is signed with a key that the provider does not publish")
    try:
        claims = jwt.decode(text, key, registry=_REGISTRY).claims
    except (JoseError, ValueError) as error:
        raise TokenRefused("its signature is not good") from error
    if not isinstance(claims, dict):
        raise TokenRefused("it carries no claims")
    return claims


def _check_issuer(claims: Mapping[str, Any], expected: ExpectedIssuer) -> None:
    directory = claims.get("tid")
    if expected.directory_id is not None and isinstance(directory, str):
        of_directory = expected.issuer.replace(expected.directory_id, directory.lower())
        is_foreign = directory.lower() != expected.directory_id and claims.get("iss") == of_directory
        if is_foreign:
            raise ForeignDirectory("it is of another directory")
    if claims.get("iss") != expected.issuer:
        raise TokenRefused("its issuer is not the one of this connection")
    if expected.directory_id is not None and directory != expected.directory_id:
        raise TokenRefused("its directory is not the one of this connection")


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    """Check that the token is for this client, and was given to no other."""
    given = claims.get("aud")
    audiences = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    if client_id not in audiences:
        raise TokenRefused("its audience is another application")
    party = claims.get("azp")
    if (len(audiences) > 1 or party is not None) and party != client_id:
        raise TokenRefused("it was given to another application")


def _check_times(claims: Mapping[str, Any], clock: Callable[[], float]) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=lambda: int(clock()), leeway=LEEWAY_S, exp={"essential": True}, iat={"essential": True}
    )
    try:
        registry.validate({name: claims[name] for name in ("exp", "nbf", "iat") if name in claims})
    except ClaimError as error:
        raise TokenRefused("it has expired, or is not valid yet: compare the clocks") from error


def _identity(claims: Mapping[str, Any], expected: ExpectedIssuer) -> IdentityClaims:
    subject, object_id, session_id = claims.get("sub"), claims.get("oid"), claims.get("sid")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_ID:
        raise TokenRefused("it names no subject")
    if expected.directory_id is not None and not isinstance(object_id, str):
        raise TokenRefused("it names no object id: the scope 'profile' brings it")
    return IdentityClaims(
        expected.issuer,
        subject,
        expected.directory_id,
        object_id.lower() if isinstance(object_id, str) else None,
        session_id if isinstance(session_id, str) and len(session_id) <= _LONGEST_ID else None,
        _link_value(claims, expected),
    )


def _link_value(claims: Mapping[str, Any], expected: ExpectedIssuer) -> str | None:
    value = claims.get(expected.link_claim) if expected.link_claim else None
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_ID else None
