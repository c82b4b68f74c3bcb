"""A company in the simulator, and a connection of ours that reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from config.logging import configure_logging
from config.settings import LogFormat, Settings
from simulator.server import Simulator, running_simulator
from store.database import Database
from store.records import Connection
from tests.builders.simulated_connection import Pull
from tests.builders.simulated_tenant import SECRET_KEY, connect
from worker.services import build_services


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(users=40, groups=6, seed=3) as running:
        yield running


@pytest.fixture
async def pull(database: Database, database_url: str, simulator: Simulator) -> Pull:
    """A connection in mode `enforce` to a company of 40 people and 6 groups, of which nothing is here yet."""
    settings = Settings(database_url=database_url, secret_key=(SecretStr(SECRET_KEY),), worker_tick_s=1)
    services = build_services(settings, database)
    return Pull(simulator, services, await connect(database, simulator, "Contoso"))


@pytest.fixture
async def other(database: Database, simulator: Simulator) -> Connection:
    """Another tenant with a connection to the same directory."""
    return await connect(database, simulator, "Litware")


@pytest.fixture(autouse=True)
def _readable_log() -> None:
    configure_logging(Settings(log_format=LogFormat.CONSOLE))
