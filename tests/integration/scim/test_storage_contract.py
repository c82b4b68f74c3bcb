"""scim2-server's contract of a storage, asked of our store: the library judges every filter and sort."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from scim2_models import ScimProvider
from scim2_server.storage import ScimStorage
from scim2_server.testing import AsyncScimStorageContract, BlockingStorage

from store.database import open_database
from tests.builders.scim_connections import new_connection
from tests.builders.scim_library_storage import LibraryStorage


async def opened(provider: ScimProvider, database_url: str) -> LibraryStorage:
    database = await open_database(database_url)
    return LibraryStorage(provider, database, await new_connection(database))


class TestStore(AsyncScimStorageContract):
    """The contract, on both databases. Searching several types at once is tested over HTTP."""

    supports_root_search = True

    @pytest.fixture
    def storage(self, provider: ScimProvider, database_url: str) -> Iterator[ScimStorage]:
        with asyncio.Runner() as runner:
            ours = runner.run(opened(provider, database_url))
            yield BlockingStorage(ours, runner)
            runner.run(ours.database.close())
