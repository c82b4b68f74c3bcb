"""Use cases against a connection to a simulated directory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from config.settings import Settings
from console.admin.actor import Actor, ActorKind
from console.admin.services import Services
from simulator.server import Simulator, running_simulator
from store.database import Database
from tests.builders.admin_desk import AdminDesk
from tests.builders.simulated_tenant import SECRET_KEY, connect


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(users=40, groups=6, seed=3) as running:
        yield running


@pytest.fixture
async def desk(database: Database, database_url: str, simulator: Simulator) -> AdminDesk:
    """A connection in mode `enforce` to a company of 40 people, of which nothing is here yet."""
    settings = Settings(database_url=database_url, secret_key=(SecretStr(SECRET_KEY),))
    connection = await connect(database, simulator, "Contoso")
    return AdminDesk(Services(settings, database), Actor(ActorKind.CLI, "ada"), connection, simulator)
