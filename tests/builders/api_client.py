"""A client of the admin API that says what it expects, and the application behind it."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from config.settings import Settings
from console.admin.services import Services
from console.api import ssf
from console.api.app import add_routes
from console.api.contract import BASE
from console.server.app import scim_services
from scim import app as scim_app
from scim.http.connections import HANDLER_ARGS
from store.database import Database
from store.integration import operator_tokens
from store.records import Connection
from store.tenancy import api_tokens
from tests.builders.scim_connections import PUBLIC_URL
from tests.builders.secret_keys import secret_key

EVERYTHING = ("*",)


@dataclass(frozen=True)
class ApiAnswer:
    """Status, headers and body of one answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json_module.loads(self.text)

    @property
    def problem(self) -> str:
        """The name of the problem."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.text
        return str(self.json["type"]).removeprefix("/problems/")


@dataclass(frozen=True)
class ApiClient:
    """Sends requests with one token."""

    http: TestClient[web.Request, web.Application]
    secret: str
    database: Database

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        **query: str | int,
    ) -> ApiAnswer:
        sent = {"Authorization": f"Bearer {self.secret}", **(headers or {})}
        params = {name: str(value) for name, value in query.items()}
        url = path if path.startswith(("/api", "/ssf", "/.well-known")) else BASE + path
        async with self.http.request(method, url, json=body, headers=sent, params=params) as answer:
            return ApiAnswer(answer.status, answer.headers.copy(), await answer.text())

    async def get(self, path: str, **query: str | int) -> ApiAnswer:
        return await self.send("GET", path, None, None, **query)

    async def post(self, path: str, body: object = None, **headers: str) -> ApiAnswer:
        return await self.send("POST", path, {} if body is None else body, headers)

    def with_secret(self, secret: str) -> ApiClient:
        return replace(self, secret=secret)


@dataclass(frozen=True)
class ApiDesk:
    """Contoso with one account and one group, and clients with different tokens."""

    connection: Connection
    user: str
    group: str
    contoso: ApiClient
    fabrikam: ApiClient
    operator: ApiClient


async def tenant_token(database: Database, connection: Any, *permissions: str) -> str:
    """Make a token of the connection; without permissions one that may do everything."""
    _, secret = await database.write(
        lambda conn: api_tokens.create(
            conn, connection.tenant_id, connection.id, "app", permissions or EVERYTHING
        )
    )
    return secret


async def operator_token(database: Database, *permissions: str) -> str:
    """Make a token of an operator."""
    _, secret = await database.write(
        lambda conn: operator_tokens.create(conn, "vendor", permissions or EVERYTHING)
    )
    return secret


@asynccontextmanager
async def serving_api(database: Database, database_url: str) -> AsyncIterator[ApiClient]:
    """Serve SCIM and the admin API; every answer is compared with its schema."""
    settings = Settings(database_url=database_url, secret_key=(SecretStr(secret_key("a desk")),))
    services = Services(settings, database)
    app = web.Application(handler_args=HANDLER_ARGS)
    scim_app.add_routes(app, scim_services(services, PUBLIC_URL))
    add_routes(app, services, validates_answers=True)
    ssf.add_routes(app, services, PUBLIC_URL)
    async with TestClient(TestServer(app)) as http:
        yield ApiClient(http, "", database)
