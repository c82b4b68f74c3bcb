"""The enterprise application (`/servicePrincipals`), its registration
(`/applications`), who is assigned to it, and the organization.
"""

import uuid
from collections.abc import Mapping
from datetime import timedelta

import orjson

from simulator.clock import graph_time
from simulator.directory import Directory
from simulator.graph.call import Call
from simulator.graph.members import assignment_listing
from simulator.graph.paging import Listing, count_response, list_response, plain_list
from simulator.graph.query import Options, read_options
from simulator.graph.render import assignment_document, project
from simulator.graph.schema import APPLICATION, ASSIGNMENT, ORGANIZATION, SERVICE_PRINCIPAL
from simulator.graph.users import list_context
from simulator.graph.wire import GraphError, GraphResponse, json_response, not_found
from simulator.objects import DEFAULT_ACCESS, Assignment, JsonValue

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
"""Every tenant has Microsoft Graph's own service principal, so a list never holds ours
alone."""


def service_principals(directory: Directory) -> list[dict[str, JsonValue]]:
    """Return the service principals of the tenant: Microsoft Graph's and the
    application's.
    """
    roles: list[JsonValue] = [
        {
            "allowedMemberTypes": ["User"],
            "description": "May take assessments",
            "displayName": "Assessor",
            "id": directory.app_role_id,
            "isEnabled": True,
            "origin": "Application",
            "value": "Assessor",
        }
    ]
    common: dict[str, JsonValue] = {"accountEnabled": True, "servicePrincipalType": "Application"}
    return [
        {
            **common,
            "id": directory.graph_service_principal_id,
            "appId": GRAPH_APP_ID,
            "displayName": "Microsoft Graph",
            "appDisplayName": "Microsoft Graph",
            "appRoleAssignmentRequired": False,
            "servicePrincipalNames": [GRAPH_APP_ID],
        },
        {
            **common,
            "id": directory.service_principal_id,
            "appId": directory.app_id,
            "displayName": directory.app_display_name,
            "appDisplayName": directory.app_display_name,
            "appOwnerOrganizationId": directory.entra_tenant_id,
            "appRoleAssignmentRequired": True,
            "appRoles": roles,
            "servicePrincipalNames": [directory.app_id],
            "signInAudience": "AzureADMyOrg",
            "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
        },
    ]


def find(call: Call) -> dict[str, JsonValue]:
    """Find the service principal an address names by id, or by `(appId='...')`."""
    wanted = call.arguments.get("principal") or call.arguments.get("app", "")
    name = "id" if "principal" in call.arguments else "appId"
    for principal in service_principals(call.directory):
        if str(principal[name]).lower() == wanted.lower():
            return principal
    raise not_found(wanted)


def list_service_principals(call: Call) -> GraphResponse:
    options = read_options(call.request, SERVICE_PRINCIPAL)
    return list_response(call, options, _listing(call, options))


def count_service_principals(call: Call) -> GraphResponse:
    options = read_options(call.request, SERVICE_PRINCIPAL)
    return count_response(call, options, _listing(call, options))


def _listing(call: Call, options: Options) -> Listing[dict[str, JsonValue]]:
    principals = service_principals(call.directory)
    return Listing(
        keys=range(len(principals)),
        items=principals,
        properties=lambda principal: principal,
        render=lambda principal: orjson.dumps(_shown(principal, options.select)),
        context=list_context("servicePrincipals", options.select),
    )


def _shown(principal: Mapping[str, JsonValue], select: tuple[str, ...] | None) -> dict[str, JsonValue]:
    return project(str(principal["id"]), principal, SERVICE_PRINCIPAL, select)


def get_service_principal(call: Call) -> GraphResponse:
    select = read_options(call.request, SERVICE_PRINCIPAL).select
    context = f"{call.request.base_url}/$metadata#{list_context('servicePrincipals', select)}/$entity"
    return json_response({"@odata.context": context, **_shown(find(call), select)}, cacheable=True)


def list_assigned(call: Call) -> GraphResponse:
    """Answer `appRoleAssignedTo`: one entry per principal and role; deleted principals
    are not in it.
    """
    options = read_options(call.request, ASSIGNMENT)
    return list_response(call, options, _assigned(call, options))


