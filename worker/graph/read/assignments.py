"""Read the assignments of single users and groups; the cost is that of the subjects.

Of a user: the own assignments to our application, and the groups that hold the user; of
each of these groups, whether it is assigned. Only where that is not possible (the
permission is missing, or Graph contradicts itself) the application's own list is read,
once and whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from store.records import GraphId
from worker.graph import models, queries
from worker.graph.errors import ConsentMissing, GraphError, NotFound
from worker.graph.graph_query import ANY_OBJECT, GraphQuery
from worker.graph.http.client import MAX_BATCH, GraphClient
from worker.graph.models import AppRoleAssignment
from worker.graph.read.application import may_read_directory, read_assignments
from worker.graph.read.pages import Pages, for_each_chunk
from worker.reconcile.snapshot import ListRead


@dataclass(slots=True)
class AssignmentReader:
    """Answers collected so far.

    `ask_people` and `ask_groups` add to them; no subject is asked about twice.
    """

    graph: GraphClient
    service_principal_id: str
    is_transitive: bool
    proofs: list[ListRead] = field(default_factory=list)
    direct: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    """By person: the groups that hold them directly."""
    nested: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    """By person: the groups that hold them by nesting only."""
    assignments: dict[GraphId, list[AppRoleAssignment]] = field(default_factory=dict)
    """By principal, one for each role.

    Empty for a principal that was asked about and is not assigned, or did not answer.
    """
    _listed: list[AppRoleAssignment] | None = None
    _listing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask_people(self, people: Collection[GraphId]) -> None:
        """Ask about existing users, and about the groups that hold them."""
        new = sorted(set(people) - self.direct.keys())
        per_person = 4 if self.is_transitive else 3
        await for_each_chunk(new, MAX_BATCH // per_person, self._ask_people)
        await self.ask_groups({g for p in new for g in self.direct[p] | self.nested[p]})

    async def ask_groups(self, groups: Collection[GraphId]) -> None:
        """Ask whether groups are assigned; one that does not exist is not."""
        new = sorted(set(groups) - self.assignments.keys())
        await for_each_chunk(new, MAX_BATCH, self._ask_groups)

    @property
    def rows(self) -> list[AppRoleAssignment]:
        """The assignments of all subjects that were asked about."""
        return [row for rows in self.assignments.values() for row in rows]

    @property
    def assigned_groups(self) -> dict[GraphId, str]:
        """Those of the groups that are assigned, by id, with their display names."""
        rows = (row for row in self.rows if row.principal_type == "Group")
        return {GraphId(row.principal_id): row.principal_display_name or "" for row in rows}

    @property
    def entitled_by_assignment(self) -> frozenset[GraphId]:
        """The subjects assigned directly or by a group that holds them."""
        assigned = self.assigned_groups.keys()
        held = [*self.direct.items(), *(self.nested.items() if self.is_transitive else ())]
        by_group = {person for person, groups in held if groups & assigned}
        return frozenset({*by_group, *(g for g, rows in self.assignments.items() if rows)})

    @property
    def is_whole(self) -> bool:
        """True if every list about the subjects was read to its end."""
        return all(proof.finished for proof in self.proofs)

    def members(self, holders: dict[GraphId, frozenset[GraphId]]) -> dict[GraphId, frozenset[GraphId]]:
        """Invert `direct` or `nested`: return the users in each assigned group."""
        return {
            group: frozenset(person for person, groups in holders.items() if group in groups)
            for group in self.assigned_groups
        }

    async def _ask_people(self, people: Sequence[GraphId]) -> None:
        sdk, sp = self.graph.sdk, self.service_principal_id
        asked = [
            [
                queries.assignments_of_user(sdk, person, sp),
                queries.assignments_by_the_index(sdk, person, sp),
                queries.member_groups(sdk, person),
                *([queries.member_groups(sdk, person, transitive=True)] if self.is_transitive else []),
            ]
            for person in people
        ]
        answers = iter(await self.graph.batch([query for of_one in asked for query in of_one]))
        for person, (own, by_index, *holders) in zip(people, asked, strict=True):
            listed, indexed = next(answers), next(answers)
            held = [await self._groups(query, next(answers)) for query in holders]
            self.direct[person], self.nested[person] = held[0], held[-1] - held[0]
            self.assignments[person] = await self._own(person, (own, listed), (by_index, indexed))

    async def _own(
        self,
        person: GraphId,
        listed: tuple[GraphQuery, bytes | GraphError],
        indexed: tuple[GraphQuery, bytes | GraphError],
    ) -> list[AppRoleAssignment]:
        """Return the user's own assignments, without those of the user's groups.

        Graph lists both. The plain list may be incomplete for users with many
        assignments through groups; the list of the index is whole and lags (Graph,
        "List appRoleAssignments granted to a user"). Where the two differ, the
        application's own list decides.
        """
        own = await self._assignments(person, *listed)
        if own is None:
            return await self._from_the_list(person)
        pages = Pages(self.graph, indexed[0], models.decode_assignments, indexed[1])
        again = [row async for page in pages for row in page if self._is_of(row, person)]
        if pages.error is None and bool(own) == bool(again):
            self.proofs.append(pages.proof)
            return own
        return await self._from_the_list(person)

    async def _ask_groups(self, groups: Sequence[GraphId]) -> None:
        of_any = queries.assignments_of_group(self.graph.sdk, ANY_OBJECT, self.service_principal_id)
        asked = [of_any.about(group) for group in groups]
        for group, query, answer in zip(groups, asked, await self.graph.batch(asked), strict=True):
            if isinstance(answer, NotFound):
                self.assignments[group] = []
                continue
            rows = await self._assignments(group, query, answer)
            self.assignments[group] = await self._from_the_list(group) if rows is None else rows

    async def _assignments(
        self, principal: GraphId, query: GraphQuery, first: bytes | GraphError
    ) -> list[AppRoleAssignment] | None:
        """Return the principal's own assignments.

        None if the permission for these, `Directory.Read.All`, is missing.
        """
        pages = Pages(self.graph, query, models.decode_assignments, first)
        rows = [row async for page in pages for row in page if self._is_of(row, principal)]
        if isinstance(pages.error, ConsentMissing) and not await may_read_directory(self.graph):
            return None
        self.proofs.append(pages.proof)
        return rows

    def _is_of(self, row: AppRoleAssignment, principal: GraphId) -> bool:
        return row.principal_id == principal and row.resource_id == self.service_principal_id

    async def _from_the_list(self, principal: GraphId) -> list[AppRoleAssignment]:
        async with self._listing:
            if self._listed is None:
                self._listed, proof = await read_assignments(self.graph, self.service_principal_id)
                self.proofs.append(proof)
        return [row for row in self._listed if row.principal_id == principal]

    async def _groups(self, query: GraphQuery, first: bytes | GraphError) -> frozenset[GraphId]:
        pages = Pages(self.graph, query, models.decode_member_groups, first)
        found = frozenset([GraphId(held.id) async for page in pages for held in page if held.is_provisioned])
        self.proofs.append(pages.proof)
        return found
