"""The admin side of the simulator: the company over HTTP, and what can be made to go wrong."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.builders.simulator.client import SimulatorClient, simulator_client


@pytest.fixture
async def client() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=120, groups=6) as client:
        yield client


async def test_life_of_a_user(client: SimulatorClient) -> None:
    """Create, change, delete, restore, purge; the state tells the truth after each step."""
    created = await client.admin(
        "POST", "/users", {"userPrincipalName": "zed@x.example", "displayName": "Zed"}
    )
    user = created.body["id"]
    await client.admin("PUT", f"/assignments/{user}")

    async def truth() -> tuple[bool, str | None]:
        state = (await client.admin("GET", "/state")).body
        mine = next(each for each in state["users"] if each["id"] == user)
        return mine["entitled"], mine["reason"]

    assert (created.status, await truth()) == (201, (True, None))
    await client.admin("PATCH", f"/users/{user}", {"accountEnabled": False})
    assert await truth() == (False, "disabled")
    await client.admin("PATCH", f"/users/{user}", {"accountEnabled": True})
    await client.admin("DELETE", f"/users/{user}")
    assert await truth() == (False, "soft_deleted")
    await client.admin("POST", f"/users/{user}/restore")
    assert await truth() == (True, None)
    await client.admin("DELETE", f"/assignments/{user}")
    assert await truth() == (False, "unassigned")
    await client.admin("POST", f"/users/{user}/purge")
    assert await truth() == (False, "purged")


async def test_life_of_a_group(client: SimulatorClient) -> None:
    """A group with members gives its members access, until they leave it or it goes."""
    directory = client.simulator.directory
    ann, ben, *_ = (u for u in directory.users if directory.reason_not_entitled(u) == "unassigned")
    group = (
        await client.admin("POST", "/groups", {"displayName": "Crew", "members": [ann], "assigned": True})
    ).body["id"]
    await client.admin("PUT", f"/groups/{group}/members/{ben}")
    assert directory.entitled()[ann] == directory.entitled()[ben] == [group]
    await client.admin("DELETE", f"/groups/{group}/members/{ann}")
    assert directory.reason_not_entitled(ann) == "unassigned"
    state = (await client.admin("GET", "/state?scim=false")).body
    crew = next(each for each in state["groups"] if each["id"] == group)
    assert crew == {"id": group, "displayName": "Crew", "assigned": True, "members": [ben]}
    await client.admin("DELETE", f"/groups/{group}")
    assert directory.reason_not_entitled(ben) == "unassigned"


async def test_state_tells_what_the_default_mapping_gives(client: SimulatorClient) -> None:
    """`scim` is the SCIM document of the default mapping; `active` is entitlement."""
    directory = client.simulator.directory
    user = directory.users[next(iter(directory.entitled()))]
    directory.change_user(user.id, {"jobTitle": None, "mobilePhone": "+47 1"})
    state = (await client.admin("GET", "/state")).body
    scim = next(each for each in state["users"] if each["id"] == user.id)["scim"]
    enterprise = scim["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]
    assert (scim["userName"], scim["active"]) == (user.user_principal_name, True)
    assert scim["externalId"] == user.text("mailNickname")
    assert scim["name"]["formatted"] == f"{user.text('givenName')} {user.text('surname')}"
    assert {phone["type"]: phone["value"] for phone in scim["phoneNumbers"]}["mobile"] == "+47 1"
    assert enterprise["department"] == user.text("department")
    assert "title" not in scim


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/users/nobody", {"jobTitle": "x"}, 404),
        ("POST", "/users", {"displayName": "x"}, 400),
        ("POST", "/faults", {"match": "("}, 400),
        ("PATCH", "/behaviour", {"surprise": 1}, 400),
        ("POST", "/clock", {"advance_s": -5}, 400),
        ("POST", "/clock", {}, 400),
        ("POST", "/credentials", {}, 400),
    ],
)
async def test_nonsense_is_explained(
    client: SimulatorClient, method: str, path: str, body: object, status: int
) -> None:
    """A refusal says what was wrong; nothing half happens."""
    refused = await client.admin(method, path, body)
    assert refused.status == status
    assert refused.body["error"]["message"]


async def test_name_that_is_taken(client: SimulatorClient) -> None:
    """409 for a userPrincipalName of somebody else."""
    taken = next(iter(client.simulator.directory.users.values())).user_principal_name
    assert (await client.admin("POST", "/users", {"userPrincipalName": taken})).status == 409


async def test_third_page_of_members_fails_once(client: SimulatorClient) -> None:
    """ "The 3rd page of members answers 503"."""
    directory = client.simulator.directory
    group = max(directory.groups.values(), key=lambda g: len(g.member_ids)).id
    fault = {"match": "GET .*/members", "nth": [3], "status": 503, "headers": {"Retry-After": "0.5"}}
    await client.admin("POST", "/faults", fault)
    second = await client.get((await client.get(f"/groups/{group}/members?$top=5")).body["@odata.nextLink"])
    third = await client.get(second.body["@odata.nextLink"])
    assert (third.status, third.headers["Retry-After"]) == (503, "0.5")
    assert third.body["error"]["code"] == "serviceNotAvailable"
    assert (await client.get(second.body["@odata.nextLink"])).status == 200


async def test_items_vanish_silently(client: SimulatorClient) -> None:
    """ "Drop 20 % silently": 200, no error, fewer people; whole again once the fault is cleared."""
    await client.admin("POST", "/faults", {"match": "GET /v1.0/users", "drop_fraction": 0.2})
    thinned = await client.everything("/users?$select=id")
    assert 70 < len(thinned) < 115
    await client.admin("DELETE", "/faults")
    assert len(await client.everything("/users?$select=id")) == 120


async def test_empty_answer_with_status_200(client: SimulatorClient) -> None:
    """A body may be anything, for instance an empty list."""
    await client.admin("POST", "/faults", {"match": "appRoleAssignedTo", "body": {"value": []}})
    principal = client.simulator.directory.service_principal_id
    answer = await client.get(f"/servicePrincipals/{principal}/appRoleAssignedTo")
    assert (answer.status, answer.body) == (200, {"value": []})


async def test_connection_breaks_in_the_middle(client: SimulatorClient) -> None:
    """A reset is seen as a broken body, not as a short list."""
    await client.admin("POST", "/faults", {"match": "GET /v1.0/users", "reset": True, "times": 1})
    with pytest.raises(aiohttp.ClientError):
        await client.get("/users")
    assert (await client.get("/users")).status == 200


async def received(client: SimulatorClient, path: str) -> tuple[list[bytes], Exception | None]:
    """What a client without any library receives, piece by piece, and how it ends."""
    host, _, port = client.simulator.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    request = f"GET /v1.0{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    writer.write(f"{request}Authorization: Bearer {client.simulator.app_token()}\r\n\r\n".encode())
    pieces: list[bytes] = []
    try:
        while piece := await reader.read(65_536):
            pieces.append(piece)
    except ConnectionResetError as reset:
        return pieces, reset
    finally:
        writer.close()
    return pieces, None


async def test_reset_comes_in_mid_body(client: SimulatorClient) -> None:
    """The head and half of the body have arrived when the reset comes: a real RST, no orderly end."""
    whole, _ = await received(client, "/users")
    await client.admin("POST", "/faults", {"match": "GET /v1.0/users", "reset": True})
    pieces, end = await received(client, "/users")
    _, _, body = b"".join(pieces).partition(b"\r\n\r\n")
    assert isinstance(end, ConnectionResetError)
    assert b"200 OK" in pieces[0]
    assert 0 < len(body) < len(b"".join(whole)) * 0.6


async def test_body_trickles(client: SimulatorClient) -> None:
    """`trickle_s`: chunked, a few bytes at a time with pauses; what comes in the end is right."""
    await client.admin("POST", "/faults", {"match": "organization", "trickle_s": 0.005})
    pieces, end = await received(client, "/organization")
    assert end is None
    assert b"chunked" in pieces[0]
    assert len(pieces) > 10, "it came in pieces"
    assert (await client.get("/organization")).value


async def test_body_is_cut_short(client: SimulatorClient) -> None:
    """A body that ends too early although the answer is complete."""
    await client.admin("POST", "/faults", {"match": "GET /v1.0/users", "truncate": 0.5})
    with pytest.raises(ValueError, match=r"[Uu]nterminated|Expecting|delimiter"):
        await client.get("/users")


async def test_answer_is_late(client: SimulatorClient) -> None:
    """`delay_s` holds an answer back; the answer itself is right."""
    await client.admin("POST", "/faults", {"match": "organization", "delay_s": 0.2})
    began = time.monotonic()
    assert (await client.get("/organization")).status == 200
    assert time.monotonic() - began >= 0.2


async def test_token_endpoint_can_fail_too(client: SimulatorClient) -> None:
    """Faults strike everywhere but on the admin side."""
    await client.admin("POST", "/faults", {"match": ".", "status": 500})
    tenant = client.simulator.directory.entra_tenant_id
    metadata = f"{client.simulator.login_url}/{tenant}/v2.0/.well-known/openid-configuration"
    assert (await client.get(metadata)).status == 500
    assert (await client.admin("DELETE", "/faults")).status == 204
    assert (await client.get(metadata)).status == 200


async def test_lost_consent_is_a_403(client: SimulatorClient) -> None:
    """Lacking permission: 403 `Authorization_RequestDenied`, at once; granted again it works."""
    await client.admin("DELETE", "/consent")
    denied = await client.get("/users")
    assert (denied.status, denied.error) == (403, "Authorization_RequestDenied")
    await client.admin("PUT", "/consent", {})
    assert (await client.get("/users")).status == 200


async def test_each_call_needs_its_permission(client: SimulatorClient) -> None:
    """Least permissions: reading users does not let one read groups or the log."""
    await client.admin("PUT", "/consent", {"roles": ["User.Read.All"]})
    principal = client.simulator.directory.service_principal_id
    statuses = {
        path: (await client.get(path)).status
        for path in ("/users", "/groups", f"/servicePrincipals/{principal}", "/auditLogs/provisioning")
    }
    assert list(statuses.values()) == [200, 403, 403, 403]
    assert (await client.get("/auditLogs/provisioning")).error == "Authentication_MSGraphPermissionMissing"
    user = next(iter(client.simulator.directory.users))
    await client.admin("PUT", "/consent", {"roles": ["User.Read.All", "Application.Read.All"]})
    assert (await client.get(f"/users/{user}/appRoleAssignments")).status == 403


async def test_token_that_was_cut_off_is_a_401(client: SimulatorClient) -> None:
    """Expired, foreign and missing tokens: 401 `InvalidAuthenticationToken` with a challenge."""
    old = {"Authorization": f"Bearer {client.simulator.app_token()}"}
    await client.admin("POST", "/tokens/expire")
    for headers in (old, {"Authorization": "Bearer not.a.token"}, {"Authorization": ""}):
        refused = await client.get("/users", headers)
        assert (refused.status, refused.error) == (401, "InvalidAuthenticationToken")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await client.get("/users")).status == 200


async def test_throttling_can_be_switched_on(client: SimulatorClient) -> None:
    """429 `TooManyRequests` with a fractional wait, once the units are spent."""
    await client.admin(
        "PATCH", "/behaviour", {"throttling": True, "resource_units": 3, "retry_after": "2.128"}
    )
    answers = [await client.get("/users") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert (answers[1].headers["Retry-After"], answers[1].error) == ("2.128", "TooManyRequests")
    assert answers[0].headers["x-ms-resource-unit"] == "2"


async def test_thirty_days_pass_in_no_time(client: SimulatorClient) -> None:
    """Advancing the clock empties the recycle bin."""
    user = next(iter(client.simulator.directory.users))
    await client.admin("DELETE", f"/users/{user}")
    await client.admin("POST", "/clock", {"advance_s": 30 * 86_400 + 1})
    assert (await client.get(f"/directory/deletedItems/{user}")).status == 404


async def test_requests_are_remembered(client: SimulatorClient) -> None:
    """Who asked what can be looked up; the admin's own requests are not in it."""
    await client.get("/organization")
    assert (await client.admin("GET", "/requests")).body == ["GET /v1.0/organization 200"]
    await client.admin("DELETE", "/requests")
    assert (await client.admin("GET", "/requests")).body == []


async def test_provisioning_service_is_mounted(client: SimulatorClient) -> None:
    """`POST /provisioning` drives the service of the same directory."""
    status = await client.admin("POST", "/provisioning", {"do": "status"})
    assert status.body["id"].startswith("scim.")
    assert (await client.admin("GET", "/provisioning/log")).body == {"value": []}


async def test_the_first_page_names_everything_and_the_guide_explains_it(client: SimulatorClient) -> None:
    """first-days: "the admin and provisioning verbs, faults, `/state`; `GET /admin` answers with them"."""
    page = (await client.admin("GET", "")).body
    assert [each for each in page["admin"] if not each["does"]] == []
    assert "GET /admin/state" in {each["request"] for each in page["admin"]}
    guide = (Path(__file__).parents[3] / page["guide"]).read_text()
    words = [*page["faults"], *page["provisioning"]["do"], *page["provisioning"]["gaps"]]
    assert [word for word in words if not re.search(rf"`{word}\b|\b{word}`", guide)] == []
