"""Input that makes no sense, or too much of it: a cycle ends in a named state, nobody entitled loses anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from simulator.faults import Fault
from store.records import CycleStatus, MembershipMode
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import SQLITE
from worker.graph.auth.credentials import Credential
from worker.graph.graph_query import GraphQuery
from worker.graph.http.client import GraphClient, open_graph
from worker.graph.http.retry import RetryPolicy

pytestmark = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)

USERS = r"GET /v1.0//?users\?"
ASSIGNMENTS = r"GET /v1.0//?servicePrincipals/[^/]+/appRoleAssignedTo"


async def answered(pull: Pull, match: str) -> dict[str, Any]:
    """What Graph would answer to this list now, on one page."""
    pull.simulator.simulation.requests.clear()
    await pull.cycle()
    asked = next(r for r in pull.simulator.simulation.requests if re.search(match, r))
    async with pull.services.open_graph(pull.connection) as graph:
        return await page(graph, pull.simulator.base_url, asked.split()[1])


async def page(graph: GraphClient, origin: str, target: str) -> dict[str, Any]:
    body = await graph.get(GraphQuery(f"{origin}{target}", "a list", "none"))
    decoded: dict[str, Any] = msgspec.json.decode(body)
    return decoded


def answer_with(pull: Pull, match: str, body: Mapping[str, Any]) -> None:
    pull.simulator.simulation.faults.arm(Fault(re.compile(match), status=200, body=body))


@pytest.mark.parametrize("match", [USERS, ASSIGNMENTS])
async def test_a_row_that_comes_twice_is_one(pull: Pull, match: str) -> None:
    """Graph, "delta query": the same object may come more than once; duplicate ids are one person."""
    body = await answered(pull, match)
    answer_with(pull, match, {**body, "value": body["value"] * 2})
    report = await pull.cycle()
    assert (report.status, report.drift, report.applied) == (CycleStatus.APPLIED, {}, {})
    assert await pull.active() == set(pull.directory.entitled())


@pytest.mark.parametrize("last", ["the truth comes last", "the lie comes last"])
async def test_a_person_who_comes_twice_and_differently_keeps_their_access(pull: Pull, last: str) -> None:
    """The same id enabled and disabled in one list: re-read by themselves, the person is enabled, and stays."""
    body = await answered(pull, USERS)
    lies = [{**row, "accountEnabled": False} for row in body["value"]]
    rows = lies + body["value"] if last == "the truth comes last" else body["value"] + lies
    answer_with(pull, USERS, {**body, "value": rows})
    report = await pull.cycle()
    assert report.applied == {}
    assert await pull.active() == set(pull.directory.entitled())


@pytest.mark.parametrize("mode", MembershipMode)
async def test_groups_in_a_circle_end(pull: Pull, mode: MembershipMode) -> None:
    """Issue 3: "cyclic groups": two groups that hold each other are read once each, and no group holds itself here."""
    directory = pull.directory
    one, two = sorted(directory.groups)[:2]
    for group in (one, two):
        directory.assign(group)
        directory.add_member(group, group)
    directory.add_member(one, two)
    directory.add_member(two, one)
    await pull.set_policy(membership=mode)
    for _ in range(2):
        report = await pull.cycle()
        assert report.complete is True
    assert report.applied == {}
    assert report.drift == {}
    members = await pull.members()
    assert {one, two} & members[one] == {two}
    assert {one, two} & members[two] == {one}
    assert await pull.active() >= set(directory.entitled())


async def test_a_name_of_a_megabyte_is_a_name(pull: Pull) -> None:
    """Issue 3: "1 MB display names": kept whole, and the next cycle has nothing to do."""
    directory = pull.directory
    person, group = sorted(directory.entitled())[0], sorted(await groups_here(pull))[0]
    directory.change_user(person, {"displayName": "n" * 1_000_000})
    directory.change_group(group, {"displayName": "g" * 1_000_000})
    report = await pull.cycle()
    assert report.status is CycleStatus.APPLIED
    assert len(str((await pull.users())[person].document["displayName"])) == 1_000_000
    assert len((await pull.groups())[group].display_name) == 1_000_000
    assert (await pull.cycle()).applied == {}


async def groups_here(pull: Pull) -> set[str]:
    await pull.cycle()
    return set(await pull.groups())


@pytest.mark.parametrize("hours", [-48, -1, 1, 48], ids=lambda hours: f"{hours:+} h")
async def test_a_clock_that_is_wrong_takes_nothing(pull: Pull, hours: int) -> None:
    """Issue 3: "clock skew": this machine's clock against Graph's, and against itself of a moment ago."""
    await pull.cycle()
    leaver, *stay = sorted(pull.directory.entitled())
    pull.lose(leaver, "disabled")
    right = pull.services
    wrong = replace(right, clock=lambda: right.clock() + timedelta(hours=hours))
    for services in (wrong, right):
        pull.services = services
        report = await pull.cycle()
        # A clock that jumps far ahead while reading makes the reading stale: it proves nobody gone.
        assert report.status is (
            CycleStatus.INCOMPLETE if services is wrong and hours > 6 else CycleStatus.APPLIED
        )
        assert report.status is not CycleStatus.INCOMPLETE or "stale" in " ".join(report.reasons)
        assert await pull.active() >= set(stay)
    assert await pull.active() == set(stay)


@pytest.mark.parametrize(
    "fault", [{"trickle_s": 0.4}, {"reset": True}], ids=["trickles", "is reset in mid-body"]
)
@pytest.mark.parametrize("part", [USERS, ASSIGNMENTS, r"\$batch", "deletedItems"])
async def test_a_list_that_does_not_arrive_whole_takes_nothing(
    pull: Pull, part: str, fault: dict[str, Any]
) -> None:
    """Issue 3: "a connection reset in mid-body, pages that trickle": a named state, and nobody is removed."""
    await pull.cycle()
    pull.lose(sorted(pull.directory.entitled())[0], "unassigned")
    here = await pull.active()
    hurried = RetryPolicy(
        attempts=2, total_s=5.0, first_wait_s=0.001, longest_wait_s=0.01, answer_within_s=1.0
    )
    credential = Credential(secret=pull.simulator.ready()["client_secret"])
    pull.services = replace(
        pull.services, open_graph=lambda connection: open_graph(connection, credential, hurried)
    )
    pull.simulator.simulation.faults.arm(Fault(re.compile(part), **fault))
    report = await pull.cycle()
    assert (report.status, report.complete) == (CycleStatus.INCOMPLETE, False)
    assert report.reasons
    assert report.applied == {}
    assert await pull.active() == here
