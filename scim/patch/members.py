"""What a PATCH of a group does to its members, reduced to ids to add, to remove, or to leave alone in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from scim2_models import InvalidValueException, MutabilityException
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from scim.patch.operations import Operation
from scim.patch.value_filters import matches
from scim.patch.values import clean
from scim.request import ScimRequest
from scim.schema.definitions import group_shape
from scim.schema.entra_quirks import is_cleared, removed_elements
from store.directory import memberships
from store.records import GroupId


@dataclass(slots=True)
class MemberChange:
    """Ids in the order they came (keys of a dict), so that the last operation on a member wins."""

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


def member_ids(value: Any) -> tuple[str, ...]:
    """Return the ids of members as clients send them: objects with `value`, bare ids, one or many.

    Raises scim2_models.InvalidValueException for a member without an id.
    """
    if is_cleared(value):
        return ()
    elements = clean(group_shape().attributes["members"], value) or []
    return tuple(dict.fromkeys(_id_of(each) for each in elements))


async def member_change(
    request: ScimRequest, group_id: GroupId, operations: Sequence[Operation]
) -> MemberChange:
    """Reduce the operations on `members` to one change; memberships are read only for an unusual filter."""
    change = MemberChange()
    for operation in operations:
        if operation.location.selector is not None:
            await _change_selected(request, group_id, operation, change)
        elif operation.location.sub is not None:
            _refuse_immutable()
        elif operation.op == "add":
            change.add(member_ids(operation.value))
        elif operation.op == "replace":
            change.replace(member_ids(operation.value))
        else:
            _remove(operation, change)
    return change


def _remove(operation: Operation, change: MemberChange) -> None:
    """Remove the members listed in the value, and all of them only where there is none
    (`quirks.removed_elements`)."""
    listed = removed_elements(operation.value)
    if listed is None:
        change.replace(())
    else:
        change.remove(_id_of(each) for each in listed)


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
    """Return the ids a filter such as `value eq "2f1e…" or value eq "6b0c…"` names, None for any other
    filter."""
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


def _id_of(element: Any) -> str:
    value = element.get("value") if isinstance(element, dict) else None
    reference = element.get("$ref") if isinstance(element, dict) else None
    if not value and isinstance(reference, str):
        value = reference.rstrip("/").rpartition("/")[2]
    if not isinstance(value, str) or not value:
        raise InvalidValueException(
            detail="Each of the members needs a 'value': the id of a user or a group."
        )
    return value
