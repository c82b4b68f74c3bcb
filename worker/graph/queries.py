"""The reads of Leaver, built by msgraph-sdk, each with the permission it takes.

Page size 999 is the most the directory gives (1,000 is refused). `ConsistencyLevel:
eventual` is used only where Graph demands it: its index lags by minutes, so lists that
decide about removals are read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from worker.graph.graph_query import ANY_OBJECT, PAGE_SIZE, GraphQuery
from worker.graph.url_templates import RequestBuilder, url_of
from worker.reconcile.mapping.graph_filters import GraphFilter

if TYPE_CHECKING:
    from msgraph.graph_service_client import GraphServiceClient

READ_APPLICATIONS = "Application.Read.All"
READ_MEMBERS = "GroupMember.Read.All"
READ_USERS = "User.Read.All"
READ_DELETED_GROUPS = "Group.Read.All"
"""Optional (Graph, "Get deleted item"): without it Graph does not say whether a
deleted group can be restored."""

MOST_ALTERNATIVES = 15
"""Values that one `$filter` compares: Graph refuses more in an ordinary query."""

_USERS, _MEMBER_OF, _MEMBERS, _TRANSITIVE_MEMBERS = 2, 2, 3, 5
"""Base prices in resource units; a read that Graph does not list costs one."""

ReadOfObject: TypeAlias = "Callable[[GraphServiceClient, str], GraphQuery]"
_built_once = lru_cache(maxsize=256)
"""Keeps reads of every increment; the builders of one base URL are one object."""


def _query(
    builder: RequestBuilder,
    parameters: object,
    name: str,
    permission: str,
    *,
    is_eventual: bool = False,
    units: int = 1,
) -> GraphQuery:
    """Build a read.

    `units` is the base price: `$select` takes one off, `$expand` adds one, the least
    price is one.
    """
    url = url_of(builder, parameters)
    price = units - bool(getattr(parameters, "select", None)) + bool(getattr(parameters, "expand", None))
    return GraphQuery(url, name, permission, is_eventual, units=max(1, price))


def _of_any_object(build: ReadOfObject) -> ReadOfObject:
    """Build a read of every increment once, for all objects that it may be about."""
    built = _built_once(build)
    return lambda sdk, object_id: built(sdk, ANY_OBJECT).about(object_id)


@_of_any_object
def service_principal_of_app(sdk: GraphServiceClient, app_id: str) -> GraphQuery:
    builder = sdk.service_principals_with_app_id(app_id)
    parameters = builder.ServicePrincipalsWithAppIdRequestBuilderGetQueryParameters(select=_SERVICE_PRINCIPAL)
    return _query(builder, parameters, "the application", READ_APPLICATIONS)


@_of_any_object
def service_principal(sdk: GraphServiceClient, service_principal_id: str) -> GraphQuery:
    builder = sdk.service_principals.by_service_principal_id(service_principal_id)
    parameters = builder.ServicePrincipalItemRequestBuilderGetQueryParameters(select=_SERVICE_PRINCIPAL)
    return _query(builder, parameters, "the application", READ_APPLICATIONS)


def own_registration(sdk: GraphServiceClient, client_id: str) -> GraphQuery:
    """Read the app registration of our own client id, with the ends of its secrets."""
    builder = sdk.applications_with_app_id(client_id)
    parameters = builder.ApplicationsWithAppIdRequestBuilderGetQueryParameters(
        select=["id", "passwordCredentials"]
    )
    return _query(builder, parameters, "the app registration", READ_APPLICATIONS)


_SERVICE_PRINCIPAL = ["id", "appId", "displayName", "accountEnabled", "appRoleAssignmentRequired"]


@_of_any_object
def assignments(sdk: GraphServiceClient, service_principal_id: str) -> GraphQuery:
    builder = sdk.service_principals.by_service_principal_id(service_principal_id).app_role_assigned_to
    parameters = builder.AppRoleAssignedToRequestBuilderGetQueryParameters(top=PAGE_SIZE)
    return _query(builder, parameters, "appRoleAssignedTo", READ_APPLICATIONS)


def assignments_of_user(sdk: GraphServiceClient, user_id: str, service_principal_id: str) -> GraphQuery:
    builder = sdk.users.by_user_id(user_id).app_role_assignments
    parameters = builder.AppRoleAssignmentsRequestBuilderGetQueryParameters(
        filter=f"resourceId eq {service_principal_id}", top=PAGE_SIZE
    )
    return _query(builder, parameters, f"appRoleAssignments:{user_id}", READ_APPLICATIONS)


def assignments_by_the_index(sdk: GraphServiceClient, user_id: str, service_principal_id: str) -> GraphQuery:
    """Read the same list by the index, which lags but is complete.

    The plain list may be cut short for users with many assignments through groups
    (Graph, "List appRoleAssignments granted to a user").
    """
    builder = sdk.users.by_user_id(user_id).app_role_assignments
    parameters = builder.AppRoleAssignmentsRequestBuilderGetQueryParameters(
        filter=f"resourceId eq {service_principal_id}", top=PAGE_SIZE, count=True
    )
    name = f"appRoleAssignments by the index:{user_id}"
    return _query(builder, parameters, name, READ_APPLICATIONS, is_eventual=True)


def assignments_of_group(sdk: GraphServiceClient, group_id: str, service_principal_id: str) -> GraphQuery:
    builder = sdk.groups.by_group_id(group_id).app_role_assignments
    parameters = builder.AppRoleAssignmentsRequestBuilderGetQueryParameters(
        filter=f"resourceId eq {service_principal_id}", top=PAGE_SIZE
    )
    return _query(builder, parameters, f"appRoleAssignments:{group_id}", READ_APPLICATIONS)


_MANAGER = ["manager($select=id)"]


@dataclass(frozen=True, slots=True)
class UserShape:
    """Which properties of a user are asked for."""

    properties: tuple[str, ...]
    with_manager: bool

    @property
    def expand(self) -> list[str] | None:
        return _MANAGER if self.with_manager else None


STATE_ONLY = UserShape(("id", "accountEnabled"), with_manager=False)


def users(sdk: GraphServiceClient, shape: UserShape, top: int = PAGE_SIZE) -> GraphQuery:
    """Read the whole directory, without managers: `$expand` caps a page at 100."""
    parameters = sdk.users.UsersRequestBuilderGetQueryParameters(select=list(shape.properties), top=top)
    return _query(sdk.users, parameters, "users", READ_USERS, units=_USERS)


MAX_OR_CLAUSES = 15
"""Values of one `in` without the index (microsoft-graph-docs#21098)."""


def managers(sdk: GraphServiceClient, people: Iterable[str]) -> GraphQuery:
    """Read the managers of up to `MAX_OR_CLAUSES` users.

    Twenty such reads in a `$batch` bring 300 managers; a list of users with
    `$expand=manager` brings 100 to a page.
    """
    listed = ",".join(quoted(person) for person in people)
    parameters = sdk.users.UsersRequestBuilderGetQueryParameters(
        filter=f"id in ({listed})", select=["id"], expand=_MANAGER
    )
    return _query(sdk.users, parameters, "managers", READ_USERS, units=_USERS)


@_built_once
def users_delta(sdk: GraphServiceClient, shape: UserShape) -> GraphQuery:
    """Read the changes among users.

    `$expand` and `$top` are not supported; the manager is selected.
    """
    select = [*shape.properties, *(["manager"] if shape.with_manager else [])]
    parameters = sdk.users.delta.DeltaRequestBuilderGetQueryParameters(select=select)
    return _query(sdk.users.delta, parameters, "users/delta", READ_USERS)


@_built_once
def groups_delta(sdk: GraphServiceClient) -> GraphQuery:
    """Read the changes among groups and their direct members."""
    parameters = sdk.groups.delta.DeltaRequestBuilderGetQueryParameters(select=[*GROUP_PROPERTIES, "members"])
    return _query(sdk.groups.delta, parameters, "groups/delta", READ_MEMBERS)


def users_with_any(
    sdk: GraphServiceClient, lookups: Iterable[tuple[str, str]], shape: UserShape
) -> GraphQuery:
    """Read users with the given value in any of the properties."""
    filters = [GraphFilter(name, value) for name, value in lookups]
    is_advanced = any(each.is_advanced for each in filters)
    parameters = sdk.users.UsersRequestBuilderGetQueryParameters(
        filter=" or ".join(each.text for each in filters),
        select=list(shape.properties),
        expand=shape.expand,
        count=True if is_advanced else None,
    )
    return _query(
        sdk.users, parameters, "users looked for", READ_USERS, is_eventual=is_advanced, units=_USERS
    )


def searches_for(
    sdk: GraphServiceClient, lookups: Sequence[tuple[str, str]], shape: UserShape
) -> list[GraphQuery]:
    """Return as many reads of users with any of these values as Graph's limit takes."""
    ordered = sorted(lookups, key=lambda lookup: (GraphFilter(*lookup).is_advanced, lookup))
    starts = range(0, len(ordered), MOST_ALTERNATIVES)
    return [users_with_any(sdk, ordered[start : start + MOST_ALTERNATIVES], shape) for start in starts]


def user(sdk: GraphServiceClient, reference: str, shape: UserShape) -> GraphQuery:
    """Read one user by object id or userPrincipalName.

    A name that begins with `$` is quoted, as in `/users('$x')`: `/users/$x` is refused
    (Graph, "Get user").
    """
    query = _any_user(sdk, shape)
    if not reference.startswith("$"):
        return query.about(reference)
    key = quote(quoted(reference), safe="'$@")
    return replace(query, url=query.url.replace(f"/{ANY_OBJECT}", f"({key})", 1))


@_built_once
def _any_user(sdk: GraphServiceClient, shape: UserShape) -> GraphQuery:
    builder = sdk.users.by_user_id(ANY_OBJECT)
    parameters = builder.UserItemRequestBuilderGetQueryParameters(
        select=list(shape.properties), expand=shape.expand
    )
    return _query(builder, parameters, "a user", READ_USERS)


def users_count(sdk: GraphServiceClient) -> GraphQuery:
    builder = sdk.users.count
    parameters = builder.CountRequestBuilderGetQueryParameters()
    return _query(builder, parameters, "users/$count", READ_USERS, is_eventual=True, units=_USERS)


@_built_once
def member_groups(sdk: GraphServiceClient, user_id: str, *, transitive: bool = False) -> GraphQuery:
    """Read the groups (and other containers) of a user, directly or through nesting."""
    name, select = f"memberOf:{user_id}", ["id", "securityEnabled"]
    if transitive:
        nested = sdk.users.by_user_id(user_id).transitive_member_of
        wanted = nested.TransitiveMemberOfRequestBuilderGetQueryParameters(select=select, top=PAGE_SIZE)
        return _query(nested, wanted, name, READ_MEMBERS, units=_MEMBER_OF)
    direct = sdk.users.by_user_id(user_id).member_of
    parameters = direct.MemberOfRequestBuilderGetQueryParameters(select=select, top=PAGE_SIZE)
    return _query(direct, parameters, name, READ_MEMBERS, units=_MEMBER_OF)


def groups_of_group(sdk: GraphServiceClient, group_id: str) -> GraphQuery:
    """Read the groups (and other containers) that hold a group directly."""
    builder = sdk.groups.by_group_id(group_id).member_of
    parameters = builder.MemberOfRequestBuilderGetQueryParameters(
        select=["id", "securityEnabled"], top=PAGE_SIZE
    )
    return _query(builder, parameters, f"memberOf:{group_id}", READ_MEMBERS)


def reports_of(sdk: GraphServiceClient, user_id: str) -> GraphQuery:
    """Read the direct reports of a user."""
    builder = sdk.users.by_user_id(user_id).direct_reports
    parameters = builder.DirectReportsRequestBuilderGetQueryParameters(select=["id"], top=PAGE_SIZE)
    return _query(builder, parameters, f"directReports:{user_id}", READ_USERS)


GROUP_PROPERTIES = [
    *("id", "displayName", "mail", "mailNickname", "description", "securityEnabled", "visibility"),
]


def group(sdk: GraphServiceClient, group_id: str) -> GraphQuery:
    builder = sdk.groups.by_group_id(group_id)
    parameters = builder.GroupItemRequestBuilderGetQueryParameters(select=GROUP_PROPERTIES)
    return _query(builder, parameters, f"group:{group_id}", READ_MEMBERS)


def group_visibility(sdk: GraphServiceClient, group_id: str) -> GraphQuery:
    """Read whether a group hides its members."""
    builder = sdk.groups.by_group_id(group_id)
    parameters = builder.GroupItemRequestBuilderGetQueryParameters(select=["id", "visibility"])
    return _query(builder, parameters, f"visibility:{group_id}", READ_MEMBERS)


def groups_named(sdk: GraphServiceClient, display_name: str) -> GraphQuery:
    parameters = sdk.groups.GroupsRequestBuilderGetQueryParameters(
        filter=f"displayName eq {quoted(display_name)}", select=GROUP_PROPERTIES
    )
    return _query(sdk.groups, parameters, "groups of that name", READ_MEMBERS)


def member_users(sdk: GraphServiceClient, group_id: str, shape: UserShape) -> GraphQuery:
    """Read direct members that are users, with properties but without managers.

    It reads the index: never decide from it that a member left. An advanced query does
    not support `$expand`.
    """
    builder = sdk.groups.by_group_id(group_id).members.graph_user
    parameters = builder.GraphUserRequestBuilderGetQueryParameters(
        select=list(shape.properties), top=PAGE_SIZE, count=True
    )
    return _query(
        builder, parameters, f"member users:{group_id}", READ_USERS, is_eventual=True, units=_MEMBERS
    )


def members(sdk: GraphServiceClient, group_id: str) -> GraphQuery:
    """Read direct members of every type, from the plain list, not the index."""
    builder = sdk.groups.by_group_id(group_id).members
    parameters = builder.MembersRequestBuilderGetQueryParameters(select=["id"], top=PAGE_SIZE)
    return _query(builder, parameters, f"members:{group_id}", READ_MEMBERS, units=_MEMBERS)


def transitive_members(sdk: GraphServiceClient, group_id: str) -> GraphQuery:
    builder = sdk.groups.by_group_id(group_id).transitive_members
    parameters = builder.TransitiveMembersRequestBuilderGetQueryParameters(select=["id"], top=PAGE_SIZE)
    return _query(
        builder, parameters, f"transitiveMembers:{group_id}", READ_MEMBERS, units=_TRANSITIVE_MEMBERS
    )


def deleted_users(sdk: GraphServiceClient) -> GraphQuery:
    builder = sdk.directory.deleted_items.graph_user
    parameters = builder.GraphUserRequestBuilderGetQueryParameters(select=_DELETED_USER, top=PAGE_SIZE)
    return _query(builder, parameters, "deletedItems", READ_USERS)


_DELETED_USER = [
    *("id", "deletedDateTime", "userPrincipalName", "mail", "mailNickname", "employeeId"),
    *("proxyAddresses", "otherMails", "onPremisesImmutableId", "onPremisesSamAccountName"),
    *("onPremisesSecurityIdentifier", "onPremisesUserPrincipalName"),
]


def deleted_group(sdk: GraphServiceClient, group_id: str) -> GraphQuery:
    """Read a group in the recycle bin; it takes more than reading a living one."""
    return replace(deleted_item(sdk, group_id), permission=READ_DELETED_GROUPS)


def deleted_item(sdk: GraphServiceClient, object_id: str) -> GraphQuery:
    """Read a user in the recycle bin."""
    builder = sdk.directory.deleted_items.by_directory_object_id(object_id)
    parameters = builder.DirectoryObjectItemRequestBuilderGetQueryParameters(select=["id", "deletedDateTime"])
    return _query(builder, parameters, f"deletedItems:{object_id}", READ_USERS)


def quoted(text: str) -> str:
    """Return an OData string literal; quotes inside are doubled."""
    return "'" + text.replace("'", "''") + "'"
