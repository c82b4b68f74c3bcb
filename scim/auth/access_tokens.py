"""Sign and read the access tokens of /oauth/token, and refuse API tokens that must not
be used; each refusal says what to do (design.md §6).

Access tokens are short-lived, and valid only as long as the API token they were issued
for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey
from scim2_models import ForbiddenException, UnauthorizedException

from config.keys import DerivedKey
from scim.http.connections import is_among
from store.records import ApiToken, TenantId, TokenId

_ALGORITHM = "HS256"
_AUDIENCE = "scim"


class AccessTokens:
    """Sign with the first key, and read what any of the keys signed (`kid`).

    Every process of an installation derives the keys from the same secret keys.
    """

    def __init__(self, keys: Sequence[DerivedKey], clock: Callable[[], float] = time.time) -> None:
        self._keys = KeySet([OctKey.import_key(each.key, {"kid": each.id}) for each in keys])
        self._clock = clock

    def issue(self, token: ApiToken, lifetime_s: int) -> tuple[str, int]:
        """Return an access token and its lifetime in seconds.

        It never outlives the API token it is issued for.
        """
        now = int(self._clock())
        if token.expires_at is not None:
            lifetime_s = min(lifetime_s, int(token.expires_at.timestamp()) - now)
        claims = {
            "sub": token.id,
            "tid": token.tenant_id,
            "aud": _AUDIENCE,
            "iat": now,
            "exp": now + lifetime_s,
        }
        key = self._keys.keys[0]
        return jwt.encode({"alg": _ALGORITHM, "kid": key.kid}, claims, key), lifetime_s

    def read(self, access_token: str) -> tuple[TenantId, TokenId]:
        """Return the API token that an access token was issued for.

        Raises scim2_models.UnauthorizedException for one that is expired or not ours.
        """
        try:
            claims: dict[str, Any] = jwt.decode(access_token, self._keys, algorithms=[_ALGORITHM]).claims
            registry = jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock()),
                aud={"essential": True, "value": _AUDIENCE},
                exp={"essential": True},
                sub={"essential": True},
                tid={"essential": True},
            )
            registry.validate(claims)
        except (JoseError, ValueError, RecursionError) as error:
            raise UnauthorizedException(
                detail="This access token is not valid, or has expired: get a new one from /oauth/token. (Where the "
                "Secret Token in Entra is empty, Entra sends a token of its own: paste an API token there.)"
            ) from error
        return TenantId(claims["tid"]), TokenId(claims["sub"])


def looks_like_access_token(secret: str) -> bool:
    """Whether a bearer token is a JWT, and not an API token."""
    return secret.count(".") == 2


def require_usable(token: ApiToken) -> None:
    """Raise scim2_models.ForbiddenException for a token that is revoked, expired or
    suspended.
    """
    now = datetime.now(UTC)
    if token.revoked_at is not None:
        why = "was revoked"
    elif token.expires_at is not None and token.expires_at <= now:
        why = f"expired on {token.expires_at:%Y-%m-%d}"
    elif token.suspended_at is not None:
        raise ForbiddenException(
            detail=f"The API token '{token.name}' is suspended. Let it in again with: leaver token resume {token.id}; "
            "or make a new one and paste it into Entra's Secret Token."
        )
    else:
        return
    raise ForbiddenException(
        detail=f"The API token '{token.name}' {why}. Make a new one and paste it into Entra's Secret Token."
    )


def require_own_base(token: ApiToken, connection_id: str | None) -> None:
    """Raise scim2_models.ForbiddenException at the base URL of another connection."""
    if connection_id is not None and connection_id != token.connection_id:
        raise ForbiddenException(
            detail="This API token belongs to another connection. Use its own tenant URL, "
            "/api/scim/v2 or /v1/admin/scim/" + token.connection_id + ", or make a token for this connection."
        )


def require_allowed_address(token: ApiToken, address: str | None) -> None:
    """Raise scim2_models.ForbiddenException where a token is not used from one of its
    addresses.
    """
    if not token.allowed_addresses:
        return
    if is_among(address, (ip_network(each, strict=False) for each in token.allowed_addresses)):
        return
    raise ForbiddenException(
        detail=f"The API token '{token.name}' may not be used from this address, {address}. Allow it with: "
        f"leaver token allow {token.id} …"
    )
