"""Back up and restore the database, for an operator of all tenants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from config.settings import Settings
from console.admin.actor import Actor
from console.admin.errors import AllTenantsRequired, BackupExists, NotOnSqlite
from console.admin.services import Services
from store import backup
from store.backup import BackupContent, CopiedFile
from store.database import is_sqlite, libpq_url


async def back_up(settings: Settings, actor: Actor, target: Path) -> Sequence[CopiedFile]:
    """Copy the database and that of the jobs while they are used.

    Raises `BackupExists`, `NotOnSqlite`, `AllTenantsRequired`, `StoreError`.
    """
    _require_operator(actor, "back up the database")
    url = settings.database_url
    if not is_sqlite(url):
        shown = libpq_url(url, with_password=False)
        raise NotOnSqlite(f"pg_dump --format=custom --file={target} --dbname={shown}")
    for path in (target, backup.jobs_beside(target)):
        if path.exists():
            raise BackupExists(str(path))
    return await backup.back_up(url, target)


async def examine_backup(settings: Settings, actor: Actor, source: Path) -> BackupContent:
    """Check that a backup is whole and of a known schema, and return what it holds.

    Raises `NotOnSqlite`, `AllTenantsRequired`, `StoreError`.
    """
    _require_operator(actor, "restore the database")
    _require_sqlite(settings, source)
    return await backup.check_backup(source)


async def restore(settings: Settings, actor: Actor, source: Path) -> int:
    """Put a backup in the place of the database; return the number of connections.

    Their next cycles are full ones and hold all removals. Raises `NotOnSqlite`,
    `AllTenantsRequired`, `store.backup.DatabaseInUse`, `StoreError`.
    """
    await examine_backup(settings, actor, source)
    return await backup.restore(settings.database_url, source, actor.label, datetime.now(UTC))


async def note_restore(services: Services, actor: Actor) -> int:
    """Say that the database was restored by other means (pg_restore); like `restore`.

    Raises `AllTenantsRequired`.
    """
    _require_operator(actor, "say that the database was restored")
    now = datetime.now(UTC)
    return await services.db.write(lambda conn: backup.note_restore(conn, actor.label, now))


def _require_operator(actor: Actor, deed: str) -> None:
    if actor.tenant is not None:
        raise AllTenantsRequired(deed)


def _require_sqlite(settings: Settings, source: Path) -> None:
    if not is_sqlite(settings.database_url):
        shown = libpq_url(settings.database_url, with_password=False)
        raise NotOnSqlite(f"pg_restore --clean --if-exists --dbname={shown} {source}; leaver db restored")
