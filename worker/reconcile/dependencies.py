"""What else must be read before a focus can be decided as the whole connection would be.

Matching and unique names tie people together: a row that two could claim, a name that another row still
holds, a manager who is not here yet. Each such tie names somebody to read as well; who is read brings rows,
which may bring ties in turn, so this is asked again until nothing is missing. Mostly nothing is.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from store.records import ConnectionId, GraphId, Group, Policy, User, is_object_id
from worker.reconcile.focus import Focus
from worker.reconcile.mapping.attribute_mapping import CompiledMapping, compile_mapping
from worker.reconcile.plan_context import planned_ids
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import State

Lookup = tuple[str, str]
"""A Graph property and the value it would have."""


@dataclass(frozen=True, slots=True)
class MissingReads:
    """Objects to be read by id, and people to be looked for; empty where the focus can be decided."""

    users: frozenset[GraphId]
    groups: frozenset[GraphId]
    lookups: frozenset[Lookup]
    """Whoever answers to one of these could claim a row that nobody has."""
    rows: frozenset[str]
    """Groups here that nobody is linked to, under a name that is to be another's: they may have to go first."""

    def __bool__(self) -> bool:
        return bool(self.users or self.groups or self.lookups or self.rows)


def missing_reads(
    snapshot: Snapshot, state: State, policy: Policy, focus: Focus, compared: frozenset[Lookup] = frozenset()
) -> MissingReads:
    """Says what is missing beside what was read; `looked` has been looked for already."""
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
    """Rows are found by any of these; deleted ones too, by the first three."""

    ids: frozenset[str]
    objects: frozenset[GraphId]
    """They are linked to one of these."""
    names: frozenset[str]
    """userName or displayName, letter case aside."""
    external_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class RowsNeeded:
    """Which part of the state a focus needs. Members of whole groups and the groups of users come on top."""

    users: RowKeys
    whole_groups: RowKeys
    """These are loaded with all their members."""
    groups: RowKeys
    """Of these only who is in focus matters."""


def rows_needed(connection_id: ConnectionId, snapshot: Snapshot, policy: Policy, focus: Focus) -> RowsNeeded:
    """Says which rows a focus is decided on: those of its subjects, and those that could be mistaken for them."""
    mapping = compile_mapping(policy)
    users = snapshot.users
    brought = (held.get(g, ()) for held in (snapshot.members, snapshot.nested_members) for g in focus.groups)
    asked = focus.users.union(users.keys(), snapshot.deleted.keys(), *brought)
    managers = (
        {user.manager_id for user in users.values() if user.manager_id} if mapping.with_manager else set()
    )
    nicknames = (user.properties.get("mailNickname") for user in users.values())
    # Groups that are in a group of the focus are matched as well, though nobody asked who is in them.
    others = _holding(snapshot) | (asked & snapshot.groups.keys())
    return RowsNeeded(
        users=RowKeys(
            ids=focus.rows | planned_ids(connection_id, asked),
            objects=asked | managers,
            names=frozenset(name for _, name in _names(mapping, snapshot)),
            external_ids=asked | {name for name in nicknames if isinstance(name, str)},
        ),
        whole_groups=_group_keys(connection_id, snapshot, focus.groups, focus.rows),
        groups=_group_keys(connection_id, snapshot, others - focus.groups, frozenset()),
    )


def _holding(snapshot: Snapshot) -> frozenset[GraphId]:
    """Groups that hold somebody who was read."""
    lists = (*snapshot.members.items(), *snapshot.nested_members.items())
    return frozenset(group for group, members in lists if members)


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


def _user_name_holders(mapping: CompiledMapping, snapshot: Snapshot, living: list[User]) -> Iterator[GraphId]:
    """Whose rows hold a name that another is to have: they may be gone, or about to be renamed."""
    wanted = {name.lower() for _, name in _names(mapping, snapshot)}
    return (r.entra_object_id for r in living if r.entra_object_id and r.user_name.lower() in wanted)


def _group_holders(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[GraphId]:
    holders = _named_as_wanted(snapshot, focus, living)
    return (row.entra_object_id for row in holders if row.entra_object_id)


def _wanted_names(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[str]:
    holders = _named_as_wanted(snapshot, focus, living)
    return (row.id for row in holders if row.entra_object_id is None)


def _named_as_wanted(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[Group]:
    wanted = {snapshot.groups[g].display_name.lower() for g in focus.groups if g in snapshot.groups}
    return (row for row in living if row.display_name.lower() in wanted)


def _future_name_holders(snapshot: Snapshot, focus: Focus, living: list[Group]) -> Iterator[GraphId]:
    """Assigned groups that may take a row in focus that no group has. Their names are known, read or not."""
    free = [row for row in living if _is_free(row, focus.groups, snapshot.groups)]
    named = {row.display_name.lower() for row in free} | {(row.external_id or "").lower() for row in free}
    for graph_id, group in snapshot.groups.items() if free else ():
        if graph_id in named or group.display_name.lower() in named:
            yield graph_id


def affected_subjects(snapshot: Snapshot, state: State, focus: Focus) -> Focus:
    """Who belongs to what is in focus, and so is looked at as well.

    Whom a row in focus stands for, and everybody who is in a group in focus, there or here: a group that came,
    went or changed may be what they have or had access by.
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


def unlinked_users(snapshot: Snapshot, state: State, policy: Policy) -> frozenset[GraphId]:
    """People nobody here is linked to yet: whose manager they are will refer to them from now on."""
    if not compile_mapping(policy).with_manager:
        return frozenset()
    linked = {row.entra_object_id for row in state.users.values() if row.deleted_at is None}
    return frozenset(snapshot.users.keys() - linked)


def _is_returning(row: User, focus: Focus) -> bool:
    """Deleted here, and linked to nobody: whoever it stands for may come back to it."""
    return row.deleted_at is not None and row.entra_object_id is None and row.id in focus.rows


def _is_free(row: User | Group, asked: Container[GraphId], found: Container[GraphId]) -> bool:
    """Tells whether another could have the row: nobody is linked to it, or who is was read and is gone."""
    linked = row.entra_object_id
    return linked is None or (linked in asked and linked not in found)


def _object_ids_in_external_id(free: list[User]) -> Iterator[GraphId]:
    """Whose object id a row has as externalId that nobody has."""
    for row in free:
        if row.external_id and is_object_id(row.external_id):
            yield GraphId(row.external_id.lower())


def _managers(mapping: CompiledMapping, snapshot: Snapshot, state: State, focus: Focus) -> Iterator[GraphId]:
    """Managers who are not linked here: they may be matched, or arrive, and then be referred to."""
    if not mapping.with_manager:
        return
    linked = {row.entra_object_id for row in state.users.values() if row.deleted_at is None}
    for graph_id, user in snapshot.users.items():
        if user.manager_id and user.manager_id not in linked and graph_id in focus.users:
            yield user.manager_id


def match_queries(mapping: CompiledMapping, row: User) -> Iterator[Lookup]:
    """By what Entra would find the person whom a row stands for that nobody has."""
    if mapping.user_name_property:
        yield mapping.user_name_property, row.user_name
    if row.external_id and not is_object_id(row.external_id):
        yield "mailNickname", row.external_id
