"""What every cycle or deprovision asks is answered by an index, however much is here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Dialect, Select, func, select

from store import tables
from store.database import Database
from store.directory.users import IS_ACTIVE, IS_ADMIN
from store.engine.streaming import of_tenant
from store.logs.provisioning_log import IS_REMOVAL
from store.records import ConnectionId, TenantId
from tests.databases.parameters import SQLITE

pytestmark = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)

OURS = of_tenant(TenantId("contoso"), ConnectionId("entra"))


async def plan_of(database: Database, query: Select[Any]) -> str:
    text = str(query.compile(dialect=_dialect(), compile_kwargs={"literal_binds": True}))
    async with database.reading() as conn:
        return str((await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")).all())


async def test_admins_are_found_by_their_index(database: Database) -> None:
    """SQLite takes a partial index only where the query has its very condition: `is_admin = 1` reads everybody."""
    users = tables.users
    query = select(users.c.id).where(users.c.tenant_id == "contoso", IS_ADMIN, users.c.active)
    assert "ix_users_admins" in await plan_of(database, query)


async def test_active_users_are_counted_by_an_index_alone(database: Database) -> None:
    """Else each increment would read every user's row to know how many there are."""
    query = select(func.count()).select_from(tables.users)
    query = query.where(tables.users.c.connection_id == OURS, IS_ACTIVE)
    assert "COVERING INDEX ix_users_active" in await plan_of(database, query)


async def test_memberships_are_counted_by_an_index_alone(database: Database) -> None:
    query = select(func.count()).where(tables.memberships.c.connection_id == OURS)
    assert "COVERING INDEX ix_memberships_connection" in await plan_of(database, query)


async def test_what_was_taken_away_is_found_by_its_index(database: Database) -> None:
    """Asked in every cycle, over a log of any length."""
    entries = tables.provisioning_log.c
    since = datetime(2026, 11, 22, tzinfo=UTC)
    query = select(entries.amount).where(entries.connection_id == "entra", entries.at > since, IS_REMOVAL)
    assert "ix_provisioning_log_removals" in await plan_of(database, query)


def _dialect() -> Dialect:
    from sqlalchemy.dialects import sqlite

    return sqlite.dialect()
