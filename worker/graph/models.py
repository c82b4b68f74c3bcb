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

from store.records import GraphId, JsonValue
from worker.reconcile.digests import digest_of
from worker.reconcile.snapshot import Assignment, GraphGroup, GraphUser, LazyMapping

T = TypeVar("T")
U = TypeVar("U")

Id = Annotated[str, msgspec.Meta(min_length=1)]


class GraphPage(msgspec.Struct, Generic[T], gc=False):
    """One page of a list. `value` is required: `200 {}` is not an empty list."""

    value: list[T]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)
    delta_link: str | None = msgspec.field(name="@odata.deltaLink", default=None)
    count: int | None = msgspec.field(name="@odata.count", default=None)
    unidentified: int = msgspec.field(name="unidentified@leaver", default=0)
    """Rows that were left out, because they have no object id."""

    def holding(self, value: list[U], unidentified: int = 0) -> GraphPage[U]:
        """Return the page with other values in place of its own."""
        return GraphPage(value, self.next_link, self.delta_link, self.count, unidentified)


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


HIDDEN_MEMBERSHIP = "HiddenMembership"
"""Visibility of a group whose members are shown to their own permission only."""


class MemberGroup(msgspec.Struct, rename="camel", gc=False):
    """A group (or another container) of which a user or group is a member."""

    id: Id
    security_enabled: bool | None = None
    visibility: str | None = None

    @property
    def hides_members(self) -> bool:
        return self.visibility == HIDDEN_MEMBERSHIP

    @property
    def is_provisioned(self) -> bool:
        """True if it can be assigned: Entra provisions security groups only."""
        return self.security_enabled is not False


DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"
"""The role of an assignment without one."""


class AppRoleAssignment(msgspec.Struct, rename="camel", gc=False):
    principal_id: Id
    principal_type: str | None = None
    """None where Graph does not say."""
    resource_id: str | None = None
    app_role_id: str | None = None
    principal_display_name: str | None = None

    def record(self) -> Assignment:
        return Assignment(
            GraphId(self.principal_id), self.principal_type or "", self.app_role_id or DEFAULT_ACCESS
        )


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
    mail_nickname: str | None = None
    employee_id: str | None = None
    proxy_addresses: list[str] | None = None
    other_mails: list[str] | None = None
    on_premises_immutable_id: str | None = None
    on_premises_sam_account_name: str | None = None
    on_premises_security_identifier: str | None = None
    on_premises_user_principal_name: str | None = None

    def record(self) -> GraphUser:
        """Return the user with the identifiers of before the deletion.

        Entra puts the object id, without hyphens, before the principal name of a
        soft-deleted user.
        """
        properties: dict[str, JsonValue] = msgspec.to_builtins(self)
        if self.user_principal_name is not None:
            name = self.user_principal_name.removeprefix(self.id.replace("-", ""))
            properties["userPrincipalName"] = name
        return GraphUser(GraphId(self.id), False, properties)


class UserState(msgspec.Struct, rename="camel", gc=False):
    id: Id
    account_enabled: bool | None = None


_JsonObject = dict[str, Any]


decode_delta = msgspec.json.Decoder(GraphPage[_JsonObject]).decode
"""Objects as dictionaries; `worker.graph.read.delta` reads them, markers and all."""


class ObjectReference(msgspec.Struct, gc=False):
    """An object of which only the id is read."""

    id: Id


class ReportingUser(msgspec.Struct, gc=False):
    """A user with the manager."""

    id: Id
    manager: ObjectReference | None = None


_manager_rows = msgspec.json.Decoder(GraphPage[ReportingUser])
_objects = msgspec.json.Decoder(GraphPage[_JsonObject])
_rows = msgspec.json.Decoder(GraphPage[Any])
_object = msgspec.json.Decoder(_JsonObject)
_any = msgspec.json.Decoder(Any)
decode_member_groups = msgspec.json.Decoder(GraphPage[MemberGroup]).decode
decode_member_group = msgspec.json.Decoder(MemberGroup).decode
decode_service_principal = msgspec.json.Decoder(ServicePrincipal).decode
decode_registration = msgspec.json.Decoder(Registration).decode
decode_deleted_user = msgspec.json.Decoder(DeletedUser).decode
decode_user_states = msgspec.json.Decoder(GraphPage[UserState]).decode
decode_user_state = msgspec.json.Decoder(UserState).decode


def _row_by_row(
    decoder: msgspec.json.Decoder[GraphPage[T]], salvage: Callable[[_JsonObject], T], id_name: str = "id"
) -> Callable[[bytes], GraphPage[T]]:
    """Return a decoder of pages for which one row that does not fit ends no list.

    `salvage` makes do with what such a row says. A row without an id is counted.
    """

    def decode(body: bytes) -> GraphPage[T]:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            page = _rows.decode(body)
        usable = [row for row in page.value if isinstance(row, dict) and _is_id(row.get(id_name))]
        return page.holding([salvage(row) for row in usable], len(page.value) - len(usable))

    return decode


def _salvaged_assignment(row: _JsonObject) -> AppRoleAssignment:
    texts = {name: value for name, value in row.items() if isinstance(value, str)}
    return AppRoleAssignment(
        row["principalId"],
        texts.get("principalType"),
        texts.get("resourceId"),
        texts.get("appRoleId"),
        texts.get("principalDisplayName"),
    )


def _salvaged_object(row: _JsonObject) -> DirectoryObject:
    kind = row.get("@odata.type")
    return DirectoryObject(
        GraphId(row["id"]), ObjectKind(kind) if isinstance(kind, str) else ObjectKind.UNKNOWN
    )


