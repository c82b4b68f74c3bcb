"""Every address the simulated Graph knows: method, pattern, permissions, price in
resource units, and who answers.
"""

import re
from dataclasses import dataclass

from simulator.graph import (
    application,
    delta,
    groups,
    recycle_bin,
    subscriptions,
    synchronization,
    users,
)
from simulator.graph.call import Handler
from simulator.graph.visibility import BASIC_READERS, READERS

AnyOf = frozenset[str]
"""One of these application permissions is enough."""

DIRECTORY = "Directory.Read.All"

APPLICATIONS: AnyOf = frozenset(
    {"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", DIRECTORY}
)
USERS: AnyOf = READERS["user"]
BASIC_USERS: AnyOf = USERS | BASIC_READERS
GROUPS: AnyOf = frozenset(
    {"Group.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", DIRECTORY}
)
MEMBERS: AnyOf = GROUPS | {"GroupMember.ReadBasic.All"}
MEMBERSHIPS: AnyOf = frozenset({"GroupMember.Read.All", "Group.Read.All", DIRECTORY})
ROLES_OF_PRINCIPAL: AnyOf = frozenset({DIRECTORY, "AppRoleAssignment.ReadWrite.All"})
WRITE_ROLES: AnyOf = frozenset({"AppRoleAssignment.ReadWrite.All"})
OBJECTS: AnyOf = frozenset({DIRECTORY})
DELETED_USERS: AnyOf = recycle_bin.DELETED_USERS
DELETED_GROUPS: AnyOf = recycle_bin.DELETED_GROUPS
BIN: AnyOf = DELETED_USERS | DELETED_GROUPS
RESTORE: AnyOf = frozenset({"User.DeleteRestore.All", "User.ReadWrite.All", "Directory.ReadWrite.All"})
SESSIONS: AnyOf = frozenset({"User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"})
SYNC: AnyOf = frozenset(
    {"Synchronization.Read.All", "Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy"}
)
SYNC_WRITE: AnyOf = frozenset({"Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy"})
LOG: AnyOf = frozenset({"ProvisioningLog.Read.All"})
ORGANIZATION: AnyOf = USERS | {"Organization.Read.All"}


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    permissions: tuple[AnyOf, ...]
    """All of these must be met."""
    units: int
    handler: Handler
    is_report: bool = False
    """Falls under the 5 requests per 10 s of reports and provision on demand."""


def _route(
    spec: str, handler: Handler, *permissions: AnyOf, units: int = 1, is_report: bool = False
) -> Route:
    """Make a route from `GET /users/{user}`; a named part takes one segment."""
    method, _, path = spec.partition(" ")
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
    return Route(method, re.compile(pattern + r"\Z"), permissions, units, handler, is_report)


def _member_routes(relation: str, units: int) -> list[Route]:
    """Make the addresses of `members` and `transitiveMembers`, mixed and cast."""
    base = f"GET /groups/{{group}}/{relation}"
    routes = [
        _route(base, groups.list_members, MEMBERS, units=units),
        _route(f"{base}/$count", groups.count_members, MEMBERS, units=units),
        _route(f"{base}/graph.user", groups.list_user_members, MEMBERS, units=units),
        _route(f"{base}/graph.user/$count", groups.count_user_members, MEMBERS, units=units),
        _route(f"{base}/graph.group", groups.list_group_members, MEMBERS, units=units),
        _route(f"{base}/graph.group/$count", groups.count_group_members, MEMBERS, units=units),
        _route(f"{base}/graph.{{cast}}", groups.list_other_members, MEMBERS, units=units),
    ]
    return [
        Route(
            r.method,
            re.compile(r.pattern.pattern.replace(f"/{relation}", f"/(?P<relation>{relation})", 1)),
            r.permissions,
            r.units,
            r.handler,
        )
        for r in routes
    ]


def _application_routes(principal: str) -> list[Route]:
    """Make the addresses below one service principal, named by id or by
    `(appId='...')`.
    """
    jobs = f"{principal}/synchronization/jobs"
    sync = synchronization
    return [
        _route(f"GET {principal}", application.get_service_principal, APPLICATIONS),
        _route(f"GET {principal}/appRoleAssignedTo", application.list_assigned, APPLICATIONS),
        _route(f"GET {principal}/appRoleAssignedTo/$count", application.count_assigned, APPLICATIONS),
        _route(f"POST {principal}/appRoleAssignedTo", application.assign, WRITE_ROLES, APPLICATIONS),
        _route(f"DELETE {principal}/appRoleAssignedTo/{{assignment}}", application.unassign, WRITE_ROLES),
        _route(f"GET {jobs}", sync.list_jobs, SYNC),
        _route(f"POST {jobs}/validateCredentials", sync.validate_credentials, SYNC_WRITE),
        _route(f"GET {jobs}/{{job}}", sync.get_job, SYNC),
        _route(f"GET {jobs}/{{job}}/schema", sync.get_schema, SYNC),
        _route(f"POST {jobs}/{{job}}/validateCredentials", sync.validate_credentials, SYNC_WRITE),
        _route(
            f"POST {jobs}/{{job}}/provisionOnDemand", sync.provision_on_demand, SYNC_WRITE, is_report=True
        ),
        _route(f"POST {jobs}/{{job}}/start", sync.start, SYNC_WRITE),
        _route(f"POST {jobs}/{{job}}/pause", sync.pause, SYNC_WRITE),
        _route(f"POST {jobs}/{{job}}/restart", sync.restart, SYNC_WRITE),
        _route(f"PUT {principal}/synchronization/secrets", sync.save_secrets, SYNC_WRITE),
    ]


