"""Migrated template databases, and copies of them: migrating once costs seconds, copying costs milliseconds."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.migrations import upgrade
from tests.databases.postgres_server import admin_connection

_TEMPLATE = "leaver_template"


def make_sqlite_template(folder: Path) -> Path:
    """Return a migrated, empty SQLite file in the folder."""
    path = folder / "template.db"
    asyncio.run(upgrade.upgrade(f"sqlite+aiosqlite:///{path}"))
    return path


def copy_sqlite_template(template: Path, path: Path) -> str:
    """Copy the template to the path and return the URL of the copy."""
    shutil.copy(template, path)
    return f"sqlite+aiosqlite:///{path}"


def make_postgres_template(server: str) -> None:
    """Create a migrated, empty database on the server, which is the template of all others."""
    with admin_connection(server) as admin:
        admin.execute(f"CREATE DATABASE {_TEMPLATE}")
    asyncio.run(upgrade.upgrade(_with_database(server, _TEMPLATE)))


@contextmanager
def copied_postgres_template(server: str, name: str) -> Iterator[str]:
    """Yield the URL of a copy of the template; drop the copy afterwards."""
    with admin_connection(server) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        yield _with_database(server, name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _with_database(url: str, name: str) -> str:
    return url.rpartition("/")[0] + "/" + name
