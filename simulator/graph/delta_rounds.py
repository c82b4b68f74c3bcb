"""What a delta page holds: in the first round every object, in a later one the objects
that changed.

Members come as `members@delta`; a group with more members than a page takes goes on,
under the same id, on the next. Soft-deleted users stay in it until they are purged
(delta-query-groups): `/groups/delta` alone does not see them go.
"""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

import orjson

from simulator.graph.call import Tenant
from simulator.graph.schema import Schema
from simulator.graph.visibility import Roles, hides_members
from simulator.objects import ChangeEvent, DirGroup, DirUser, JsonValue


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins."""

    page: int = 1
    after: int = -1
    """First round: place of the last object that is wholly given. Later: number of
    changed objects wholly given."""
    members: int = 0
    """How many members of the next object were given already."""


@dataclass(frozen=True, slots=True)
class Page:
    fragments: Sequence[bytes]
    next_cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a delta query tracks."""

    tenant: Tenant
    roles: Roles
    schema: Schema
    select: tuple[str, ...] | None
    ids: frozenset[str]
    minimal: bool

    @property
    def names(self) -> tuple[str, ...]:
        return self.schema.default if self.select is None else self.select

    @property
    def tracks_members(self) -> bool:
        # Without $select the default set of /groups/delta holds the members
        # (group-delta, example 1).
        return self.schema.name == "group" and (self.select is None or "members" in self.select)

    def shows_members_of(self, found: DirUser | DirGroup) -> TypeGuard[DirGroup]:
        """Return whether an object comes with `members@delta`: not if they are
        hidden."""
        is_open = isinstance(found, DirGroup) and not hides_members(found, self.roles)
        return is_open and self.tracks_members

    @property
    def tracks_manager(self) -> bool:
        return self.schema.name == "user" and self.select is not None and "manager" in self.select


@dataclass(slots=True)
class Change:
    """What happened to one object between two sequence numbers."""

    object_id: str
    properties: set[str] = field(default_factory=set)
    members: dict[str, None] = field(default_factory=dict)
    is_whole: bool = False
    """Created or restored: all of it is news."""
    managers_before: list[str] = field(default_factory=list)


# --- first round ---


def first_page(scope: Scope, cursor: Cursor) -> Page:
    """Return the next page of everything there is."""
    keys, objects = scope.tenant.users() if scope.schema.name == "user" else scope.tenant.groups()
    start = bisect.bisect_right(keys, cursor.after)
    changes = (
        (keys[place], _as_new(scope, objects[place]))
        for place in range(start, len(keys))
        if not scope.ids or objects[place].id in scope.ids
    )
    replayed = _replay_place(scope, cursor, start)
    before = [] if replayed is None else [_as_new(scope, objects[replayed])]
    return _filled(scope, cursor, before, changes)


def _as_new(scope: Scope, found: DirUser | DirGroup) -> Change:
    members = dict.fromkeys(found.member_ids) if scope.shows_members_of(found) else {}
    return Change(found.id, members=members, is_whole=True)


def _replay_place(scope: Scope, cursor: Cursor, start: int) -> int | None:
    wanted = scope.tenant.behaviour.delta_replays and cursor.page > 1 and start > 0
    return start - 1 if wanted else None


# --- later rounds ---


def changed_page(scope: Scope, since: int, until: int, cursor: Cursor) -> Page:
    """Return the next page of what changed in a range of the change feed."""
    changes = _changes(scope, since, until)
    start = cursor.after + 1
    replayed = _replay_place(scope, cursor, start)
    before = [] if replayed is None else changes[replayed : replayed + 1]
    return _filled(scope, cursor, before, ((start + n, c) for n, c in enumerate(changes[start:])))


def _changes(scope: Scope, since: int, until: int) -> list[Change]:
    """Fold the feed into one change per object, in the order in which objects were
    first touched.
    """
    found: dict[str, Change] = {}
    for event in scope.tenant.directory.changes_since(since):
        if event.seq > until:
            break
        if event.object_type != scope.schema.name or (scope.ids and event.object_id not in scope.ids):
            continue
        if _concerns(scope, event):
            _fold(found.setdefault(event.object_id, Change(event.object_id)), event, scope)
    return list(found.values())


def _concerns(scope: Scope, event: ChangeEvent) -> bool:
    if event.kind in {"member_added", "member_removed"}:
        group = scope.tenant.directory.groups.get(event.object_id)
        return scope.tracks_members and (group is None or scope.shows_members_of(group))
    if event.kind != "changed":
        return True
    return any(name in scope.names for name in event.properties)


