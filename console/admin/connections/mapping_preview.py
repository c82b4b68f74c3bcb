"""What a mapping would give for one real person, before it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from console.admin.actor import Actor, requires
from console.admin.connections.mapping import check_lines, check_whole
from console.admin.references import find_connection, find_user
from console.admin.services import Services
from store.records import Connection, JsonValue, User
from worker.reconcile.mapping.attribute_mapping import compile_mapping, required_graph_properties
from worker.services import build_services

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient
    from worker.reconcile.snapshot import GraphUser


@dataclass(frozen=True, slots=True)
class PreviewedValue:
    """One attribute: as it is here, and as two mappings would make it."""

    path: str
    now: JsonValue
    then: JsonValue

    @property
    def differs(self) -> bool:
        """Return whether the new mapping gives another value."""
        return self.now != self.then


@dataclass(frozen=True, slots=True)
class MappingPreview:
    """The values of one person under the mapping in use and under the new one."""

    user: User
    rows: Sequence[PreviewedValue]


@requires("admin:connection:read")
async def preview(
    services: Services, actor: Actor, connection: str, user: str, lines: Mapping[str, str]
) -> MappingPreview:
    """Read one person in Entra, and return what both mappings give.

    Raises `UnknownReference`, `InvalidPolicy`, and `WorkerError` where Graph cannot be
    read.
    """
    check_lines(lines)
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        account = await find_user(conn, found, user)
    check_whole(found.policy, lines)
    then = replace(found, policy=replace(found.policy, mapping=dict(lines)))
    async with build_services(services.settings, services.db).open_graph(found) as graph:
        person = await _read(graph, (found, then), account)
    before, after = (
        compile_mapping(each.policy).wanted(person, lambda _manager: None) for each in (found, then)
    )
    paths = sorted(before.keys() | after.keys())
    return MappingPreview(
        account, [PreviewedValue(path, before.get(path), after.get(path)) for path in paths]
    )


async def _read(graph: GraphClient, both: Sequence[Connection], account: User) -> GraphUser:
    from worker.graph import models, queries

    wanted = frozenset().union(*(required_graph_properties(each.policy) for each in both))
    shape = queries.UserShape(tuple(sorted(wanted)), False)
    reference = account.entra_object_id or account.user_name
    return await graph.read(queries.user(graph.sdk, reference, shape), models.decode_user)
