"""Copy a SQLite database while it is used, and put a copy in its place."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import create_engine, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.database import (
    BUSY_TIMEOUT_S,
    create_private_file,
    error_in_our_words,
    jobs_path,
    open_database,
    sqlite_path,
)
from store.engine.urls import parse_url
from store.errors import StoreError, WrongDatabase
from store.logs import audit_log
from store.migrations import upgrade

_CONTENT = """
    SELECT (SELECT count(*) FROM tenants WHERE deleted_at IS NULL),
           (SELECT count(*) FROM connections WHERE deleted_at IS NULL),
           (SELECT count(*) FROM users WHERE active AND deleted_at IS NULL),
           (SELECT max(at) FROM provisioning_log)
"""
_SIDE_FILES = ("-wal", "-shm", "-journal")


class DatabaseInUse(StoreError):
    """Another process has the database open."""


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file of a backup."""

    path: Path
    size_bytes: int


async def back_up(url: str, target: Path) -> list[CopiedFile]:
    """Copy the database to `target`, and the database of the jobs beside it.

    Each is one moment of it, whole, checked, and readable by its user alone; writers go
    on. Raises `StoreError`, and then leaves no file.
    """
    pairs = [(sqlite_path(url), target), (jobs_path(url), jobs_beside(target))]
    copied = [await asyncio.to_thread(_copy, *pair) for pair in pairs if pair[0].exists()]
    if not copied or copied[0].path != target:
        raise WrongDatabase(f"there is no database at {sqlite_path(url)}")
    return copied


def jobs_beside(database: Path) -> Path:
    """Return the file of the jobs that belongs to a database or to its backup."""
    return database.with_name(database.name + ".jobs")


@dataclass(frozen=True, slots=True)
class BackupContent:
    """What a database file holds, for a person who is about to replace one by it."""

    tenants: int
    connections: int
    active_users: int
    newest_entry: str | None
    """When the last entry of its provisioning log was written (UTC)."""


async def check_backup(source: Path) -> BackupContent:
    """Return what a backup holds.

    Raises `StoreError` unless it is a whole database of a known schema.
    """
    return await asyncio.to_thread(_check, source)


def _check(source: Path) -> BackupContent:
    _check_whole(source)
    engine = create_engine(f"sqlite:///{source}")
    try:
        with engine.connect() as connection:
            upgrade.check_upgradable(connection)
            return BackupContent(*connection.execute(text(_CONTENT)).one())
    finally:
        engine.dispose()


async def restore(url: str, source: Path, actor: str, now: datetime) -> int:
    """Put a checked backup in the place of the database, and return its connections.

    It is upgraded to this version's schema first. Raises `DatabaseInUse` while a
    process has the database open, `StoreError`; the database is then as it was.
    """
    target = sqlite_path(url)
    waiting = target.with_name(target.name + ".restoring")
    waiting_url = parse_url(url).set(database=str(waiting)).render_as_string(hide_password=False)
    try:
        await asyncio.to_thread(_copy, source, waiting)
        await upgrade.upgrade(waiting_url)
        marked = await _mark(waiting_url, actor, now)
        await asyncio.to_thread(_take_the_place, target, waiting, jobs_beside(source))
    finally:
        for suffix in ("", *_SIDE_FILES):
            waiting.with_name(waiting.name + suffix).unlink(missing_ok=True)
    return marked


async def _mark(url: str, actor: str, now: datetime) -> int:
    db = await open_database(url)
    try:
        return await db.write(lambda conn: note_restore(conn, actor, now))
    finally:
        await db.close()


async def note_restore(conn: AsyncConnection, actor: str, now: datetime) -> int:
    """Make the next cycle of every connection a full one whose removals are held.

    What was known between the backup and now is lost: who came, who was approved.
    Returns how many connections there are.
    """
    await conn.execute(delete(tables.delta_links))
    changed = await conn.execute(
        update(tables.connections).where(tables.connections.c.deleted_at.is_(None)).values(restored_at=now)
    )
    for tenant_id, name in await conn.execute(
        select(tables.tenants.c.id, tables.tenants.c.name).where(tables.tenants.c.deleted_at.is_(None))
    ):
        await audit_log.record(conn, tenant_id, None, actor, "database.restored", tenant_id, name, {})
    return changed.rowcount


def _copy(source: Path, target: Path) -> CopiedFile:
    if not target.parent.is_dir():
        raise WrongDatabase(f"there is no folder {target.parent}")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        create_private_file(part)
        with (
            closing(sqlite3.connect(source, timeout=BUSY_TIMEOUT_S)) as reading,
            closing(sqlite3.connect(part)) as writing,
        ):
            reading.backup(writing)  # in one step: one moment, and no writer makes it begin again
            writing.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        _check_whole(part)
        _sync(part)
        part.replace(target)
    except (sqlite3.Error, OSError) as error:
        raise _ours(error) from error
    finally:
        part.unlink(missing_ok=True)
    return CopiedFile(target, target.stat().st_size)


def _check_whole(path: Path) -> None:
    if not path.is_file():
        raise WrongDatabase(f"there is no file {path}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise WrongDatabase(f"{path} is no whole SQLite database ({error})") from error
    if found != "ok" or dangling is not None:
        why = found if found != "ok" else f"a row of {dangling[0]} refers to nothing"
        raise WrongDatabase(f"{path} is damaged ({why}): take another backup")


def _take_the_place(target: Path, copy: Path, jobs: Path) -> None:
    """Replace database and jobs, once no other process has them open."""
    targets = [target, jobs_beside(target)]
    try:
        for path in targets:
            _close_log(path)
        for path in targets:
            for suffix in _SIDE_FILES:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        copy.replace(target)
        with suppress(FileNotFoundError):
            targets[1].unlink()  # jobs of another time
        if jobs.exists():
            _copy(jobs, targets[1])
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise _ours(error) from error


def _close_log(path: Path) -> None:
    """End the write-ahead log, which only works where no other connection is open."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise DatabaseInUse(f"{path} is in use: stop every server and worker first") from error
    except sqlite3.DatabaseError:
        return  # what is there is damaged, which is why it is replaced


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _ours(error: Exception) -> Exception:
    return error_in_our_words(error) or error
