"""Read some users and groups one by one, as a `Snapshot` of kind `incremental`.

Twenty requests go into a `$batch`: each user, and the groups that hold the user. A user
that does not exist is looked for among the deleted items. The application's assignments
are read in full: there is no delta for them. The reading grows: subjects that turn out
to be needed are read in another round.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from store.records import Connection, CycleKind, GraphId, MembershipMode
from worker.graph import models, queries
from worker.graph.errors import ConsentMissing, GraphError, NotFound
from worker.graph.graph_query import ANY_OBJECT, GraphQuery
from worker.graph.http.client import MAX_BATCH, GraphClient, decoded
from worker.graph.models import AppRoleAssignment
from worker.graph.read.application import missing_roles, read_application, read_assignments, read_canary
from worker.graph.read.groups import GroupsRead, read_groups
from worker.graph.read.pages import Pages, for_each_chunk
from worker.graph.read.users import user_shape
from worker.reconcile.dependencies import Lookup
from worker.reconcile.snapshot import Completeness, Focus, GraphGroup, GraphUser, ListRead, Snapshot

_CANARIES = 3


@dataclass(slots=True)
class FocusReading:
    """What was read so far; `start` begins it, `read` adds to it."""

    graph: GraphClient
    connection: Connection
    service_principal_id: str
    assignments: list[AppRoleAssignment]
    proofs: list[ListRead]
    taken_at: datetime
    users: dict[GraphId, GraphUser] = field(default_factory=dict)
    deleted: dict[GraphId, datetime] = field(default_factory=dict)
    direct: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    """By user or group: the groups that hold it directly."""
    nested: dict[GraphId, frozenset[GraphId]] = field(default_factory=dict)
    """By user: the groups that hold it by nesting only."""
    groups: GroupsRead = field(default_factory=GroupsRead)
    of_user: Sequence[GraphQuery] = ()
    """What is asked about each person: the person, then the groups that hold them."""
    assigned: frozenset[GraphId] = field(init=False)
    """The users and groups that are assigned."""
    _named_groups: dict[GraphId, str] = field(init=False)

    def __post_init__(self) -> None:
        sdk, any_object = self.graph.sdk, ANY_OBJECT
        nested = [queries.member_groups(sdk, any_object, transitive=True)] if self._is_transitive else []
        person = queries.user(sdk, any_object, user_shape(self.connection.policy))
        self.of_user = (person, queries.member_groups(sdk, any_object), *nested)
        # Worked out once: they are asked for many times, of a million assignments.
        self.assigned = frozenset(GraphId(row.principal_id) for row in self.assignments)
        rows = (row for row in self.assignments if row.principal_type == "Group")
        self._named_groups = {GraphId(row.principal_id): row.principal_display_name or "" for row in rows}

    @property
    def assigned_groups(self) -> Mapping[GraphId, str]:
        """The assigned groups that exist, with the names the assignments give them."""
        gone = self.groups.gone
        if not gone:
            return self._named_groups
        return {group: name for group, name in self._named_groups.items() if group not in gone}

    async def read(self, focus: Focus) -> None:
        """Read every user of the focus, and in full the assigned groups of it.

        Raises a `GraphError` where an answer is neither the object nor Graph's own
        "does not exist".
        """
        await for_each_chunk(sorted(focus.users), MAX_BATCH // len(self.of_user), self._read_users)
        groups = sorted(focus.groups & self.assigned_groups.keys())
        found = await read_groups(
            self.graph, groups, transitive=self._is_transitive, progress=lambda _done, _total: None
        )
        self.proofs += found.proofs
        self.groups.gone |= found.gone
        self.groups.groups |= found.groups
        self.groups.members.update(found.members)
        self.groups.nested.update(found.nested)
        self.groups.unreadable |= found.unreadable
        await for_each_chunk(sorted(found.groups), MAX_BATCH, self._read_containers_of_groups)

    async def find(self, lookups: Iterable[Lookup]) -> frozenset[GraphId]:
        """Return the users that match one of these: a property and its value.

        Raises a `GraphError`.
        """
        found: set[GraphId] = set()

        async def search(some: Sequence[Lookup]) -> None:
            asked = [queries.users_with_any(self.graph.sdk, [lookup], queries.STATE_ONLY) for lookup in some]
            for query, answer in zip(asked, await self.graph.batch(asked), strict=True):
                page = decoded(models.decode_user_states, _body(answer), query.name)
                found.update(GraphId(user.id) for user in page.value)

        await for_each_chunk(sorted(lookups), MAX_BATCH, search)
        return frozenset(found)

    async def reports_of(self, people: Collection[GraphId]) -> frozenset[GraphId]:
        """Return the direct reports of these users. Raises a `GraphError`."""
        found: set[GraphId] = set()
        of_any = queries.reports_of(self.graph.sdk, ANY_OBJECT)

        async def ask(some: Sequence[GraphId]) -> None:
            asked = [of_any.about(person) for person in some]
            for query, answer in zip(asked, await self.graph.batch(asked), strict=True):
                found.update(await self._ids(query, answer))

        await for_each_chunk(sorted(people), MAX_BATCH, ask)
        return frozenset(found)

    async def snapshot(self) -> Snapshot:
        """Return what was read.

        It names every assigned group, with those of its members that were read, or all.
        """
        roles = await self.graph.token_roles()
        names = self.assigned_groups
        groups = {g: self.groups.groups.get(g) or _named(g, name) for g, name in names.items()}
        people = self.users.keys() | groups.keys()
        return Snapshot(
            taken_at=self.taken_at,
            kind=CycleKind.INCREMENTAL,
            service_principal_id=self.service_principal_id,
            users=dict(self.users),
            groups=groups,
            assignments=tuple(row.record() for row in self.assignments if row.principal_id in people),
            members={**_by_group(groups, self.direct), **self.groups.members},
            nested_members=(
                {**_by_group(groups, self.nested), **self.groups.nested} if self._is_transitive else {}
            ),
            deleted=dict(self.deleted),
            unknown_grants=dict(self.groups.unreadable),
            completeness=Completeness(
                lists=tuple(self.proofs), token_roles=roles, missing_roles=missing_roles(roles)
            ),
        )

    async def read_canary(self) -> bool:
        """Return whether a known-good object can be read by itself.

        That is a user who was read already, else one who is assigned.
        """
        if self.users:
            return True
        assigned = [GraphId(row.principal_id) for row in self.assignments if row.principal_type == "User"]
        return await read_canary(self.graph, self.service_principal_id, assigned[:_CANARIES])

    async def _read_users(self, people: Sequence[GraphId]) -> None:
        asked = [query.about(person) for person in people for query in self.of_user]
        answers = iter(await self.graph.batch(asked))
        missing = []
        for person in people:
            user, *containers = [next(answers) for _ in self.of_user]
            if isinstance(user, NotFound):
                missing.append(person)
                continue
            self.users[person] = decoded(models.decode_user, _body(user), "a user")
            await self._keep_containers(person, containers)
        await self._read_deleted(missing)

    async def _keep_containers(self, person: GraphId, answers: Sequence[bytes | GraphError]) -> None:
        asked = [query.about(person) for query in self.of_user[1:]]
        held = [await self._ids(query, answer) for query, answer in zip(asked, answers, strict=True)]
        self.direct[person] = held[0]
        self.nested[person] = held[-1] - held[0]

    async def _read_deleted(self, people: Sequence[GraphId]) -> None:
        of_any = queries.deleted_item(self.graph.sdk, ANY_OBJECT)
        asked = [of_any.about(person) for person in people]
        for person, answer in zip(people, await self.graph.batch(asked) if asked else (), strict=True):
            # Refused are objects of other types, which take other permissions: of a
            # lost assignment only the id is known, perhaps that of a deleted group.
            if not isinstance(answer, NotFound | ConsentMissing):
                item = decoded(models.decode_deleted_user, _body(answer), "a deleted item")
                self.deleted[person] = item.deleted_date_time or datetime.now(UTC)

    async def _read_containers_of_groups(self, groups: Sequence[GraphId]) -> None:
        of_any = queries.groups_of_group(self.graph.sdk, ANY_OBJECT)
        asked = [of_any.about(group) for group in groups]
        answers = await self.graph.batch(asked)
        for group, query, answer in zip(groups, asked, answers, strict=True):
            self.direct[group] = await self._ids(query, answer)

    async def _ids(self, query: GraphQuery, first: bytes | GraphError) -> frozenset[GraphId]:
        """Return the ids on all pages; raise the error that ended the list."""
        pages = Pages(self.graph, query, models.decode_member_groups, first)
        found = [GraphId(each.id) async for page in pages for each in page if each.is_provisioned]
        if pages.error is not None:
            raise pages.error
        return frozenset(found)

    @property
    def _is_transitive(self) -> bool:
        return self.connection.policy.membership is MembershipMode.TRANSITIVE


async def start_reading(graph: GraphClient, connection: Connection, taken_at: datetime) -> FocusReading:
    """Read the application and all its assignments.

    `taken_at` is the time from which the reading may not know a change made here
    (invariant I7). Raises a `GraphError`.
    """
    application = await read_application(graph, connection)
    assignments, proof = await read_assignments(graph, application.id)
    return FocusReading(graph, connection, application.id, assignments, [proof], taken_at)


def _body(answer: bytes | GraphError) -> bytes:
    if isinstance(answer, GraphError):
        raise answer
    return answer


def _named(group_id: GraphId, name: str) -> GraphGroup:
    return GraphGroup(group_id, name, {"id": group_id, "displayName": name})


def _by_group(
    groups: Iterable[GraphId], containers: dict[GraphId, frozenset[GraphId]]
) -> dict[GraphId, frozenset[GraphId]]:
    """Invert the groups of each user; a group without users has an entry too."""
    held: dict[GraphId, set[GraphId]] = {group: set() for group in groups}
    for member, group in _pairs(containers):
        if group in held:
            held[group].add(member)
    return {group: frozenset(members) for group, members in held.items()}


def _pairs(containers: dict[GraphId, frozenset[GraphId]]) -> Iterator[tuple[GraphId, GraphId]]:
    for member, holding in containers.items():
        for group in holding:
            yield member, group