def _salvaged_deleted_user(row: _JsonObject) -> DeletedUser:
    name, mail = row.get("userPrincipalName"), row.get("mail")
    return DeletedUser(
        row["id"],
        _moment(row.get("deletedDateTime")),
        name if isinstance(name, str) else None,
        mail if isinstance(mail, str) else None,
    )


def _moment(value: object) -> datetime | None:
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None


decode_objects = _row_by_row(msgspec.json.Decoder(GraphPage[DirectoryObject]), _salvaged_object)
decode_assignments = _row_by_row(
    msgspec.json.Decoder(GraphPage[AppRoleAssignment]), _salvaged_assignment, "principalId"
)
decode_deleted_users = _row_by_row(msgspec.json.Decoder(GraphPage[DeletedUser]), _salvaged_deleted_user)


def decode_users(body: bytes) -> GraphPage[GraphUser]:
    """Decode a page of users; a row without an id is counted."""
    page = _rows.decode(body)
    usable = [row for row in page.value if isinstance(row, dict) and _is_id(row.get("id"))]
    users = [user_from_properties(row) for row in usable]
    return page.holding(users, len(page.value) - len(usable))


class ListedUser(msgspec.Struct, rename="camel", gc=False):
    """The properties needed of every user; the others stay bytes until one is read."""

    id: Id
    account_enabled: bool
    manager: DirectoryObject | None = None


def user_properties(raw: bytes) -> _JsonObject:
    properties = _object.decode(raw)
    properties.pop("manager", None)
    return properties


decode_listed_user = msgspec.json.Decoder(ListedUser).decode
decode_raw_users = msgspec.json.Decoder(GraphPage[msgspec.Raw]).decode


def users_decoder(key: bytes) -> Callable[[bytes], GraphPage[GraphUser]]:
    """Return a decoder for pages of a whole directory.

    Its users have a digest under this key, and properties that are not decoded yet.
    """

    def decode(body: bytes) -> GraphPage[GraphUser]:
        page = decode_raw_users(body)
        rows = [decode_user_lazily(bytes(raw), key) for raw in page.value]
        users = [user for user in rows if user is not None]
        return page.holding(users, len(rows) - len(users))

    return decode


def decode_user_lazily(raw: bytes, key: bytes) -> GraphUser | None:
    """Decode one user; None for a row without an id."""
    try:
        user = decode_listed_user(raw)
    except msgspec.ValidationError:
        return salvaged_user(raw)
    manager = GraphId(sys.intern(user.manager.id)) if user.manager else None
    return GraphUser(
        GraphId(sys.intern(user.id)),
        user.account_enabled,
        LazyMapping(user_properties, raw),
        manager,
        digest_of(raw, key),
    )


def salvaged_user(raw: bytes) -> GraphUser | None:
    """Make do with a row that does not fit; None if it has no id."""
    row = _any.decode(raw)
    return user_from_properties(row) if isinstance(row, dict) and _is_id(row.get("id")) else None


def decode_managers(body: bytes) -> GraphPage[tuple[GraphId, GraphId | None]]:
    """Decode who is whose manager; a row that does not say so is left out."""
    try:
        listed = _manager_rows.decode(body)
    except msgspec.ValidationError:
        return _salvaged_managers(body)
    return listed.holding(
        [
            (GraphId(row.id), GraphId(sys.intern(row.manager.id)) if row.manager else None)
            for row in listed.value
        ]
    )


def _salvaged_managers(body: bytes) -> GraphPage[tuple[GraphId, GraphId | None]]:
    page = _rows.decode(body)
    found = []
    for row in page.value:
        if not isinstance(row, dict):
            continue
        graph_id, manager = row.get("id"), row.get("manager")
        manager_id = manager.get("id") if isinstance(manager, dict) else None
        if _is_id(graph_id) and (manager is None or _is_id(manager_id)):
            found.append(
                (GraphId(str(graph_id)), None if manager is None else GraphId(sys.intern(str(manager_id))))
            )
    return page.holding(found)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != ""


def decode_user(body: bytes) -> GraphUser:
    row = _object.decode(body)
    row.pop("@odata.context", None)
    return user_from_properties(row)


def decode_group(body: bytes) -> GraphGroup:
    return group_from_properties(_object.decode(body))


def decode_groups(body: bytes) -> GraphPage[GraphGroup]:
    page = _objects.decode(body)
    return page.holding([group_from_properties(row) for row in page.value])


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
    # Absent or null means neither "disabled" nor "enabled": of all users, that the app
    # may not read it (User.ReadBasic.All); of one, a fault of the directory.
    if type(account_enabled) is not bool:
        return GraphUser(GraphId(graph_id), None, row, unknown=NO_STATE)
    manager_id = manager.get("id") if isinstance(manager, dict) else None
    if manager is not None and not _is_id(manager_id):
        return GraphUser(GraphId(graph_id), None, row, unknown="Graph gives a manager without an id.")
    return GraphUser(GraphId(graph_id), account_enabled, row, manager_id and GraphId(manager_id))


NO_STATE = "Graph does not say whether the account is enabled (accountEnabled)."


def group_from_properties(row: _JsonObject) -> GraphGroup:
    graph_id, display_name = row.get("id"), row.get("displayName")
    if not (isinstance(graph_id, str) and graph_id):
        raise msgspec.ValidationError("a group without an id")
    row.pop("@odata.context", None)
    return GraphGroup(GraphId(graph_id), display_name if isinstance(display_name, str) else "", row)
