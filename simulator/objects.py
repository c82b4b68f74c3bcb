"""What a directory is made of: users, groups, app role assignments, and the entries of
the change feed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeAlias, TypeVar

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Properties: TypeAlias = dict[str, JsonValue]
"""Graph property names; a property that is null in Graph has no key here."""

Item = TypeVar("Item")

ObjectType = Literal["user", "group", "assignment"]
ChangeKind = Literal[
    "created",
    "changed",
    "soft_deleted",
    "restored",
    "purged",
    "member_added",
    "member_removed",
    "assigned",
    "unassigned",
]

DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"
"""`appRoleId` of an assignment without a role (graph-api: all zeros)."""


class DirectoryError(Exception):
    """The directory cannot do that."""


class UnknownObject(DirectoryError):
    """No such object (any more)."""

    def __init__(self, object_id: str) -> None:
        super().__init__(f"no object {object_id!r} in the directory; GET /admin/state lists what there is")
        self.object_id = object_id


class Conflict(DirectoryError):
    """Another object has that unique value."""


@dataclass(slots=True)
class DirUser:
    id: str
    properties: Properties
    manager_id: str | None = None
    ordinal: int = 0
    """Place in listings; never reused."""

    def text(self, name: str) -> str | None:
        """Return a property that is a text; None where it is absent or something
        else."""
        value = self.properties.get(name)
        return value if isinstance(value, str) else None

    @property
    def user_principal_name(self) -> str:
        return self.text("userPrincipalName") or ""

    @property
    def enabled(self) -> bool:
        return self.properties.get("accountEnabled") is True

    @property
    def state_known(self) -> bool:
        """Whether `accountEnabled` is a boolean; null tells nothing
        (docs-contrib#2410).
        """
        return isinstance(self.properties.get("accountEnabled"), bool)


@dataclass(slots=True)
class DirGroup:
    id: str
    properties: Properties
    member_ids: dict[str, int] = field(default_factory=dict)
    """Ids of users and groups in the order they joined -> a growing number.
    Soft-deleted users stay."""
    ordinal: int = 0

    def text(self, name: str) -> str | None:
        """Return a property that is a text; None where it is absent or something
        else."""
        value = self.properties.get(name)
        return value if isinstance(value, str) else None

    @property
    def display_name(self) -> str:
        return self.text("displayName") or ""

    @property
    def restorable(self) -> bool:
        """Return whether deleting keeps it in the recycle bin; security groups vanish
        at once.
        """
        kinds = self.properties.get("groupTypes")
        return isinstance(kinds, list) and "Unified" in kinds


OtherKind = Literal["device", "orgContact", "servicePrincipal"]
"""Types of objects that can be members of a group beside users and groups."""


@dataclass(slots=True)
class DirObject:
    """A device, contact or service principal: nothing but a member of groups."""

    id: str
    kind: OtherKind
    properties: Properties
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    id: str
    principal_id: str
    principal_type: Literal["User", "Group"]
    app_role_id: str
    created: datetime
    ordinal: int


@dataclass(frozen=True, slots=True)
class Deleted(Generic[Item]):
    """An object in the recycle bin."""

    item: Item
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One entry of the change feed."""

    seq: int
    at: datetime
    object_type: ObjectType
    object_id: str
    """The user or group; for an assignment its principal."""
    kind: ChangeKind
    related_id: str | None = None
    """The member that came or went; the id of the assignment; the manager before the
    change."""
    properties: tuple[str, ...] = ()
    """Names of the properties that changed, `manager` among them."""


def without_nulls(properties: Mapping[str, JsonValue]) -> Properties:
    """Return properties without those that are null, and without an id."""
    return {name: value for name, value in properties.items() if value is not None and name != "id"}


def merge(held: Properties, wanted: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Put `wanted` over `held`; give the names that really changed."""
    changed = tuple(name for name, value in wanted.items() if name != "id" and held.get(name) != value)
    for name in changed:
        if wanted[name] is None:
            del held[name]
        else:
            held[name] = wanted[name]
    return changed
