"""A SCIM server on SQLite and on PostgreSQL, and a client with a token that may do everything.

All tests of this folder share one database of each kind: a tenant of its own must be enough for each.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer

from scim.app import ScimServices, make_app
from scim.limits import ScimLimits
from store.database import Database
from store.records import Connection
from store.tenancy import api_tokens, connections, tenants
from tests.builders.scim_client import ScimClient
from tests.databases.postgres_server import admin_connection
from tests.integration.conftest import ASYNCPG, SQLITE

PUBLIC_URL = "https://leaver.example"
EVERYTHING = ("admin:user:*", "admin:group:*")


@pytest.fixture(scope="session", params=[SQLITE, ASYNCPG])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a migrated database, once on SQLite and once on PostgreSQL."""
    if request.param.startswith("sqlite"):
        path = tmp_path_factory.mktemp("scim") / "leaver.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    server: str = request.getfixturevalue("postgres_server")
    with admin_connection(server) as admin:
        admin.execute("CREATE DATABASE scim TEMPLATE leaver_template")
        yield server.rpartition("/")[0] + "/scim"
        admin.execute("DROP DATABASE scim WITH (FORCE)")


@pytest.fixture
async def contoso(database: Database) -> Connection:
    """A tenant of this test alone, with one connection."""
    return await new_connection(database)


async def new_connection(database: Database) -> Connection:
    tenant = await database.write(lambda writing: tenants.create(writing, f"Contoso {uuid4()}"))
    return await database.write(lambda writing: connections.create(writing, tenant.id, "Entra"))


@pytest.fixture
def limits() -> ScimLimits:
    """The limits of the server; a test module overrides this to narrow them."""
    return ScimLimits(token_memory_s=0)


@pytest.fixture
async def scim(database: Database, contoso: Connection, limits: ScimLimits) -> AsyncIterator[ScimClient]:
    _, secret = await database.write(
        lambda writing: api_tokens.create(writing, contoso.tenant_id, contoso.id, "Entra", EVERYTHING)
    )
    app = make_app(ScimServices(database, PUBLIC_URL, limits))
    async with TestClient(TestServer(app)) as http:
        yield ScimClient(http, secret, database, contoso)
