"""The permissions of each role in the console."""

from __future__ import annotations

from collections.abc import Mapping

from console.admin.api_tokens import ACTIONS, FOR_ENTRA
from store.access.records import Role

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
