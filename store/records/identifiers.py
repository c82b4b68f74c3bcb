"""What things are called, and the JSON they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NewType, TypeAlias

TenantId = NewType("TenantId", str)
ConnectionId = NewType("ConnectionId", str)
UserId = NewType("UserId", str)
"""The SCIM `id` of a user: a UUID we gave."""
GroupId = NewType("GroupId", str)
"""The SCIM `id` of a group: a UUID we gave."""
GraphId = NewType("GraphId", str)
"""Entra's object id of a user or a group."""
TokenId = NewType("TokenId", str)
SessionId = NewType("SessionId", str)
CycleId = NewType("CycleId", str)
PlanId = NewType("PlanId", str)

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Document: TypeAlias = Mapping[str, JsonValue]
