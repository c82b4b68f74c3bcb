"""What one command works with: settings and an open database, made in one place and closed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from config.logging import configure_logging
from config.sealing import Sealer
from config.settings import LogLevel, Settings, load_settings
from console.errors import CommandError
from store.database import Database, open_database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """Settings and the door to the database."""

    settings: Settings
    db: Database

    def sealer(self) -> Sealer:
        """Gives the sealer of stored credentials; raises `CommandError` where no secret key is set."""
        return make_sealer(self.settings)


def make_sealer(settings: Settings) -> Sealer:
    """Gives the sealer of the configured keys; raises `CommandError` where there is none."""
    if not settings.secret_key:
        raise CommandError(
            "cannot store or read a credential",
            "LEAVER_SECRET_KEY is not set, and credentials are only kept sealed",
            "Set it to a long random value, for example from: openssl rand -base64 32",
        )
    return Sealer([key.get_secret_value() for key in settings.secret_key])


def quiet(settings: Settings) -> Settings:
    """The same settings for a command that a person reads: only what is broken is logged."""
    return settings.model_copy(update={"log_level": LogLevel.ERROR})


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Opens the database and closes it again.

    Raises `store.errors.WrongDatabase`, `DatabaseUnreachable`, `SchemaOutOfDate`.
    """
    db = await open_database(settings.database_url)
    try:
        yield Services(settings, db)
    finally:
        await db.close()


def run(work: Callable[[Services], Awaitable[T]]) -> T:
    """Runs one command's work to its end, without logs unless they were asked for.

    A command's outcome is what it prints; the log of the same would stand between its lines.
    """
    settings = load_settings()
    configure_logging(settings if "log_level" in settings.model_fields_set else quiet(settings))

    async def opened() -> T:
        async with open_services(settings) as services:
            return await work(services)

    return asyncio.run(opened())
