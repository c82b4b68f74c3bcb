"""Who is a member of what, and who has a right to an account in the application.

A direct assignment counts, and so does direct membership of an assigned group: Entra
does not expand nested groups.
"""

from collections.abc import Collection
from typing import Literal

from simulator.objects import Assignment, Deleted, DirGroup, DirObject, DirUser, UnknownObject

NotEntitled = Literal["disabled", "unknown_state", "soft_deleted", "purged", "unassigned"]
"""Why a user has no account; `unknown_state`: `accountEnabled` is null."""


class Entitlement:
    """Answer questions about members and assignments; `Directory` holds the data."""

    users: dict[str, DirUser]
    groups: dict[str, DirGroup]
    others: dict[str, DirObject]
    deleted_users: dict[str, Deleted[DirUser]]
    deleted_groups: dict[str, Deleted[DirGroup]]
    purged_users: dict[str, str]
    assignments: dict[str, list[Assignment]]
    _groups_of: dict[str, set[str]]

    def exists(self, object_id: str) -> bool:
        """Return whether an id is that of a live object of any type."""
        return object_id in self.users or object_id in self.groups or object_id in self.others

    def group(self, group_id: str) -> DirGroup:
        """Return a live group; raise UnknownObject."""
        if group_id not in self.groups:
            raise UnknownObject(group_id)
        return self.groups[group_id]

    def live_members(self, group_id: str) -> list[str]:
        """Return the direct members that are not deleted, in the order they joined."""
        return [m for m in self.group(group_id).member_ids if self.exists(m)]

    def transitive_members(self, group_id: str, *, unread: Collection[str] = ()) -> list[str]:
        """Return every live object below a group, each once, breadth first.

        `unread` are groups whose members are not looked at.
        """
        found: dict[str, None] = {}
        level = [group_id]
        while level:
            parents = [parent for parent in level if parent not in unread]
            members = [m for parent in parents for m in self.live_members(parent) if m != group_id]
            fresh = list(dict.fromkeys(m for m in members if m not in found))
            found.update(dict.fromkeys(fresh))
            level = [m for m in fresh if m in self.groups]
        return list(found)

    def groups_of(self, member_id: str) -> list[str]:
        """Return the live groups an object is a direct member of."""
        return [g for g in sorted(self._groups_of.get(member_id, ())) if g in self.groups]

    def live_assignments(self, *, with_deleted: bool = False) -> list[Assignment]:
        """Return the assignments of principals that are not deleted, oldest first.

        `with_deleted` adds those of principals in the recycle bin, which Graph may list
        for a while.
        """
        found = [
            assignment
            for principal_id, held in self.assignments.items()
            if principal_id in self.users or principal_id in self.groups or with_deleted
            for assignment in held
        ]
        return sorted(found, key=lambda assignment: assignment.ordinal)

    def is_assigned(self, principal_id: str) -> bool:
        """Return whether a principal has an assignment of its own."""
        return principal_id in self.assignments

    def assigned_via(self, user_id: str) -> list[str]:
        """Return the ways a user is assigned: `direct`, or ids of assigned groups."""
        direct = ["direct"] if user_id in self.assignments else []
        return direct + [g for g in self.groups_of(user_id) if g in self.assignments]

    def entitled(self) -> dict[str, list[str]]:
        """Return every user with a right to an account, and why (`direct` or group
        ids).

        A user whose `accountEnabled` is null is not among them: the state is unknown.
        """
        ways: dict[str, list[str]] = {u: ["direct"] for u in self.assignments if u in self.users}
        for group_id in sorted(g for g in self.assignments if g in self.groups):
            for member_id in self.groups[group_id].member_ids:
                if member_id in self.users:
                    ways.setdefault(member_id, []).append(group_id)
        return {user_id: via for user_id, via in ways.items() if self.users[user_id].enabled}

    def reason_not_entitled(self, user_id: str) -> NotEntitled | None:
        """Return why a user has no right to an account; None for an entitled user.

        Raise UnknownObject for an id that never was a user.
        """
        if user_id in self.purged_users:
            return "purged"
        if user_id in self.deleted_users:
            return "soft_deleted"
        if user_id not in self.users:
            raise UnknownObject(user_id)
        user = self.users[user_id]
        if user.state_known and not user.enabled:
            return "disabled"
        if not self.assigned_via(user_id):
            return "unassigned"
        return None if user.state_known else "unknown_state"
