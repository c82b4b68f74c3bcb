"""Reduce the operations on `members` to the ids to add, to remove, or to set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scim2_models import MutabilityException, SCIMException
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from scim.patch.operations import Operation, in_operation
from scim.patch.value_filters import matches
from scim.request import ScimRequest
from scim.schema.definitions import group_shape
from store.directory import memberships
from store.records import GroupId


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
    for operation in operations:
        try:
            if operation.location.selector is not None:
                await _change_selected(request, group_id, operation, change)
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


async def _change_selected(
    request: ScimRequest, group_id: GroupId, operation: Operation, change: MemberChange
) -> None:
    selector = operation.location.selector
    assert selector is not None
    if operation.op != "remove" or operation.location.sub is not None:
        _refuse_immutable()
    ids = _named_ids(selector)
    change.remove(await _matching_ids(request, group_id, selector) if ids is None else ids)


def _named_ids(node: FilterNode) -> list[str] | None:
    """Return the ids that a filter names, such as `value eq "2f1e…" or value eq
    "6b0c…"`.

    Any other filter returns None.
    """
    if (
        isinstance(node, Comparison)
        and node.attr_path.attr.lower() == "value"
        and node.op == CompareOperator.eq
    ):
        return [str(node.value)]
    if not (isinstance(node, LogicalExpr) and node.op == LogicalOperator.or_):
        return None
    parts = [_named_ids(term) for term in node.terms]
    return (
        [each for part in parts for each in part or ()] if all(part is not None for part in parts) else None
    )


async def _matching_ids(request: ScimRequest, group_id: GroupId, selector: FilterNode) -> list[str]:
    attribute = group_shape().attributes["members"]
    async with request.db.reading() as connection:
        found = await memberships.of_group(connection, request.principal.connection.tenant_id, group_id)
    values = [{"value": each.member_id, "type": each.member_type.value} for each in found]
    return [each["value"] for each in values if matches(selector, attribute, each)]


def _refuse_immutable() -> None:
    """Members are added and removed, never changed (RFC 7643 §4.2: immutable)."""
    raise MutabilityException(detail="A member cannot be changed: remove it and add another one.")
