"""SQLite that takes its time: a statement runs on a thread and cannot be stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from store.engine.sqlite_connection import ReadingConnection


@contextmanager
def slow_reads(table: str, slow_s: float) -> Iterator[None]:
    """Lets each query on a table take so long; nothing changes on PostgreSQL."""
    fetch = ReadingConnection._fetch

    def fetch_slowly(connection: ReadingConnection, sql: str, parameters: Sequence[Any]) -> list[Any]:
        if f"FROM {table}" in sql:
            time.sleep(slow_s)
        return fetch(connection, sql, parameters)

    with patch.object(ReadingConnection, "_fetch", fetch_slowly):
        yield
