"""A SCIM server on SQLite and on PostgreSQL, and a client with a token that may do everything."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from scim.app import ScimServices, make_app
from scim.limits import ScimLimits
from store import tokens
from store.database import Database
from store.records import Connection
from tests.integration.scim.client import ScimClient

PUBLIC_URL = "https://leaver.example"
EVERYTHING = ("admin:user:*", "admin:group:*")


@pytest.fixture
def limits() -> ScimLimits:
    """The limits of the server; a test module overrides this to narrow them."""
    return ScimLimits(token_memory_s=0)


@pytest.fixture
async def scim(database: Database, contoso: Connection, limits: ScimLimits) -> AsyncIterator[ScimClient]:
    _, secret = await database.write(
        lambda writing: tokens.create(writing, contoso.tenant_id, contoso.id, "Entra", EVERYTHING)
    )
    app = make_app(ScimServices(database, PUBLIC_URL, limits))
    async with TestClient(TestServer(app)) as http:
        yield ScimClient(http, secret, database, contoso)
