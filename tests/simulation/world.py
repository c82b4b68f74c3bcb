"""One company, one vendor: the simulated Entra, our SCIM server, worker and database, in one process."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from config.settings import Settings
from scim.app import BASE, ScimServices, make_app
from scim.limits import ScimLimits
from simulator.directory import Directory
from simulator.provisioning import Dialect, JobSettings, ProvisioningService
from simulator.seeding import Shape, seed_company
from simulator.server import Simulator
from simulator.simulation import Simulation, build_simulation
from store.database import Database, open_database
from store.records import Connection, Policy
from store.records.connections import MappingOrigin
from store.tenancy import api_tokens, connections
from store.tenancy.mappings import add as set_mapping
from tests.builders.simulated_tenant import SECRET_KEY, connect
from tests.simulation import mappings, truth
from tests.simulation.door import Door, serving
from tests.simulation.entra_life import Life
from tests.simulation.keys import KeyRing
from tests.simulation.mappings import EntraMapping
from tests.simulation.picture import Listener, fingerprint
from worker.graph.auth.credentials import Credential
from worker.graph.http.client import GraphClient, open_graph
from worker.graph.http.retry import RetryPolicy
from worker.services import WorkerServices

IMPATIENT = RetryPolicy(
    attempts=3, total_s=20.0, first_wait_s=0.001, longest_wait_s=0.01, answer_within_s=60.0
)
"""Tries little, and waits long for an answer: the machine may be busy."""
SHAPE = Shape(memberships_per_user=1.5, assigned_groups=0.6, nested_groups=0.3, direct=0.25, disabled=0.08)


@dataclass(slots=True)
class Clock:
    """The worker's clock: the machine's, set wrong by some seconds."""

    skew_s: float = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.skew_s)


@dataclass(slots=True)
class World:
    dice: random.Random
    simulation: Simulation
    simulator: Simulator
    door: Door
    life: Life
    push: ProvisioningService
    http: aiohttp.ClientSession
    scim_url: str
    scim_token: str
    services: WorkerServices
    clock: Clock
    connection: Connection
    listener: Listener
    keys: KeyRing
    mapping: EntraMapping
    faults_of_ours: list[str]
    """SCIM requests that were answered 500."""
    bystander: Connection
    bystander_rows: Mapping[str, Sequence[object]] = field(default_factory=dict)
    ahead_s: int = 0
    """How far what is written down lies in the future, after the machine's clock was set back."""
    are_members_left_out: bool = False
    """A list of members was short since everything was read last: who is not here by it, no increment can find
    (docs/safety.md, "What Leaver cannot know"; seed 76097)."""
    looks: int = 0
    """How often everything was looked at."""
    story: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """What happened how often, for whoever doubts that anything did."""

    @property
    def directory(self) -> Directory:
        return self.simulation.directory

    @property
    def db(self) -> Database:
        return self.services.db

    @property
    def policy(self) -> Policy:
        return self.connection.policy

    def attributes(self, person: str) -> Mapping[str, str]:
        """SCIM path -> text, as Entra's job maps it."""
        return truth.attributes(self.directory.users[person], self.mapping.of_push)

    def tell(self, what: str) -> None:
        self.story.append(what)

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    async def reload(self) -> None:
        async with self.db.reading() as conn:
            self.connection = await connections.get(conn, self.connection.tenant_id, self.connection.id)

    async def set_policy(self, **fields: object) -> None:
        policy = replace(self.policy, **fields)  # type: ignore[arg-type]
        await self.db.write(
            lambda conn: connections.set_policy(conn, self.connection.tenant_id, self.connection.id, policy)
        )
        await self.reload()

    async def tell_mapping(self) -> None:
        """A person sets the connection's mapping to what Entra's job maps."""
        known = self.mapping.of_pull
        await self.db.write(
            lambda conn: set_mapping(
                conn, self.connection.tenant_id, self.connection.id, known, MappingOrigin.SET, "me"
            )
        )
        self.mapping.is_told = True
        await self.reload()
        self.tell("Leaver is told of Entra's mapping")

    async def remember_bystander(self) -> None:
        self.bystander_rows = await fingerprint(self.db, self.bystander.tenant_id)

    async def scim(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Sends one SCIM request as Entra would; gives status and body."""
        headers = {"Authorization": f"Bearer {self.scim_token}", "Content-Type": "application/scim+json"}
        async with self.http.request(method, self.scim_url + path, json=body, headers=headers) as answer:
            raw = await answer.read()
            return answer.status, await answer.json(content_type=None) if raw else None


@asynccontextmanager
async def world_of(seed: int, database_url: str, policy: Policy) -> AsyncIterator[World]:
    """Makes the company of a seed, and a vendor with two tenants that both read it; one only watches."""
    dice, mapping = random.Random(f"simulation {seed}"), mappings.draw(seed)
    policy = replace(policy, mapping=mapping.of_pull if mapping.is_told else None)
    directory = Directory(seed)
    seed_company(directory, dice.randint(18, 36), dice.randint(3, 6), shape=SHAPE)
    simulation, door, clock = build_simulation(directory), Door(), Clock()
    db = await open_database(database_url)
    try:
        async with serving(simulation, door) as simulator, aiohttp.ClientSession() as http:
            connection = await connect(db, simulator, "Contoso", policy)
            bystander = await connect(db, simulator, "Litware")
            _, secret = await db.write(
                lambda conn: api_tokens.create(
                    conn, connection.tenant_id, connection.id, "Entra", ("admin:user:*", "admin:group:*")
                )
            )
            faults: list[str] = []
            async with (
                _scim_server(db, faults) as scim_url,
                ProvisioningService(directory, _job(mapping)) as push,
            ):
                await push.start(scim_url, secret, dialect=dice.choice(list(Dialect)))
                yield World(
                    dice=dice,
                    simulation=simulation,
                    simulator=simulator,
                    door=door,
                    life=Life(directory, dice),
                    push=push,
                    http=http,
                    scim_url=scim_url,
                    scim_token=secret,
                    services=_services(db, database_url, simulator, clock),
                    clock=clock,
                    connection=connection,
                    listener=Listener(db, connection),
                    keys=KeyRing(db),
                    mapping=mapping,
                    faults_of_ours=faults,
                    bystander=bystander,
                )
    finally:
        await db.close()


def _job(mapping: EntraMapping) -> JobSettings:
    return JobSettings(user_mapping=mapping.of_push, shared_anchors=mapping.shares_anchors)


def _services(db: Database, url: str, simulator: Simulator, clock: Clock) -> WorkerServices:
    """The worker's services as they are, but for the patience with Graph."""
    credential = Credential(secret=simulator.directory.client_secret)

    def impatient(connection: Connection) -> AbstractAsyncContextManager[GraphClient]:
        return open_graph(connection, credential, IMPATIENT)

    settings = Settings(database_url=url, secret_key=(SecretStr(SECRET_KEY),))
    return WorkerServices(settings, db, impatient, clock)


@asynccontextmanager
async def _scim_server(db: Database, faults: list[str]) -> AsyncIterator[str]:
    @web.middleware
    async def noting(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if answer.status == 500:
            faults.append(f"{request.method} {request.path_qs}")
        return answer

    limits = ScimLimits(token_memory_s=0, requests_per_s=0)
    app = make_app(ScimServices(db, "https://leaver.example", limits))
    app.middlewares.append(noting)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url(BASE))
    finally:
        await server.close()
