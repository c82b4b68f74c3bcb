"""A tiny company with its vendor, in memory and in one database; what it has become can be kept and gone on with."""

from __future__ import annotations

import pickle
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from config.keys import Purpose, derive
from config.settings import Settings
from scim.app import BASE, ScimServices, make_app
from scim.auth.access_tokens import AccessTokens
from scim.auth.gate import Authenticator
from scim.limits import ScimLimits
from simulator.directory import Directory
from simulator.provisioning import JobSettings, ProvisioningService
from simulator.provisioning.job import Job
from simulator.provisioning.mapping import DEFAULT_USER_MAPPING, AttributeMappings, edit
from simulator.server import Simulator, build_app
from simulator.signing import Signer
from simulator.simulation import build_simulation
from store.database import Database, open_database
from store.records import Connection, Mode, Policy
from store.tenancy import api_tokens, connections
from tests.builders.simulated_tenant import SECRET_KEY, connect
from tests.stories.secrets import Issued
from worker.graph.auth.credentials import Credential
from worker.graph.http.client import GraphClient, open_graph
from worker.graph.http.retry import RetryPolicy
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING
from worker.services import WorkerServices

DOMAIN = "fabrikam-demo.example"
BYSTANDERS = 8
"""People to whom nothing happens; they show that the mapping fits."""
IMPATIENT = RetryPolicy(
    attempts=3, total_s=60.0, first_wait_s=0.001, longest_wait_s=0.01, answer_within_s=30.0
)
CURSOR_KEYS = (derive(SECRET_KEY, Purpose.CURSORS),)
TOKEN_KEYS = (derive(SECRET_KEY, Purpose.ACCESS_TOKENS),)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a company begins."""

    name: str
    pulls_first: bool = False
    """Each event is seen by the pull before it is seen by the push."""
    sends_object_ids: bool = False
    """externalId is mapped from objectId."""
    has_push: bool = True
    is_unread: bool = False
    """The push came long ago, and no cycle has read the directory yet."""
    is_foreign: bool = False
    """Entra maps userName from mail and externalId from employeeId, and Leaver was told of neither."""

    @property
    def user_mapping(self) -> AttributeMappings:
        if self.is_foreign:
            return edit(DEFAULT_USER_MAPPING, {"userName": "mail", "externalId": "employeeId"})
        changes = {"externalId": "objectId"} if self.sends_object_ids else {}
        return edit(DEFAULT_USER_MAPPING, changes)

    @property
    def policy(self) -> Policy:
        mapping = {**DEFAULT_MAPPING, "externalId": "objectId"} if self.sends_object_ids else None
        return Policy(mode=Mode.ENFORCE, mapping=mapping)


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("push first"),
        Setting("pull first", pulls_first=True),
        Setting("object ids", sends_object_ids=True),
        Setting("object ids, pull first", pulls_first=True, sends_object_ids=True),
        Setting("pull alone", has_push=False),
        Setting("not yet read", is_unread=True),
        Setting("foreign mapping", is_foreign=True),
        Setting("foreign mapping, pull first", is_foreign=True, pulls_first=True),
    )
}


USUAL = [name for name, setting in SETTINGS.items() if not (setting.is_foreign or setting.is_unread)]
"""Before the first reading nobody knows whose an account is; under a foreign mapping no account has a holder, so that
a silent match cannot be told: only named stories begin so."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One 409 that the push met."""

    request: str
    detail: str


@dataclass(slots=True)
class Facts:
    """Everything about a story but the database: plain values that can be copied."""

    setting: Setting
    directory: Directory
    job: Job
    people: dict[str, str] = field(default_factory=dict)
    """Object id by letter: A and B from the start, C and so on whoever is hired later."""
    names: dict[str, str] = field(default_factory=dict)
    """First name by letter, for those who get one in a story."""
    push_stands: bool = False
    pull_stands: bool = False
    is_worker_killed: bool = False
    """The next cycle is killed after its first batch."""
    issued: list[Issued] = field(default_factory=list)
    marked: dict[str, str] = field(default_factory=dict)
    """Account -> object id of the person who was given a mark on it."""
    refusals: list[Refusal] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    looked_at: object = None
    """The accounts as the last look at all secrets found them: nothing new, nothing to try."""
    scim_token: str = ""


@dataclass(slots=True)
class World:
    """The facts with the services around them."""

    facts: Facts
    db: Database
    services: WorkerServices
    connection: Connection
    push: ProvisioningService
    gate: Authenticator
    access_tokens: AccessTokens

    @property
    def directory(self) -> Directory:
        return self.facts.directory

    def tell(self, what: str) -> None:
        self.facts.told.append(what)

    async def reload(self) -> None:
        async with self.db.reading() as conn:
            self.connection = await connections.get(conn, self.connection.tenant_id, self.connection.id)


