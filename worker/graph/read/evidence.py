"""Read absentees again by object id, in batches, before anything is taken from them.

Two rounds: does the user exist (users, deleted items); for those that do, are they
still assigned (their own assignments to our application, and their groups). Only
Graph's own "does not exist" counts as absence, twice: for the object, and for a list
of its own (a user's groups, a group's assignments).

`assignments.AssignmentReader` reads similar lists for another purpose: it collects
proofs for one snapshot, while evidence needs the fault of each absentee by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from store.records import Connection, GraphId, MembershipMode, SubjectType
from worker.graph import models, queries
from worker.graph.errors import ConsentMissing, GraphError, MalformedAnswer, NotFound
from worker.graph.graph_query import ANY_OBJECT, GraphQuery
from worker.graph.http.client import MAX_BATCH, GraphClient, decoded
from worker.graph.models import AppRoleAssignment, UserState
from worker.graph.read.application import may_read_directory, read_application, read_assignments
from worker.graph.read.hidden_members import (
    MAY_BE_HIDDEN,
    groups_with_hidden_members,
    hides_members,
    may_read_hidden,
)
from worker.graph.read.pages import Pages, for_each_chunk
from worker.reconcile.plan import Absentee
from worker.reconcile.snapshot import Evidence

_PER_BATCH = MAX_BATCH // 2
_GROUPS_PER_BATCH = MAX_BATCH // 3


@dataclass(frozen=True, slots=True)
class _Presence:
    """Whether one absentee exists."""

    graph_id: GraphId | None
    state: UserState | None = None
    soft_deleted_at: datetime | None = None
    fault: str = ""


async def verify_absentees(
    graph: GraphClient,
    connection: Connection,
    absentees: Sequence[Absentee],
    assigned_groups: Collection[GraphId],
    unreadable_groups: Collection[GraphId] | None = None,
) -> Mapping[str, Evidence]:
    """Return Graph's answer about each absentee, by `subject.key`.

    An answer that is not clear is marked as not readable. `assigned_groups` are the
    groups that assign their members, `unreadable_groups` those of them whose members
    are not all known; None: that is to be found out. Raises a `GraphError` only if the
    application itself cannot be read.
    """
    if not absentees:
        return {}
    application = await read_application(graph, connection)
    verifier = _AbsenteeVerifier(
        graph,
        application.id,
        frozenset(assigned_groups),
        None if unreadable_groups is None else frozenset(unreadable_groups),
        transitive=connection.policy.membership is MembershipMode.TRANSITIVE,
    )
    evidence: dict[str, Evidence] = {}

    async def confirm_chunk(chunk: Sequence[Absentee]) -> None:
        evidence.update(await verifier.confirm(chunk))

    async def confirm_groups(chunk: Sequence[Absentee]) -> None:
        evidence.update(await verifier.confirm_groups(chunk))

    people = [absentee for absentee in absentees if absentee.subject.type is SubjectType.USER]
    groups = [absentee for absentee in absentees if absentee.subject.type is SubjectType.GROUP]
    await for_each_chunk(people, _PER_BATCH, confirm_chunk)
    await for_each_chunk(groups, _GROUPS_PER_BATCH, confirm_groups)
    return evidence


class _AbsenteeVerifier:
    def __init__(
        self,
        graph: GraphClient,
        service_principal_id: str,
        groups: frozenset[GraphId],
        unreadable: frozenset[GraphId] | None,
        *,
        transitive: bool,
    ) -> None:
        self._graph = graph
        self._service_principal_id = service_principal_id
        self._groups = groups
        sdk, any_object = graph.sdk, ANY_OBJECT
        self._user = queries.user(sdk, any_object, queries.STATE_ONLY)
        self._deleted_item = queries.deleted_item(sdk, any_object)
        self._assignments = queries.assignments_of_user(sdk, any_object, service_principal_id)
        self._group = queries.group(sdk, any_object)
        self._assignments_of_group = queries.assignments_of_group(sdk, any_object, service_principal_id)
        self._groups_of_group = queries.groups_of_group(sdk, any_object)
        self._member_groups = queries.member_groups(sdk, any_object, transitive=transitive)
        self._unreadable = unreadable
        self._is_transitive = transitive
        self._listed: tuple[list[AppRoleAssignment], str] | None = None
        self._listing = asyncio.Lock()

    async def confirm(self, absentees: Sequence[Absentee]) -> dict[str, Evidence]:
        presences = await self._contradicted(await self._find(absentees))
        existing = [presence.graph_id for presence in presences if presence.graph_id and presence.state]
        assigned = await self._assignment_answers(existing)
        is_asked = any(presence.state and presence.state.account_enabled for presence in presences)
        unreadable = await self._unreadable_groups() if is_asked else frozenset[GraphId]()
        return {
            absentee.subject.key: _evidence(
                presence, assigned.get(presence.graph_id or GraphId("")), unreadable
            )
            for absentee, presence in zip(absentees, presences, strict=True)
        }

    async def _unreadable_groups(self) -> frozenset[GraphId]:
        """Return the assigned groups that keep their members from this token."""
        if self._unreadable is None:
            self._unreadable = frozenset()
            if not await may_read_hidden(self._graph):
                rows, _ = await self._all_assigned()
                groups = {GraphId(row.principal_id) for row in rows if row.principal_type != "User"}
                self._unreadable = await groups_with_hidden_members(
                    self._graph, groups | self._groups, transitive=self._is_transitive
                )
        return self._unreadable

    async def confirm_groups(self, absentees: Sequence[Absentee]) -> dict[str, Evidence]:
        """Return whether groups exist and are assigned, and which groups hold them.

        A group is deleted here, or taken out of another, on the same proof as a user is
        deactivated.
        """
        asked = [
            query.about(_group_id(absentee) or "")
            for absentee in absentees
            for query in (self._group, self._assignments_of_group, self._groups_of_group)
        ]
        answers = await self._graph.batch(asked)
        return {
            absentee.subject.key: await self._one_group(
                _group_id(absentee), asked[at : at + 3], answers[at : at + 3]
            )
            for at, absentee in zip(range(0, len(asked), 3), absentees, strict=True)
        }

    async def _one_group(
        self, group_id: GraphId | None, asked: Sequence[GraphQuery], answers: Sequence[bytes | GraphError]
    ) -> Evidence:
        properties, assignments, holders = answers
        if isinstance(properties, NotFound):
            # Its groups take no Directory.Read.All.
            own_list = holders if isinstance(assignments, ConsentMissing) else assignments
            return _group_evidence(group_id, None, _fault_of_missing(own_list))
        try:
            if isinstance(properties, GraphError):
                raise properties
            group = decoded(models.decode_member_group, properties, "a group")
        except GraphError as error:
            return _group_evidence(group_id, None, str(error))
        listed = await self._principals(asked[1], assignments)
        is_assigned = group.id in listed.principals and group.is_provisioned
        evidence = _group_evidence(group_id, is_assigned, listed.fault)
        return replace(evidence, member_of=await self._holders(asked[2], holders))

    async def _holders(self, query: GraphQuery, answer: bytes | GraphError) -> frozenset[GraphId] | None:
        """Return the groups that hold a group; None if they could not all be read."""
        pages = Pages(self._graph, query, models.decode_member_groups, answer)
        shown = [GraphId(group.id) async for page in pages for group in page]
        return None if pages.proof.detail else frozenset(shown)

    async def _find(self, absentees: Sequence[Absentee]) -> list[_Presence]:
        asked = [self._lookups(absentee) for absentee in absentees]
        answers = iter(await self._graph.batch([query for of_one in asked for query in of_one]))
        return [
            _presence(absentee, [next(answers) for _ in of_one])
            for absentee, of_one in zip(absentees, asked, strict=True)
        ]

    async def _contradicted(self, presences: Sequence[_Presence]) -> list[_Presence]:
        """Mark users that are missing though Graph answers for their groups."""
        missing = [p for p in presences if p.graph_id and not (p.state or p.soft_deleted_at or p.fault)]
        answers = await self._graph.batch([self._member_groups.about(p.graph_id or "") for p in missing])
        asked = zip(missing, answers, strict=True)
        faults = {presence.graph_id: _fault_of_missing(answer) for presence, answer in asked}
        return [replace(each, fault=faults.get(each.graph_id, each.fault)) for each in presences]

    def _lookups(self, absentee: Absentee) -> list[GraphQuery]:
        person = absentee.subject.graph_id
        if person:
            return [self._user.about(person), self._deleted_item.about(person)]
        if absentee.lookups:
            return queries.searches_for(self._graph.sdk, absentee.lookups, queries.STATE_ONLY)
        return []

    async def _assignment_answers(self, people: Sequence[GraphId]) -> dict[GraphId, _AssignmentAnswer]:
        asked = [
            query.about(person) for person in people for query in (self._assignments, self._member_groups)
        ]
        answers = await self._graph.batch(asked)
        return {
            person: await self._assignment_answer(person, asked[at : at + 2], answers[at : at + 2])
            for at, person in zip(range(0, len(asked), 2), people, strict=True)
        }

    async def _assignment_answer(
        self, person: GraphId, asked: Sequence[GraphQuery], answers: Sequence[bytes | GraphError]
    ) -> _AssignmentAnswer:
        listed = await self._principals(asked[0], answers[0])
        groups = Pages(self._graph, asked[1], models.decode_member_groups, answers[1])
        shown = [group async for page in groups for group in page]
        held = [GraphId(group.id) for group in shown if group.is_provisioned]
        # A group that the listing left out is no group of this reading, but it assigns
        # its members all the same.
        assigned_by = frozenset(held) & (self._groups | listed.principals)
        unseen = listed.granted_to(person) - {group.id for group in shown}
        grant = True if assigned_by else await self._grant_through(unseen)
        fault = listed.fault or groups.proof.detail
        return _AssignmentAnswer(person in listed.principals, assigned_by, grant, fault)

    async def _grant_through(self, groups: Collection[str]) -> bool | None:
        """Return whether a grant stands although no membership in its group is shown.

        True if a group hides its members, so that the silence says nothing. None if the
        two answers contradict each other. A group that is gone grants nothing.
        """
        asked = [queries.group_visibility(self._graph.sdk, group) for group in sorted(groups)]
        parts = (asked[at : at + MAX_BATCH] for at in range(0, len(asked), MAX_BATCH))
        answers = [answer for part in parts for answer in await self._graph.batch(part)]
        found = [answer for answer in answers if not isinstance(answer, NotFound)]
        if not found:
            return False
        return True if any(map(hides_members, found)) else None

    async def _principals(self, query: GraphQuery, answer: bytes | GraphError) -> _Principals:
        """Return the assigned principals among a user and its groups (or one group).

        `/users/{id}/appRoleAssignments` takes `Directory.Read.All` at least; nothing
        else here does. Without it the application's list is read anew: it may lag as
        the listing did, so with the permission a refusal confirms nothing.
        """
        if isinstance(answer, ConsentMissing) and await may_read_directory(self._graph):
            return _Principals(frozenset(), str(answer), is_own_list=True)
        if isinstance(answer, ConsentMissing):
            rows, fault = await self._all_assigned()
            return _Principals(frozenset(row.principal_id for row in rows), fault, is_own_list=False)
        pages = Pages(self._graph, query, models.decode_assignments, answer)
        rows = [row async for page in pages for row in page if row.resource_id == self._service_principal_id]
        fault = pages.proof.detail or (
            "An assignment has no principalId." if pages.proof.unidentified else ""
        )
        return _Principals(frozenset(row.principal_id for row in rows), fault, is_own_list=True)

    async def _all_assigned(self) -> tuple[list[AppRoleAssignment], str]:
        """Return the application's list of assignments, and its fault.

        The list is read once.
        """
        async with self._listing:
            if self._listed is None:
                rows, proof = await read_assignments(self._graph, self._service_principal_id)
                self._listed = rows, proof.detail
            return self._listed


@dataclass(frozen=True, slots=True)
class _Principals:
    """Principals with an assignment to our application."""

    principals: frozenset[str]
    fault: str
    """What was wrong with the answer."""
    is_own_list: bool
    """The list is of one person, with the grants through the person's groups."""

    def granted_to(self, person: GraphId) -> frozenset[str]:
        """Return the groups through which Graph lists a grant to the person."""
        return self.principals - {person} if self.is_own_list else frozenset()


