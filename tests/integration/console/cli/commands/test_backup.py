"""Backup and restore, as an operator types them while the service runs."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from store import backup
from store.database import jobs_path, open_database, sqlite_path
from store.records import Connection
from store.tenancy import connections
from tests.builders.console_shell import Shell
from tests.builders.store_rows import create_user

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql+asyncpg"], indirect=True)


@contextmanager
def in_use(url: str) -> Iterator[None]:
    """Another process that has written and keeps the database open: the log holds what it wrote."""
    with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as service:
        service.execute("PRAGMA wal_autocheckpoint=0")
        service.execute("UPDATE tenants SET name = 'Written meanwhile'")
        yield


@on_sqlite
def test_a_backup_of_a_running_service_is_whole_and_private(
    shell: Shell, connection: Connection, tmp_path: Path
) -> None:
    """first-days: a copy of the file alone "holds 0 users after 25 minutes"; the jobs are copied with it."""
    with closing(sqlite3.connect(jobs_path(shell.url))) as jobs:
        jobs.execute("CREATE TABLE jobs (id)")
    target = tmp_path / "copy.db"
    with in_use(shell.url):
        done = shell.json("db", "backup", str(target))
    assert [file["path"] for file in done["files"]] == [str(target), f"{target}.jobs"]
    for name in ("copy.db", "copy.db.jobs"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("copy")) == [
        "copy.db",
        "copy.db.jobs",
    ]
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT name FROM tenants").fetchall() == [("Written meanwhile",)]
        assert copy.execute("SELECT id FROM connections").fetchall() == [(connection.id,)]


@on_sqlite
def test_a_backup_overwrites_nothing(shell: Shell, connection: Connection, tmp_path: Path) -> None:
    """The backup of yesterday is worth more than a mistyped name."""
    (tmp_path / "copy.db").write_text("yesterday's")
    assert "overwrites none" in shell.refused("db", "backup", str(tmp_path / "copy.db"), status=2)
    assert (tmp_path / "copy.db").read_text() == "yesterday's"
    refused = shell.refused("db", "backup", str(tmp_path / "nowhere" / "copy.db"), status=1)
    assert "nowhere" in refused
    assert "defect" not in refused


@on_sqlite
def test_a_restore_shows_what_it_holds_and_brings_it_back(
    shell: Shell, connection: Connection, tmp_path: Path
) -> None:
    """first-days: "the first cycle after a restore is held"; nothing is replaced without a yes."""
    target = tmp_path / "copy.db"
    shell.json("db", "backup", str(target))
    shell.json("tenant", "create", "Came later")
    asked = shell.refused("db", "restore", str(target), status=2)
    assert "1 tenant, 1 connection and 0 active users" in asked
    assert len(shell.json("tenant", "list")["items"]) == 2

    with in_use(shell.url):
        assert "stop every server and worker" in shell.refused(
            "db", "restore", str(target), "--yes", status=1
        )
    assert len(shell.json("tenant", "list")["items"]) == 2

    assert shell.json("db", "restore", str(target), "--yes") == {"restored": True, "connections_held": 1}
    assert [tenant["name"] for tenant in shell.json("tenant", "list")["items"]] == ["Fabrikam"]
    assert shell.store(lambda conn: connections.find(conn, connection.id)).restored_at is not None
    assert shell.json("tenant", "audit", "fabrikam")["items"][0]["action"] == "database.restored"
    assert stat.S_IMODE(sqlite_path(shell.url).stat().st_mode) == 0o600


@on_sqlite
def test_what_is_no_backup_of_this_version_replaces_nothing(
    shell: Shell, connection: Connection, tmp_path: Path
) -> None:
    """Damaged, foreign or of a newer Leaver: told before anything is touched."""
    good, text, foreign, newer = (
        tmp_path / name for name in ("good.db", "text.db", "foreign.db", "newer.db")
    )
    shell.json("db", "backup", str(good))
    text.write_text("no database")
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE t (x)")
    newer.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(newer)) as other:
        other.execute("UPDATE alembic_version SET version_num = 'v9999'")
        other.commit()
    damaged = tmp_path / "damaged.db"
    content = bytearray(good.read_bytes())
    content[8192:16384] = bytes(8192)
    damaged.write_bytes(content)
    for file, why in (
        (text, "no whole SQLite database"),
        (foreign, "no schema of Leaver"),
        (newer, "newer than this version"),
        (damaged, "damaged"),
        (tmp_path / "none.db", "there is no file"),
    ):
        refused = shell.refused("db", "restore", str(file), "--yes", status=1)
        assert why in refused
        assert "defect" not in refused
    assert shell.json("connection", "list")["items"][0]["id"] == connection.id


@on_postgresql
def test_postgresql_has_programs_of_its_own_and_the_line_says_what_to_type(
    shell: Shell, tmp_path: Path
) -> None:
    """The password of the URL is not printed."""
    said = shell.refused("db", "backup", str(tmp_path / "copy.dump"), status=1)
    assert "pg_dump --format=custom --file=" in said
    assert "--dbname=postgresql://" in said
    assert "pg_restore --clean" in shell.refused("db", "restore", str(tmp_path / "copy.dump"), status=1)


def test_a_restore_by_other_means_is_said(shell: Shell, connection: Connection) -> None:
    """After pg_restore nothing in the database tells that it was restored."""
    assert shell.json("db", "restored") == {"restored": True, "connections_held": 1}
    assert shell.store(lambda conn: connections.find(conn, connection.id)).restored_at is not None


@on_sqlite
def test_a_clean_stop_leaves_nothing_in_the_log_beside_the_file(shell: Shell, connection: Connection) -> None:
    """first-days: "a checkpoint at a clean stop": then the file alone is the database."""

    async def served() -> None:
        database = await open_database(shell.url)
        await create_user(database, connection, "ada")
        await database.close()

    path = sqlite_path(shell.url)
    with closing(sqlite3.connect(path)) as other:  # another process: the last one to leave would end the log
        other.execute("SELECT count(*) FROM users").fetchone()
        asyncio.run(served())
        alone = path.with_name("alone.db")
        alone.write_bytes(path.read_bytes())
    assert asyncio.run(backup.check_backup(alone)).active_users == 1
