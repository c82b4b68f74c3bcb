"""Read one user or one group for an on-demand request, as a `Snapshot`.

The snapshot is about the subject only (and the users that a name ties to it): its lists
are named after it, none is called `users`, so that no other user's absence can be read
out of it. The cost depends on the subject, not on the size of the directory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from store.records import Connection, CycleKind, GraphId, MembershipMode, name_key
from worker.graph import models, queries
from worker.graph.errors import (
    AmbiguousSubject,
    BadRequest,
    ConsentMissing,
    GraphError,
    NotFound,
    SubjectNotFound,
)
from worker.graph.graph_query import GraphQuery
from worker.graph.http.client import MAX_BATCH, GraphClient, decoded
from worker.graph.read.application import granted_roles, missing_roles, read_application
from worker.graph.read.assignments import AssignmentReader
from worker.graph.read.groups import read_groups
from worker.graph.read.managers import read_managers
from worker.graph.read.pages import Pages, for_each_chunk
from worker.graph.read.users import user_shape
from worker.reconcile.arrays.object_ids import ObjectIds
from worker.reconcile.dependencies import Lookup
from worker.reconcile.snapshot import Completeness, GraphGroup, GraphUser, ListRead, Snapshot


async def start_reading(graph: GraphClient, connection: Connection) -> SubjectReading:
    """Read the application. Raises a `GraphError`."""
    taken_at = datetime.now(UTC)
    roles = await granted_roles(graph)
    application = await read_application(graph, connection)
    is_transitive = connection.policy.membership is MembershipMode.TRANSITIVE
    return SubjectReading(
        graph, connection, taken_at, roles, AssignmentReader(graph, application.id, is_transitive)
    )


@dataclass(slots=True)
class SubjectReading:
    """Collect answers: `find` begins, other calls add, `snapshot` returns all of it."""

    graph: GraphClient
    connection: Connection
    taken_at: datetime
    roles: frozenset[str]
    standing: AssignmentReader
    proofs: list[ListRead] = field(default_factory=list)
    users: dict[GraphId, GraphUser] = field(default_factory=dict)
    groups: dict[GraphId, GraphGroup] = field(default_factory=dict)
    members: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    nested: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    deleted: dict[GraphId, datetime] = field(default_factory=dict)
    unknown_grants: dict[GraphId, str] = field(default_factory=dict)
    namesakes: list[str] = field(default_factory=list)
    """Other objects with the same reference, in words, if a rule chose between them."""

    async def find(self, reference: str) -> GraphId:
        """Read the user or group of a reference and return its id.

        A user is found by object id, userPrincipalName or mail, a group by object id or
        display name. A user comes with the manager's id, the assignments to our
        application and the assigned groups that hold the user; a soft-deleted one is
        only an entry of `deleted`. A group comes with its members and their properties,
        assigned or not. Raises `SubjectNotFound`, `AmbiguousSubject`, or a `GraphError`
        if Graph cannot be read.
        """
        reference = reference.strip()
        if _is_guid(reference):
            found = await self._find_by_id(GraphId(reference.lower()))
        elif "@" in reference:
            found = await self._find_by_name(reference)
        else:
            found = await self._find_group(reference)
        if found is None:
            raise SubjectNotFound(
                "Nobody in the directory goes by that reference. Give an object id, a userPrincipalName, a mail "
                "address, or a group's display name.",
                self.snapshot(),
            )
        return found

    async def read_people(self, people: Collection[GraphId]) -> None:
        """Read users by object id, with their assignments; leave out missing ones."""

        async def read(some: Sequence[GraphId]) -> None:
            sdk = self.graph.sdk
            asked = [
                q for p in some for q in (queries.user(sdk, p, self._shape), queries.deleted_item(sdk, p))
            ]
            answers = await self.graph.batch(asked)
            for at, person in zip(range(0, len(answers), 2), some, strict=True):
                self._keep(person, *answers[at : at + 2])

        await for_each_chunk(sorted(set(people) - self.users.keys()), MAX_BATCH // 2, read)
        await self.standing.ask_people(self.users.keys() & set(people))

    async def search(self, lookups: Collection[Lookup]) -> frozenset[GraphId]:
        """Return the users that match one of these: a property and its value.

        Raises a `GraphError`.
        """
        found: set[GraphId] = set()

        async def search(some: Sequence[Lookup]) -> None:
            asked = [queries.users_with_any(self.graph.sdk, [lookup], queries.STATE_ONLY) for lookup in some]
            for query, answer in zip(asked, await self.graph.batch(asked), strict=True):
                pages = Pages(self.graph, query, models.decode_user_states, answer)
                found.update([GraphId(user.id) async for page in pages for user in page])
                _check_end(pages)

        await for_each_chunk(sorted(lookups), MAX_BATCH, search)
        return frozenset(found)

    async def ask_groups(self, ids: Collection[GraphId], names: Iterable[str]) -> None:
        """Ask whether groups are assigned, by their ids or by their names."""
        asked = [queries.groups_named(self.graph.sdk, name) for name in sorted(set(names))]
        named: set[GraphId] = set()

        async def search(some: Sequence[GraphQuery]) -> None:
            for query, answer in zip(some, await self.graph.batch(some), strict=True):
                pages = Pages(self.graph, query, models.decode_groups, answer)
                named.update([group.id async for page in pages for group in page])
                _check_end(pages)

        await for_each_chunk(asked, MAX_BATCH, search)
        await self.standing.ask_groups({*ids, *named})

    def snapshot(self) -> Snapshot:
        """Return all that was read.

        Of users it has every assigned group that holds them, and each group that was
        asked for.
        """
        standing = self.standing
        assigned = {g: _named(g, name) for g, name in standing.assigned_groups.items()}
        rows = [row for row in standing.rows if row.principal_id in {*self.users, *self.groups, *assigned}]
        return Snapshot(
            taken_at=self.taken_at,
            kind=CycleKind.ON_DEMAND,
            service_principal_id=standing.service_principal_id,
            users=dict(self.users),
            groups=assigned | self.groups,
            assignments=tuple(row.record() for row in rows),
            members=standing.members(standing.direct) | self.members,
            nested_members=standing.members(standing.nested) | self.nested if standing.is_transitive else {},
            deleted=dict(self.deleted),
            unknown_grants=dict(self.unknown_grants),
            completeness=Completeness(
                lists=(*self.proofs, *standing.proofs),
                token_roles=self.roles,
                missing_roles=missing_roles(self.roles),
            ),
        )

    async def _find_by_id(self, graph_id: GraphId) -> GraphId | None:
        sdk = self.graph.sdk
        user, group, deleted = await self.graph.batch(
            [
                queries.user(sdk, graph_id, self._shape),
                queries.group(sdk, graph_id),
                queries.deleted_item(sdk, graph_id),
            ]
        )
        self.proofs.append(ListRead(f"object:{graph_id}", 1, 1, True))
        if _present(user) is None and (body := _present(group)) is not None:
            return await self._take_group(decoded(models.decode_group, body, "a group"))
        self._keep(graph_id, user, deleted)
        await self.standing.ask_people(self.users.keys())
        return graph_id if graph_id in self.users or graph_id in self.deleted else None

    async def _find_by_name(self, name: str) -> GraphId | None:
        """Find a user by userPrincipalName, by mail, or among the soft-deleted."""
        sdk = self.graph.sdk
        by_name, by_mail = await self.graph.batch(
            [queries.user(sdk, name, self._shape), queries.users_with_any(sdk, [("mail", name)], self._shape)]
        )
        if isinstance(by_name, BadRequest) and not isinstance(by_mail, GraphError):
            return await self._find_by_mail(by_mail, by_name)
        body, listed = _present(by_name), _present(by_mail)
        users = decoded(models.decode_users, listed or b'{"value":[]}', "users looked for").value
        self.proofs.append(ListRead("users of that name", 1, len(users), True))
        if body is not None:
            user = decoded(models.decode_user, body, "a user")
            # Unique in the directory; a mail address is not.
            self.namesakes = [
                f"{_who(other)} has it as mail address" for other in users if other.id != user.id
            ]
            users = [user]
        if not users:
            return await self._find_deleted(name)
        if len(users) > 1:
            raise AmbiguousSubject("users have that mail address", {u.id: _who(u) for u in users})
        self.users[users[0].id] = users[0]
        await self.standing.ask_people(self.users.keys())
        return users[0].id

    async def _find_by_mail(self, listed: bytes, refusal: BadRequest) -> GraphId:
        """Find a user by mail where Graph refused the look-up by userPrincipalName.

        Raises the refusal if there is no such user: that the name does not exist is not
        proved.
        """
        users = decoded(models.decode_users, listed, "users looked for").value
        self.proofs.append(ListRead("users of that name", 1, len(users), True))
        if not users:
            raise refusal
        if len(users) > 1:
            raise AmbiguousSubject("users have that mail address", {u.id: _who(u) for u in users})
        self.users[users[0].id] = users[0]
        await self.standing.ask_people(self.users.keys())
        return users[0].id

    async def _find_deleted(self, name: str) -> GraphId | None:
        """Read a soft-deleted user by name.

        Entra puts the object id before such a user's userPrincipalName and keeps the
        mail address.
        """
        pages = Pages(self.graph, queries.deleted_users(self.graph.sdk), models.decode_deleted_users)
        found = [user async for page in pages for user in page if _went_by(user, name)]
        self.proofs.append(pages.proof)
        if len(found) > 1:
            since = {GraphId(u.id): f"{u.id} (deleted {u.deleted_date_time or 'lately'})" for u in found}
            raise AmbiguousSubject("deleted users went by that name", since)
        self.deleted = {GraphId(user.id): user.deleted_date_time or datetime.now(UTC) for user in found}
        return next(iter(self.deleted), None)

    async def _find_group(self, display_name: str) -> GraphId | None:
        pages = Pages(self.graph, queries.groups_named(self.graph.sdk, display_name), models.decode_groups)
        found = [group async for page in pages for group in page]
        _check_end(pages)
        self.proofs.append(pages.proof)
        if len(found) > 1:
            await self.standing.ask_groups([group.id for group in found])
            assigned = self.standing.assigned_groups
            said = {g.id: f"{g.id} ({'' if g.id in assigned else 'not '}assigned)" for g in found}
            raise AmbiguousSubject("groups bear that name", said)
        return await self._take_group(found[0]) if found else None

    def _keep(self, person: GraphId, user: bytes | GraphError, deleted: bytes | GraphError) -> None:
        """Keep the answers of the directory and the deleted items about one user.

        A refusal at the recycle bin concerns an object of another type: deleted users
        are read with the permission for users.
        """
        if (body := _present(user)) is not None:
            self.users[person] = decoded(models.decode_user, body, "a user")
        elif not isinstance(deleted, ConsentMissing) and (body := _present(deleted)) is not None:
            item = decoded(models.decode_deleted_user, body, "a deleted item")
            self.deleted[person] = item.deleted_date_time or datetime.now(UTC)

    async def _take_group(self, group: GraphGroup) -> GraphId:
        read = await read_groups(
            self.graph,
            [group.id],
            transitive=self.standing.is_transitive,
            progress=lambda _done, _total: None,
        )
        self.proofs += read.proofs
        self.groups[group.id] = group
        self.members, self.nested, self.unknown_grants = (
            dict(read.members),
            dict(read.nested),
            read.unreadable,
        )
        await self.standing.ask_groups([group.id])
        people = read.members.get(group.id, frozenset()) | read.nested.get(group.id, frozenset())
        await self._read_members(group.id, people)
        return group.id

    async def _read_members(self, group_id: GraphId, people: Collection[GraphId]) -> None:
        """Read members' properties from the index, a thousand at a time.

        Members that the index does not have yet are read one by one.
        """
        query = queries.member_users(self.graph.sdk, group_id, self._shape)
        pages = Pages(self.graph, query, models.decode_users)
        listed: dict[GraphId, GraphUser] = {}
        async for users in pages:
            listed.update((user.id, user) for user in users if user.id in people)
        if self._shape.with_manager:
            managers = await read_managers(self.graph, listed.keys(), ObjectIds())
            self.proofs += managers.lists
            listed = managers.add_to(listed)
        self.users |= listed
        unlisted = sorted(set(people) - self.users.keys())
        await for_each_chunk(unlisted, MAX_BATCH, self._read_one_by_one)

    async def _read_one_by_one(self, people: Sequence[GraphId]) -> None:
        asked = [queries.user(self.graph.sdk, person, self._shape) for person in people]
        for answer in await self.graph.batch(asked):
            if (body := _present(answer)) is not None:  # a nested group is no user: 404
                user = decoded(models.decode_user, body, "a user")
                self.users[user.id] = user

    @property
    def _shape(self) -> queries.UserShape:
        return user_shape(self.connection.policy)


def _present(answer: bytes | GraphError) -> bytes | None:
    """Return the body, or None for a missing object; raise other errors."""
    if isinstance(answer, NotFound):
        return None
    if isinstance(answer, GraphError):
        raise answer
    return answer


def _check_end(pages: Pages[Any]) -> None:
    """Raise the error that ended a search: half of the matches are no answer."""
    if pages.error is not None:
        raise pages.error


def _went_by(user: models.DeletedUser, name: str) -> bool:
    key = name_key(name)
    prefixed = user.id.replace("-", "").lower() + key
    return key == name_key(user.mail or "") or name_key(user.user_principal_name or "") in (key, prefixed)


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _who(user: GraphUser) -> str:
    return f"{user.id} ({user.properties.get('userPrincipalName')}, {user.state})"


def _named(group_id: GraphId, name: str) -> GraphGroup:
    return GraphGroup(group_id, name, {"id": group_id, "displayName": name})