@dataclass(frozen=True, slots=True)
class _AssignmentAnswer:
    """Whether an existing user is assigned."""

    is_assigned: bool
    groups: frozenset[GraphId]
    by_group: bool | None
    """Whether a group grants access; None if the answers contradict each other."""
    fault: str


def _group_id(absentee: Absentee) -> GraphId | None:
    """Return the group's object id.

    A group that was pushed and never linked has it as externalId.
    """
    return absentee.subject.graph_id or next((GraphId(value) for _, value in absentee.lookups), None)


def _fault_of_missing(own_list: bytes | GraphError) -> str:
    """Return why a missing object is not believed to be gone; empty if it is.

    The application's list is not asked: it names deleted objects for minutes.
    """
    if isinstance(own_list, GraphError):
        return "" if isinstance(own_list, NotFound) else str(own_list)
    return "Graph says that it does not exist, and lists what belongs to it: nothing is taken until its answers agree."


def _group_evidence(group_id: GraphId | None, is_assigned: bool | None, fault: str = "") -> Evidence:
    """Return a group's evidence; `is_assigned` is None for a missing group."""
    return Evidence(
        graph_id=group_id,
        user_found=is_assigned is not None,
        account_enabled=None,
        soft_deleted_at=None,
        assigned_directly=is_assigned,
        assigned_by_group=None,
        at=datetime.now(UTC),
        readable=not fault,
        detail=fault,
    )


