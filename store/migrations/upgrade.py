"""Upgrade a database to this version's schema, and check whether it has it."""

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
from store.engine.urls import is_sqlite, parse_url, sqlite_path
from store.errors import SchemaOutOfDate

RELEASED = "v"
"""First letter of every released revision. Development revisions were bare numbers."""

_SCRIPTS = Path(__file__).parent


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


@cache
def head() -> str:
    """Return the newest revision that this version knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None, "the package ships its migrations"
    return found


def check_schema(connection: Connection) -> None:
    """Raise `SchemaOutOfDate` unless the database is at this version's revision."""
    current = _known_revision(connection)
    if current is None or current < head():
        raise SchemaOutOfDate(NOT_MIGRATED)


def _known_revision(connection: Connection) -> str | None:
    """Return the database's revision, or None where it has no schema.

    Raises `SchemaOutOfDate` for a revision that this version cannot upgrade: one that
    no release had, or one of a newer release.
    """
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        return None
    if not current.startswith(RELEASED):
        raise SchemaOutOfDate(
            f"the database is at revision {current}, which only unreleased development versions of Leaver "
            "had, and cannot be upgraded: move the file away, or name a new database in "
            "LEAVER_DATABASE_URL, then run `leaver db upgrade`"
        )
    if current > head():
        raise SchemaOutOfDate(
            f"the database is at revision {current}, newer than this version of Leaver knows ({head()}): "
            "start the newer Leaver"
        )
    return current


def check_upgradable(connection: Connection) -> None:
    """Raise `SchemaOutOfDate` for a database without a schema, or with one that this
    version cannot upgrade.
    """
    if _known_revision(connection) is None:
        raise SchemaOutOfDate("this database has no schema of Leaver")


def _upgrade_on(connection: Connection) -> None:
    _known_revision(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _open_engine(url: URL) -> AsyncEngine:
    if url.drivername.startswith("sqlite"):
        return sqlite.open_engine(url, WritingConnection)
    return postgresql.open_engine(url, pool_size=1)


async def upgrade(url: str) -> str:
    """Apply the missing migrations in one transaction and return the revision reached.

    Raises `SchemaOutOfDate` for a database that this version cannot upgrade. A second
    call changes nothing.
    """
    if is_sqlite(url):
        sqlite.create_private_file(sqlite_path(url))
    engine = _open_engine(parse_url(url))
    try:
        with while_connecting():
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade_on)
    finally:
        await engine.dispose()
    return head()


async def check(url: str) -> str:
    """Return the revision of an up-to-date database, else raise `SchemaOutOfDate`."""
    engine = _open_engine(parse_url(url))
    try:
        with while_connecting():
            async with engine.connect() as connection:
                await connection.run_sync(check_schema)
    finally:
        await engine.dispose()
    return head()
