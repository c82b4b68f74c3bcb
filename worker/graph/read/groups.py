"""Read assigned groups and their members: first pages by `$batch`, then next links."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field

from store.records import GraphId
from worker.graph import models, queries
from worker.graph.errors import ConsentMissing, GraphError, NotFound
from worker.graph.graph_query import ANY_OBJECT, GraphQuery
from worker.graph.http.client import MAX_BATCH, GraphClient, decoded
from worker.graph.models import ObjectKind
from worker.graph.read.hidden_members import groups_hiding_members, may_read_hidden, why_unreadable
from worker.graph.read.pages import Pages, cause_of, for_each_chunk
from worker.reconcile.arrays.object_ids import MemberLists, ObjectIds
from worker.reconcile.snapshot import GraphGroup, ListRead

_NEITHER_USER_NOR_GROUP = frozenset({ObjectKind.SERVICE_PRINCIPAL, ObjectKind.DEVICE, ObjectKind.CONTACT})
"""Types of members that are left out.

Where Graph gives no type, an id counts as a possible user.
"""
_GROUP = frozenset({ObjectKind.GROUP})


@dataclass(slots=True)
class GroupsRead:
    groups: dict[GraphId, GraphGroup] = field(default_factory=dict)
    members: MutableMapping[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    nested: MutableMapping[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    proofs: list[ListRead] = field(default_factory=list)
    gone: set[GraphId] = field(default_factory=set)
    """Still listed as assigned, but no longer there."""
    unreadable: dict[GraphId, str] = field(default_factory=dict)
    """Groups whose members are not all known, and why."""


async def read_groups(
    graph: GraphClient,
    group_ids: Sequence[GraphId],
    *,
    transitive: bool,
    progress: Callable[[int, int | None], None],
    ids: ObjectIds | None = None,
) -> GroupsRead:
    """Read properties and direct members of every group.

    With `transitive` also the members by nesting only. With `ids` the members are kept
    as numbers, for they may be millions. A group that could not be read
    in full has an unfinished proof; one that no longer exists has neither properties
    nor members.
    """
    result = GroupsRead() if ids is None else GroupsRead(members=MemberLists(ids), nested=MemberLists(ids))
    reading = _GroupsReading(graph, transitive, result, may_read_hidden=await may_read_hidden(graph))

    async def read_chunk(chunk: Sequence[GraphId]) -> None:
        await reading.read(chunk)
        progress(reading.done, len(group_ids))

    await for_each_chunk(group_ids, reading.groups_per_batch, read_chunk)
    await reading.note_hidden_nested()
    return reading.result


class _GroupsReading:
    def __init__(
        self, graph: GraphClient, transitive: bool, result: GroupsRead, *, may_read_hidden: bool
    ) -> None:
        self._graph = graph
        self._may_read_hidden = may_read_hidden
        sdk = graph.sdk
        transitive_members = [queries.transitive_members(sdk, ANY_OBJECT)] if transitive else []
        self._asked_of_any = [
            queries.group(sdk, ANY_OBJECT),
            queries.members(sdk, ANY_OBJECT),
            *transitive_members,
        ]
        self._nested_groups: dict[GraphId, set[GraphId]] = {}
        self.result = result
        self.done = 0

    @property
    def groups_per_batch(self) -> int:
        return MAX_BATCH // len(self._asked_of_any)

    async def read(self, group_ids: Sequence[GraphId]) -> None:
        asked = [[query.about(group_id) for query in self._asked_of_any] for group_id in group_ids]
        answers = iter(await self._graph.batch([query for of_one in asked for query in of_one]))
        for group_id, of_one in zip(group_ids, asked, strict=True):
            await self._keep(group_id, of_one, [next(answers) for _ in of_one])
            self.done += 1

    async def _keep(
        self, group_id: GraphId, asked: Sequence[GraphQuery], answers: Sequence[bytes | GraphError]
    ) -> None:
        properties, members, *transitive_members = answers
        if isinstance(properties, NotFound) and isinstance(members, NotFound):
            self.result.proofs.append(await self._confirm_gone(group_id))
            return
        self._keep_properties(group_id, asked[0], properties)
        direct = await self._ids(group_id, asked[1], members, _NEITHER_USER_NOR_GROUP)
        self.result.members[group_id] = direct
        for answer in transitive_members:
            found = await self._ids(group_id, asked[2], answer, _NEITHER_USER_NOR_GROUP | _GROUP)
            self.result.nested[group_id] = found - direct

    def _keep_properties(self, group_id: GraphId, query: GraphQuery, answer: bytes | GraphError) -> None:
        try:
            if isinstance(answer, GraphError):
                raise answer
            group = decoded(models.decode_group, answer, query.name)
            self.result.groups[group_id] = group
            if group.properties.get("visibility") == models.HIDDEN_MEMBERSHIP and not self._may_read_hidden:
                self.result.unreadable[group_id] = why_unreadable(group_id, group.display_name)
        except GraphError as error:
            failed = ListRead(query.name, 0, 0, False, detail=str(error), cause=cause_of(error))
            self.result.proofs.append(failed)

    async def _ids(
        self,
        group_id: GraphId,
        query: GraphQuery,
        first: bytes | GraphError,
        left_out: frozenset[ObjectKind],
    ) -> frozenset[GraphId]:
        pages = Pages(self._graph, query, models.decode_objects, first)
        found: list[GraphId] = []
        async for objects in pages:
            ids = [each.id for each in objects if each.kind not in left_out]
            if left_out & _GROUP:
                inside = {each.id for each in objects if each.kind is ObjectKind.GROUP}
                self._nested_groups.setdefault(group_id, set()).update(inside)
            found += ids
        self.result.proofs.append(pages.proof)
        if unidentified := pages.proof.unidentified:
            self.result.unreadable.setdefault(
                group_id,
                f"Graph lists {unidentified} members of the group {group_id} without an object id: nobody is "
                "removed through this group, and nobody who might be one of them is disabled.",
            )
        return frozenset(found)

    async def note_hidden_nested(self) -> None:
        """Mark groups in which a nested group hides its members from this token."""
        nested = self._nested_groups
        if self._may_read_hidden or not any(nested.values()):
            return
        hiding = await groups_hiding_members(self._graph, set[GraphId]().union(*nested.values()))
        for group_id, inside in nested.items():
            for hidden in sorted(inside & hiding):
                self.result.unreadable.setdefault(group_id, why_unreadable(hidden, f"inside {group_id}"))

    async def _confirm_gone(self, group_id: GraphId) -> ListRead:
        """Return the proof about an assigned group that answers 404.

        Its own 404 says that it is gone. The recycle bin says whether it can come back;
        that takes another permission, which may be missing.
        """
        name = f"members:{group_id}"
        detail = "The group is among the deleted items."
        try:
            await self._graph.get(queries.deleted_group(self._graph.sdk, group_id))
        except NotFound:
            detail = "The group no longer exists."
        except ConsentMissing as refusal:
            detail = (
                f"The group no longer exists; {refusal.permission} would tell whether it can be restored."
            )
        except GraphError as error:
            return ListRead(name, 0, 0, False, detail=str(error), cause=cause_of(error))
        self.result.gone.add(group_id)
        return ListRead(name, 0, 0, True, detail=detail)
