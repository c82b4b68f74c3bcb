"""Reduce the operations on `members` to the ids to add, to remove, or to set."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scim2_models import MutabilityException, SCIMException
from scim2_models.path import FilterNode

from scim.patch.operations import Operation, in_operation, too_many_comparisons
from scim.patch.value_filters import count_terms, matcher, named_values
from scim.request import ScimRequest
from scim.schema.definitions import group_shape
from store.directory import memberships
from store.records import GroupId
from store.records.names import is_storable

MEMBERS_AT_ONCE = 500
"""Members that a filter is compared with before other requests get their turn."""


@dataclass(slots=True)
class MemberChange:
    """Ids in the order of the operations: the last operation on a member wins."""

    added: dict[str, None] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)
    replaced: dict[str, None] | None = None

    @property
    def added_and_removed_only(self) -> bool:
        return self.replaced is None and bool(self.added or self.removed)

    def add(self, ids: Iterable[str]) -> None:
        for member_id in ids:
            if self.replaced is not None:
                self.replaced[member_id] = None
            else:
                self.removed.pop(member_id, None)
                self.added[member_id] = None

    def remove(self, ids: Iterable[str]) -> None:
        for member_id in ids:
            if self.replaced is not None:
                self.replaced.pop(member_id, None)
            else:
                self.added.pop(member_id, None)
                self.removed[member_id] = None

    def replace(self, ids: Iterable[str]) -> None:
        self.added.clear()
        self.removed.clear()
        self.replaced = dict.fromkeys(ids)


def member_ids(members: Iterable[Mapping[str, Any]] | None) -> tuple[str, ...]:
    """Return the ids of parsed members, each once."""
    return tuple(dict.fromkeys(each["value"] for each in members or ()))


async def member_change(
    request: ScimRequest, group_id: GroupId, operations: Sequence[Operation]
) -> MemberChange:
    """Reduce the operations on `members` to one change.

    Memberships are read only for an unusual filter. Raises the scim2_models exception
    that refuses an operation.
    """
    change = MemberChange()
    current: list[dict[str, str]] | None = None  # read once, for all filters
    compared = 0
    for operation in operations:
        try:
            selector = operation.location.selector
            if selector is not None:
                if operation.op != "remove" or operation.location.sub is not None:
                    _refuse_immutable()
                named = named_values(selector)
                ids = None if named is None else [each for each in named if is_storable(each)]
                if ids is None:
                    current = await _members(request, group_id) if current is None else current
                    compared += len(current) * count_terms(selector)
                    most = request.limits.max_patch_comparisons
                    if compared > max(most, len(current)):  # one filter may look at every member
                        raise too_many_comparisons(most)
                    ids = await _matching_ids(current, selector)
                change.remove(ids)
            elif operation.location.sub is not None:
                _refuse_immutable()
            else:
                _change_listed(operation, change)
        except SCIMException as error:
            raise in_operation(operation.index, error) from error
    return change


def _change_listed(operation: Operation, change: MemberChange) -> None:
    """Add, set or remove the members of the value; a remove without a value removes
    all.
    """
    ids = member_ids(operation.value)
    if operation.op == "add":
        change.add(ids)
    elif operation.op == "replace" or operation.value is None:
        change.replace(ids)
    else:
        change.remove(ids)


async def _members(request: ScimRequest, group_id: GroupId) -> list[dict[str, str]]:
    async with request.db.reading() as connection:
        found = await memberships.of_group(connection, request.principal.connection.tenant_id, group_id)
    return [{"value": each.member_id, "type": each.member_type.value} for each in found]


async def _matching_ids(members: Sequence[Mapping[str, str]], selector: FilterNode) -> list[str]:
    """Return the ids of the members that a filter selects.

    Other requests get their turn between.
    """
    is_selected = matcher(selector, group_shape().attributes["members"])
    ids: list[str] = []
    for start in range(0, len(members), MEMBERS_AT_ONCE):
        part = members[start : start + MEMBERS_AT_ONCE]
        ids += [each["value"] for each in part if is_selected(each)]
        await asyncio.sleep(0)
    return ids


def _refuse_immutable() -> None:
    """Members are added and removed, never changed (RFC 7643 §4.2: immutable)."""
    raise MutabilityException(detail="A member cannot be changed: remove it and add another one.")
