"""Hold the services of the worker: the database, the way to Graph, the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from config.errors import SealError
from config.keys import Sealer
from config.settings import Settings
from store.database import Database
from store.records import Connection
from store.tenancy import connections
from worker.credential_expiry import learn_secret_expiry, warn_before_expiry
from worker.errors import NeedsHuman, NoSecretKey, WrongSecretKey
from worker.graph.auth.kept_tokens import KeptTokens

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

Clock: TypeAlias = Callable[[], datetime]
"""Returns the aware time in UTC."""

OpenGraph: TypeAlias = "Callable[[Connection], AbstractAsyncContextManager[GraphClient]]"


@dataclass(frozen=True, slots=True)
class WorkerServices:
    settings: Settings
    db: Database
    open_graph: OpenGraph
    clock: Clock


def build_services(
    settings: Settings, db: Database, clock: Clock | None = None, kept: KeptTokens | None = None
) -> WorkerServices:
    """Build the services of one process; nothing is opened yet, and the Graph SDK is
    not loaded.

    With `kept` access tokens are used by later clients as well.
    """

    now = clock or _utc_now

    def open_graph(connection: Connection) -> AbstractAsyncContextManager[GraphClient]:
        return _open_graph(settings, db, connection, now, kept)

    return WorkerServices(settings, db, open_graph, now)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def _open_graph(
    settings: Settings, db: Database, connection: Connection, clock: Clock, kept: KeptTokens | None
) -> AsyncIterator[GraphClient]:
    async with db.reading(single_statement=True) as conn:
        sealed = await connections.sealed_credential(conn, connection.tenant_id, connection.id)
    if sealed is None:
        raise NeedsHuman(
            f"Connection {connection.name} has no Graph credential.",
            f"Give it one: leaver connection set {connection.name} --entra-tenant-id … --client-id … --client-secret -",
        )
    text = _unsealed(settings, connection, sealed)
    # Loading the SDK takes a second and a half: only if Graph is really read.
    from worker.graph.auth.credentials import Credential
    from worker.graph.http.client import open_graph

    credential = Credential.from_text(text)
    await warn_before_expiry(db, connection, credential, clock())
    async with open_graph(connection, credential, kept=kept) as graph:
        yield graph
        await learn_secret_expiry(db, connection, credential, graph, clock())


def _unsealed(settings: Settings, connection: Connection, sealed: str) -> str:
    if not settings.sealing_keys:
        raise NoSecretKey
    try:
        return Sealer(settings.sealing_keys).unseal(sealed)
    except SealError as error:
        raise WrongSecretKey(connection.name) from error
