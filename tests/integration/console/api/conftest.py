"""The admin API on SQLite, Contoso with its token, and a stranger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.database import Database
from tests.builders.api_client import ApiDesk, operator_token, serving_api, tenant_token
from tests.builders.scim_connections import new_connection
from tests.builders.store_rows import create_group, create_user
from tests.databases.templates import copy_sqlite_template


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What the API adds to the use cases does not depend on the database."""
    return copy_sqlite_template(request.getfixturevalue("sqlite_template"), tmp_path / "leaver.db")


@pytest.fixture
async def desk(database: Database, database_url: str) -> AsyncIterator[ApiDesk]:
    connection, other = await new_connection(database), await new_connection(database)
    ann = await create_user(database, connection, "ann")
    readers = await create_group(database, connection, "Readers", ann.id)
    async with serving_api(database, database_url) as client:
        yield ApiDesk(
            connection,
            ann.id,
            readers.id,
            client.with_secret(await tenant_token(database, connection)),
            client.with_secret(await tenant_token(database, other)),
            client.with_secret(await operator_token(database)),
        )
