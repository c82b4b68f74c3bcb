"""Fixtures of databases: a test that asks for `database` runs on SQLite and on a real PostgreSQL.

A conftest.py imports the fixtures that its folder uses.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from store.database import Database, open_database
from tests.databases.parameters import ASYNCPG, SQLITE
from tests.databases.postgres_server import running_postgres
from tests.databases.templates import (
    copied_postgres_template,
    copy_sqlite_template,
    make_postgres_template,
    make_sqlite_template,
)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL that this test run started, with a migrated template database."""
    with running_postgres() as url:
        make_postgres_template(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file to copy."""
    return make_sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(params=[SQLITE, ASYNCPG])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of an empty, migrated database, once on SQLite and once on PostgreSQL."""
    if request.param.startswith("sqlite"):
        yield copy_sqlite_template(request.getfixturevalue("sqlite_template"), tmp_path / "leaver.db")
        return
    with copied_postgres_template(
        request.getfixturevalue("postgres_server"), f"leaver_{next(_numbers)}"
    ) as url:
        yield url.replace("postgresql+asyncpg", request.param)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Yield an open, empty, migrated database, once on SQLite and once on PostgreSQL."""
    opened = await open_database(database_url)
    yield opened
    await opened.close()
