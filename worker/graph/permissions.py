"""Which application permissions reading takes, and which of them a token lacks."""

from __future__ import annotations

from collections.abc import Mapping

from worker.graph.queries import READ_APPLICATIONS, READ_MEMBERS, READ_USERS

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
    """The least permissions that neither `roles` nor anything above them grants."""
    return frozenset(least for least, enough in _ENOUGH.items() if not enough & roles)
