"""The two ways in which the service writes a PATCH: its old default, and the one behind
`aadOptscim062020`.

| | default | aadOptscim062020 |
|---|---|---|
| op | `Add` `Replace` `Remove` | `add` `replace` `remove` |
| booleans | the texts `"True"`, `"False"` | booleans |
| several attributes | one operation each | filtered paths each, the rest without path |
| member out | `members` with a value | `members[value eq "…"]` without one |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulator.provisioning import paths

PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BOOLEANS = frozenset({"active"})


class Dialect(StrEnum):
    """How PATCH bodies look; the values are the flags an admin puts behind the Tenant
    URL.
    """

    DEFAULT = "AzureAdScimPatch2017"
    RFC = "aadOptscim062020"


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that differs between source and target."""

    path: str
    new: str
    old: str | None = None
    """None: the target has no value, so the operation is an add."""

    @property
    def op(self) -> str:
        return "Add" if self.old is None else "Replace"


def user_patch(dialect: Dialect, changes: Sequence[Change]) -> dict[str, Any]:
    """Render the attribute changes of one user or group."""
    if dialect is Dialect.DEFAULT:
        return _patch([{"op": c.op, "path": c.path, "value": c.new} for c in changes])
    if len(changes) == 1:
        return _patch([_with_path(changes[0])])
    own = [_with_path(change) for change in changes if paths.is_filtered(change.path)]
    merged = {change.path: _typed(change) for change in changes if not paths.is_filtered(change.path)}
    return _patch([*own, {"op": "replace", "value": merged}] if merged else own)


def manager_patch(dialect: Dialect, manager: str, *, had_one: bool) -> dict[str, Any]:
    """Render a manager change; the value is the manager's id as a bare text, or empty
    to clear it.
    """
    op = "Replace" if had_one else "Add"
    return _patch([{"op": _spelled(dialect, op), "path": paths.MANAGER, "value": manager}])


def add_members(dialect: Dialect, member_ids: Sequence[str]) -> dict[str, Any]:
    """Render members joining a group."""
    if dialect is Dialect.RFC:
        members: list[dict[str, str | None]] = [{"value": member} for member in member_ids]
    else:
        members = [{"$ref": None, "value": member} for member in member_ids]
    return _patch([{"op": _spelled(dialect, "Add"), "path": "members", "value": members}])


def remove_members(dialect: Dialect, member_ids: Sequence[str], *, with_ref: bool = False) -> dict[str, Any]:
    """Render members leaving a group; `with_ref` adds the `$ref: null` of one of
    Microsoft's two pages.
    """
    if dialect is Dialect.RFC:
        return _patch([{"op": "remove", "path": f'members[value eq "{member}"]'} for member in member_ids])
    members: list[dict[str, str | None]] = [
        {"$ref": None, "value": member} if with_ref else {"value": member} for member in member_ids
    ]
    return _patch([{"op": "Remove", "path": "members", "value": members}])


def _patch(operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemas": [PATCH_SCHEMA], "Operations": operations}


def _with_path(change: Change) -> dict[str, Any]:
    return {"op": change.op.lower(), "path": change.path, "value": _typed(change)}


def _typed(change: Change) -> str | bool:
    return change.new == "True" if change.path in BOOLEANS else change.new


def _spelled(dialect: Dialect, op: str) -> str:
    return op.lower() if dialect is Dialect.RFC else op
