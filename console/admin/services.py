"""What every use case is given: the settings and the open database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from config.keys import Sealer
from config.settings import Settings
from console.admin.errors import SecretKeyMissing
from store.database import Database, open_database


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
