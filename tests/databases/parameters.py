"""Parameters of `database_url`: the databases and drivers that a test runs on."""

from __future__ import annotations

import pytest

SQLITE = pytest.param("sqlite+aiosqlite", id="sqlite")
ASYNCPG = pytest.param("postgresql+asyncpg", id="postgresql", marks=pytest.mark.postgres)
PSYCOPG = pytest.param("postgresql+psycopg", id="psycopg", marks=pytest.mark.postgres)
