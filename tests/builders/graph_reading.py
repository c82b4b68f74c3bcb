"""A simulated tenant and a client that reads it over real HTTP: what the tests of `worker.graph` share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from simulator.faults import parse_fault
from simulator.server import Simulator, running_simulator
from store.records import Connection, ConnectionId, CycleKind, GraphId, Policy, TenantId
from worker.graph.auth.credentials import Credential
from worker.graph.http.client import GraphClient, open_graph
from worker.graph.http.retry import RetryPolicy
from worker.graph.read.snapshot import read_snapshot
from worker.reconcile.snapshot import ListRead, Snapshot

HURRIED = RetryPolicy(attempts=3, total_s=5.0, first_wait_s=0.001, longest_wait_s=0.01, answer_within_s=5.0)
LEAST = frozenset({"Application.Read.All", "GroupMember.Read.All", "User.Read.All"})
"""The permissions a read-only connection is told to ask for."""


def connection_to(simulator: Simulator, **policy: Any) -> Connection:
    directory = simulator.directory
    return Connection(
        id=ConnectionId("c"),
        tenant_id=TenantId("t"),
        name="Fabrikam",
        entra_tenant_id=directory.entra_tenant_id,
        client_id=directory.client_id,
        app_id=directory.app_id,
        login_url=simulator.login_url,
        graph_url=simulator.graph_url,
        interval_minutes=40,
        policy=Policy(**policy),
        has_credential=True,
        credential_changed_at=None,
        credential_expires_at=None,
        created_at=datetime.now(UTC),
    )


def secret_of(simulator: Simulator) -> Credential:
    return Credential(secret=simulator.directory.client_secret)


@dataclass(frozen=True, slots=True)
class Reading:
    simulator: Simulator
    connection: Connection
    graph: GraphClient

    async def snapshot(self, canary: GraphId | None = None) -> Snapshot:
        return await read_snapshot(self.graph, self.connection, CycleKind.FULL, canary=canary)

    def requests(self, part: str) -> list[str]:
        """The requests the simulator saw that contain `part`."""
        return [request for request in self.simulator.simulation.requests if part in request]

    def break_down(self, **fault: Any) -> None:
        """Arms a fault, spelled as for `POST /admin/faults`."""
        self.simulator.simulation.faults.arm(parse_fault(fault))

    def under(self, **policy: Any) -> "Reading":
        """The same with another policy."""
        return replace(self, connection=connection_to(self.simulator, **policy))


@asynccontextmanager
async def reading(
    users: int = 40, groups: int = 6, *, retry: RetryPolicy = HURRIED
) -> AsyncIterator[Reading]:
    async with running_simulator(users=users, groups=groups) as simulator:
        connection = connection_to(simulator)
        async with open_graph(connection, secret_of(simulator), retry) as graph:
            yield Reading(simulator, connection, graph)


def list_named(snapshot: Snapshot, name: str) -> ListRead:
    [found] = [read for read in snapshot.completeness.lists if read.name == name]
    return found


def unfinished(snapshot: Snapshot) -> list[ListRead]:
    return [read for read in snapshot.completeness.lists if not read.finished]
