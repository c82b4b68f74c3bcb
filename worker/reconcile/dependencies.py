"""Find what else must be read to decide a focus as a whole plan would decide it.

Matching and unique names tie users together: a row that two users could claim, a name
that another row still holds, a manager who is not here yet. Each such tie names a user
to read as well. The rows of that user may bring further ties, so callers ask again
until nothing is missing. Most focuses need no second round.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from store.records import ConnectionId, GraphId, Group, Policy, User, is_object_id, name_key
from worker.reconcile.mapping.attribute_mapping import CompiledMapping, compile_mapping
from worker.reconcile.mapping.graph_filters import is_searchable
from worker.reconcile.mapping.joining import identifiers_of, identifiers_of_account, is_digest, texts_of
from worker.reconcile.plan_context import is_one_user_asked, planned_ids
from worker.reconcile.snapshot import Focus, GraphUser, Snapshot
from worker.reconcile.state import State

Lookup = tuple[str, str]
"""A Graph property and the value it would have."""


@dataclass(frozen=True, slots=True)
class MissingReads:
    """Objects to read by id and queries to run; empty if the focus can be decided."""

    users: frozenset[GraphId]
    groups: frozenset[GraphId]
    lookups: frozenset[Lookup]
    """Queries for users that could claim a row without an owner."""
    rows: frozenset[str]
    """Unlinked group rows whose name another group is to have: they may have to go
    first.
    """

    def __bool__(self) -> bool:
        return bool(self.users or self.groups or self.lookups or self.rows)


def missing_reads(
    snapshot: Snapshot, state: State, policy: Policy, focus: Focus, compared: frozenset[Lookup] = frozenset()
) -> MissingReads:
    """Return what is missing beside what was read.

    `compared` are the lookups that were already run.
    """
    mapping = compile_mapping(policy)
    living = [row for row in state.users.values() if row.deleted_at is None]
    free = [row for row in living if _is_free(row, focus.users, snapshot.users)]
    free += [row for row in state.users.values() if _is_returning(row, focus)]
    people = {
        *_user_name_holders(mapping, snapshot, living),
        *_object_ids_in_external_id(free),
        *_managers(mapping, snapshot, state, focus),
    }
    groups = [row for row in state.groups.values() if row.deleted_at is None]
    lookups = {lookup for row in free for lookup in match_queries(mapping, row)}
    if is_one_user_asked(snapshot, focus):
        lookups.update(lookup for row in free for lookup in _identifier_queries(row))
    return MissingReads(
        frozenset(people - focus.users - snapshot.users.keys() - snapshot.deleted.keys()),
        frozenset(
            {*_group_holders(snapshot, focus, groups), *_future_name_holders(snapshot, focus, groups)}
            - focus.groups
        ),
        frozenset(lookups - compared),
        frozenset(_wanted_names(snapshot, focus, groups)) - focus.rows,
    )


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Keys by which rows are found; deleted rows too, by the first three."""

    ids: frozenset[str]
    objects: frozenset[GraphId]
    """Object ids of Entra to which the rows are linked."""
    names: frozenset[str]
    """userName or displayName, compared by `name_key`."""
    external_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class RowsNeeded:
    """The part of the state that a focus needs.

    Members of `whole_groups` and the groups of `users` come on top.
    """

    users: RowKeys
    whole_groups: RowKeys
    """Groups loaded with all their members."""
    groups: RowKeys
    """Groups loaded with only those members that are in focus."""


