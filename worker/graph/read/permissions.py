"""Which application permissions reading takes, and which of them a token lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from worker.graph.errors import ConsentMissing
from worker.graph.queries import READ_APPLICATIONS, READ_MEMBERS, READ_USERS

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

_DIRECTORY = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})

_ENOUGH: Mapping[str, frozenset[str]] = {
    READ_APPLICATIONS: _DIRECTORY
    | {"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"},
    READ_MEMBERS: _DIRECTORY
    | {"GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All"},
    READ_USERS: _DIRECTORY | {"User.Read.All", "User.ReadWrite.All"},
}
"""Least permission -> everything that includes it (Graph permissions reference)."""


def missing_roles(roles: frozenset[str]) -> frozenset[str]:
    """Return the least permissions that no role of the token grants."""
    return frozenset(least for least, enough in _ENOUGH.items() if not enough & roles)


async def granted_roles(graph: GraphClient) -> frozenset[str]:
    """Return the permissions in the token.

    Raises `ConsentMissing` if one that reading takes is not among them. Called before
    anything is read: Graph would answer some lists and refuse others, and no answer
    would say which permission is missing.
    """
    roles = await graph.token_roles()
    missing = sorted(missing_roles(roles))
    if missing:
        names = ", ".join(missing)
        raise ConsentMissing(f"The token lacks {names}: nothing was read, and nobody was touched.", names)
    return roles
