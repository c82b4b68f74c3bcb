"""Fresh databases, one after the other: a SQLite file, or a database of a PostgreSQL started for the run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from tests.databases.postgres_server import running_postgres
from tests.databases.templates import (
    copied_postgres_template,
    copy_sqlite_template,
    make_postgres_template,
    make_sqlite_template,
)

Fresh: TypeAlias = Callable[[], str]
"""Gives the URL of a migrated, empty database; the one given before is dropped."""


@contextmanager
def fresh_databases(kind: str, folder: Path) -> Iterator[Fresh]:
    """`kind` is `sqlite` or `postgresql`; files go to `folder`."""
    with _sqlite(folder) if kind == "sqlite" else _postgresql() as fresh:
        yield fresh


@contextmanager
def _sqlite(folder: Path) -> Iterator[Fresh]:
    template = make_sqlite_template(folder)
    numbers = itertools.count(1)

    def fresh() -> str:
        for old in folder.glob("company*"):
            old.unlink()
        return copy_sqlite_template(template, folder / f"company{next(numbers)}.db")

    yield fresh


@contextmanager
def _postgresql() -> Iterator[Fresh]:
    numbers = itertools.count(1)
    with running_postgres() as server, ExitStack() as earlier:
        make_postgres_template(server)

        def fresh() -> str:
            earlier.close()
            return earlier.enter_context(copied_postgres_template(server, f"company{next(numbers)}"))

        yield fresh
