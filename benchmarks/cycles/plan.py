"""The plan for a very large directory of which one person in a hundred drifted, against one pass over the digests.

`python -m benchmarks.cycles.plan 1000000`. The floor reads our digests from SQLite and compares them with Entra's in a
dictionary, by object id. The plan is that of a full cycle between reading and writing: the glances from SQLite,
entitlement, who is unsettled, and the core's decision on the rows of these. What comes from Graph, and those rows, are
made up beforehand.
"""

from __future__ import annotations

import gc
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from store.records import (
    ConnectionId,
    CycleKind,
    GraphId,
    Mode,
    Origin,
    Policy,
    RowSummary,
    TenantId,
    User,
    UserId,
)
from worker.cycle.run import COLLECT
from worker.graph.models import users_decoder
from worker.reconcile import digests
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.mapping.attribute_mapping import compile_mapping
from worker.reconcile.mapping.attribute_paths import write_paths
from worker.reconcile.planning import planner
from worker.reconcile.snapshot import Assignment, Completeness, GraphUser, ListRead, Snapshot
from worker.reconcile.state import State

NOW = datetime(2026, 11, 22, tzinfo=UTC)
POLICY = Policy(mode=Mode.ENFORCE)
DRIFTED = 100
"""One in so many."""


def run(users: int = 1_000_000) -> None:
    people = {user.id: user for user in _people(users)}
    database = _database([_glance(user, number) for number, user in enumerate(people.values())])
    snapshot = _snapshot(people)
    drifted = [g for number, g in enumerate(people) if number % DRIFTED == 0]
    state = State(ConnectionId("c"), {UserId(g): _row(people[g]) for g in drifted}, {}, {})
    theirs = {graph_id: f"1 {user.digest} " for graph_id, user in people.items()}
    gc.set_threshold(*COLLECT)

    start = time.process_time()
    ours = dict(database.execute("SELECT entra_object_id, agreed FROM rows").fetchall())
    differing = sum(1 for graph_id, digest in theirs.items() if ours.get(graph_id) != digest)
    floor_s = time.process_time() - start
    del ours
    start = time.process_time()
    glances = list(map(RowSummary._make, database.execute("SELECT * FROM rows").fetchall()))
    entitlement = entitlement_of(snapshot, POLICY)
    focus = digests.possibly_changed(snapshot, entitlement, glances, [])
    plan = planner.plan(snapshot, state, POLICY, NOW, entitlement, focus)
    plan_s = time.process_time() - start
    assert len(plan.changes) == len(drifted), len(plan.changes)
    print(f"\nPlan: {users:,} users, {len(drifted):,} drifted")
    print(f"  one pass over both sides' digests: {floor_s:.2f} s CPU ({differing:,} differ)")
    print(f"  plan: {plan_s:.2f} s CPU, {plan_s / floor_s:.1f} x")


def _people(count: int) -> Iterator[GraphUser]:
    decode = users_decoder(digests.policy_key(POLICY))
    for start in range(0, count, 1000):
        page = [
            {
                "id": f"00000000-0000-0000-0000-{number:012}",
                "accountEnabled": True,
                "userPrincipalName": f"person{number}@example.com",
                "mailNickname": f"person{number}",
                "displayName": f"Person {number}",
                "jobTitle": "Clerk",
            }
            for number in range(start, min(start + 1000, count))
        ]
        yield from decode(json.dumps({"value": page}).encode()).value


def _database(glances: list[RowSummary]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE rows ({', '.join(RowSummary._fields)})")
    places = ", ".join("?" * len(RowSummary._fields))
    database.executemany(f"INSERT INTO rows VALUES ({places})", glances)
    return database


def _glance(user: GraphUser, number: int) -> RowSummary:
    agreed = f"{1 if number % DRIFTED else 0} {user.digest} "
    return RowSummary(str(user.id), user.id, 1, agreed, True)


def _row(user: GraphUser) -> User:
    """The row as it is after somebody changed the title here."""
    wanted = compile_mapping(POLICY).wanted(user, lambda _: None) | {"title": "Boss", "active": True}
    return User(
        id=UserId(str(user.id)),
        tenant_id=TenantId("t"),
        connection_id=ConnectionId("c"),
        user_name=str(wanted["userName"]),
        external_id=str(wanted["externalId"]),
        entra_object_id=user.id,
        active=True,
        document=write_paths({}, wanted),
        version=1,
        origin=Origin.GRAPH,
        created_at=datetime.min.replace(tzinfo=UTC),
        last_modified=datetime.min.replace(tzinfo=UTC),
    )


def _snapshot(people: dict[GraphId, GraphUser]) -> Snapshot:
    return Snapshot(
        taken_at=NOW,
        kind=CycleKind.FULL,
        service_principal_id="sp",
        users=people,
        groups={},
        assignments=tuple(Assignment(graph_id, "User", "0") for graph_id in people),
        members={},
        nested_members={},
        deleted={},
        completeness=Completeness((ListRead("users", 1, len(people), True),), frozenset()),
    )


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
