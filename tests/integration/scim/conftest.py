"""A SCIM server on SQLite and on PostgreSQL, and a client with a token that may do everything.

All tests of this folder share one database of each kind: a tenant of its own must be enough for each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from scim.app import ScimServices, make_app
from scim.limits import ScimLimits
from store.database import Database
from store.records import Connection
from store.tenancy import api_tokens
from tests.builders.scim_client import ScimClient
from tests.builders.scim_connections import EVERYTHING, PUBLIC_URL, new_connection
from tests.databases.parameters import ASYNCPG, SQLITE
from tests.databases.templates import copied_postgres_template, copy_sqlite_template


@pytest.fixture(scope="session", params=[SQLITE, ASYNCPG])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a migrated database, once on SQLite and once on PostgreSQL."""
    if request.param.startswith("sqlite"):
        path = tmp_path_factory.mktemp("scim") / "leaver.db"
        yield copy_sqlite_template(request.getfixturevalue("sqlite_template"), path)
        return
    with copied_postgres_template(request.getfixturevalue("postgres_server"), "scim") as url:
        yield url


@pytest.fixture
async def contoso(database: Database) -> Connection:
    """A tenant of this test alone, with one connection."""
    return await new_connection(database)


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
