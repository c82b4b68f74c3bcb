"""What all integration tests share: databases, and a tenant with one connection."""

from __future__ import annotations

import pytest

from store.database import Database
from store.records import Connection
from store.tenancy import connections, tenants
from tests.databases.fixtures import (  # noqa: F401  (fixtures of this folder)
    database,
    database_url,
    postgres_server,
    sqlite_template,
)


@pytest.fixture
async def contoso(database: Database) -> Connection:  # noqa: F811
    """A tenant, Contoso, with one connection."""
    tenant = await database.write(lambda conn: tenants.create(conn, "Contoso"))
    return await database.write(lambda conn: connections.create(conn, tenant.id, "Entra"))
