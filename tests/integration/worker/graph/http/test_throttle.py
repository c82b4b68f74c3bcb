"""Reading a simulated tenant that meters resource units: prices, pauses, and who goes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from simulator.server import Simulator, running_simulator
from store.records import CycleKind, GraphId
from tests.builders.graph_reading import connection_to, reading, secret_of, unfinished
from worker.graph import queries
from worker.graph.graph_query import GraphQuery
from worker.graph.http.client import GraphClient, open_graph
from worker.graph.http.retry import RetryPolicy
from worker.graph.http.throttle import Priority, throttle_for
from worker.graph.network import HttpOrigin
from worker.graph.queries import UserShape
from worker.graph.read.snapshot import read_snapshot

PATIENT = RetryPolicy(attempts=20, total_s=30.0, first_wait_s=0.01, longest_wait_s=0.1, answer_within_s=5.0)


@asynccontextmanager
async def metered(users: int, units: int, window_s: float) -> AsyncIterator[Simulator]:
    async with running_simulator(users=users, groups=6) as simulator:
        behaviour = simulator.simulation.behaviour
        behaviour.throttling, behaviour.resource_units, behaviour.resource_window_s = True, units, window_s
        yield simulator


def price_list(graph: GraphClient, user: GraphId, group: GraphId) -> list[GraphQuery]:
    sdk, shape = graph.sdk, UserShape(("id", "displayName"), with_manager=True)
    return [
        queries.users(sdk, shape),
        queries.users_count(sdk),
        queries.user(sdk, user, shape),
        queries.users_with_any(sdk, [("mail", "a@b.example")], queries.STATE_ONLY),
        queries.group(sdk, group),
        queries.groups_named(sdk, "Nobody"),
        queries.members(sdk, group),
        queries.transitive_members(sdk, group),
        queries.member_users(sdk, group, shape),
        queries.member_groups(sdk, user),
        queries.member_groups(sdk, user, transitive=True),
        queries.deleted_users(sdk),
    ]


async def test_every_read_is_expected_to_cost_what_graph_says_it_did() -> None:
    """Graph, "Throttling limits": users 2, members 3, transitiveMembers 5; `$select` -1, `$expand` +1."""
    async with reading() as run:
        snapshot = await run.snapshot()
        asked = price_list(run.graph, next(iter(snapshot.users)), next(iter(snapshot.groups)))
        answers = [await run.graph._transport.send(query, Priority.SCHEDULED) for query in asked]
        told = [int(answer.headers["x-ms-resource-unit"]) for answer in answers]
        assert [query.units for query in asked] == told


async def test_a_batch_is_expected_to_cost_what_its_items_do() -> None:
    """Graph, "JSON batching": throttling counts each item."""
    async with metered(users=40, units=100_000, window_s=60.0) as simulator:
        connection = connection_to(simulator)
        async with open_graph(connection, secret_of(simulator), PATIENT) as graph:
            await read_snapshot(graph, connection, CycleKind.FULL)
        meter = simulator.simulation.graph._meter
        budget = throttle_for(HttpOrigin.of(connection.graph_url), connection.entra_tenant_id or "")
        assert budget.used == sum(units for _, units in meter._spent)


BATCHES = 4
"""What the managers of 1,200 people take, 300 to a batch."""


async def test_a_throttled_tenant_is_read_whole_by_two_connections() -> None:
    """Disaster 1: throttling ends in a whole list or an unfinished one, never in a short one."""
    async with metered(users=1200, units=150, window_s=0.4) as simulator:
        connection = connection_to(simulator)
        async with (
            open_graph(connection, secret_of(simulator), PATIENT) as one,
            open_graph(connection, secret_of(simulator), PATIENT) as other,
        ):
            snapshots = await asyncio.gather(
                *(read_snapshot(graph, connection, CycleKind.FULL) for graph in (one, other, one))
            )
        refused = [line for line in simulator.simulation.requests if line.endswith(" 429")]
        again = sum("$batch" in line for line in simulator.simulation.requests) - 3 * BATCHES
        assert refused or again > 0, "the test throttles nobody"
        for snapshot in snapshots:
            broken = unfinished(snapshot)
            assert {(read.name, read.cause) for read in broken} <= {
                ("managers", "Throttled 429 TooManyRequests")
            }
            assert len(snapshot.users) == 1200


@pytest.mark.parametrize(("is_urgent", "priority"), [(False, "low"), (True, "high")])
async def test_graph_is_told_whether_somebody_waits(is_urgent: bool, priority: str) -> None:
    """Graph, "Throttling": `x-ms-throttle-priority: low` for background work, `high` where a person waits."""
    heard: list[str | None] = []

    async def listen(request: web.Request) -> web.Response:
        heard.append(request.headers.get("x-ms-throttle-priority"))
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/v1.0/users", listen)
    async with TestServer(app) as listener, reading() as run:
        if is_urgent:
            run.graph.prioritize()
        await run.graph.get(GraphQuery(str(listener.make_url("/v1.0/users")), "users", queries.READ_USERS))
    assert heard == [priority]
