"""Read the managers of the people who may be provisioned, 300 to a `$batch`.

The list of users is read without them: `$expand` caps its pages at 100
(microsoft-graph-docs#21506), and a manager matters only of people who are assigned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from store.records import GraphId
from worker.graph import models, queries
from worker.graph.graph_query import ANY_OBJECT
from worker.graph.http.client import MAX_BATCH, GraphClient
from worker.graph.read.pages import Pages, for_each_chunk
from worker.reconcile.arrays.object_ids import ObjectIds
from worker.reconcile.arrays.user_table import ManagerTable, UserTable
from worker.reconcile.snapshot import GraphUser, ListRead

NOT_TOLD = "Graph did not say who the manager is."


@dataclass(slots=True)
class ManagersRead:
    asked: Set[GraphId]
    managers: ManagerTable
    """By person; None for no manager. A person without an entry got no answer."""
    proofs: list[ListRead] = field(default_factory=list)

    def note_in(self, table: UserTable) -> None:
        """Note the managers of the users of a table, as `add_to` does."""
        for graph_id in table.set_managers(self.asked, self.managers):
            table.forget_state(graph_id, NOT_TOLD)

    def add_to(self, users: Mapping[GraphId, GraphUser]) -> dict[GraphId, GraphUser]:
        """Return the users with their managers.

        Of an enabled user who was asked about in vain nothing is known for certain: an
        update would empty the manager.
        """
        told = dict(users)
        for graph_id in self.asked & users.keys():
            user = users[graph_id]
            if graph_id not in self.managers:
                if user.account_enabled:
                    told[graph_id] = user.without_state(NOT_TOLD)
            elif manager := self.managers[graph_id]:
                told[graph_id] = user.with_manager(manager)
        return told

    @property
    def lists(self) -> tuple[ListRead, ...]:
        """One proof for all the reads; what broke off first says why."""
        if not self.asked:
            return ()
        broken = next((proof for proof in self.proofs if not proof.finished), None)
        pages = sum(proof.pages for proof in self.proofs)
        items = sum(proof.items for proof in self.proofs)
        if broken is None:
            return (ListRead("managers", pages, items, True),)
        return (ListRead("managers", pages, items, False, detail=broken.detail, cause=broken.cause),)


async def read_managers(graph: GraphClient, people: Set[GraphId], ids: ObjectIds) -> ManagersRead:
    """Read the managers of users; ids of other objects bring no answer."""
    result = ManagersRead(people, ManagerTable(ids))
    # Built once: 2,000 URLs built anew cost a second.
    of_any = queries.managers(graph.sdk, [ANY_OBJECT])

    async def read(some: Sequence[GraphId]) -> None:
        reads = [of_any.about_all(fifteen) for fifteen in _parts(some, queries.MAX_OR_CLAUSES)]
        for query, answer in zip(reads, await graph.batch(reads), strict=True):
            pages = Pages(graph, query, models.decode_managers, answer)
            async for rows in pages:
                for person, manager in rows:
                    result.managers.put(person, manager)
            result.proofs.append(pages.proof)

    await for_each_chunk(sorted(people), MAX_BATCH * queries.MAX_OR_CLAUSES, read)
    return result


def _parts(people: Sequence[GraphId], size: int) -> Iterable[Sequence[GraphId]]:
    return (people[start : start + size] for start in range(0, len(people), size))
