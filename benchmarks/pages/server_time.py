"""Server time of every page of the console with 100 people, and with 100,000 and a million log entries.

`python -m benchmarks.pages.server_time [SQLite|PostgreSQL] [cpu] [million]` measures one database alone, by processor
time, against a million people and ten million log entries.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.pages import rows
from console.admin.operators import people
from console.browser import SESSION_COOKIE
from console.web import app as console_app
from console.web.app import ROUTES
from console.web.routes import WebRoute
from console.web.visit import write_cursor
from store.migrations import upgrade
from tests.builders.console_pages import EXAMPLES
from tests.builders.console_scene import ConsoleScene, console_scene, fill
from tests.builders.setup_scene import ADA
from tests.databases.postgres_server import running_postgres

PEOPLE = 100
TIMES = 15
MOST_TIMES = 2.0
MOST_OPERATOR_S = 0.1

Times = Mapping[str, float]
Taken = list[float]


def run(only: str = "", size: rows.Size = rows.LARGE) -> None:
    """Prints the table of both databases, or of one."""
    for name, url in databases(only):
        load = os.getloadavg()[0]
        small, large, connections = asyncio.run(_measure(url, size))
        _print(f"{name}, load {load:.1f}", size, small, large, connections)


def databases(only: str = "") -> Iterator[tuple[str, str]]:
    """An empty database of each kind, or of one."""
    if only != "PostgreSQL":
        yield from _sqlite()
    if only != "SQLite":
        yield from _postgresql()


def _sqlite() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder)}/leaver.db"
        asyncio.run(upgrade.upgrade(url))
        yield "SQLite", url


def _postgresql() -> Iterator[tuple[str, str]]:
    with running_postgres() as url:
        asyncio.run(upgrade.upgrade(url))
        yield "PostgreSQL", url


def addresses(scene: ConsoleScene) -> dict[str, str]:
    """Every page by its name, and lists with filters, far down, and sorted."""
    base = f"/connections/{scene.many.id}"
    found = {
        route.name: EXAMPLES[route.name](scene)[0]
        for route in ROUTES
        if not route.is_form
        and not route.name.endswith((".export", ".events"))
        and EXAMPLES[route.name](scene)
    }
    deep = write_cursor("person77777@contoso.example 0")
    return found | {
        "users, newest": f"{base}/users?sort=newest",
        "users, inactive": f"{base}/users?state=inactive",
        "users, far down": f"{base}/users?after={deep}",
        "users, by a name": f"{base}/users?q=person99",
        "users, within names": f"{base}/users?q=son99",
        "search of a name": f"{base}/search?q=person4711@contoso.example",
        "logs, all": f"{base}/logs?days=all",
        "logs, failures": f"{base}/logs?days=all&status=failure",
        "logs, one action": f"{base}/logs?days=all&action=create",
        "logs, far down": f"{base}/logs?days=all&after={write_cursor(400_000)}",
        "logs, one person": f"{base}/logs?days=all&q=person4711@contoso.example",
        "operator": "/operator",
        "operators": "/operators",
    }


def clock() -> float:
    """Gives the time by which pages are measured; with `cpu` that of this process, which is all there is on SQLite.

    On a machine that is busy with other work the wall clock measures that.
    """
    return time.process_time() if "cpu" in sys.argv else time.perf_counter()


@contextmanager
def timed(taken: Taken) -> Iterator[None]:
    """Notes how long each page took from its request to the answer, whatever the client does."""
    serve = console_app.serve

    async def noting(route: WebRoute, request: web.Request) -> web.StreamResponse:
        begun = clock()
        answer = await serve(route, request)
        taken.append(clock() - begun)
        return answer

    setattr(console_app, "serve", noting)  # noqa: B010  (routes take it when the application is built)
    try:
        yield
    finally:
        setattr(console_app, "serve", serve)  # noqa: B010


async def _measure(url: str, size: rows.Size) -> tuple[Times, Times, Times]:
    taken: Taken = []
    with timed(taken):
        async with console_scene(url, users=PEOPLE) as scene:
            await fill(scene)
            operator = await operator_secret(scene)
            small = await _times(scene, operator, taken)
            await rows.grow(scene.database, scene.many, size)
            large = await _times(scene, operator, taken)
            await rows.copy_connections(scene.database, scene.many)
            many = await _times(scene, operator, taken, only=("operator", "overview", "users"))
            return small, large, many


async def operator_secret(scene: ConsoleScene) -> str:
    """The cookie of an operator, who signs in by a link."""
    made = await people.invite(scene.services, ADA, "olga")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        path = f"{scene.url}/sign-in/{made.secret}"
        headers = {"Sec-Fetch-Site": "same-origin"}
        async with http.post(path, headers=headers, data={"go": "on"}, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
            return answer.cookies[SESSION_COOKIE].value


async def _times(
    scene: ConsoleScene, operator: str, taken: Taken, only: tuple[str, ...] = ()
) -> dict[str, float]:
    """Gives the median server time of each page in seconds; pages in turns, so that noise meets all."""
    pages = {name: path for name, path in addresses(scene).items() if not only or name in only}
    measured: dict[str, Taken] = {name: [] for name in pages}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        for turn in range(TIMES + 1):
            for name, path in pages.items():
                secret = operator if name.startswith("operator") else scene.secret
                headers = {"Cookie": f"{SESSION_COOKIE}={secret}", "Accept": "text/html"}
                async with http.get(scene.url + path, headers=headers, allow_redirects=False) as answer:
                    assert answer.status in (200, 303), f"{path}: {answer.status}"
                    await answer.read()
                if turn:  # the first warms up
                    measured[name].append(taken[-1])
    return {name: statistics.median(each) for name, each in measured.items()}


def _print(database: str, size: rows.Size, small: Times, large: Times, connections: Times) -> None:
    print(
        f"\nPages on {database}: server time, median of {TIMES}, {PEOPLE} people against {size.people:,} people and "
        f"{size.entries:,} log entries"
    )

    def ratio(name: str) -> float:
        return large[name] / small[name]

    for name in sorted(small, key=ratio, reverse=True):
        mark = "" if ratio(name) <= MOST_TIMES else f"  above {MOST_TIMES:.0f}x"
        print(f"{name:<24}{small[name] * 1000:8.1f} ms{large[name] * 1000:8.1f} ms{ratio(name):7.2f}x{mark}")
    print(f"with {rows.CONNECTIONS:,} connections:")
    for name, seconds in connections.items():
        print(f"{name:<24}{seconds * 1000:8.1f} ms   ({large[name] * 1000:.1f} ms with four)")


if __name__ == "__main__":
    named = [each for each in sys.argv[1:] if each in ("SQLite", "PostgreSQL")]
    run(named[0] if named else "", rows.MILLION if "million" in sys.argv else rows.LARGE)
