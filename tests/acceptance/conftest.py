"""One company for all disasters: each leaves it as it found it, but for those who left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders.installation import Installation, installed
from tests.databases.fixtures import (  # noqa: F401  (fixtures of this folder)
    database,
    database_url,
    postgres_server,
    sqlite_template,
)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    # So many that all who leave in all the tests together stay under the ceiling of a day.
    with installed(tmp_path_factory.mktemp("disasters"), users=120, groups=5) as it:
        # A scheduled cycle between a disaster and its `sync` would find the leavers first.
        it.leaver("connection", "set", it.connection, "--interval-minutes", "1440")
        assert it.sync()["status"] == "applied"
        assert it.active() == set(it.entra.entitled())
        yield it


@pytest.fixture
def company(running: Installation) -> Iterator[Installation]:
    """The company as it is by now, healed again after each disaster."""
    yield running
    running.entra.heal()
    running.entra.admin("PATCH", "/behaviour", {"empty_pages": []})
    running.entra.provisioning("disarm")
    for plan in running.leaver("plan", "list")["items"]:
        running.leaver("plan", "reject", plan["checksum"])
