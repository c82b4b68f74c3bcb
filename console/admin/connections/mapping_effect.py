"""How many people another mapping would change, before it is saved.

A few pages of the directory are read and mapped both ways; nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from console.admin.actor import Actor, requires
from console.admin.connections.mapping import check_lines, check_whole
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import users
from store.records import Connection
from worker.errors import WorkerError
from worker.reconcile.mapping.attribute_mapping import compile_mapping, required_graph_properties
from worker.services import build_services

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient
    from worker.reconcile.snapshot import GraphUser

MOST_PAGES = 2
"""Of 999 users each: what a person waits for, however large the directory."""
SHOWN_NAMES = 20


@dataclass(frozen=True, slots=True)
class MappingEffect:
    """How many of the people with an account here would change."""

    changed: int = 0
    compared: int = 0
    names: Sequence[str] = ()
    """User names of the first who would change."""
    is_whole: bool = False
    """The whole directory was read."""
    why_unknown: str = ""


@requires("admin:connection:update")
async def mapping_effect(
    services: Services, actor: Actor, connection: str, lines: Mapping[str, str]
) -> MappingEffect | None:
    """Return what these lines would change; None where they are those in use, or
    nothing can be read yet.

    Raises `UnknownReference`, `InvalidPolicy`.
    """
    check_lines(lines)
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
    check_whole(found.policy, lines)
    then = replace(found, policy=replace(found.policy, mapping=dict(lines)))
    is_same = compile_mapping(then.policy) == compile_mapping(found.policy)
    if is_same or not found.has_credential:
        return None
    try:
        async with build_services(services.settings, services.db).open_graph(found) as graph:
            graph.prioritize()
            people, is_whole = await _read(graph, (found, then))
    except WorkerError as error:
        return MappingEffect(why_unknown=str(error))
    return replace(await _compared(services, found, then, people), is_whole=is_whole)


async def _read(graph: GraphClient, both: Sequence[Connection]) -> tuple[list[GraphUser], bool]:
    from worker.graph import models, queries
    from worker.graph.read.pages import Pages

    wanted = frozenset({"id"}).union(*(required_graph_properties(each.policy) for each in both))
    shape = queries.UserShape(tuple(sorted(wanted)), with_manager=False)
    pages = Pages(graph, queries.users(graph.sdk, shape), models.decode_users)
    people: list[GraphUser] = []
    number = 0
    async for page in pages:
        people += page
        number += 1
        if number == MOST_PAGES:
            break
    if pages.error is not None:
        raise pages.error
    return people, pages.proof.finished


async def _compared(
    services: Services, found: Connection, then: Connection, people: Sequence[GraphUser]
) -> MappingEffect:
    async with services.db.reading() as conn:
        known = await users.load_some(
            conn, found.tenant_id, found.id, objects=[person.id for person in people]
        )
    names = {user.entra_object_id: user.user_name for user in known.values() if user.deleted_at is None}
    before, after = compile_mapping(found.policy), compile_mapping(then.policy)
    changed = [
        names[person.id]
        for person in people
        if person.id in names
        and before.wanted(person, lambda _manager: None) != after.wanted(person, lambda _manager: None)
    ]
    return MappingEffect(len(changed), len(names), sorted(changed)[:SHOWN_NAMES])