def rows_needed(connection_id: ConnectionId, snapshot: Snapshot, policy: Policy, focus: Focus) -> RowsNeeded:
    """Return the keys of the rows on which a focus is decided.

    These are the rows of its subjects and the rows that could be mistaken for them.
    """
    mapping = compile_mapping(policy)
    users = snapshot.users
    members = (held.get(g, ()) for held in (snapshot.members, snapshot.nested_members) for g in focus.groups)
    asked = focus.users.union(users.keys(), snapshot.deleted.keys(), *members)
    managers = (
        {user.manager_id for user in users.values() if user.manager_id} if mapping.with_manager else set()
    )
    # The push may have written its account by another mapping.
    people = list(users.values())
    # Groups inside a group of the focus are matched as well, though their members were
    # not asked for.
    others = _holding(snapshot) | (asked & snapshot.groups.keys())
    return RowsNeeded(
        users=RowKeys(
            ids=focus.rows | planned_ids(connection_id, asked),
            objects=asked | managers,
            names=frozenset(name for _, name in _names(mapping, snapshot)).union(
                name for user in people for name in identifiers_of(user) if not is_digest(name)
            ),
            external_ids=asked.union(_external_ids(mapping, people), *map(texts_of, people)),
        ),
        whole_groups=_group_keys(connection_id, snapshot, focus.groups, focus.rows),
        groups=_group_keys(connection_id, snapshot, others - focus.groups, frozenset()),
    )


def _holding(snapshot: Snapshot) -> frozenset[GraphId]:
    """Return the groups that hold a user who was read."""
    lists = (snapshot.members, snapshot.nested_members)
    return frozenset(group for held in lists for group, members in held.items() if members)


def _group_keys(
    connection_id: ConnectionId, snapshot: Snapshot, groups: frozenset[GraphId], rows: frozenset[str]
) -> RowKeys:
    read = (snapshot.groups[group] for group in groups if group in snapshot.groups)
    names = frozenset(group.display_name for group in read)
    return RowKeys(rows | planned_ids(connection_id, groups), groups, names, frozenset(groups))


def _names(mapping: CompiledMapping, snapshot: Snapshot) -> Iterator[tuple[GraphId, str]]:
    for graph_id, user in snapshot.users.items():
        if (name := mapping.user_name.read(user)) is not None:
            yield graph_id, str(name)


def _external_ids(mapping: CompiledMapping, people: Iterable[GraphUser]) -> Iterator[str]:
    if (source := mapping.external_id) is None:
        return
    for user in people:
        if isinstance(given := source.read(user), str):
            yield given


def name_holders(snapshot: Snapshot, state: State, policy: Policy) -> frozenset[GraphId]:
    """Return the owners of rows whose userName one of these users is to have.

    Whether such a row gives up its name is decided about its owner.
    """
    living = [row for row in state.users.values() if row.deleted_at is None]
    mapping = compile_mapping(policy)
    own = {(graph_id, name_key(name)) for graph_id, name in _names(mapping, snapshot)}
    wanted = {name for _, name in own}
    named = ((row.entra_object_id, name_key(row.user_name)) for row in living if row.entra_object_id)
    return frozenset(owner for owner, name in named if name in wanted and (owner, name) not in own)


def _user_name_holders(mapping: CompiledMapping, snapshot: Snapshot, living: list[User]) -> Iterator[GraphId]:
    """Yield owners of rows whose userName another user is to have.

    Such an owner may be gone, or about to be renamed.
    """
    wanted = {name_key(name) for _, name in _names(mapping, snapshot)}
    return (r.entra_object_id for r in living if r.entra_object_id and name_key(r.user_name) in wanted)


