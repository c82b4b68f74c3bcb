"""The permissions of tokens, and those of each role in the console."""

from __future__ import annotations

from collections.abc import Mapping

from console.admin.errors import UnknownPermission
from store.access.records import Role

ACTIONS = {
    "admin:user": ("create", "read", "update", "delete"),
    "admin:group": ("create", "read", "update", "delete"),
    "admin:sync": ("read", "run", "approve"),
    "admin:report": ("read",),
    "admin:token": ("create", "read", "revoke"),
    "admin:session": ("read", "end", "introspect"),
    "admin:history": ("read", "write", "erase"),
    "admin:event": ("read",),
    "admin:webhook": ("create", "read", "update", "delete"),
    "admin:connection": ("create", "read", "update", "delete"),
    "admin:operator": ("create", "read", "revoke"),
}
"""Sections and their actions, as admins know them (design.md §6)."""

FOR_ENTRA = ("admin:user:*", "admin:group:*")
"""The permissions that Entra's provisioning service needs."""

FOR_ITSELF = ("admin:user:read",)
"""The default permission of a token that stands for a user and calls /Me."""

OPERATORS_ALONE = "admin:operator"

PERMISSIONS: Mapping[Role, frozenset[str]] = {
    Role.OPERATOR: frozenset(f"{section}:*" for section in ACTIONS),
    Role.ADMIN: frozenset(f"{section}:*" for section in ACTIONS if section != OPERATORS_ALONE),
    Role.VIEWER: frozenset(
        f"{section}:read"
        for section, actions in ACTIONS.items()
        if "read" in actions and section != OPERATORS_ALONE
    ),
    Role.SETUP: frozenset(
        {
            *("admin:connection:read", "admin:connection:update"),
            *("admin:token:create", "admin:token:read", "admin:token:revoke"),
        }
    ),
}

GRANTS: Mapping[Role, frozenset[str]] = {Role.SETUP: frozenset(FOR_ENTRA)}
"""What a role gives to a token though it lacks it: Entra's token reaches people."""


def check_permission(permission: str) -> str:
    """Return the permission as it is stored.

    A section alone stands for all its actions.
    """
    if permission in ACTIONS:
        return f"{permission}:*"
    section, _, action = permission.rpartition(":")
    if section in ACTIONS and (action == "*" or action in ACTIONS[section]):
        return permission
    raise UnknownPermission(permission, ACTIONS)