_PEOPLE = [
    _route("GET /users", users.list_users, BASIC_USERS, units=2),
    _route("GET /users/$count", users.count_users, BASIC_USERS, units=2),
    _route("GET /users/delta", delta.users_delta, USERS),
    _route("GET /users/{user}", users.get_user, BASIC_USERS),
    _route("GET /users/{user}/manager", users.get_manager, USERS),
    _route("GET /users/{user}/directReports", users.list_direct_reports, USERS),
    _route("GET /users/{user}/memberOf", users.list_member_of, MEMBERSHIPS, units=2),
    _route("GET /users/{user}/memberOf/graph.group", users.list_member_of_groups, MEMBERSHIPS, units=2),
    _route("GET /users/{user}/transitiveMemberOf", users.list_transitive_member_of, MEMBERSHIPS, units=2),
    _route(
        "GET /users/{user}/transitiveMemberOf/graph.group",
        users.list_transitive_member_of_groups,
        MEMBERSHIPS,
        units=2,
    ),
    _route(
        "GET /users/{user}/appRoleAssignments", users.list_app_role_assignments, ROLES_OF_PRINCIPAL, units=2
    ),
    _route("POST /users/{user}/checkMemberGroups", users.check_member_groups, MEMBERSHIPS, USERS, units=4),
    _route("POST /users/{user}/getMemberGroups", users.get_member_groups, MEMBERSHIPS, USERS, units=2),
    _route("POST /users/{user}/revokeSignInSessions", users.revoke_sign_in_sessions, SESSIONS),
]

_GROUPS = [
    _route("GET /groups", groups.list_groups, GROUPS, units=2),
    _route("GET /groups/$count", groups.count_groups, GROUPS, units=2),
    _route("GET /groups/delta", delta.groups_delta, GROUPS),
    _route("GET /groups/{group}", groups.get_group, GROUPS),
    *_member_routes("members", units=3),
    *_member_routes("transitiveMembers", units=5),
    _route("GET /groups/{group}/memberOf", groups.list_member_of, MEMBERSHIPS, units=2),
    _route("GET /groups/{group}/transitiveMemberOf", groups.list_transitive_member_of, MEMBERSHIPS, units=2),
    _route(
        "GET /groups/{group}/appRoleAssignments",
        groups.list_app_role_assignments,
        ROLES_OF_PRINCIPAL,
        units=2,
    ),
]

_BIN = "/directory/deletedItems"

_REST = [
    _route("GET /applications(appId='{app}')", application.get_application, APPLICATIONS),
    _route("GET /servicePrincipals", application.list_service_principals, APPLICATIONS),
    _route("GET /servicePrincipals/$count", application.count_service_principals, APPLICATIONS),
    *_application_routes("/servicePrincipals(appId='{app}')"),
    *_application_routes("/servicePrincipals/{principal}"),
    _route(f"GET {_BIN}", recycle_bin.list_without_cast, BIN),
    _route(f"GET {_BIN}/graph.user", recycle_bin.list_deleted_users, DELETED_USERS),
    _route(f"GET {_BIN}/graph.user/$count", recycle_bin.count_deleted_users, DELETED_USERS),
    _route(f"GET {_BIN}/graph.group", recycle_bin.list_deleted_groups, DELETED_GROUPS),
    _route(f"GET {_BIN}/graph.group/$count", recycle_bin.count_deleted_groups, DELETED_GROUPS),
    _route(f"GET {_BIN}/{{object}}", recycle_bin.get_deleted, BIN),
    _route(f"POST {_BIN}/{{object}}/restore", recycle_bin.restore, RESTORE),
    _route(f"DELETE {_BIN}/{{object}}", recycle_bin.purge, RESTORE),
    _route("POST /directoryObjects/getByIds", recycle_bin.get_by_ids, OBJECTS, units=3),
    _route("GET /directoryObjects/{object}", users.get_mixed, OBJECTS),
    _route("GET /subscriptions", subscriptions.list_subscriptions),
    _route("POST /subscriptions", subscriptions.create_subscription),
    _route("GET /subscriptions/{subscription}", subscriptions.get_subscription),
    _route("PATCH /subscriptions/{subscription}", subscriptions.renew_subscription),
    _route("DELETE /subscriptions/{subscription}", subscriptions.delete_subscription),
    _route("POST /subscriptions/{subscription}/reauthorize", subscriptions.reauthorize_subscription),
    _route("GET /organization", application.list_organizations, ORGANIZATION),
    _route("GET /organization/{organization}", application.get_organization, ORGANIZATION),
    _route("GET /auditLogs/provisioning", synchronization.list_log, LOG, is_report=True),
]

ROUTES: tuple[Route, ...] = (*_PEOPLE, *_GROUPS, *_REST)