def _presence(absentee: Absentee, answers: Sequence[bytes | GraphError]) -> _Presence:
    try:
        if absentee.subject.graph_id:
            return _presence_by_id(absentee.subject.graph_id, *answers)
        return _presence_by_search(answers)
    except GraphError as error:
        return _Presence(absentee.subject.graph_id, fault=str(error))


def _presence_by_id(graph_id: GraphId, user: bytes | GraphError, deleted: bytes | GraphError) -> _Presence:
    if not isinstance(user, GraphError):
        return _Presence(graph_id, _state(decoded(models.decode_user_state, user, "a user")))
    if not isinstance(user, NotFound):
        raise user
    if isinstance(deleted, NotFound):
        return _Presence(graph_id)
    if isinstance(deleted, GraphError):
        raise deleted
    item = decoded(models.decode_deleted_user, deleted, "a deleted item")
    return _Presence(graph_id, soft_deleted_at=item.deleted_date_time or datetime.now(UTC))


def _presence_by_search(answers: Sequence[bytes | GraphError]) -> _Presence:
    if not answers:
        return _Presence(None, fault="Nothing is known by which this person could be looked for in Entra.")
    found: list[UserState] = []
    for answer in answers:
        if isinstance(answer, GraphError):
            raise answer
        found += decoded(models.decode_user_states, answer, "users").value
    if len({user.id for user in found}) > 1:
        return _Presence(GraphId(found[0].id), fault="Several people in Entra answer to this account.")
    return _Presence(GraphId(found[0].id), _state(found[0])) if found else _Presence(None)


def _state(state: UserState) -> UserState:
    if state.account_enabled is None:
        raise MalformedAnswer(
            "Graph answered a user without accountEnabled; User.Read.All makes it readable."
        )
    return state


def _evidence(
    presence: _Presence, answer: _AssignmentAnswer | None, unreadable: frozenset[GraphId]
) -> Evidence:
    fault = presence.fault or (answer.fault if answer else "")
    by_group = answer.by_group if answer else None
    if by_group is False and unreadable:
        by_group = None  # one of these groups may hold the person
    is_hidden = answer is not None and by_group is None and bool(unreadable)
    return Evidence(
        graph_id=presence.graph_id,
        user_found=presence.state is not None,
        account_enabled=presence.state.account_enabled if presence.state else None,
        soft_deleted_at=presence.soft_deleted_at,
        assigned_directly=answer.is_assigned if answer else None,
        assigned_by_group=by_group,
        at=datetime.now(UTC),
        member_of=answer.groups if answer else None,
        readable=not fault,
        detail=fault or (MAY_BE_HIDDEN if is_hidden else ""),
        unreadable_groups=unreadable if answer else frozenset(),
    )
