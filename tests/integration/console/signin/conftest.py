"""Leaver and a simulated directory over HTTP, and a browser between them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.test_utils import TestServer, unused_port
from pydantic import SecretStr

from config.settings import Settings
from console.admin.services import Services
from console.server.app import build_app
from simulator.server import Simulator, running_simulator
from store.database import Database
from tests.builders.browser import Browser
from tests.builders.sign_in_scene import SignInScene
from tests.builders.simulated_tenant import SECRET_KEY, connect


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(users=12, groups=2, seed=3) as running:
        yield running


@pytest.fixture
async def scene(database: Database, database_url: str, simulator: Simulator) -> AsyncIterator[SignInScene]:
    connection = await connect(database, simulator, "Contoso")
    services = Services(Settings(database_url=database_url, secret_key=(SecretStr(SECRET_KEY),)), database)
    port = unused_port()
    url = f"http://127.0.0.1:{port}"
    registration = simulator.simulation.authority.registration
    registration.redirect_uris.add(f"{url}/v1/admin/openid/{connection.id}/callback/login")
    app = build_app(services, url)
    async with (
        TestServer(app, port=port),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        yield SignInScene(database, connection, simulator, services, url, Browser(http), app)