def _fold(change: Change, event: ChangeEvent, scope: Scope) -> None:
    if event.kind in {"created", "restored"}:
        change.is_whole = True
        group = scope.tenant.directory.groups.get(event.object_id)
        if group is not None and scope.shows_members_of(group):
            change.members.update(dict.fromkeys(group.member_ids))
    elif event.kind == "changed":
        change.properties.update(event.properties)
        if "manager" in event.properties and event.related_id:
            change.managers_before.append(event.related_id)
    elif event.kind in {"member_added", "member_removed"} and event.related_id:
        change.members[event.related_id] = None


# --- pages ---


def _filled(
    scope: Scope, cursor: Cursor, before: Sequence[Change], changes: Iterator[tuple[int, Change]]
) -> Page:
    """Take changes until the page is full of objects or of members."""
    behaviour = scope.tenant.behaviour
    fragments = [orjson.dumps(_document(scope, change, list(change.members))) for change in before]
    room = behaviour.delta_member_limit
    skip, after = cursor.members, cursor.after
    for place, change in changes:
        if len(fragments) >= behaviour.delta_page_size or room <= 0:
            return Page(fragments, Cursor(cursor.page + 1, after, skip))
        members = list(change.members)[skip : skip + room]
        fragments.append(orjson.dumps(_document(scope, change, members)))
        room -= len(members)
        if skip + len(members) < len(change.members):
            return Page(fragments, Cursor(cursor.page + 1, after, skip + len(members)))
        skip, after = 0, place
    return Page(fragments, None)


def _document(scope: Scope, change: Change, members: Sequence[str]) -> dict[str, JsonValue]:
    directory = scope.tenant.directory
    holder: Mapping[str, DirUser | DirGroup]
    holder = directory.users if scope.schema.name == "user" else directory.groups
    found = holder.get(change.object_id)
    if found is None:
        in_bin = change.object_id in directory.deleted_users or change.object_id in directory.deleted_groups
        return {"id": change.object_id, "@removed": {"reason": "changed" if in_bin else "deleted"}}
    shown = _properties(scope, change, found)
    shown["id"] = found.id
    if isinstance(found, DirUser) and scope.tracks_manager:
        shown.update(_manager_delta(scope, change, found))
    if isinstance(found, DirGroup) and members:
        shown["members@delta"] = [_member(scope, found, member) for member in members]
    return shown


def _properties(scope: Scope, change: Change, found: DirUser | DirGroup) -> dict[str, JsonValue]:
    """Return the tracked properties; one that never had a value is missing, one that
    was emptied is null.
    """
    names = scope.names
    if scope.minimal and not change.is_whole:
        names = tuple(name for name in names if name in change.properties)
    shown: dict[str, JsonValue] = {}
    for name in names:
        if name in scope.schema.relations or name == "id":
            continue
        value = found.properties.get(name)
        if value is not None or name in change.properties:
            shown[name] = scope.schema.empty(name) if value is None else value
    return shown


def _manager_delta(scope: Scope, change: Change, user: DirUser) -> dict[str, JsonValue]:
    if not change.is_whole and "manager" not in change.properties:
        return {}
    if user.manager_id in scope.tenant.directory.users:
        return {"manager@delta": [{"@odata.type": "#microsoft.graph.user", "id": user.manager_id}]}
    if not change.managers_before:
        return {}
    gone: JsonValue = {
        "@odata.type": "#microsoft.graph.user",
        "id": change.managers_before[-1],
        "@removed": {"reason": "deleted"},
    }
    return {"manager@delta": [gone]}


def _member(scope: Scope, group: DirGroup, member_id: str) -> dict[str, JsonValue]:
    """Render one entry of `members@delta`: the only reason there is `deleted`, for who
    left or was purged.
    """
    directory = scope.tenant.directory
    is_user = (
        member_id in directory.users
        or member_id in directory.deleted_users
        or member_id in directory.purged_users
    )
    other = directory.others.get(member_id)
    kind = "user" if is_user else other.kind if other else "group"
    member: dict[str, JsonValue] = {"@odata.type": f"#microsoft.graph.{kind}", "id": member_id}
    if member_id not in group.member_ids:
        member["@removed"] = {"reason": "deleted"}
    return member
