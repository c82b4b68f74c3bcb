"""Fresh databases, one after the other: a SQLite file, or a database of a PostgreSQL started for the run."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from store.migrations import upgrade
from tests.databases.postgres_server import admin_connection, running_postgres

Fresh: TypeAlias = Callable[[], str]
"""Gives the URL of a migrated, empty database; the one given before is dropped."""


@contextmanager
def fresh_databases(kind: str, folder: Path) -> Iterator[Fresh]:
    """`kind` is `sqlite` or `postgresql`; files go to `folder`."""
    with _sqlite(folder) if kind == "sqlite" else _postgresql() as fresh:
        yield fresh


@contextmanager
def _sqlite(folder: Path) -> Iterator[Fresh]:
    template = folder / "template.db"
    asyncio.run(upgrade.upgrade(f"sqlite+aiosqlite:///{template}"))
    numbers = itertools.count(1)

    def fresh() -> str:
        for old in folder.glob("world*"):
            old.unlink()
        path = folder / f"world{next(numbers)}.db"
        shutil.copy(template, path)
        return f"sqlite+aiosqlite:///{path}"

    yield fresh


@contextmanager
def _postgresql() -> Iterator[Fresh]:
    numbers = itertools.count(1)
    with running_postgres() as server:
        base = server.rpartition("/")[0]
        with admin_connection(server) as admin:
            admin.execute("CREATE DATABASE template")
        asyncio.run(upgrade.upgrade(f"{base}/template"))

        def fresh() -> str:
            number = next(numbers)
            with admin_connection(server) as admin:
                admin.execute(f"DROP DATABASE IF EXISTS world{number - 1} WITH (FORCE)")
                admin.execute(f"CREATE DATABASE world{number} TEMPLATE template")
            return f"{base}/world{number}"

        yield fresh
