"""Decode what Graph sends into msgspec Structs, checking it on the way.

A body that does not fit raises `msgspec.DecodeError` (`ValidationError` is one): the
caller turns it into a named fault, never into an empty list. Users stay dictionaries,
because the properties depend on the mapping.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from store.records import GraphId
from worker.reconcile.digests import digest_of
from worker.reconcile.lazy_mapping import LazyMapping
from worker.reconcile.snapshot import Assignment, GraphGroup, GraphUser

T = TypeVar("T")

Id = Annotated[str, msgspec.Meta(min_length=1)]


class GraphPage(msgspec.Struct, Generic[T], gc=False):
    """One page of a list. `value` is required: `200 {}` is not an empty list."""

    value: list[T]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)
    delta_link: str | None = msgspec.field(name="@odata.deltaLink", default=None)
    count: int | None = msgspec.field(name="@odata.count", default=None)


class ObjectKind(StrEnum):
    """Types of directory objects.

    As members of an enum, half a million types are not half a million strings.
    """

    USER = "#microsoft.graph.user"
    GROUP = "#microsoft.graph.group"
    SERVICE_PRINCIPAL = "#microsoft.graph.servicePrincipal"
    DEVICE = "#microsoft.graph.device"
    CONTACT = "#microsoft.graph.orgContact"
    UNKNOWN = ""

    @classmethod
    def _missing_(cls, value: object) -> ObjectKind:
        return cls.UNKNOWN


class DirectoryObject(msgspec.Struct, gc=False):
    """A member, a group of `memberOf`, a manager: an id and, in mixed lists, a type."""

    id: Annotated[GraphId, msgspec.Meta(min_length=1)]
    kind: ObjectKind = msgspec.field(name="@odata.type", default=ObjectKind.UNKNOWN)


class MemberGroup(msgspec.Struct, rename="camel", gc=False):
    """A group (or another container) of which a user or group is a member."""

    id: Id
    security_enabled: bool | None = None

    @property
    def is_provisioned(self) -> bool:
        """True if it can be assigned: Entra provisions security groups only."""
        return self.security_enabled is not False


class AppRoleAssignment(msgspec.Struct, rename="camel", gc=False):
    principal_id: Id
    principal_type: Id
    resource_id: Id
    app_role_id: str = "00000000-0000-0000-0000-000000000000"
    principal_display_name: str | None = None

    def record(self) -> Assignment:
        return Assignment(GraphId(self.principal_id), self.principal_type, self.app_role_id)


class ServicePrincipal(msgspec.Struct, rename="camel", gc=False):
    id: Id
    app_id: Id
    display_name: str | None = None
    account_enabled: bool | None = None
    app_role_assignment_required: bool | None = None


class PasswordCredential(msgspec.Struct, rename="camel", gc=False):
    """A client secret as Graph shows it: first characters and end, never the value."""

    hint: str | None = None
    end_date_time: datetime | None = None


class Registration(msgspec.Struct, rename="camel", gc=False):
    id: Id
    password_credentials: list[PasswordCredential]


class DeletedUser(msgspec.Struct, rename="camel", gc=False):
    id: Id
    deleted_date_time: datetime | None = None
    user_principal_name: str | None = None
    mail: str | None = None


class UserState(msgspec.Struct, rename="camel", gc=False):
    id: Id
    account_enabled: bool | None = None


class BatchRequest(msgspec.Struct, gc=False):
    """One read inside a `$batch`; `url` begins after the version."""

    id: str
    url: str
    headers: dict[str, str]
    method: str = "GET"


class BatchItem(msgspec.Struct, gc=False):
    id: str
    status: int
    headers: dict[str, str] | None = None
    body: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b""))

    @property
    def headers_in_lower_case(self) -> dict[str, str]:
        return {name.lower(): value for name, value in (self.headers or {}).items()}


class BatchAnswer(msgspec.Struct, gc=False):
    responses: list[BatchItem]


_JsonObject = dict[str, Any]


decode_delta = msgspec.json.Decoder(GraphPage[_JsonObject]).decode
"""Objects as dictionaries; `worker.graph.read.delta` reads them, markers and all."""


def encode_batch(requests: list[BatchRequest]) -> bytes:
    return msgspec.json.encode({"requests": requests})


_users = msgspec.json.Decoder(GraphPage[_JsonObject])
_raw_users = msgspec.json.Decoder(GraphPage[msgspec.Raw])
_object = msgspec.json.Decoder(_JsonObject)
decode_objects = msgspec.json.Decoder(GraphPage[DirectoryObject]).decode
decode_member_groups = msgspec.json.Decoder(GraphPage[MemberGroup]).decode
decode_member_group = msgspec.json.Decoder(MemberGroup).decode
decode_assignments = msgspec.json.Decoder(GraphPage[AppRoleAssignment]).decode
decode_service_principal = msgspec.json.Decoder(ServicePrincipal).decode
decode_registration = msgspec.json.Decoder(Registration).decode
decode_deleted_users = msgspec.json.Decoder(GraphPage[DeletedUser]).decode
decode_deleted_user = msgspec.json.Decoder(DeletedUser).decode
decode_user_states = msgspec.json.Decoder(GraphPage[UserState]).decode
decode_user_state = msgspec.json.Decoder(UserState).decode
decode_batch = msgspec.json.Decoder(BatchAnswer).decode


def decode_users(body: bytes) -> GraphPage[GraphUser]:
    """Decode a page of users; `id` and `accountEnabled` are required."""
    page = _users.decode(body)
    return GraphPage(
        [user_from_properties(row) for row in page.value], page.next_link, page.delta_link, page.count
    )


class _User(msgspec.Struct, rename="camel", gc=False):
    """The properties needed of every user; the others stay bytes until one is read."""

    id: Id
    account_enabled: bool
    manager: DirectoryObject | None = None


def _properties(raw: bytes) -> _JsonObject:
    properties = _object.decode(raw)
    properties.pop("manager", None)
    return properties


_user = msgspec.json.Decoder(_User)


def users_decoder(key: bytes) -> Callable[[bytes], GraphPage[GraphUser]]:
    """Return a decoder for pages of a whole directory.

    Its users have a digest under this key, and properties that are not decoded yet.
    """

    def decode(body: bytes) -> GraphPage[GraphUser]:
        page = _raw_users.decode(body)
        users = [decode_user_lazily(bytes(raw), key) for raw in page.value]
        return GraphPage(users, page.next_link, page.delta_link, page.count)

    return decode


def decode_user_lazily(raw: bytes, key: bytes) -> GraphUser:
    try:
        user = _user.decode(raw)
    except msgspec.ValidationError:
        return user_from_properties(_object.decode(raw))  # which says in words what is wrong
    manager = GraphId(sys.intern(user.manager.id)) if user.manager else None
    return GraphUser(
        GraphId(sys.intern(user.id)),
        user.account_enabled,
        LazyMapping(_properties, raw),
        manager,
        digest_of(raw, key),
    )


def decode_managers(body: bytes) -> GraphPage[tuple[GraphId, GraphId | None]]:
    """Decode who is whose manager; a row that does not say so is left out."""
    page = _users.decode(body)
    found = []
    for row in page.value:
        graph_id, manager = row.get("id"), row.get("manager")
        manager_id = manager.get("id") if isinstance(manager, dict) else None
        if _is_id(graph_id) and (manager is None or _is_id(manager_id)):
            found.append((GraphId(graph_id), None if manager is None else GraphId(sys.intern(manager_id))))
    return GraphPage(found, page.next_link, page.delta_link, page.count)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != ""


def decode_user(body: bytes) -> GraphUser:
    row = _object.decode(body)
    row.pop("@odata.context", None)
    return user_from_properties(row)


def decode_group(body: bytes) -> GraphGroup:
    return group_from_properties(_object.decode(body))


def decode_groups(body: bytes) -> GraphPage[GraphGroup]:
    page = _users.decode(body)
    return GraphPage(
        [group_from_properties(row) for row in page.value], page.next_link, page.delta_link, page.count
    )


def decode_count(body: bytes) -> int:
    """Decode a count: the text `893`, of some gateways with a byte order mark."""
    try:
        return int(body.decode("utf-8-sig"))
    except ValueError as error:
        raise msgspec.ValidationError("a count that is not a number") from error


def user_from_properties(row: _JsonObject) -> GraphUser:
    # Written out for speed: it runs for each user of the directory.
    graph_id, account_enabled, manager = row.get("id"), row.get("accountEnabled"), row.pop("manager", None)
    if type(graph_id) is not str or not graph_id:
        raise msgspec.ValidationError("a user without an id")
    # Absent or null means that the app may not read it (User.ReadBasic.All), not
    # "disabled".
    if type(account_enabled) is not bool:
        raise msgspec.ValidationError("a user without accountEnabled; User.Read.All makes it readable")
    return GraphUser(
        GraphId(graph_id), account_enabled, row, None if manager is None else _manager_id(manager)
    )


def _manager_id(manager: object) -> GraphId:
    found = manager.get("id") if isinstance(manager, dict) else None
    if not isinstance(found, str) or not found:
        raise msgspec.ValidationError("a manager without an id")
    return GraphId(found)


def group_from_properties(row: _JsonObject) -> GraphGroup:
    graph_id, display_name = row.get("id"), row.get("displayName")
    if not (isinstance(graph_id, str) and graph_id and isinstance(display_name, str)):
        raise msgspec.ValidationError("a group without an id or a displayName")
    row.pop("@odata.context", None)
    return GraphGroup(GraphId(graph_id), display_name, row)
