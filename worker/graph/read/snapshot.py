"""Read one connection's directory into a `Snapshot`, with proof of its completeness.

Everything is read in full: assignments (there is no delta for them), assigned groups
with their direct members, users, soft-deleted users. A list that cannot be read to its
end is unfinished; the guard removes no user on such a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeAlias

from store.records import Connection, CycleKind, GraphId, MembershipMode, Policy, Scope
from worker.graph.http.client import GraphClient
from worker.graph.models import AppRoleAssignment
from worker.graph.read.application import (
    granted_roles,
    missing_roles,
    read_application,
    read_assignments,
    read_canary,
)
from worker.graph.read.groups import GroupsRead, read_groups
from worker.graph.read.managers import ManagersRead, read_managers
from worker.graph.read.users import read_deleted_users, read_users, weigh_against_count
from worker.reconcile.arrays.object_ids import ObjectIds, members_of_any
from worker.reconcile.arrays.user_table import ManagerTable
from worker.reconcile.mapping.attribute_mapping import wants_manager
from worker.reconcile.snapshot import Completeness, GraphUser, ListRead, Snapshot

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called after every page: phase (`users`, `groups`), done, total if it is known."""

__all__ = ["Progress", "quiet", "read_snapshot"]

_CANARIES = 3


def quiet(_phase: str, _done: int, _total: int | None) -> None:
    """Ignore the progress."""


async def read_snapshot(
    graph: GraphClient,
    connection: Connection,
    kind: CycleKind = CycleKind.FULL,
    progress: Progress = quiet,
    *,
    canary: GraphId | None = None,
) -> Snapshot:
    """Read everything once.

    `canary` is a user known to exist (one who was entitled in the last cycle). Raises a
    `GraphError` only if nothing at all can be read: no token, a permission that is
    missing, no such application, Graph out of reach.
    """
    taken_at = datetime.now(UTC)
    roles = await granted_roles(graph)
    application = await read_application(graph, connection)
    ids = ObjectIds()
    async with asyncio.TaskGroup() as tasks:
        listed = tasks.create_task(
            read_users(graph, connection.policy, lambda *done: progress("users", *done), ids)
        )
        removed = tasks.create_task(read_deleted_users(graph))
        assigned = tasks.create_task(_read_assigned(graph, application.id, connection.policy, progress, ids))
    users, users_proof = listed.result()
    deleted_users, deleted_proof = removed.result()
    deleted = deleted_users.at
    assignments, assignments_proof, groups, managers = assigned.result()
    if managers is None:
        managers = await read_managers(graph, users.in_state(True), ids)
    managers.note_in(users)
    users_proof = await weigh_against_count(graph, users_proof, users, deleted)
    unknown_grants = groups.unreadable | _untyped_grants(assignments, assignments_proof, users)
    people = _canaries(canary, assignments, groups, users)
    return Snapshot(
        taken_at=taken_at,
        kind=kind,
        service_principal_id=application.id,
        users=users,
        groups=groups.groups,
        assignments=tuple(row.record() for row in assignments if row.principal_id not in groups.gone),
        members=groups.members,
        nested_members=groups.nested,
        deleted=deleted,
        deleted_users=deleted_users.users,
        unknown_grants=unknown_grants,
        completeness=Completeness(
            lists=(assignments_proof, users_proof, deleted_proof, *managers.lists, *groups.proofs),
            token_roles=roles,
            missing_roles=missing_roles(roles),
            canary_read=await read_canary(graph, application.id, people),
            not_before=_not_before(graph),
            notes=(*unknown_grants.values(), *_unnamed(users_proof)),
        ),
    )


async def _read_assigned(
    graph: GraphClient, service_principal_id: str, policy: Policy, progress: Progress, ids: ObjectIds
) -> tuple[list[AppRoleAssignment], ListRead, GroupsRead, ManagersRead | None]:
    """Read who is assigned, and their managers while the directory is still listed.

    No managers are returned if the scope is every user: these are known later.
    """
    assignments, proof = await read_assignments(graph, service_principal_id)
    group_ids = sorted({GraphId(row.principal_id) for row in assignments if row.principal_type == "Group"})
    groups = await read_groups(
        graph,
        group_ids,
        transitive=policy.membership is MembershipMode.TRANSITIVE,
        progress=lambda *done: progress("groups", *done),
        ids=ids,
    )
    if not wants_manager(policy):
        return assignments, proof, groups, ManagersRead(frozenset(), ManagerTable(ids))
    if policy.scope is Scope.ALL:
        return assignments, proof, groups, None
    direct = ids.number_all(GraphId(row.principal_id) for row in assignments if row.principal_type != "Group")
    people = direct | members_of_any(groups.members) | members_of_any(groups.nested)
    return assignments, proof, groups, await read_managers(graph, people - set(group_ids), ids)


def _untyped_grants(
    assignments: Sequence[AppRoleAssignment], proof: ListRead, users: Mapping[GraphId, GraphUser]
) -> dict[GraphId, str]:
    """Return what may be assigned groups, and what each may concern."""
    unknown = {
        GraphId(
            row.principal_id
        ): f"Graph does not say whether {row.principal_id}, which is assigned, is a group "
        "(principalType): nobody who might have access through it is disabled for lack of an assignment."
        for row in assignments
        if not row.principal_type and row.principal_id not in users
    }
    if proof.unidentified:
        unknown[GraphId(proof.name)] = (
            f"Graph lists {proof.unidentified} assignments without a principalId: nobody who might be meant is "
            "disabled for lack of an assignment."
        )
    return unknown


def _not_before(graph: GraphClient) -> datetime | None:
    return datetime.now(UTC) + timedelta(seconds=graph.paused_s) if graph.paused_s else None


def _unnamed(users: ListRead) -> Iterator[str]:
    if users.unidentified:
        yield (
            f"Graph lists {users.unidentified} users without an object id: nobody counts as deleted only "
            "because the list of users lacks them."
        )


def _canaries(
    canary: GraphId | None,
    assignments: list[AppRoleAssignment],
    groups: GroupsRead,
    users: Mapping[GraphId, GraphUser],
) -> list[GraphId]:
    """Return some users that should exist: the given one, assigned ones, else any."""

    def expected() -> Iterator[GraphId]:
        yield from (GraphId(row.principal_id) for row in assignments if row.principal_type == "User")
        for people in groups.members.values():
            yield from islice(people, _CANARIES)

    first = (person for person in expected() if person in users), expected(), iter(users)
    known = next((some for each in first if (some := list(islice(each, _CANARIES)))), [])
    return [*([canary] if canary else []), *known]
