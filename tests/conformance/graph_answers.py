"""Let the shared Graph answer checker judge the simulator: `python -m tests.conformance.graph_answers`.

The checker lives outside the project (`../shared/conformance/graph`, or `LEAVER_SHARED`). Where it is
missing this says so and ends well: the project must be testable without it. Otherwise its exit status is
the checker's.
"""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp

from simulator.server import Simulator, running_simulator

SHARED = Path(os.environ.get("LEAVER_SHARED") or Path(__file__).parents[2].parent / "shared")
CHECKER = SHARED / "conformance" / "graph" / "check_graph_answer.py"

USER_PROPERTIES = (
    "id,accountEnabled,displayName,userPrincipalName,mail,mailNickname,employeeId,department,companyName,userType,"
    "proxyAddresses,businessPhones,streetAddress,city,state,postalCode,country,usageLocation,officeLocation,jobTitle,"
    "createdDateTime,deletedDateTime,onPremisesSyncEnabled,signInSessionsValidFromDateTime,otherMails,identities"
)


def paths(simulator: Simulator) -> list[str]:
    """Give every address worth judging, for the company as it is now."""
    directory = simulator.directory
    user = next(user for user in directory.users.values() if user.manager_id)
    group = max(directory.groups.values(), key=lambda group: len(group.member_ids))
    principal = f"/servicePrincipals/{directory.service_principal_id}"
    by_app_id = f"/servicePrincipals(appId='{directory.app_id}')"
    job = simulator.simulation.provisioning.job_representation()["id"]
    gone = next(iter(directory.purged_users))
    in_bin = next(iter(directory.deleted_users))
    return [
        *(
            "/users",
            "/users?$top=7",
            f"/users?$select={USER_PROPERTIES}&$top=999",
            "/users?$expand=manager&$top=50",
        ),
        *(
            f"/users?$filter=startswith(displayName,'A')&$select={USER_PROPERTIES}",
            "/users?$orderby=displayName",
        ),
        *(
            f"/users/{user.id}",
            f"/users/{user.user_principal_name}",
            f"/users/{user.id}?$select={USER_PROPERTIES}",
        ),
        *(f"/users/{user.id}/manager", f"/users/{user.id}/directReports", f"/users/{user.id}/memberOf"),
        *(f"/users/{user.id}/transitiveMemberOf", f"/users/{user.id}/appRoleAssignments"),
        f"/users/{user.id}?$expand=manager($levels=1;$select=id,displayName)",
        *(
            f"/users/{gone}",
            f"/users/{in_bin}",
            f"/directory/deletedItems/{gone}",
            "/users?$top=1000",
            "/users?$select=x",
        ),
        *(
            "/groups",
            "/groups?$top=3",
            f"/groups/{group.id}",
            f"/groups/{group.id}?$select=id,displayName,groupTypes",
        ),
        *(
            f"/groups/{group.id}/members",
            f"/groups/{group.id}/members?$top=5&$select=id,accountEnabled,displayName",
        ),
        *(f"/groups/{group.id}/transitiveMembers?$top=9", f"/groups/{group.id}/members/graph.user"),
        *(f"/groups/{group.id}/memberOf", f"/groups/{group.id}/transitiveMemberOf"),
        f"/groups/{group.id}/appRoleAssignments",
        f"/groups/{group.id}/appRoleAssignments?$filter=resourceId eq {directory.service_principal_id}",
        f"/users/{user.id}/appRoleAssignments?$filter=resourceId eq {directory.service_principal_id}&$top=999",
        *("/groups?$filter=securityEnabled eq true", "/groups?$filter=groupTypes/any(c:c eq 'Unified')"),
        *("/users/delta", "/users/delta()", "/users/delta?$select=displayName,accountEnabled,manager"),
        *(
            "/users/delta?$deltatoken=latest",
            "/users/delta?$top=5",
            f"/users/delta?$filter=id eq '{user.id}'",
        ),
        *(
            "/groups/delta",
            "/groups/delta()?$select=displayName,members",
            "/groups/delta?$select=displayName",
        ),
        *(
            "/servicePrincipals",
            principal,
            by_app_id,
            f"/servicePrincipals?$filter=appId eq '{directory.app_id}'",
        ),
        *(f"{principal}/appRoleAssignedTo", f"{principal}/appRoleAssignedTo?$top=4"),
        *("/directory/deletedItems/microsoft.graph.user", "/directory/deletedItems/microsoft.graph.group"),
        *(
            "/directory/deletedItems/graph.user?$select=id,displayName,deletedDateTime",
            "/directory/deletedItems",
        ),
        f"/directory/deletedItems/{in_bin}",
        *("/organization", f"/organization/{directory.entra_tenant_id}"),
        *(f"{principal}/synchronization/jobs", f"{principal}/synchronization/jobs/{job}"),
        f"{principal}/synchronization/jobs/{job}/schema",
        *("/auditLogs/provisioning", "/auditLogs/provisioning?$filter=provisioningAction eq 'create'&$top=5"),
        *("/nowhere", "/groups/not-a-group"),
    ]


def upset(simulator: Simulator) -> None:
    """Let things happen, so that every kind of answer has something to show."""
    directory = simulator.directory
    people, groups = list(directory.users), list(directory.groups)
    directory.change_user(
        people[1], {"accountEnabled": False, "jobTitle": None, "onPremisesSyncEnabled": False}
    )
    directory.soft_delete_user(people[2])
    directory.purge_user(people[3])
    directory.set_manager(people[4], None)
    directory.remove_member(groups[0], next(iter(directory.groups[groups[0]].member_ids)))
    directory.delete_group(next(g for g in groups if directory.groups[g].restorable))
    directory.delete_group(next(g for g in groups if not directory.groups[g].restorable))
    directory.create_user({"userPrincipalName": f"bare@{directory.domain}"})


async def judge(simulator: Simulator, addresses: list[str]) -> int:
    environment = {**os.environ, "GRAPH_URL": f"{simulator.graph_url}/v1.0", "TOKEN": simulator.app_token()}
    checker = await asyncio.create_subprocess_exec(sys.executable, str(CHECKER), *addresses, env=environment)
    return await checker.wait()


async def latest_links(simulator: Simulator) -> list[str]:
    """Give the paths from which everything that changes from now on can be read."""
    headers = {"Authorization": f"Bearer {simulator.app_token()}"}
    links = []
    async with aiohttp.ClientSession(headers=headers) as session:
        for query in (
            "users/delta?$select=displayName,jobTitle,manager",
            "groups/delta?$select=displayName,members",
        ):
            async with session.get(f"{simulator.graph_url}/v1.0/{query}&$deltatoken=latest") as answer:
                links.append((await answer.json())["@odata.deltaLink"].partition("/v1.0")[2])
    return links


async def main() -> int:
    if not CHECKER.exists():
        sys.stdout.write(
            f"No Graph answer checker at {CHECKER}: nothing judged. Set LEAVER_SHARED to its folder.\n"
        )
        return 0
    async with running_simulator(users=260, groups=14, seed=3) as simulator:
        links = await latest_links(simulator)
        upset(simulator)
        worst = await judge(simulator, paths(simulator) + links)
        behaviour = simulator.simulation.behaviour
        behaviour.empty_pages, behaviour.delta_replays = (1, 3), True
        behaviour.delta_page_size, behaviour.delta_member_limit = 2, 30
        return max(worst, await judge(simulator, paths(simulator) + links))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
