"""Types of identifiers, and of JSON values."""

from __future__ import annotations

import re
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

_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_object_id(text: str) -> bool:
    """Return whether a text has the form of an Entra object id: no mailNickname has."""
    return _OBJECT_ID.fullmatch(text) is not None
