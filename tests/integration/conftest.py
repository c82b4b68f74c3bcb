"""Databases for the tests: every test that asks for `database` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from store.database import Database, open_database
from store.migrations import upgrade
from store.records import Connection
from store.tenancy import connections, tenants
from tests.builders.console_shell import Shell
from tests.databases.postgres_server import admin_connection, running_postgres

_TEMPLATE = "leaver_template"
_numbers = itertools.count(1)

SQLITE = pytest.param("sqlite+aiosqlite", id="sqlite")
ASYNCPG = pytest.param("postgresql+asyncpg", id="postgresql", marks=pytest.mark.postgres)
PSYCOPG = pytest.param("postgresql+psycopg", id="psycopg", marks=pytest.mark.postgres)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL that this test run started, with a migrated template database."""
    with running_postgres() as url:
        with admin_connection(url) as admin:
            admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        asyncio.run(upgrade.upgrade(_with_database(url, _TEMPLATE)))
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(upgrade.upgrade(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(params=[SQLITE, ASYNCPG])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty, migrated database, once on SQLite and once on PostgreSQL."""
    if request.param.startswith("sqlite"):
        path = tmp_path / "leaver.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"leaver_{next(_numbers)}"
    with admin_connection(server) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        yield _with_database(server, name).replace("postgresql+asyncpg", request.param)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty, migrated database, once on SQLite and once on PostgreSQL."""
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def contoso(database: Database) -> Connection:
    """A tenant, Contoso, with one connection."""
    tenant = await database.write(lambda conn: tenants.create(conn, "Contoso"))
    return await database.write(lambda conn: connections.create(conn, tenant.id, "Entra"))


def _with_database(url: str, name: str) -> str:
    return url.rpartition("/")[0] + "/" + name


@pytest.fixture
def shell(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.delenv("COLUMNS", raising=False)  # the test run's own width would break lines
    monkeypatch.setenv("LEAVER_DATABASE_URL", database_url)
    monkeypatch.setenv("LEAVER_SECRET_KEY", "a-key-for-tests-only-not-a-secret")
    monkeypatch.setenv("LEAVER_PUBLIC_URL", "https://leaver.example.com/")
    return Shell(database_url, capsys)


@pytest.fixture
def connection(shell: Shell) -> Connection:
    shell.json("tenant", "create", "Fabrikam")
    made = shell.json("connection", "create", "fabrikam", "--name", "entra")
    return shell.store(lambda conn: connections.find(conn, made["id"]))
