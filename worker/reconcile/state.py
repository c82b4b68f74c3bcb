"""What the store held when the cycle began, as the plan needs it. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from store.records import Action, ConnectionId, Group, GroupId, User, UserId


@dataclass(frozen=True, slots=True)
class State:
    """Users include the deleted (hidden) ones, so that a returning person is recognised."""

    connection_id: ConnectionId
    users: Mapping[UserId, User]
    groups: Mapping[GroupId, Group]
    members: Mapping[GroupId, frozenset[str]]


@dataclass(frozen=True, slots=True)
class History:
    """What earlier cycles saw and did: the guard's memory."""

    last_good_counts: Mapping[str, int] = field(default_factory=dict)
    """`users`, `groups`, `memberships` entitled in the last complete cycle; empty before the first."""
    last_token_roles: frozenset[str] | None = None
    last_scope_key: str | None = None
    """Scope, membership, application and filters of the last complete cycle, as one string."""
    removals_last_24h: Mapping[Action, int] = field(default_factory=dict)
    """By push and pull together, over the rolling window."""
    credential_changed_at: datetime | None = None
    last_complete_at: datetime | None = None
