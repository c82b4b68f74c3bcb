"""The load: a process of its own that drives every server by the same requests, in turns.

`python -m benchmarks.push.load TARGETS` takes a JSON list of `{"name", "base", "tokens", "crowd_tokens"}`
and prints one JSON line: requests per second by work, target and round. Servers take turns within each
round, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, cycle, islice, repeat
from uuid import uuid4

import orjson
import uvloop

from benchmarks.push import scim_requests
from benchmarks.push.connection import Request, Wire, connected

PEOPLE = 2_000
LARGE, SMALL = 10_000, 10
ROUNDS = 3
MOST_REQUESTS = 2_000
MOST_ADDITIONS = 400
MOST_S = 2.0
PAGE = 100
DEEP = 50_001


@dataclass(slots=True)
class Target:
    """One server, and what is known of its content."""

    name: str
    base: str
    tokens: list[str]
    """One for each connection."""
    crowd_tokens: list[str]
    """Those of a large company, whose people are the members; none at the peer."""
    member_ids: list[str] = field(default_factory=list)
    streams: Mapping[str, Iterator[Request]] = field(default_factory=dict)
    """Requests without end; each round goes on where the last one stopped, so that none is sent twice."""
    numbers: Iterator[int] = field(default_factory=count)


async def prepare(target: Target) -> None:
    """Creates the people, and finds those who can be members of a group."""
    user_ids = await _create_people(target)
    target.member_ids = await _find_members(target, LARGE + MOST_ADDITIONS)
    target.streams = {
        "create": (scim_requests.create_user(f"newcomer{number}") for number in count()),
        "find": (scim_requests.find_user(f"user{number % PEOPLE}") for number in count()),
        "patch": (
            scim_requests.set_active(each, active) for active in cycle((False, True)) for each in user_ids
        ),
    }


async def _create_people(target: Target) -> list[str]:
    user_ids = [""] * PEOPLE
    todo = iter(range(PEOPLE))

    async def create(wire: Wire) -> None:
        for number in todo:
            answer = await expect(wire, scim_requests.create_user(f"user{number}"))
            user_ids[number] = orjson.loads(answer)["id"]

    async with connected(target.base, target.tokens) as wires:
        await asyncio.gather(*(create(wire) for wire in wires))
    return user_ids


async def _find_members(target: Target, wanted: int) -> list[str]:
    if not target.crowd_tokens:
        return [str(uuid4()) for _ in range(wanted)]  # the peer takes any id
    found: list[str] = []
    async with connected(target.base, target.crowd_tokens[:1]) as [wire]:
        while len(found) < wanted:
            page = await expect(wire, scim_requests.list_users(len(found) + 1, 1_000))
            found += [user["id"] for user in orjson.loads(page)["Resources"]]
    return found


async def drive(base: str, tokens: list[str], requests: Iterator[Request]) -> float:
    """Sends requests on all connections until none is left or the time is up; gives the rate per second."""
    async with connected(base, tokens) as wires:
        begin, answered = time.perf_counter(), 0

        async def one(wire: Wire) -> None:
            nonlocal answered
            while time.perf_counter() - begin < MOST_S and (request := next(requests, None)):
                await expect(wire, request)
                answered += 1

        await asyncio.gather(*(one(wire) for wire in wires))
        return answered / (time.perf_counter() - begin)


async def expect(wire: Wire, request: Request) -> bytes:
    status, body = await wire.send(request)
    assert 200 <= status < 300, f"{request.method} {request.path}: {status} {body[:500]!r}"
    return body


def stream(name: str, connections: int | None = None) -> Work:
    async def work(target: Target) -> float:
        return await drive(
            target.base, target.tokens[:connections], islice(target.streams[name], MOST_REQUESTS)
        )

    return work


def additions(size: int) -> Work:
    """Adds members one by one to one group of this size, made anew for each round."""

    async def work(target: Target) -> float:
        tokens = target.crowd_tokens or target.tokens
        group = scim_requests.create_group(f"group{next(target.numbers)}", target.member_ids[:size])
        async with connected(target.base, tokens[:1]) as [wire]:
            group_id = orjson.loads(await expect(wire, group))["id"]
        newcomers = target.member_ids[LARGE:]
        return await drive(
            target.base, tokens, (scim_requests.add_member(group_id, each) for each in newcomers)
        )

    return work


def page(start_index: int) -> Work:
    async def work(target: Target) -> float:
        request = scim_requests.list_users(start_index, PAGE)
        return await drive(target.base, target.crowd_tokens, repeat(request, MOST_REQUESTS))

    return work


Work = Callable[[Target], Awaitable[float]]
WORKS: dict[str, Work] = {
    "find": stream("find"),
    "patch": stream("patch"),
    "create": stream("create"),
    "find_one": stream("find", 1),
    "patch_one": stream("patch", 1),
    "create_one": stream("create", 1),
    "add_small": additions(SMALL),
    "add_large": additions(LARGE),
}
CROWD_WORKS: dict[str, Work] = {"list_first": page(1), "list_deep": page(DEEP)}


async def run(targets: list[Target]) -> dict[str, dict[str, list[float]]]:
    for target in targets:
        await prepare(target)
    large = [target for target in targets if target.crowd_tokens]
    return {
        **{name: await _rounds(targets, work) for name, work in WORKS.items()},
        **{name: await _rounds(large, work) for name, work in CROWD_WORKS.items()},
    }


async def _rounds(targets: list[Target], work: Work) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {target.name: [] for target in targets}
    for _ in range(ROUNDS):
        for target in targets:
            rates[target.name].append(await work(target))
    return rates


if __name__ == "__main__":
    servers = [Target(**each) for each in json.loads(sys.argv[1])]
    print(json.dumps(uvloop.run(run(servers))))
