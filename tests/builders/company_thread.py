"""A simulated company that answers while commands of this process run: in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.directory import Directory
from simulator.objects import JsonValue
from simulator.seeding import seed_company
from simulator.server import Simulator, serving
from simulator.simulation import build_simulation

STARTS_WITHIN_S = 20.0


@contextmanager
def company_in_a_thread(users: int = 20, groups: int = 3, seed: int = 3) -> Iterator[Simulator]:
    """Serves fabrikam.com, whose documents' people are there: Ada and Bo, and the group *All Employees*."""
    ready: list[Simulator] = []
    has_started = threading.Event()
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def serve() -> None:
        async with serving(build_simulation(_fabrikam(users, groups, seed))) as simulator:
            ready.append(simulator)
            has_started.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert has_started.wait(STARTS_WITHIN_S), "the simulator did not start"
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(STARTS_WITHIN_S)
        loop.close()


def _fabrikam(users: int, groups: int, seed: int) -> Directory:
    directory = Directory(seed, domain="fabrikam.com")
    seed_company(directory, users, groups)
    with directory.unrecorded():
        people = [_person(directory, name) for name in ("ada", "bo")]
        everyone = directory.create_group({"displayName": "All Employees"}).id
        for person in people:
            directory.add_member(everyone, person)
        directory.assign(everyone)
    return directory


def _person(directory: Directory, name: str) -> str:
    properties: dict[str, JsonValue] = {
        "userPrincipalName": f"{name}@fabrikam.com",
        "mail": f"{name}@fabrikam.com",
        "mailNickname": name,
        "displayName": name.title(),
        "accountEnabled": True,
    }
    return directory.create_user(properties).id


def connect_options(simulator: Simulator) -> list[str]:
    """The options that give `leaver connection create` this company's directory and credential."""
    told = simulator.ready()
    return [
        *("--entra-tenant-id", told["entra_tenant_id"], "--client-id", told["client_id"]),
        *("--client-secret", told["client_secret"], "--app-id", told["app_id"]),
        *("--login-url", told["login_url"], "--graph-url", told["graph_url"]),
    ]
