"""The actor of a use case: who asks, through which face, and for which tenant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from store.records import TenantId


class ActorKind(StrEnum):
    """The face through which a use case is called."""

    CLI = "cli"
    API = "api"
    WEB = "web"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Actor:
    """The person or program that calls a use case."""

    kind: ActorKind
    name: str
    tenant: TenantId | None = None
    """The only tenant whose rows this actor can find; None for an operator of all
    tenants."""

    @property
    def label(self) -> str:
        """Return the actor as the audit log names it, for example `cli:ada`."""
        return f"{self.kind}:{self.name}"

    def sees(self, tenant_id: TenantId) -> bool:
        """Return whether the rows of this tenant can be found by the actor."""
        return self.tenant is None or self.tenant == tenant_id
