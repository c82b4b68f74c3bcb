"""Access to the console: roles, operators, links that open it, and its sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from store.records.identifiers import ConnectionId, TenantId


class Role(StrEnum):
    """What a person may do in the console."""

    OPERATOR = "operator"
    """Everything, over all tenants."""
    ADMIN = "admin"
    """Everything of one tenant."""
    VIEWER = "viewer"
    """Reads, and changes nothing."""
    SETUP = "setup"
    """Connects one directory, by a setup link."""


class LinkKind(StrEnum):
    """The one thing that a link opens."""

    SIGN_IN = "sign_in"
    SETUP = "setup"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class ConsoleOperator:
    """A person who enters the console by an invitation; without a tenant, over all."""

    id: str
    tenant_id: TenantId | None
    name: str
    role: Role
    created_at: datetime
    created_by: str
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessLink:
    """A link without its secret, which is shown once."""

    id: str
    kind: LinkKind
    tenant_id: TenantId | None
    connection_id: ConnectionId | None
    operator_id: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime
    frame_ancestors: tuple[str, ...] = ()
    """Origins whose pages may show a status page in a frame."""
    may_sync: bool = False
    used_at: datetime | None = None
    used_from: str | None = None
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Return whether the link is neither revoked nor over."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """The session of a browser that opened a link, and the person behind it."""

    id: str
    link_id: str
    role: Role
    name: str
    tenant_id: TenantId | None
    connection_id: ConnectionId | None
    operator_id: str | None
    created_at: datetime
    expires_at: datetime
    idle_until: datetime
    last_seen_at: datetime