def _group_holders(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[GraphId]:
    holders = _named_as_wanted(snapshot, focus, living)
    return (row.entra_object_id for row in holders if row.entra_object_id)


def _wanted_names(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[str]:
    holders = _named_as_wanted(snapshot, focus, living)
    return (row.id for row in holders if row.entra_object_id is None)


def _named_as_wanted(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[Group]:
    wanted = {name_key(snapshot.groups[g].display_name) for g in focus.groups if g in snapshot.groups}
    return (row for row in living if name_key(row.display_name) in wanted)


def _future_name_holders(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[GraphId]:
    """Yield assigned groups that could claim an ownerless row of the focus.

    The names of all assigned groups are known, whether or not their members were read.
    """
    free = [row for row in living if _is_free(row, focus.groups, snapshot.groups)]
    named = {name_key(row.display_name) for row in free} | {name_key(row.external_id or "") for row in free}
    for graph_id, group in snapshot.groups.items() if free else ():
        if graph_id in named or name_key(group.display_name) in named:
            yield graph_id


def affected_subjects(snapshot: Snapshot, state: State, focus: Focus) -> Focus:
    """Return the subjects that a focus affects and that are therefore read as well.

    These are the owners of rows in focus, and all members, in Entra or here, of a group
    in focus: a group that came, went or changed may be what gives or gave them access.
    """
    users = [row for row in state.users.values() if row.id in focus.rows]
    groups = [row for row in state.groups.values() if focus.has_group(row.entra_object_id, row.id)]
    held = {member for row in groups for member in state.members.get(row.id, ())}
    users += [row for row in state.users.values() if row.id in held]
    shown = (lists.get(g, ()) for lists in (snapshot.members, snapshot.nested_members) for g in focus.groups)
    return Focus(
        frozenset(r.entra_object_id for r in users if r.entra_object_id).union(*shown)
        - snapshot.groups.keys(),
        frozenset(row.entra_object_id for row in groups if row.entra_object_id),
        frozenset(row.id for row in users if row.entra_object_id is None),
    )


def arriving_users(
    snapshot: Snapshot, state: State, policy: Policy, arrived: frozenset[GraphId]
) -> frozenset[GraphId]:
    """Return users without a linked row, or with one that has no access: they may have
    been away; and those who `arrived` by another way than a cycle.

    No delta names the reports of such a manager, who refer to the row from now on.
    """
    if not compile_mapping(policy).with_manager:
        return frozenset()
    stayed = {row.entra_object_id for row in state.users.values() if row.deleted_at is None and row.active}
    return frozenset(snapshot.users.keys() - stayed) | (arrived & snapshot.users.keys())


def _is_returning(row: User, focus: Focus) -> bool:
    """Return whether a deleted row without a link may be restored for a user."""
    return row.deleted_at is not None and row.entra_object_id is None and row.id in focus.rows


def _is_free(row: User | Group, asked: Container[GraphId], found: Container[GraphId]) -> bool:
    """Return whether another object could claim the row.

    That is so if the row has no link, or its owner was read and is gone.
    """
    linked = row.entra_object_id
    return linked is None or (linked in asked and linked not in found)


def _object_ids_in_external_id(free: list[User]) -> Iterator[GraphId]:
    """Yield object ids stored as `externalId` of unlinked rows."""
    for row in free:
        if row.external_id and is_object_id(row.external_id):
            yield GraphId(row.external_id.lower())


def _managers(mapping: CompiledMapping, snapshot: Snapshot, state: State, focus: Focus) -> Iterator[GraphId]:
    """Yield managers without a linked row: they may be matched or created, then
    referred to.
    """
    if not mapping.with_manager:
        return
    linked = {row.entra_object_id for row in state.users.values() if row.deleted_at is None}
    for graph_id, user in snapshot.users.items():
        if user.manager_id and user.manager_id not in linked and graph_id in focus.users:
            yield user.manager_id


def match_queries(mapping: CompiledMapping, row: User) -> Iterator[Lookup]:
    """Yield the Graph property filters that could match an unlinked row: by the
    properties that the mapping reads for the matching attributes.
    """
    if mapping.user_name_property and is_searchable(mapping.user_name_property):
        yield mapping.user_name_property, row.user_name
    external_id, named = row.external_id, mapping.external_id_property
    # An object id is read by itself.
    if external_id and named and is_searchable(named) and not is_object_id(external_id):
        yield named, external_id


def _identifier_queries(row: User) -> Iterator[Lookup]:
    """Yield the filters that find all who answer to a row, by any mapping by which the
    push may have written it.
    """
    for name in identifiers_of_account(row):
        if is_digest(name):
            continue
        if "@" in name:
            yield from (("userPrincipalName", name), ("mail", name))
        elif not is_object_id(name):
            yield from (("mailNickname", name), ("employeeId", name))