def count_assigned(call: Call) -> GraphResponse:
    options = read_options(call.request, ASSIGNMENT)
    return count_response(call, options, _assigned(call, options))


def _assigned(call: Call, options: Options) -> Listing[Assignment]:
    directory = call.directory
    principal = find(call)
    ours = principal["id"] == directory.service_principal_id
    visible_since = directory.clock.now() - timedelta(seconds=call.tenant.behaviour.assignment_lag_s)
    listed = directory.live_assignments(with_deleted=call.tenant.behaviour.lingering_assignments)
    held = [a for a in listed if a.created <= visible_since] if ours else []
    context = f"servicePrincipals('{principal['id']}')/appRoleAssignedTo"
    return assignment_listing(directory, held, options, context)


def assign(call: Call) -> GraphResponse:
    """`POST appRoleAssignedTo`: assign a user or group, as an admin's script does."""
    find(call)
    wanted = call.request.json()
    principal_id, role_id = str(wanted.get("principalId")), str(wanted.get("appRoleId", DEFAULT_ACCESS))
    directory = call.directory
    if principal_id not in directory.users and principal_id not in directory.groups:
        raise not_found(principal_id)
    if any(a.app_role_id == role_id for a in directory.assignments.get(principal_id, [])):
        message = "Permission being assigned already exists on the object"
        raise GraphError(400, "Request_BadRequest", message)
    assignment = directory.assign(principal_id, role_id)
    return json_response(assignment_document(directory, assignment, None), 201)


def unassign(call: Call) -> GraphResponse:
    """`DELETE appRoleAssignedTo/{id}`."""
    find(call)
    for assignment in call.directory.live_assignments():
        if assignment.id == call.argument("assignment"):
            call.directory.unassign(assignment.principal_id, assignment.app_role_id)
            return GraphResponse(204)
    raise not_found(call.argument("assignment"))


def organization(directory: Directory) -> dict[str, JsonValue]:
    return {
        "id": directory.entra_tenant_id,
        "displayName": "Fabrikam",
        "countryLetterCode": "PT",
        "createdDateTime": "2019-04-01T08:00:00Z",
        "tenantType": "AAD",
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": True,
                "isInitial": False,
                "name": directory.domain,
                "type": "Managed",
            }
        ],
    }


def list_organizations(call: Call) -> GraphResponse:
    select = read_options(call.request, ORGANIZATION).select
    shown = project(call.directory.entra_tenant_id, organization(call.directory), ORGANIZATION, select)
    return plain_list(call, list_context("organization", select), [shown])


def get_organization(call: Call) -> GraphResponse:
    if call.argument("organization") != call.directory.entra_tenant_id:
        raise not_found(call.argument("organization"))
    select = read_options(call.request, ORGANIZATION).select
    shown = project(call.directory.entra_tenant_id, organization(call.directory), ORGANIZATION, select)
    context = f"{call.request.base_url}/$metadata#{list_context('organization', select)}/$entity"
    return json_response({"@odata.context": context, **shown}, cacheable=True)


def get_application(call: Call) -> GraphResponse:
    """Answer for the one app that is registered in this tenant; one of another tenant
    is not found here.
    """
    registration = call.tenant.registration
    if registration is None or call.argument("app").lower() != registration.client_id:
        raise not_found(call.argument("app"))
    select = read_options(call.request, APPLICATION).select
    whole: dict[str, JsonValue] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, registration.client_id)),
        "appId": registration.client_id,
        "displayName": call.directory.app_display_name,
        "passwordCredentials": [
            {
                "customKeyIdentifier": None,
                "displayName": "leaver",
                "endDateTime": None if ends is None else graph_time(ends),
                "hint": secret[:3],
                "keyId": str(uuid.uuid5(uuid.NAMESPACE_OID, secret)),
                "secretText": None,
                "startDateTime": None,
            }
            for secret, ends in registration.secrets.items()
        ],
    }
    context = f"{call.request.base_url}/$metadata#{list_context('applications', select)}/$entity"
    shown = {name: value for name, value in whole.items() if select is None or name in select}
    return json_response({"@odata.context": context, **shown})
