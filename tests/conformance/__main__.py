"""`make conformance`: what others say a SCIM server and Microsoft Graph are like, run against ours.

Suites whose data lie in ../shared are named and left out where that folder is missing. Exit status 1: a suite
failed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.conformance import (
    api_roles,
    by_pytest,
    entra_bodies,
    graph_answers,
    microsoft_collection,
    random_requests,
    scim_sanity,
    scim_tester,
)
from tests.conformance.result import SHARED, Result
from tests.conformance.scim_server import Target, serving
from tests.databases.postgres_server import admin_connection, running_postgres

Suite = Callable[[Target, str], Result]
SUITES: dict[str, Suite] = {
    "scim2-tester": scim_tester.run,
    "Microsoft's SCIM collection": microsoft_collection.run,
    "bodies Entra sends": entra_bodies.run,
    "scim-sanity": scim_sanity.run,
    "random requests": random_requests.run,
}
NEEDS_SHARED = {
    "Microsoft's SCIM collection": microsoft_collection.DATA,
    "bodies Entra sends": entra_bodies.DATA,
}


def main() -> int:
    wanted = sys.argv[1:]
    status = asyncio.run(graph_answers.main()) if not wanted else 0
    failed = False
    for result in _results(wanted):
        sys.stdout.write(result.line() + "\n")
        sys.stdout.flush()
        failed = failed or not result.ok
    return 1 if failed or status else 0


def _results(wanted: list[str]) -> Iterator[Result]:
    with running_postgres() as server:
        for name, suite in SUITES.items():
            if wanted and not any(each in name for each in wanted):
                continue
            if name in NEEDS_SHARED and not NEEDS_SHARED[name].exists():
                yield Result(name, not_run=f"its data are not there ({SHARED})")
                continue
            for database in ("SQLite", "PostgreSQL"):
                with _empty(database, server) as url, serving(url) as [target]:
                    yield suite(target, f"{name} on {database}")
        if not wanted or any(each in api_roles.NAME for each in wanted):
            with _empty("SQLite", server) as url:
                yield api_roles.run(url, api_roles.REQUESTS)
        for name in by_pytest.SUITES:
            if not wanted or any(each in name for each in wanted):
                yield by_pytest.run(name)
        if not wanted and microsoft_collection.DATA.exists():
            for database in ("SQLite", "PostgreSQL"):
                with _empty(database, server) as url:
                    yield from _side_by_side(url, database)


def _side_by_side(url: str, database: str) -> Iterator[Result]:
    """Run two suites at once on two tenants of one server: each must find exactly what it made (design.md §7,
    I5)."""
    with serving(url, 2) as [first, second], ThreadPoolExecutor() as pool:
        running = [
            pool.submit(microsoft_collection.run, first, f"isolation on {database}: Microsoft's collection"),
            pool.submit(scim_tester.run, second, f"isolation on {database}: scim2-tester beside it"),
        ]
        yield from (each.result() for each in running)


@contextmanager
def _empty(database: str, server: str) -> Iterator[str]:
    """Give the URL of an empty database."""
    if database == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{Path(folder) / 'leaver.db'}"
        return
    with admin_connection(server) as admin:
        admin.execute("DROP DATABASE IF EXISTS conformance WITH (FORCE)")
        admin.execute("CREATE DATABASE conformance")
    yield server.rpartition("/")[0] + "/conformance"


if __name__ == "__main__":
    sys.exit(main())
