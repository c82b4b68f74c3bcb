"""Assigned groups and their members: the first page of each by `$batch`, the others by their next links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from store.records import GraphId
from worker.graph import queries, wire
from worker.graph.client import MAX_BATCH, GraphClient, decoded
from worker.graph.errors import GraphError, NotFound
from worker.graph.pages import Pages
from worker.reconcile.snapshot import GraphGroup, ListRead

T = TypeVar("T")

_BATCHES_AT_ONCE = 4
_NOT_PROVISIONED = frozenset({"servicePrincipal", "device", "orgContact"})
"""Members that are neither users nor groups; without a type, an id counts as a possible person."""


@dataclass(slots=True)
class GroupsRead:
    groups: dict[GraphId, GraphGroup] = field(default_factory=dict)
    members: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    nested: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    proofs: list[ListRead] = field(default_factory=list)
    gone: set[GraphId] = field(default_factory=set)
    """Still listed as assigned, but no longer there."""


async def read_groups(
    graph: GraphClient,
    group_ids: Sequence[GraphId],
    *,
    transitive: bool,
    progress: Callable[[int, int | None], None],
) -> GroupsRead:
    """Properties and direct members of every group; with `transitive` also who is in it by nesting only.

    A group that could not be read whole has an unfinished proof; one that no longer exists has neither
    properties nor members.
    """
    reading = _GroupsReading(graph, transitive)
    slots = asyncio.Semaphore(_BATCHES_AT_ONCE)

    async def read_batch(batch: Sequence[GraphId]) -> None:
        async with slots:
            await reading.read(batch)
        progress(reading.done, len(group_ids))

    async with asyncio.TaskGroup() as tasks:
        for batch in chunked(group_ids, MAX_BATCH // reading.queries_per_group):
            tasks.create_task(read_batch(batch))
    return reading.result


def chunked(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class _GroupsReading:
    def __init__(self, graph: GraphClient, transitive: bool) -> None:
        self._graph = graph
        self._transitive = transitive
        self._known: dict[str, GraphId] = {}
        self.queries_per_group = 3 if transitive else 2
        self.result = GroupsRead()
        self.done = 0

    async def read(self, group_ids: Sequence[GraphId]) -> None:
        sdk = self._graph.sdk
        asked = [query for group_id in group_ids for query in self._queries(group_id)]
        answers = await self._graph.batch(asked)
        for number, group_id in enumerate(group_ids):
            first = number * self.queries_per_group
            group, members, *nested = answers[first : first + self.queries_per_group]
            if isinstance(group, NotFound) and isinstance(members, NotFound):
                self.result.proofs.append(await self._confirm_gone(group_id))
            else:
                await self._keep(group_id, group)
                await self._keep_members(group_id, queries.members(sdk, group_id), members)
                for answer in nested:
                    await self._keep_nested(group_id, answer)
            self.done += 1

    def _queries(self, group_id: GraphId) -> list[queries.Query]:
        sdk = self._graph.sdk
        asked = [queries.group(sdk, group_id), queries.members(sdk, group_id)]
        return asked + ([queries.transitive_members(sdk, group_id)] if self._transitive else [])

    async def _keep(self, group_id: GraphId, answer: bytes | GraphError) -> None:
        try:
            if isinstance(answer, GraphError):
                raise answer
            self.result.groups[group_id] = decoded(wire.decode_group, answer, f"group:{group_id}")
        except GraphError as error:
            self.result.proofs.append(ListRead(f"group:{group_id}", 0, 0, False, detail=str(error)))

    async def _keep_members(self, group_id: GraphId, query: queries.Query, first: bytes | GraphError) -> None:
        self.result.members[group_id] = await self._ids(query, first, _NOT_PROVISIONED)

    async def _keep_nested(self, group_id: GraphId, first: bytes | GraphError) -> None:
        query = queries.transitive_members(self._graph.sdk, group_id)
        everybody = await self._ids(query, first, _NOT_PROVISIONED | {"group"})
        self.result.nested[group_id] = everybody - self.result.members[group_id]

    async def _ids(
        self, query: queries.Query, first: bytes | GraphError, left_out: frozenset[str]
    ) -> frozenset[GraphId]:
        pages = Pages(self._graph, query, wire.decode_objects, first)
        # One string per person, however many groups hold them: half a million memberships are 40 MB of ids
        # otherwise.
        known = self._known
        ids = frozenset(
            [
                known.setdefault(found.id, GraphId(found.id))
                async for objects in pages
                for found in objects
                if found.kind not in left_out
            ]
        )
        self.result.proofs.append(pages.proof)
        return ids

    async def _confirm_gone(self, group_id: GraphId) -> ListRead:
        """An assigned group that answers 404: gone, if the deleted items have it or do not know it either."""
        name = f"members:{group_id}"
        detail = "The group is among the deleted items."
        try:
            await self._graph.get(queries.deleted_item(self._graph.sdk, group_id))
        except NotFound:
            detail = "The group no longer exists."
        except GraphError as error:
            return ListRead(name, 0, 0, False, detail=str(error))
        self.result.gone.add(group_id)
        return ListRead(name, 0, 0, True, detail=detail)
