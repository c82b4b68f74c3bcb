"""The company: users, groups, memberships and assignments of one Entra tenant, in
memory, with a change feed.

No HTTP here. What reads or changes the tenant (Graph, the admin side, the provisioning
service, tests) works on a `Directory` and learns of changes by `changes_since`.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from simulator.clock import Clock
from simulator.entitlement import Entitlement
from simulator.objects import (
    DEFAULT_ACCESS,
    Assignment,
    ChangeEvent,
    ChangeKind,
    Conflict,
    Deleted,
    DirectoryError,
    DirGroup,
    DirObject,
    DirUser,
    JsonValue,
    ObjectType,
    OtherKind,
    UnknownObject,
    merge,
    without_nulls,
)

RECYCLE_BIN = timedelta(days=30)
"""How long a soft-deleted object can be restored (graph-api, deleted items)."""


class Directory(Entitlement):
    """One tenant with one enterprise application in it.

    The same seed gives the same ids.
    """

    def __init__(self, seed: int = 1, *, domain: str = "fabrikam-demo.example") -> None:
        self.random = random.Random(f"directory {seed}")
        """Where ids come from."""
        self.seed = seed
        self.domain = domain
        self.clock = Clock()
        self.entra_tenant_id = self.new_id()
        self.app_id = self.new_id()
        self.client_id = self.app_id
        self.client_secret = f"sim~{self.random.getrandbits(200):050x}"
        self.service_principal_id = self.new_id()
        self.graph_service_principal_id = self.new_id()
        self.app_display_name = "Fabrikam Assessments"
        self.app_role_id = self.new_id()
        """The one role the application defines, beside default access."""
        self.users: dict[str, DirUser] = {}
        self.groups: dict[str, DirGroup] = {}
        self.others: dict[str, DirObject] = {}
        """Devices, contacts, service principals: they only ever are members."""
        self.deleted_users: dict[str, Deleted[DirUser]] = {}
        self.deleted_groups: dict[str, Deleted[DirGroup]] = {}
        self.purged_users: dict[str, str] = {}
        """Id -> the userPrincipalName it had."""
        self.assignments: dict[str, list[Assignment]] = {}
        self.sequence = 0
        """Number of the newest entry of the change feed."""
        self.version = 0
        """Grows with every change, recorded or not: what was computed at an older
        version is stale."""
        self.recording = True
        self.events: list[ChangeEvent] = []
        self.ordinal = 0
        """The last place given out; objects, memberships and assignments share one
        row."""
        self._names: dict[str, str] = {}
        self._groups_of: dict[str, set[str]] = {}

    # --- change feed ---

    def changes_since(self, sequence: int) -> list[ChangeEvent]:
        """Return every event after `sequence`, oldest first.

        What was seeded is state, not change.
        """
        first = self.events[0].seq if self.events else self.sequence + 1
        return self.events[max(0, sequence + 1 - first) :]

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Make changes that are the initial state and not in the change feed."""
        self.recording = False
        try:
            yield
        finally:
            self.recording = True

    def _record(
        self,
        object_type: ObjectType,
        object_id: str,
        kind: ChangeKind,
        related_id: str | None = None,
        properties: tuple[str, ...] = (),
    ) -> None:
        self.version += 1
        if not self.recording:
            return
        self.sequence += 1
        self.events.append(
            ChangeEvent(self.sequence, self.clock.now(), object_type, object_id, kind, related_id, properties)
        )

    # --- ids and names ---

    def new_id(self) -> str:
        """Make the next object id of this seed (a version 4 UUID)."""
        bits = self.random.getrandbits(128)
        bits = bits & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _next_ordinal(self) -> int:
        self.ordinal += 1
        return self.ordinal

    def find_user(self, reference: str) -> DirUser | None:
        """Find a live user by object id or userPrincipalName (any case)."""
        return self.users.get(reference) or self.users.get(self._names.get(reference.lower(), ""))

    def user(self, user_id: str) -> DirUser:
        """Return a live user; raise UnknownObject."""
        if user_id not in self.users:
            raise UnknownObject(user_id)
        return self.users[user_id]

    def _take_name(self, name: str, user_id: str) -> None:
        holder = self._names.setdefault(name.lower(), user_id)
        if holder != user_id:
            raise Conflict(f"userPrincipalName {name!r} belongs to {holder}; choose another")

    def reindex(self) -> None:
        """Compute names and memberships anew from objects that were loaded."""
        self._names = {user.user_principal_name.lower(): user.id for user in self.users.values()}
        self._groups_of = {}
        bin_groups = [deleted.item for deleted in self.deleted_groups.values()]
        for group in [*self.groups.values(), *bin_groups]:
            for member_id in group.member_ids:
                self._groups_of.setdefault(member_id, set()).add(group.id)

    # --- users ---

    def create_user(self, properties: Mapping[str, JsonValue], *, manager_id: str | None = None) -> DirUser:
        """Create a user; only `userPrincipalName` is needed.

        Raise Conflict, DirectoryError.
        """
        name = properties.get("userPrincipalName")
        if not isinstance(name, str) or "@" not in name:
            raise DirectoryError("a user needs a userPrincipalName like ada@fabrikam-demo.example")
        if manager_id is not None:
            self.user(manager_id)
        user = DirUser(self.new_id(), without_nulls(properties), manager_id)
        # A null that was asked for stays: Graph's "state unknown" (docs-contrib#2410).
        unknown_state = properties.get("accountEnabled", True) is None
        self._take_name(name, user.id)
        local_part = name.partition("@")[0]
        user.properties.setdefault("displayName", local_part)
        user.properties.setdefault("mailNickname", local_part)
        if not unknown_state:
            user.properties.setdefault("accountEnabled", True)
        user.properties.setdefault("userType", "Member")
        user.properties.setdefault("createdDateTime", self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        user.ordinal = self._next_ordinal()
        self.users[user.id] = user
        self._record("user", user.id, "created")
        return user

    def change_user(self, user_id: str, properties: Mapping[str, JsonValue]) -> DirUser:
        """Set properties (None clears one). Only what really changes is recorded."""
        user = self.user(user_id)
        new_name = properties.get("userPrincipalName", user.user_principal_name)
        if not isinstance(new_name, str) or "@" not in new_name:
            raise DirectoryError(
                "userPrincipalName cannot be emptied; give one like ada@fabrikam-demo.example"
            )
        if new_name != user.user_principal_name:
            self._take_name(new_name, user_id)
            if new_name.lower() != user.user_principal_name.lower():
                del self._names[user.user_principal_name.lower()]
        changed = merge(user.properties, properties)
        if changed:
            self._record("user", user_id, "changed", properties=changed)
        return user

    def set_manager(self, user_id: str, manager_id: str | None) -> None:
        """Set another manager of a user, or none."""
        user = self.user(user_id)
        if manager_id is not None:
            self.user(manager_id)
        if user.manager_id == manager_id:
            return
        before, user.manager_id = user.manager_id, manager_id
        self._record("user", user_id, "changed", related_id=before, properties=("manager",))

    def soft_delete_user(self, user_id: str) -> None:
        """Move a user to the recycle bin; memberships stay, unseen, until purge."""
        user = self.user(user_id)
        del self.users[user_id]
        del self._names[user.user_principal_name.lower()]
        # Entra prefixes the name with the object id, so that it is free for another
        # person.
        user.properties["userPrincipalName"] = user_id.replace("-", "") + user.user_principal_name
        self.deleted_users[user_id] = Deleted(user, self.clock.now())
        self._record("user", user_id, "soft_deleted")

    def restore_user(self, user_id: str) -> DirUser:
        """Bring a user back, with name, memberships and assignments.

        Raise UnknownObject, Conflict.
        """
        if user_id not in self.deleted_users:
            raise UnknownObject(user_id)
        user = self.deleted_users[user_id].item
        name = user.user_principal_name.removeprefix(user_id.replace("-", ""))
        self._take_name(name, user_id)
        del self.deleted_users[user_id]
        user.properties["userPrincipalName"] = name
        user.ordinal = self._next_ordinal()
        self.users[user_id] = user
        self._record("user", user_id, "restored")
        return user

    def purge_user(self, user_id: str) -> None:
        """Delete a user for good; a live one goes through the recycle bin first."""
        if user_id in self.users:
            self.soft_delete_user(user_id)
        if user_id not in self.deleted_users:
            raise UnknownObject(user_id)
        user = self.deleted_users.pop(user_id).item
        self.purged_users[user_id] = user.user_principal_name.removeprefix(user_id.replace("-", ""))
        for group_id in sorted(self._groups_of.get(user_id, ())):
            self.remove_member(group_id, user_id)
        for report in [u.id for u in self.users.values() if u.manager_id == user_id]:
            self.set_manager(report, None)
        self.unassign(user_id)
        self._record("user", user_id, "purged")

    # --- other objects, which can only be members ---

    def create_other(self, kind: OtherKind, properties: Mapping[str, JsonValue]) -> DirObject:
        """Create a device, contact or service principal."""
        other = DirObject(self.new_id(), kind, without_nulls(properties), self._next_ordinal())
        self.others[other.id] = other
        self.version += 1
        return other

    # --- groups and members ---

    def create_group(self, properties: Mapping[str, JsonValue]) -> DirGroup:
        """Create a group; `displayName` is needed.

        A security group unless the properties say otherwise.
        """
        name = properties.get("displayName")
        if not isinstance(name, str) or not name:
            raise DirectoryError("a group needs a displayName")
        group = DirGroup(self.new_id(), without_nulls(properties), ordinal=self._next_ordinal())
        group.properties.setdefault("mailNickname", "".join(c for c in name if c.isascii() and c.isalnum()))
        group.properties.setdefault("mailEnabled", False)
        group.properties.setdefault("securityEnabled", True)
        group.properties.setdefault("groupTypes", [])
        group.properties.setdefault("createdDateTime", self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.groups[group.id] = group
        self._record("group", group.id, "created")
        return group

    def change_group(self, group_id: str, properties: Mapping[str, JsonValue]) -> DirGroup:
        """Set properties (None clears one). Only what really changes is recorded."""
        group = self.group(group_id)
        changed = merge(group.properties, properties)
        if changed:
            self._record("group", group_id, "changed", properties=changed)
        return group

    def delete_group(self, group_id: str) -> None:
        """Delete a group: a Microsoft 365 group goes to the recycle bin, a security
        group is gone at once.
        """
        group = self.group(group_id)
        del self.groups[group_id]
        if group.restorable:
            self.deleted_groups[group_id] = Deleted(group, self.clock.now())
            self._record("group", group_id, "soft_deleted")
        else:
            self._forget_group(group)

    def restore_group(self, group_id: str) -> DirGroup:
        """Bring a group back from the recycle bin with its members and assignments."""
        if group_id not in self.deleted_groups:
            raise UnknownObject(group_id)
        group = self.deleted_groups.pop(group_id).item
        group.ordinal = self._next_ordinal()
        self.groups[group_id] = group
        self._record("group", group_id, "restored")
        return group

    def purge_group(self, group_id: str) -> None:
        """Delete a group in the recycle bin for good."""
        if group_id not in self.deleted_groups:
            raise UnknownObject(group_id)
        self._forget_group(self.deleted_groups.pop(group_id).item)

    def _forget_group(self, group: DirGroup) -> None:
        for member_id in group.member_ids:
            self._groups_of[member_id].discard(group.id)
        for parent_id in sorted(self._groups_of.pop(group.id, ())):
            self._leave(parent_id, group.id)
        self.unassign(group.id)
        self._record("group", group.id, "purged")

    def add_member(self, group_id: str, member_id: str) -> bool:
        """Put a user or a group into a group; False if already there."""
        group = self.group(group_id)
        if not self.exists(member_id):
            raise UnknownObject(member_id)
        if member_id in group.member_ids:
            return False
        group.member_ids[member_id] = self._next_ordinal()
        self._groups_of.setdefault(member_id, set()).add(group_id)
        self._record("group", group_id, "member_added", member_id)
        return True

    def remove_member(self, group_id: str, member_id: str) -> bool:
        """Take a user or a group out of a group; False if not there."""
        if group_id not in self.groups and group_id not in self.deleted_groups:
            raise UnknownObject(group_id)
        if group_id not in self._groups_of.get(member_id, ()):
            return False
        self._groups_of[member_id].discard(group_id)
        self._leave(group_id, member_id)
        return True

    def _leave(self, group_id: str, member_id: str) -> None:
        group = self.groups.get(group_id) or self.deleted_groups[group_id].item
        del group.member_ids[member_id]
        self._record("group", group_id, "member_removed", member_id)

    # --- who is assigned to the application ---

    def assign(self, principal_id: str, app_role_id: str = DEFAULT_ACCESS) -> Assignment:
        """Assign a user or group; the same role twice is the same assignment."""
        if principal_id not in self.users and principal_id not in self.groups:
            raise UnknownObject(principal_id)
        held = self.assignments.setdefault(principal_id, [])
        for assignment in held:
            if assignment.app_role_id == app_role_id:
                return assignment
        assignment = Assignment(
            id=self.new_id().replace("-", "")[:28],
            principal_id=principal_id,
            principal_type="User" if principal_id in self.users else "Group",
            app_role_id=app_role_id,
            created=self.clock.now(),
            ordinal=self._next_ordinal(),
        )
        held.append(assignment)
        self._record("assignment", principal_id, "assigned", assignment.id)
        return assignment

    def unassign(self, principal_id: str, app_role_id: str | None = None) -> bool:
        """End one role of a principal, or all; False if there was nothing to end."""
        held = self.assignments.pop(principal_id, [])
        kept = [a for a in held if app_role_id is not None and a.app_role_id != app_role_id]
        if kept:
            self.assignments[principal_id] = kept
        for assignment in held:
            if assignment not in kept:
                self._record("assignment", principal_id, "unassigned", assignment.id)
        return len(kept) < len(held)

    # --- time ---

    def advance(self, seconds: float) -> None:
        """Let time pass; what has been in the recycle bin for 30 days is purged."""
        self.clock.advance(seconds)
        limit = self.clock.now() - RECYCLE_BIN
        for user_id in _older_than(limit, self.deleted_users.items()):
            self.purge_user(user_id)
        for group_id in _older_than(limit, self.deleted_groups.items()):
            self.purge_group(group_id)


def _older_than(
    limit: datetime,
    bin_items: Iterable[tuple[str, Deleted[DirUser]]] | Iterable[tuple[str, Deleted[DirGroup]]],
) -> list[str]:
    return [object_id for object_id, deleted in bin_items if deleted.deleted_at <= limit]
