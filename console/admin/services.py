"""What every use case is given: the settings, the open database, and its actor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from config.keys import Sealer
from config.settings import Settings
from console.admin.errors import SecretKeyMissing
from store.database import Database, open_database
from store.records import TenantId


@dataclass(frozen=True, slots=True)
class Services:
    """Settings and the open database."""

    settings: Settings
    db: Database

    def sealer(self) -> Sealer:
        """Return the sealer of stored credentials. Raises `SecretKeyMissing`."""
        return make_sealer(self.settings)


def make_sealer(settings: Settings) -> Sealer:
    """Return the sealer of the configured keys. Raises `SecretKeyMissing`."""
    if not settings.secret_key:
        raise SecretKeyMissing
    return Sealer([key.get_secret_value() for key in settings.secret_key])


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the database, and close it when the context ends.

    Raises `store.errors.WrongDatabase`, `DatabaseUnreachable`, `SchemaOutOfDate`.
    """
    db = await open_database(settings.database_url)
    try:
        yield Services(settings, db)
    finally:
        await db.close()


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
