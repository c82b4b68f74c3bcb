"""API tokens, and the workloads that need no secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from store.records.identifiers import ConnectionId, TenantId, TokenId, UserId


@dataclass(frozen=True, slots=True)
class Federation:
    """A workload: its assertions open a token without a secret (RFC 7523 §2.2)."""

    subject: str
    """`sub`: the object id of Entra's provisioning service in the customer's directory.
    """
    audiences: tuple[str, ...]
    """`aud`: any of these will do."""


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """A token for the admin API over all tenants."""

    id: TokenId
    name: str
    prefix: str
    permissions: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiToken:
    id: TokenId
    tenant_id: TenantId
    connection_id: ConnectionId
    name: str
    prefix: str
    permissions: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    suspended_at: datetime | None = None
    last_used_at: datetime | None = None
    last_used_from: str | None = None
    allowed_addresses: tuple[str, ...] = ()
    user_id: UserId | None = None
    """The user of the token: it reaches no other user (`/Me`)."""
    holder_number: int | None = None
    period: int | None = None
    """Holder and period of access that it was issued for; it is good for no other."""
    replaces_id: TokenId | None = None
    """The token that it was made to replace."""
    federation: Federation | None = None
    """Set for a token whose secret was never shown: assertions of Entra open it."""
