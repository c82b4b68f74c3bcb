"""Bringing a database to the schema of this version, and telling whether it is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from store.engine import postgresql, sqlite
from store.engine.base import NOT_MIGRATED, while_connecting
from store.engine.sqlite_connection import WritingConnection
from store.engine.urls import parse_url
from store.errors import SchemaOutOfDate

_SCRIPTS = Path(__file__).parent


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    return config


@cache
def head() -> str:
    """Gives the newest revision this version knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None, "the package ships its migrations"
    return found


def check_schema(connection: Connection) -> None:
    """Raises `SchemaOutOfDate` unless the database is at this version's revision."""
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None or current < head():
        raise SchemaOutOfDate(NOT_MIGRATED)
    if current > head():
        raise SchemaOutOfDate(
            f"the database is at revision {current}, newer than this version of Leaver knows ({head()}): "
            "start the newer Leaver"
        )


def _upgrade_on(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _open_engine(url: URL) -> AsyncEngine:
    if url.drivername.startswith("sqlite"):
        return sqlite.open_engine(url, WritingConnection)
    return postgresql.open_engine(url, pool_size=1)


async def upgrade(url: str) -> str:
    """Applies what is missing, in one transaction, and gives the revision reached. Twice does nothing the second time."""
    engine = _open_engine(parse_url(url))
    try:
        with while_connecting():
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade_on)
    finally:
        await engine.dispose()
    return head()


async def check(url: str) -> str:
    """Gives the revision of an up-to-date database; raises `SchemaOutOfDate` otherwise."""
    engine = _open_engine(parse_url(url))
    try:
        with while_connecting():
            async with engine.connect() as connection:
                await connection.run_sync(check_schema)
    finally:
        await engine.dispose()
    return head()
