"""Where the locks of workers are, by database URL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from store.database import jobs_database_url, libpq_url, sqlite_path
from store.errors import WrongDatabase
from worker.locks import worker_presence


@pytest.mark.parametrize(
    ("url", "libpq"),
    [
        ("postgresql+asyncpg://u:p@h:1/d", "postgresql://u:p@h:1/d"),
        ("postgresql+psycopg://u:p@h:1/d?sslmode=require", "postgresql://u:p@h:1/d?sslmode=require"),
        ("postgresql+asyncpg://u:p@h:1/d?ssl=verify-full", "postgresql://u:p@h:1/d?sslmode=verify-full"),
    ],
)
def test_the_same_database_for_psycopg(url: str, libpq: str) -> None:
    """`postgresql+asyncpg://` or `postgresql+psycopg://`; asyncpg calls `sslmode` by another name."""
    assert libpq_url(url) == libpq


def test_a_database_in_memory_has_no_worker() -> None:
    """No other process could share it; the message says what to use."""
    with pytest.raises(WrongDatabase, match=r"leaver\.db"):
        sqlite_path("sqlite+aiosqlite:///:memory:")


def test_jobs_are_kept_beside_the_database() -> None:
    """DBOS has a file of its own on SQLite, and a schema of its own on PostgreSQL."""
    assert jobs_database_url("sqlite+aiosqlite:////var/leaver.db") == "sqlite:////var/leaver.db.jobs"
    assert jobs_database_url("postgresql+asyncpg://u:p@h/d") == "postgresql+psycopg://u:p@h/d"


def test_asking_whether_a_worker_lives_leaves_nothing_behind(tmp_path: Path) -> None:
    """A database on which no worker ever ran: the question makes no file."""
    url = f"sqlite+aiosqlite:///{tmp_path}/leaver.db"
    assert not asyncio.run(worker_presence.is_worker_alive(url))
    assert list(tmp_path.iterdir()) == []
