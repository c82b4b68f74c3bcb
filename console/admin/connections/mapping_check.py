"""Check a mapping against what the push wrote, and confirm that it fits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import users
from store.records import Connection, GraphId, User
from store.tenancy import connections
from worker.reconcile.mapping.attribute_mapping import required_graph_properties
from worker.reconcile.mapping.fit import NAMES, MappingFit, check_mapping
from worker.reconcile.mapping.joining import IDENTIFIERS
from worker.services import build_services

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient
    from worker.reconcile.snapshot import GraphUser


@dataclass(frozen=True, slots=True)
class CheckedMapping:
    """The verdicts on a connection's mapping, and whether a person confirmed it."""

    connection: Connection
    fit: MappingFit


async def check(services: Services, actor: Actor, connection: str, *, accept: bool = False) -> CheckedMapping:
    """Compare the accounts that the push wrote with the people of the directory.

    With `accept` a person says that the mapping fits, which is kept until it changes.
    Raises `UnknownReference`, and `WorkerError` where Graph cannot be read.
    """
    actor.require("admin:connection:update" if accept else "admin:connection:read")
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        accounts = await _pushed(conn, found)
    async with build_services(services.settings, services.db).open_graph(found) as graph:
        people = await _read_people(graph, found)
    fit = await asyncio.to_thread(check_mapping, accounts, people, found.policy)
    if accept:
        found = await services.db.write(lambda conn: _confirm(conn, actor, found, fit))
    return CheckedMapping(found, fit)


async def _pushed(conn: AsyncConnection, connection: Connection) -> Sequence[User]:
    """Return the accounts that Entra's provisioning service wrote or found."""
    known = await users.load_state(conn, connection.tenant_id, connection.id)
    pushed = (user for user in known.values() if user.push_wrote_at or user.push_found_at)
    return [user for user in pushed if user.deleted_at is None]


async def _read_people(graph: GraphClient, connection: Connection) -> Mapping[GraphId, GraphUser]:
    from worker.graph import models, queries
    from worker.graph.read.pages import Pages
    from worker.reconcile.digests import policy_key

    properties = required_graph_properties(connection.policy).union(IDENTIFIERS)
    shape = queries.UserShape(tuple(sorted(properties)), False)
    decode = models.users_decoder(policy_key(connection.policy))
    pages = Pages(graph, queries.users(graph.sdk, shape), decode)
    people = {user.id: user async for page in pages for user in page}
    if pages.error is not None:
        raise pages.error
    return people


async def _confirm(conn: AsyncConnection, actor: Actor, found: Connection, fit: MappingFit) -> Connection:
    now = await connections.get(conn, found.tenant_id, found.id)
    policy = replace(now.policy, mapping_confirmed=True)
    verdicts = {
        line.path: f"{line.agreeing} of {line.compared}" for line in fit.attributes if line.path in NAMES
    }
    await audit.record(conn, actor, found, "mapping_confirmed", **verdicts)
    return await connections.set_policy(conn, found.tenant_id, found.id, policy)
