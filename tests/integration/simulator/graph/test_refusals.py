"""Refusals by name, claims challenges, long waits, rows that do not fit."""

from base64 import b64decode
from collections.abc import AsyncIterator

import orjson
import pytest

from tests.builders.simulator.client import Answer, SimulatorClient, simulator_client


@pytest.fixture
async def scene() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=12, groups=2) as scene:
        yield scene


async def fault(scene: SimulatorClient, **fields: object) -> None:
    assert (await scene.admin("POST", "/faults", fields)).status == 201


async def token(scene: SimulatorClient, **more: str) -> Answer:
    directory = scene.simulator.directory
    form = {
        "client_id": directory.client_id,
        "client_secret": directory.client_secret,
        "scope": "https://graph.microsoft.com/.default",
        "grant_type": "client_credentials",
        **more,
    }
    url = f"{scene.simulator.login_url}/{directory.entra_tenant_id}/oauth2/v2.0/token"
    async with scene.session.post(url, data=form) as answer:
        return Answer(answer.status, answer.headers, await answer.json())


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Authorization_IdentityNotFound", 401),
        ("Authorization_IdentityDisabled", 403),
        ("Authorization_RequestDenied", 403),
        ("Authentication_MSGraphPermissionMissing", 403),
    ],
)
async def test_graph_refuses_by_name(scene: SimulatorClient, name: str, status: int) -> None:
    """The identity of the application may be unknown or disabled although it got a token."""
    await fault(scene, match="GET /v1.0/users", refusal=name)
    for _ in range(3):
        refused = await scene.get("/users")
        assert (refused.status, refused.error) == (status, name)
    assert (await scene.get("/groups")).status == 200


async def test_an_item_of_a_batch_is_refused_by_name(scene: SimulatorClient) -> None:
    """The batch itself is 200."""
    await fault(scene, match="/users", refusal="Authorization_IdentityNotFound")
    body = {"requests": [{"id": "1", "method": "GET", "url": "/users"}]}
    [item] = (await scene.call("POST", "/$batch", body)).body["responses"]
    assert (item["status"], item["body"]["error"]["code"]) == (401, "Authorization_IdentityNotFound")


async def test_unknown_refusal_is_answered_with_the_names(scene: SimulatorClient) -> None:
    """Bad input: one message that says what there is."""
    refused = await scene.admin("POST", "/faults", {"match": ".", "refusal": "Authorization_Mood"})
    assert refused.status == 400
    assert "AADSTS500011" in refused.body["error"]["message"]


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (7000229, "unauthorized_client"),
        (500011, "invalid_resource"),
        (500014, "invalid_resource"),
        (1000502, "invalid_client"),
        (90033, "temporarily_unavailable"),
        (90025, "server_error"),
        (90006, "invalid_request"),
    ],
)
async def test_the_token_endpoint_refuses_by_number(scene: SimulatorClient, number: int, word: str) -> None:
    """AADSTS codes, in the documented error body."""
    await fault(scene, match="/oauth2/v2.0/token", refusal=f"AADSTS{number}", times=1)
    refused = await token(scene)
    assert refused.body["error"] == word
    assert refused.body["error_codes"] == [number]
    assert refused.body["error_description"].startswith(f"AADSTS{number}: ")
    assert (await token(scene)).status == 200


async def test_a_claims_challenge_is_satisfied_by_a_token_with_the_claims(scene: SimulatorClient) -> None:
    """401 `insufficient_claims` (claims-challenge) until the token was asked for with them."""
    await scene.admin("PATCH", "/behaviour", {"claims_challenge": "once"})
    refused = await scene.get("/users")
    assert (refused.status, refused.error) == (401, "InvalidAuthenticationToken")
    header = refused.headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in header
    claims = b64decode(header.partition('claims="')[2].partition('"')[0]).decode()
    assert "nbf" in orjson.loads(claims)["access_token"]
    plain = await token(scene, claims='{"access_token":{"xms_cc":{"values":["cp1"]}}}')
    again = {"Authorization": f"Bearer {plain.body['access_token']}"}
    assert (await scene.get("/users", again)).status == 401
    better = await token(scene, claims=claims)
    assert (
        await scene.get("/users", {"Authorization": f"Bearer {better.body['access_token']}"})
    ).status == 200


async def test_a_claims_challenge_may_persist(scene: SimulatorClient) -> None:
    """No token is ever enough: a policy that the client cannot meet."""
    await scene.admin("PATCH", "/behaviour", {"claims_challenge": "always"})
    better = await token(scene, claims='{"access_token":{"nbf":{"essential":true,"value":"1"}}}')
    bearer = {"Authorization": f"Bearer {better.body['access_token']}"}
    for _ in range(3):
        refused = await scene.get("/users", bearer)
        assert (refused.status, "insufficient_claims" in refused.headers["WWW-Authenticate"]) == (401, True)
    refused = await scene.admin("PATCH", "/behaviour", {"claims_challenge": "often"})
    assert refused.status == 400


@pytest.mark.parametrize("wait", ["3600", "86400"])
async def test_a_429_may_ask_for_hours(scene: SimulatorClient, wait: str) -> None:
    """`Retry-After: 3600` was seen (Microsoft365-Analytics-Insights#189)."""
    await fault(scene, match="/users", refusal="TooManyRequests", times=1, headers={"Retry-After": wait})
    refused = await scene.get("/users")
    assert (refused.status, refused.headers["Retry-After"]) == (429, wait)
    assert (await scene.get("/users")).status == 200


async def test_rows_that_do_not_fit(scene: SimulatorClient) -> None:
    """`principalType: null`, a `displayName` that is null, a row that is no object."""
    directory = scene.simulator.directory
    user, other, *_ = directory.users
    assigned = next(iter(directory.assignments))
    await fault(scene, match="/users", rows={user: {"accountEnabled": None}, other: 17})
    await fault(scene, match="/appRoleAssignedTo", rows={assigned: {"principalType": None}})
    values = (await scene.get("/users?$select=id,accountEnabled")).value
    assert values[0] == {"id": user, "accountEnabled": None}
    assert values[1] == 17
    assert len(values) == len(directory.users)
    rows = (await scene.get(f"/servicePrincipals/{directory.service_principal_id}/appRoleAssignedTo")).value
    assert next(row for row in rows if row["principalId"] == assigned)["principalType"] is None
    await scene.admin("DELETE", "/faults")
    await fault(scene, match="/groups", rows={"*": {"displayName": None}})
    assert {group["displayName"] for group in (await scene.get("/groups")).value} == {None}


async def test_a_group_may_lose_its_name(scene: SimulatorClient) -> None:
    """A group's `displayName: null` is an object property here, not only a distortion."""
    group = next(iter(scene.simulator.directory.groups))
    await scene.admin("PATCH", f"/groups/{group}", {"displayName": None})
    assert (await scene.get(f"/groups/{group}?$select=displayName")).body["displayName"] is None
