"""A running simulator and a client that calls its Graph with the application's token."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from simulator.seeding import Shape
from simulator.server import Simulator, running_simulator

INDEX = {"ConsistencyLevel": "eventual"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any
    """Decoded JSON, else text."""

    @property
    def value(self) -> list[Any]:
        found: list[Any] = self.body["value"]
        return found

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.value]

    @property
    def error(self) -> str:
        code: str = self.body["error"]["code"]
        return code


@dataclass(frozen=True)
class SimulatorClient:
    simulator: Simulator
    session: aiohttp.ClientSession

    async def call(
        self, method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call Graph (a path), or any URL; with the application's token unless the headers bring another."""
        token = {"Authorization": f"Bearer {self.simulator.app_token()}"}
        whole = url if url.startswith("http") else f"{self.simulator.graph_url}/v1.0{url}"
        async with self.session.request(
            method, whole, json=body, headers={**token, **(headers or {})}
        ) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "") and answer.status != 204
            return Answer(answer.status, answer.headers, await (answer.json() if is_json else answer.text()))

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.call("GET", url, headers=headers)

    async def admin(self, method: str, path: str, body: object = None) -> Answer:
        return await self.call(method, f"{self.simulator.admin_url}{path}", body)

    async def pages(self, url: str, headers: Mapping[str, str] | None = None) -> list[Answer]:
        """Follow next links to the end."""
        found = [await self.get(url, headers)]
        while "@odata.nextLink" in found[-1].body:
            found.append(await self.get(found[-1].body["@odata.nextLink"], headers))
        return found

    async def everything(self, url: str, headers: Mapping[str, str] | None = None) -> list[Any]:
        return [item for page in await self.pages(url, headers) for item in page.value]


@asynccontextmanager
async def simulator_client(
    users: int = 40, groups: int = 6, seed: int = 1, shape: Shape | None = None
) -> AsyncIterator[SimulatorClient]:
    async with (
        running_simulator(users, groups, seed, shape=shape) as simulator,
        aiohttp.ClientSession() as session,
    ):
        yield SimulatorClient(simulator, session)
