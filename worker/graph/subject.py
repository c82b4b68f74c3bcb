"""On demand: one user or one group, found by whatever the admin typed, as the same `Snapshot` value.

The snapshot is about the subject only: its lists are named after it, none is called `users`, so that nobody
else's absence can be read out of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from store.records import Connection, CycleKind, GraphId, MembershipMode
from worker.graph import permissions, queries, wire
from worker.graph.batching import for_each_chunk
from worker.graph.client import MAX_BATCH, GraphClient, decoded
from worker.graph.errors import AmbiguousSubject, ConsentMissing, GraphError, NotFound, SubjectNotFound
from worker.graph.pages import Pages
from worker.graph.reading_application import read_application, read_assignments
from worker.graph.reading_groups import read_groups
from worker.graph.reading_users import user_shape
from worker.graph.wire import AppRoleAssignment
from worker.reconcile.snapshot import Completeness, GraphGroup, GraphUser, ListRead, Snapshot


async def read_subject(graph: GraphClient, connection: Connection, reference: str) -> Snapshot:
    """Reads one user (by object id, userPrincipalName or mail) or group (by object id or display name).

    A user comes with the manager's id, the assignments to our application and the assigned groups that hold
    the person; a soft-deleted one is only an entry of `deleted`. A group comes with its members and their
    properties, assigned or not. Raises `SubjectNotFound`, `AmbiguousSubject`, or a `GraphError` where Graph
    cannot be read.
    """
    taken_at = datetime.now(UTC)
    roles = await permissions.granted_roles(graph)
    application = await read_application(graph, connection)
    assignments, proof = await read_assignments(graph, application.id)
    reading = _SubjectReading(graph, connection, application.id, assignments, [proof])
    await reading.find(reference.strip())
    snapshot = reading.snapshot(taken_at, roles)
    if snapshot.users or snapshot.groups or snapshot.deleted:
        return snapshot
    raise SubjectNotFound(
        "Nobody in the directory goes by that reference. Give an object id, a userPrincipalName, a mail "
        "address, or a group's display name.",
        snapshot,
    )


@dataclass(slots=True)
class _SubjectReading:
    graph: GraphClient
    connection: Connection
    service_principal_id: str
    assignments: list[AppRoleAssignment]
    proofs: list[ListRead]
    users: dict[GraphId, GraphUser] = field(default_factory=dict)
    groups: dict[GraphId, GraphGroup] = field(default_factory=dict)
    members: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    nested: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    deleted: dict[GraphId, datetime] = field(default_factory=dict)

    async def find(self, reference: str) -> None:
        if _is_guid(reference):
            await self._find_by_id(GraphId(reference.lower()))
        elif "@" in reference:
            await self._find_by_name(reference)
        else:
            await self._find_group(reference)

    async def _find_by_id(self, graph_id: GraphId) -> None:
        sdk = self.graph.sdk
        user, group, deleted = await self.graph.batch(
            [
                queries.user(sdk, graph_id, self._shape),
                queries.group(sdk, graph_id),
                queries.deleted_item(sdk, graph_id),
            ]
        )
        if (body := _present(user)) is not None:
            await self._take_user(decoded(wire.decode_user, body, "a user"))
        elif (body := _present(group)) is not None:
            await self._take_group(decoded(wire.decode_group, body, "a group"))
        elif (body := _present(deleted)) is not None:
            item = decoded(wire.decode_deleted_user, body, "a deleted item")
            self.deleted[graph_id] = item.deleted_date_time or datetime.now(UTC)

    async def _find_by_name(self, name: str) -> None:
        """By userPrincipalName, then by mail, then among the soft-deleted."""
        try:
            query = queries.user(self.graph.sdk, name, self._shape)
            await self._take_user(await self.graph.read(query, wire.decode_user))
            return
        except NotFound:
            pass
        query = queries.users_with_any(self.graph.sdk, [("mail", name)], self._shape)
        found = (await self.graph.read(query, wire.decode_users)).value
        if len(found) > 1:
            raise _ambiguous("users", [user.id for user in found])
        if found:
            await self._take_user(found[0])
        else:
            await self._find_deleted(name)

    async def _find_deleted(self, name: str) -> None:
        """Entra puts the object id before a deleted person's userPrincipalName and keeps the mail address."""
        pages = Pages(self.graph, queries.deleted_users(self.graph.sdk), wire.decode_deleted_users)
        found = [user async for page in pages for user in page if _went_by(user, name)]
        self.proofs.append(pages.proof)
        if len(found) > 1:
            raise _ambiguous("deleted users", [user.id for user in found])
        self.deleted = {GraphId(user.id): user.deleted_date_time or datetime.now(UTC) for user in found}

    async def _find_group(self, display_name: str) -> None:
        query = queries.groups_named(self.graph.sdk, display_name)
        found = (await self.graph.read(query, wire.decode_groups)).value
        if len(found) > 1:
            raise _ambiguous("groups", [group.id for group in found])
        if found:
            await self._take_group(found[0])

    async def _take_user(self, user: GraphUser) -> None:
        """The person, and which of the assigned groups hold them: every assigned group gets an entry."""
        self.users[user.id] = user
        self.proofs.append(ListRead("user", 1, 1, True))
        rows = await self._own_assignments(user.id)
        to_groups = [row for row in self.assignments if row.principal_type == "Group"]
        direct = await self._containers(user.id, transitive=False)
        everywhere = await self._containers(user.id, transitive=True) if self._is_transitive else direct
        for row in to_groups:
            group_id = GraphId(row.principal_id)
            name = row.principal_display_name or ""
            self.groups[group_id] = GraphGroup(group_id, name, {"id": group_id, "displayName": name})
            self.members[group_id] = frozenset({user.id} if group_id in direct else ())
            self.nested[group_id] = frozenset({user.id} if group_id in everywhere - direct else ())
        self.assignments = rows + to_groups

    async def _own_assignments(self, user_id: GraphId) -> list[AppRoleAssignment]:
        """The person's own; without the permission for these, `Directory.Read.All`, from the list."""
        query = queries.assignments_of_user(self.graph.sdk, user_id, self.service_principal_id)
        try:
            first = await self.graph.get(query)
        except ConsentMissing:
            return [row for row in self.assignments if row.principal_id == user_id]
        except GraphError as error:
            self.proofs.append(ListRead(query.name, 0, 0, False, detail=str(error)))
            return []
        pages = Pages(self.graph, query, wire.decode_assignments, first)
        # Graph lists what comes through the person's groups as well; that is told by `member_groups`.
        own = [row async for page in pages for row in page if row.principal_id == user_id]
        self.proofs.append(pages.proof)
        return [row for row in own if row.resource_id == self.service_principal_id]

    async def _containers(self, user_id: GraphId, *, transitive: bool) -> frozenset[GraphId]:
        query = queries.member_groups(self.graph.sdk, user_id, transitive=transitive)
        pages = Pages(self.graph, query, wire.decode_member_groups)
        found = frozenset([GraphId(held.id) async for page in pages for held in page if held.is_provisioned])
        self.proofs.append(pages.proof)
        return found

    async def _take_group(self, group: GraphGroup) -> None:
        read = await read_groups(
            self.graph, [group.id], transitive=self._is_transitive, progress=lambda _done, _total: None
        )
        self.proofs += read.proofs
        self.groups[group.id] = group
        self.members, self.nested = read.members, read.nested
        people = read.members.get(group.id, frozenset()) | read.nested.get(group.id, frozenset())
        await self._read_members(group.id, people)
        concerned = people | {group.id}
        self.assignments = [row for row in self.assignments if row.principal_id in concerned]

    async def _read_members(self, group_id: GraphId, people: Collection[GraphId]) -> None:
        """Their properties from the index, a thousand at a time; who is not in it yet, one by one."""
        query = queries.member_users(self.graph.sdk, group_id, self._shape)
        pages = Pages(self.graph, query, wire.decode_users)
        async for users in pages:
            self.users.update((user.id, user) for user in users if user.id in people)
        unlisted = sorted(set(people) - self.users.keys())
        await for_each_chunk(unlisted, MAX_BATCH, self._read_one_by_one)

    async def _read_one_by_one(self, people: Sequence[GraphId]) -> None:
        asked = [queries.user(self.graph.sdk, person, self._shape) for person in people]
        for answer in await self.graph.batch(asked):
            if (body := _present(answer)) is not None:  # a nested group is no user: 404
                user = decoded(wire.decode_user, body, "a user")
                self.users[user.id] = user

    def snapshot(self, taken_at: datetime, roles: frozenset[str]) -> Snapshot:
        return Snapshot(
            taken_at=taken_at,
            kind=CycleKind.ON_DEMAND,
            service_principal_id=self.service_principal_id,
            users=self.users,
            groups=self.groups,
            assignments=tuple(row.record() for row in self.assignments),
            members=self.members,
            nested_members=self.nested if self._is_transitive else {},
            deleted=self.deleted,
            completeness=Completeness(
                lists=tuple(self.proofs),
                token_roles=roles,
                missing_roles=permissions.missing_roles(roles),
            ),
        )

    @property
    def _shape(self) -> queries.UserShape:
        return user_shape(self.connection.policy)

    @property
    def _is_transitive(self) -> bool:
        return self.connection.policy.membership is MembershipMode.TRANSITIVE


def _present(answer: bytes | GraphError) -> bytes | None:
    """None for an object that does not exist; raises any other error."""
    if isinstance(answer, NotFound):
        return None
    if isinstance(answer, GraphError):
        raise answer
    return answer


def _went_by(user: wire.DeletedUser, name: str) -> bool:
    name = name.lower()
    prefixed = user.id.replace("-", "").lower() + name
    return name == (user.mail or "").lower() or (user.user_principal_name or "").lower() in (name, prefixed)


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _ambiguous(what: str, ids: Sequence[str]) -> AmbiguousSubject:
    return AmbiguousSubject(
        f"{len(ids)} {what} go by that reference. Give the object id of the one you mean: "
        f"{', '.join(ids[:10])}."
    )
