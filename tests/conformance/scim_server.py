"""A SCIM server in a process of its own, on an empty database, with as many tenants as a suite wants.

As a program: `python -m tests.conformance.scim_server DATABASE_URL TENANTS` prints one JSON line when it
listens.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from config.logging import configure_logging
from config.settings import load_settings
from scim.app import ScimServices, make_app
from scim.limits import ScimLimits
from store.database import Database, open_database
from store.migrations import upgrade
from store.tenancy import api_tokens, connections, tenants

PERMISSIONS = ("admin:user:*", "admin:group:*")
STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a suite knocks: the SCIM base URL of one tenant's connection, and its token."""

    base: str
    token: str


@contextmanager
def serving(database_url: str, tenant_count: int = 1) -> Iterator[list[Target]]:
    """Run a server for the time of a suite."""
    command = [sys.executable, "-m", "tests.conformance.scim_server", database_url, str(tenant_count)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield [Target(**each) for each in json.loads(process.stdout.readline())]
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


async def _target(db: Database, name: str, base: str) -> Target:
    tenant = await db.write(lambda writing: tenants.create(writing, name))
    connection = await db.write(lambda writing: connections.create(writing, tenant.id, "Entra"))
    _, secret = await db.write(
        lambda writing: api_tokens.create(writing, tenant.id, connection.id, "suite", PERMISSIONS)
    )
    return Target(base, secret)


async def _serve(database_url: str, tenant_count: int) -> None:
    configure_logging(load_settings())  # to stderr: stdout is a pipe nobody reads after the first line
    await upgrade.upgrade(database_url)
    db = await open_database(database_url)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        runner = web.AppRunner(make_app(ScimServices(db, url, ScimLimits(requests_per_s=0))))
        await runner.setup()
        await web.SockSite(runner, listening).start()
        targets = [
            await _target(db, f"Tenant {number}", f"{url}/api/scim/v2") for number in range(tenant_count)
        ]
        sys.stdout.write(json.dumps([asdict(each) for each in targets]) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
