"""The load of `worst_request`: the worst requests of 100 kB, one by one and by 16 clients at once.

`python -m benchmarks.push.worst_load TARGET` takes `{"base", "worst", "neighbour"}` as JSON and prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

import orjson
import uvloop

from benchmarks.push import scim_requests
from benchmarks.push.connection import Request, Wire, connected
from benchmarks.push.scim_requests import GROUP, PATCH

MOST_BYTES = 100_000
CLIENTS = 16
NORMAL, TRIES, NEIGHBOURLY = 40, 2, 1_500
MEMBERS = 3_000


@dataclass(frozen=True, slots=True)
class Victims:
    """The resources that the worst requests are about."""

    user_ids: list[str]
    crowded_user: str
    group_id: str


def patch(path: str, *operations: Mapping[str, object]) -> Request:
    return Request("PATCH", path, orjson.dumps({"schemas": [PATCH], "Operations": operations}))


def emails(number: int, start: int = 0) -> list[dict[str, str]]:
    return [{"type": f"t{each}", "value": f"{each}@a.example"} for each in range(start, start + number)]


Make = Callable[[Victims, int], Request]
"""Makes a request; the number is another for each, so that none finds its work done."""

WORST: dict[str, Make] = {
    "PATCH: 1,000 e-mails for 1,000 others": lambda v, n: patch(
        f"/Users/{v.crowded_user}", {"op": "replace", "path": "emails", "value": emails(1_000, n % 2 * 1_000)}
    ),
    "PATCH: removes and adds 500 e-mails each": lambda v, n: patch(
        f"/Users/{v.crowded_user}",
        {"op": "remove", "path": "emails", "value": emails(500, n % 2 * 500)},
        {"op": "add", "path": "emails", "value": emails(500, (n + 1) % 2 * 500)},
    ),
    "PATCH: 900 operations on one user": lambda v, n: patch(
        f"/Users/{v.crowded_user}",
        *(
            {"op": "add", "path": "emails", "value": [{"type": f"t{k}", "value": f"{n}@b"}]}
            for k in range(900)
        ),
    ),
    "PATCH: 50 selectors on 1,000 e-mails": lambda v, n: patch(
        f"/Users/{v.crowded_user}",
        *(
            {"op": "replace", "path": f'emails[value co "{k}@" and type sw "t"].display', "value": f"{n}"}
            for k in range(50)
        ),
    ),
    f"PATCH: 50 selectors on a group of {MEMBERS:,}": lambda v, n: patch(
        f"/Groups/{v.group_id}",
        *({"op": "remove", "path": f'members[value co "{n}-{k}-x"]'} for k in range(50)),
    ),
    "PATCH: adds 1,900 members": lambda v, n: patch(
        f"/Groups/{v.group_id}",
        {"op": "add", "path": "members", "value": [{"value": each} for each in _some(v, n, 1_900)]},
    ),
    "PUT: a group with 1,900 members": lambda v, n: Request(
        "PUT",
        f"/Groups/{v.group_id}",
        orjson.dumps(
            {
                "schemas": [GROUP],
                "displayName": "Crowd",
                "members": [{"value": each} for each in _some(v, n, 1_900)],
            }
        ),
    ),
    "PUT: 24 levels and 200 custom attributes": lambda v, n: Request(
        "PUT",
        f"/Users/{v.user_ids[0]}",
        orjson.dumps(
            {
                "userName": "crowd0@fabrikam.example",
                "urn:x:ext": {f"a{k}": [{"value": f"{n}-{j}"} for j in range(20)] for k in range(200)},
            }
        )[:MOST_BYTES],
    ),
    "POST: 100 kB of brackets": lambda _v, _n: Request("POST", "/Users", b"[" * MOST_BYTES),
    "POST: one name of 100 kB": lambda _v, _n: Request(
        "POST", "/Users", b'{"userName":"' + b"a" * 99_900 + b'"}'
    ),
    "search: 5 comparisons that no index answers": lambda _v, n: _search(
        " or ".join(f'title co "x{n}y{k}"' for k in range(5))
    ),
    "search: 5 parts of e-mail addresses": lambda _v, n: _search(
        " or ".join(f'emails[value co "{n}ü{k}"]' for k in range(5))
    ),
    "search: 5 that all are in every address": lambda _v, n: _search(
        " and ".join(f'emails[value co "{part}"]' for part in ("@", ".", "a", "b", "m"))
        + f"&startIndex={n % 9 * 1_000 + 1}"
    ),
    "search: 50 comparisons, refused": lambda _v, n: _search(
        " or ".join(f'title co "x{n}y{k}"' for k in range(50))
    ),
    "list: 1,000 users": lambda _v, n: Request("GET", f"/Users?count=1000&startIndex={n % 9 * 1_000 + 1}"),
    "Bulk: an operation of 500": lambda v, n: Request(
        "POST",
        "/Bulk",
        orjson.dumps(
            {
                "Operations": [
                    {
                        "method": "PATCH",
                        "path": f"/Users/{v.user_ids[k]}",
                        "data": {"Operations": [{"op": "add", "path": "title", "value": f"{n}"}]},
                    }
                    for k in range(500)
                ]
            }
        ),
    ),
}
OPERATIONS = {"Bulk: an operation of 500": 500}


def _search(filter_: str) -> Request:
    expression, *more = filter_.split("&")
    return Request("GET", "&".join(["/Users?count=1&filter=" + quote(expression), *more]))


def _some(victims: Victims, number: int, size: int) -> list[str]:
    return random.Random(number).sample(victims.user_ids, size)


async def prepare(wire: Wire) -> Victims:
    user_ids: list[str] = []
    for page in range(10):
        _, body = await wire.send(scim_requests.list_users(page * 1_000 + 1, 1_000))
        user_ids += [user["id"] for user in orjson.loads(body)["Resources"]]
    _, body = await wire.send(scim_requests.create_group("Crowd", user_ids[:MEMBERS]))
    victims = Victims(user_ids, user_ids[-1], orjson.loads(body)["id"])
    await wire.send(WORST["PATCH: 1,000 e-mails for 1,000 others"](victims, 0))
    return victims


def normal(user_ids: list[str]) -> Iterator[Request]:
    """What the requests cost is compared with: one attribute of one user."""
    for number in count():
        user_id = user_ids[number % len(user_ids)]
        yield patch(f"/Users/{user_id}", {"op": "replace", "path": "title", "value": f"title {number}"})


async def timed(wire: Wire, request: Request) -> float:
    begin = time.perf_counter()
    status, body = await wire.send(request)
    assert status < 500 or status == 503, body[:300]
    return time.perf_counter() - begin


async def costs(wire: Wire, victims: Victims) -> tuple[float, dict[str, float]]:
    """Gives the time of a normal request, and the costs of the worst as shares of it.

    Normal ones are sent before each of the worst and after, so that whatever else the machine does meets both.
    """
    usual, numbers = normal(victims.user_ids[:500]), count(1)
    medians, found = [], {}
    for name, make in WORST.items():
        before = [await timed(wire, next(usual)) for _ in range(NORMAL // 2)]
        took = min([await timed(wire, make(victims, next(numbers))) for _ in range(TRIES)])
        before += [await timed(wire, next(usual)) for _ in range(NORMAL // 2)]
        medians.append(statistics.median(before))
        found[name] = took / medians[-1] / OPERATIONS.get(name, 1)
        sys.stderr.write(f"  {name}: {took * 1_000:,.0f} ms, {found[name]:,.1f} normal requests\n")
    return statistics.median(medians), found


async def p99_ms(wire: Wire, user_ids: list[str], numbers: Iterator[int]) -> float:
    """Gives the p99 of a tenant that finds and changes people, one request after the other."""
    times = []
    for _ in range(NEIGHBOURLY):
        number = next(numbers)
        user_id = user_ids[number % len(user_ids)]
        title = {"op": "replace", "path": "title", "value": f"title {number}"}
        times.append(await timed(wire, scim_requests.find_user(f"crowd{number % 500}")))
        times.append(await timed(wire, patch(f"/Users/{user_id}", title)))
    return statistics.quantiles(times, n=100)[98] * 1_000


async def run(target: Mapping[str, str]) -> dict[str, object]:
    base = target["base"]
    # A connection without a request is closed after a while: each is opened when it is needed.
    async with connected(base, [target["worst"]]) as [wire]:
        victims = await prepare(wire)
        normal_s, shares = await costs(wire, victims)
    async with connected(base, [target["neighbour"]]) as [quiet]:
        _, body = await quiet.send(scim_requests.list_users(1, 500))
        user_ids = [user["id"] for user in orjson.loads(body)["Resources"]]
        numbers = count()
        alone = min([await p99_ms(quiet, user_ids, numbers) for _ in range(TRIES)])
        answers: Counter[int] = Counter()
        ended = asyncio.Event()
        async with connected(base, [target["worst"]] * CLIENTS) as wires:
            crowd = [asyncio.create_task(_do_worst(wire, victims, answers, ended)) for wire in wires]
            await asyncio.sleep(0.5)
            beside = await p99_ms(quiet, user_ids, numbers)
            ended.set()
            await asyncio.gather(*crowd)
    return {
        "normal_ms": normal_s * 1_000,
        "costs": shares,
        "p99_alone_ms": alone,
        "p99_beside_ms": beside,
        "answers": dict(sorted(answers.items())),
    }


async def _do_worst(wire: Wire, victims: Victims, answers: Counter[int], ended: asyncio.Event) -> None:
    dice = random.Random(id(wire))
    while not ended.is_set():
        make = dice.choice(list(WORST.values()))
        status, _ = await wire.send(make(victims, dice.randrange(10**6)))
        answers[status] += 1


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))))
