"""Who the tenant's admins are is asked at every deprovision: found by an index, never by reading everybody."""

from __future__ import annotations

import pytest
from sqlalchemy import Dialect, select

from store import tables
from store.database import Database
from store.users import IS_ADMIN
from tests.integration.conftest import SQLITE


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_admins_are_found_by_their_index(database: Database) -> None:
    """SQLite takes a partial index only where the query has its very condition: `is_admin = 1` reads everybody."""
    users = tables.users
    query = select(users.c.id).where(users.c.tenant_id == "contoso", IS_ADMIN, users.c.active)
    text = str(query.compile(dialect=_dialect(), compile_kwargs={"literal_binds": True}))
    async with database.reading() as conn:
        plan = (await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")).all()
    assert "ix_users_admins" in str(plan)


def _dialect() -> Dialect:
    from sqlalchemy.dialects import sqlite

    return sqlite.dialect()