@dataclass(slots=True)
class Stage:
    """What all stories of a process share: two listening sockets and a signing key."""

    graph: socket.socket
    scim: socket.socket
    signer: Signer = field(default_factory=Signer)

    @property
    def graph_url(self) -> str:
        return f"http://127.0.0.1:{self.graph.getsockname()[1]}"

    @property
    def scim_url(self) -> str:
        return f"http://127.0.0.1:{self.scim.getsockname()[1]}{BASE}"


@contextmanager
def stage() -> Iterator[Stage]:
    with _listening() as graph, _listening() as scim:
        yield Stage(graph, scim)


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.setblocking(False)
        yield listener


def company(setting: Setting) -> Facts:
    """Two people, Ada and Ben, in one assigned group, and some bystanders."""
    directory = Directory(1)
    settings = JobSettings(user_mapping=setting.user_mapping, shared_anchors=True, ping=False)
    facts = Facts(setting, directory, Job(settings))
    group = directory.create_group({"displayName": "Assessors"}).id
    directory.assign(group)
    for letter, name in {"A": "ada", "B": "ben"}.items():
        facts.people[letter] = directory.create_user(properties_of(name)).id
        facts.names[letter] = name
        directory.assign(facts.people[letter])
        directory.add_member(group, facts.people[letter])
    for number in range(BYSTANDERS):
        directory.assign(directory.create_user(properties_of(f"by{number}")).id)
    return facts


def properties_of(name: str) -> dict[str, str | bool]:
    return {
        "userPrincipalName": f"{name}@{DOMAIN}",
        "mail": f"{name}@mail.{DOMAIN}",
        "employeeId": f"{sum(map(ord, name)):05}{len(name)}",
        "mailNickname": name,
        "displayName": name.title(),
        "accountEnabled": True,
    }


@asynccontextmanager
async def opened(facts: Facts, database_url: str, on: Stage) -> AsyncIterator[World]:
    """Opens the database of these facts and starts what is around it."""
    db = await open_database(database_url)
    try:
        async with _simulator(facts, on) as simulator, _scim_server(facts, db, on):
            connection = await _connected(facts, db, simulator)
            push = simulator.simulation.provisioning
            push.job = facts.job
            await push.start(on.scim_url, facts.scim_token)
            access_tokens = AccessTokens(TOKEN_KEYS)
            credential = Credential(secret=simulator.directory.client_secret)
            async with open_graph(connection, credential, IMPATIENT) as graph:
                yield World(
                    facts,
                    db,
                    _services(db, database_url, graph),
                    connection,
                    push,
                    Authenticator(db, ScimLimits(token_memory_s=0, requests_per_s=0), access_tokens),
                    access_tokens,
                )
            await push.close()
    finally:
        await db.close()


async def _connected(facts: Facts, db: Database, simulator: Simulator) -> Connection:
    async with db.reading() as conn:
        here: Sequence[Connection] = await connections.list_all(conn)
    if here:
        return here[0]
    connection = await connect(db, simulator, "Contoso", facts.setting.policy)
    _, facts.scim_token = await db.write(
        lambda conn: api_tokens.create(
            conn, connection.tenant_id, connection.id, "Entra", ("admin:user:*", "admin:group:*")
        )
    )
    return connection


@asynccontextmanager
async def _simulator(facts: Facts, on: Stage) -> AsyncIterator[Simulator]:
    simulation = build_simulation(facts.directory, signer=on.signer)
    async with _served(build_app(simulation), on.graph):
        yield Simulator(simulation, on.graph_url)


@asynccontextmanager
async def _served(app: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.SockSite(runner, listener.dup()).start()
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _scim_server(facts: Facts, db: Database, on: Stage) -> AsyncIterator[None]:
    @web.middleware
    async def noting(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        asked = f"{request.method} {request.path_qs}"
        assert answer.status != 500, asked
        if answer.status == 409 and isinstance(answer, web.Response):
            facts.refusals.append(Refusal(asked, str(answer.text)))
        return answer

    limits = ScimLimits(token_memory_s=0, requests_per_s=0)
    app = make_app(ScimServices(db, "https://leaver.example", limits, CURSOR_KEYS, TOKEN_KEYS))
    app.middlewares.append(noting)
    async with _served(app, on.scim):
        yield


def _services(db: Database, url: str, graph: GraphClient) -> WorkerServices:
    """The worker's services as they are, but for one way to Graph that all cycles share."""

    @asynccontextmanager
    async def already_open(_: Connection) -> AsyncIterator[GraphClient]:
        yield graph

    settings = _settings().model_copy(update={"database_url": url})
    return WorkerServices(settings, db, already_open, lambda: datetime.now(UTC))


@cache
def _settings() -> Settings:
    """Read once: each story would read the environment anew."""
    return Settings(secret_key=(SecretStr(SECRET_KEY),))


def kept(facts: Facts) -> Facts:
    """Returns a copy that goes its own way; pickled, which takes a third of the time of `copy.deepcopy`."""
    copied: Facts = pickle.loads(pickle.dumps(facts, pickle.HIGHEST_PROTOCOL))  # noqa: S301 - made here
    return copied
