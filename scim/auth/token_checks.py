"""Refuse known tokens that must not be used; each refusal says what to do (design.md
§6).
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

from scim2_models import ForbiddenException

from scim.http.client_address import is_among
from store.records import ApiToken


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
