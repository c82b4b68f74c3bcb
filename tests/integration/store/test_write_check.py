"""A write is tried, because a database that answers queries may take none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from store.database import Database, error_in_our_words, jobs_path, libpq_url, open_database, sqlite_path
from store.errors import DatabaseBusy, DiskFull, WrongDatabase
from store.migrations.upgrade import upgrade
from store.write_check import check_jobs_write, check_write
from tests.builders.small_disk import small_disk_at

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql+asyncpg"], indirect=True)


async def test_a_write_is_taken_and_changes_no_table(database: Database, database_url: str) -> None:
    """`/readyz` and `doctor` may do it as often as they are asked."""
    for _ in range(2):
        free = await check_write(database, database_url)
    assert (free is None) == (database.dialect == "postgresql")


@on_sqlite
async def test_a_file_that_another_process_holds_is_busy(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.write_check.TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(sqlite_path(database_url), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy, match="did not come to its end"):
            await check_write(database, database_url)


@on_postgresql
async def test_a_server_that_is_read_only_is_told(database: Database, database_url: str) -> None:
    """A standby answers every query of a readiness check, and no push."""
    with psycopg.connect(libpq_url(database_url), autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
        try:
            database = await open_database(database_url)
            with pytest.raises(WrongDatabase, match="takes no writes"):
                await check_write(database, database_url)
            await database.close()
        finally:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'.encode())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "disk", megabytes=10) as disk:
        yield disk


async def test_a_disk_that_is_nearly_full_is_told_before_a_push_meets_it(disk: Path) -> None:
    """issue 10, E: "`doctor` and `/readyz` try a write and look at free space"."""
    url = f"sqlite+aiosqlite:///{disk}/leaver.db"
    await upgrade(url)
    database = await open_database(url)
    with closing(sqlite3.connect(jobs_path(url))) as jobs:
        jobs.execute("CREATE TABLE jobs (id)")
    try:
        (disk / "some").write_bytes(bytes(2 * 1024**2))
        with pytest.raises(DiskFull, match="MB left"):
            await check_write(database, url)
        await check_jobs_write(url)
        _fill(disk / "filler")
        with pytest.raises(DiskFull, match="is full"):
            await check_write(database, url)
        with pytest.raises(DiskFull, match=r"leaver\.db\.jobs: the disk"):
            await check_jobs_write(url)
    finally:
        await database.close()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


def test_a_file_that_is_read_only_for_this_user_is_told_so(tmp_path: Path) -> None:
    """first-days: "database read-only for this user": one plain line, never a defect."""
    path = tmp_path / "leaver.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (x)")
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as readonly,
        pytest.raises(sqlite3.OperationalError) as refused,
    ):
        readonly.execute("INSERT INTO t VALUES (1)")
    told = error_in_our_words(refused.value)
    assert isinstance(told, WrongDatabase)
    assert "read-only for this user" in str(told)


async def test_without_a_file_of_jobs_there_is_nothing_to_write(tmp_path: Path) -> None:
    """No worker has run yet; looking must not make a file that looks like one."""
    await check_jobs_write(f"sqlite+aiosqlite:///{tmp_path}/leaver.db")
    assert not jobs_path(f"sqlite+aiosqlite:///{tmp_path}/leaver.db").exists()
