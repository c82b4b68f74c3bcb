"""Who may come in: bases, tokens, permissions, and the status each refusal has (design.md §6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer

from config.keys import Purpose, derive, new_key
from scim.app import ScimServices, make_app
from scim.auth.access_tokens import AccessTokens
from scim.auth.gate import Authenticator
from scim.limits import ScimLimits
from store.logs import audit_log
from store.records import ApiToken, LogStatus
from store.tenancy import api_tokens, connections
from tests.builders.scim_client import Reply, ScimClient, entra_user
from tests.builders.scim_connections import EVERYTHING, PUBLIC_URL, new_connection

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


async def with_token(scim: ScimClient, *permissions: str, **options: Any) -> tuple[ScimClient, ApiToken]:
    """Return a client with another token of the same connection."""
    connection = scim.connection
    token, secret = await scim.database.write(
        lambda writing: api_tokens.create(
            writing, connection.tenant_id, connection.id, "other", permissions, **options
        )
    )
    return ScimClient(scim.http, secret, scim.database, connection), token


def assert_refused(reply: Reply, status: int, detail: str) -> None:
    assert reply.status == status, reply.body
    assert reply.body["schemas"] == [ERROR]
    assert reply.body["status"] == str(status)
    assert detail in reply.body["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/Users",
        "/Users/",
        "//Users",
        "/Users?aadOptscim062020",
        "//Users//?aadOptscim062020",
        "/users",
        "/Users?x=1&y",
    ],
)
async def test_both_bases_take_slashes_and_unknown_parameters(scim: ScimClient, path: str) -> None:
    """Entra appends /Users to the tenant URL, written with and without a slash and its flag."""
    for base in ("/api/scim/v2", f"/v1/admin/scim/{scim.connection.id}"):
        scim.base = base
        reply = await scim.get(path)
        assert (reply.status, reply.body["totalResults"]) == (200, 0)


async def test_locations_are_of_the_base_in_use(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example")
    assert created["meta"]["location"] == f"{PUBLIC_URL}/api/scim/v2/Users/{created['id']}"
    scim.base = f"/v1/admin/scim/{scim.connection.id}"
    again = (await scim.get(f"/Users/{created['id']}")).body
    assert (
        again["meta"]["location"] == f"{PUBLIC_URL}/v1/admin/scim/{scim.connection.id}/Users/{created['id']}"
    )


@pytest.mark.parametrize(
    "header", [None, "", "Basic dTpw", "Bearer", "Bearer ", "Bearer nonsense", "Bearer leaver_x"]
)
async def test_a_missing_or_unknown_token_is_unauthorized(scim: ScimClient, header: str | None) -> None:
    scim.token = None
    reply = await scim.get("/Users", headers={} if header is None else {"Authorization": header})
    assert_refused(reply, 401, "API token")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_spent_token_is_forbidden_and_told_why(scim: ScimClient) -> None:
    tenant_id = scim.connection.tenant_id
    revoked, token = await with_token(scim, *EVERYTHING)
    await scim.database.write(lambda writing: api_tokens.revoke(writing, tenant_id, token.id))
    assert_refused(await revoked.get("/Users"), 403, "was revoked")

    expired, _ = await with_token(scim, *EVERYTHING, expires_at=datetime.now(UTC) - timedelta(minutes=1))
    assert_refused(await expired.get("/Users"), 403, "expired on")

    suspended, token = await with_token(scim, *EVERYTHING)
    await scim.database.write(lambda writing: api_tokens.suspend(writing, tenant_id, token.id))
    assert_refused(
        await suspended.get("/Users"),
        403,
        f"is suspended. Let it in again with: leaver token resume {token.id}",
    )
    await scim.database.write(lambda writing: api_tokens.resume(writing, tenant_id, token.id))
    assert (await suspended.get("/Users")).status == 200


async def test_a_refused_token_is_in_the_audit_log_once(scim: ScimClient) -> None:
    """Entra's log says 403 and no more: `leaver audit` shows which token is still in use, and why it is refused."""
    revoked, token = await with_token(scim, *EVERYTHING)
    await scim.database.write(lambda writing: api_tokens.revoke(writing, token.tenant_id, token.id))
    for _ in range(3):
        assert (await revoked.get("/Users")).status == 403
    async with scim.database.reading() as reading:
        entries = await audit_log.search(reading, token.tenant_id, token.connection_id)
    [refused] = [each for each in entries if each.action == "token.refused"]
    assert (refused.subject_id, refused.detail["address"]) == (token.id, "127.0.0.1")
    assert "was revoked" in str(refused.detail["why"])
    assert str(revoked.token) not in str(entries)


async def test_a_remembered_token_is_forgotten_when_revoked(scim: ScimClient) -> None:
    """A token that was just used dies within `token_memory_s`."""
    app = make_app(ScimServices(scim.database, PUBLIC_URL, ScimLimits(token_memory_s=0.05)))
    async with TestClient(TestServer(app)) as http:
        used, token = await with_token(scim, *EVERYTHING)
        used.http = http
        assert (await used.get("/Users")).status == 200
        await scim.database.write(lambda writing: api_tokens.revoke(writing, token.tenant_id, token.id))
        deadline = datetime.now(UTC) + timedelta(seconds=5)
        while (await used.get("/Users")).status == 200:
            assert datetime.now(UTC) < deadline


@pytest.mark.parametrize("allowed", ["10.0.0.0/8", "203.0.113.7"])
async def test_a_token_is_refused_from_addresses_off_its_list(scim: ScimClient, allowed: str) -> None:
    bound, _ = await with_token(scim, *EVERYTHING, allowed_addresses=[allowed])
    assert_refused(await bound.get("/Users"), 403, "this address")
    here, _ = await with_token(scim, *EVERYTHING, allowed_addresses=[allowed, "127.0.0.1", "::1"])
    assert (await here.get("/Users")).status == 200


async def test_a_token_of_another_connection_is_refused_by_name_of_its_own_base(scim: ScimClient) -> None:
    """Design §7, I5: nothing of one tenant is readable with another's token, URL or id."""
    other = await new_connection(scim.database)
    _, secret = await scim.database.write(
        lambda writing: api_tokens.create(writing, other.tenant_id, other.id, "theirs", EVERYTHING)
    )
    mine = await scim.create_user("ida@northwind.example")
    members = await scim.create_group("Cartographers", mine["id"])
    theirs = ScimClient(scim.http, secret, scim.database, other)
    assert (await theirs.get("/Users")).body["totalResults"] == 0
    for path in (f"/Users/{mine['id']}", f"/Groups/{members['id']}"):
        assert (await theirs.get(path)).status == 404
        assert (await theirs.delete(path)).status == 404
        assert (await theirs.patch(path, {"op": "add", "path": "externalId", "value": "x"})).status == 404
        assert (await theirs.put(path, {"userName": "x", "displayName": "x"})).status == 404
    assert (await theirs.get(f'/Groups?filter=members eq "{mine["id"]}"')).body["totalResults"] == 0
    reply = await theirs.post("/Groups", {"displayName": "Thieves", "members": [{"value": mine["id"]}]})
    assert reply.status == 400
    theirs.base = f"/v1/admin/scim/{scim.connection.id}"
    assert_refused(await theirs.get("/Users"), 403, f"/v1/admin/scim/{other.id}")
    assert (await scim.get(f"/Users/{mine['id']}")).body == mine


@pytest.mark.parametrize(
    ("section", "endpoint", "body"),
    [
        ("admin:user", "/Users", entra_user("ida@northwind.example")),
        ("admin:group", "/Groups", {"displayName": "Cartographers"}),
    ],
)
async def test_each_action_needs_its_permission(
    scim: ScimClient, section: str, endpoint: str, body: object
) -> None:
    """Design §6: the refusal names the permission that is missing."""
    created = (await scim.post(endpoint, body)).body
    path = f"{endpoint}/{created['id']}"
    operation = {"op": "add", "path": "externalId", "value": "x"}
    for allowed in ("create", "read", "update", "delete"):
        client, _ = await with_token(
            scim, *[f"{section}:{each}" for each in ("create", "read", "update", "delete") if each != allowed]
        )
        attempts = {
            "create": lambda client=client: client.post(endpoint, body),
            "read": lambda client=client: client.get(path),
            "update": lambda client=client: client.patch(path, operation),
            "delete": lambda client=client: client.delete(path),
        }
        assert_refused(await attempts[allowed](), 403, f"{section}:{allowed}")
    reader, _ = await with_token(scim, f"{section}:read")
    assert (await reader.get(path)).status == 200
    assert (await reader.get(endpoint)).status == 200
    other, _ = await with_token(scim, "admin:report:read")
    assert_refused(await other.get(endpoint), 403, f"{section}:read")


async def test_a_paused_connection_asks_to_come_back(scim: ScimClient) -> None:
    connection = scim.connection
    await scim.database.write(
        lambda writing: connections.pause(writing, connection.tenant_id, connection.id, "moving")
    )
    reply = await scim.get("/Users")
    assert_refused(reply, 503, "moving")
    assert int(reply.headers["Retry-After"]) > 0
    await scim.database.write(
        lambda writing: connections.resume(writing, connection.tenant_id, connection.id)
    )
    assert (await scim.get("/Users")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/scim/v1/Users",
        "/api/scim",
        "/scim/v2/Users",
        "/scim",
        "/Users",
        "/v1/admin/scim",
        "/api/scim/v2x",
    ],
)
async def test_a_wrong_path_names_the_right_one(scim: ScimClient, path: str) -> None:
    """Setup guide: 404 when the URL is wrong, and the message says what to do."""
    scim.base = ""
    assert_refused(await scim.get(path), 404, f"{PUBLIC_URL}/api/scim/v2")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Nothing", 404),
        ("GET", "/Users/1/2", 404),
        ("POST", "/Users/1", 405),
        ("PUT", "/Users", 405),
        ("GET", "/Bulk", 405),
        ("GET", "/Me", 404),
        ("DELETE", "/Me", 404),
    ],
)
async def test_what_is_not_served_has_its_own_status(
    scim: ScimClient, method: str, path: str, status: int
) -> None:
    reply = await scim.send(method, path, {} if method != "GET" else None)
    assert reply.status == status
    assert reply.body["schemas"] == [ERROR]
    assert ("Allow" in reply.headers) == (status == 405)
    assert (f"{PUBLIC_URL}/api/scim/v2" in reply.body["detail"]) == (status == 404 and path != "/Me")


async def test_a_callback_that_was_not_cut_off_is_told_the_right_base(scim: ScimClient) -> None:
    """Setup guide: the SCIM URL is the OpenID Connect callback with `scim` for `openid` and its end removed."""
    right = f"/v1/admin/scim/{scim.connection.id}"
    for wrong in ("/callback/login", "/login"):
        scim.base = right + wrong
        reply = await scim.get("/Users")
        assert (reply.status, reply.body["detail"].endswith(PUBLIC_URL + right)) == (404, True)


@pytest.mark.parametrize("end", ["", "/login", "/callback/login"])
async def test_a_callback_that_was_pasted_as_it_is_is_told_the_right_base(scim: ScimClient, end: str) -> None:
    """Setup guide, step 9 forgotten: `openid` is still there, and Test Connection says what to change."""
    scim.base = f"/v1/admin/openid/{scim.connection.id}{end}"
    reply = await scim.get("/Users?filter=userName+eq+%22x%22")
    assert (reply.status, reply.body["schemas"]) == (404, [ERROR])
    assert reply.body["detail"].endswith(f"{PUBLIC_URL}/v1/admin/scim/{scim.connection.id}")


async def test_the_last_use_of_a_token_is_noted_now_and_then(scim: ScimClient) -> None:
    used, token = await with_token(scim, *EVERYTHING)
    for _ in range(3):
        await used.get("/Users")
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    while True:
        async with scim.database.reading() as reading:
            now = await api_tokens.get(reading, token.tenant_id, token.id)
        if now.last_used_at is not None:
            break
        assert datetime.now(UTC) < deadline
    assert now.last_used_from in ("127.0.0.1", "::1")


async def test_refused_writes_are_in_the_provisioning_log(scim: ScimClient) -> None:
    """Design §1: failures are visible; each entry says what to do, none holds the token."""
    await scim.create_user("ida@northwind.example")
    await scim.post("/Users", entra_user("ida@northwind.example"), headers={"X-Request-Id": "request-0001"})
    reader, _ = await with_token(scim, "admin:user:read")
    await reader.delete("/Users/some-id")
    refused, conflict, created = await scim.log()
    assert (refused.status, refused.subject_id) == (LogStatus.FAILURE, "some-id")
    assert "admin:user:delete" in refused.steps[-1].detail
    assert (conflict.status, conflict.subject_label) == (LogStatus.FAILURE, "ida@northwind.example")
    assert conflict.correlation_id == "request-0001"
    assert "userName" in conflict.steps[-1].detail
    assert (created.status, created.actor) == (LogStatus.SUCCESS, "Entra")
    assert scim.token is not None
    assert scim.token not in str((refused, conflict, created))


async def test_ignored_attributes_and_the_dialect_are_in_the_provisioning_log(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example")
    await scim.patch(
        f"/Users/{created['id']}",
        {"op": "Add", "path": "favouriteColour", "value": "red"},
        {"op": "Add", "path": "title", "value": "Curator"},
    )
    entry = (await scim.log())[0]
    by_status = {step.status: step for step in entry.steps if step.name == "read"}
    assert by_status[LogStatus.SUCCESS].data["dialect"] == "entra"
    assert by_status[LogStatus.WARNING].data["ignored"] == ["favouriteColour"]
    assert entry.modified == ({"attribute": "title", "old": None, "new": "Curator"},)


async def test_behind_a_trusted_proxy_the_client_is_who_it_says(scim: ScimClient) -> None:
    """Allow-list and last use are about the client, not the proxy; a header from anybody else counts for nothing."""
    bound, token = await with_token(scim, *EVERYTHING, allowed_addresses=["203.0.113.0/24"])
    services = ScimServices(
        scim.database,
        PUBLIC_URL,
        ScimLimits(token_memory_s=0),
        trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("::1")),
    )
    claimed = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    assert_refused(await bound.get("/Users", headers=claimed), 403, "127.0.0.1")
    async with TestClient(TestServer(make_app(services))) as http:
        bound.http = http
        assert (await bound.get("/Users", headers=claimed)).status == 200
        assert_refused(
            await bound.get("/Users", headers={"X-Forwarded-For": "203.0.113.7, 1.1.1.1"}), 403, "1.1.1.1"
        )
    async with scim.database.reading() as reading:
        used = await api_tokens.get(reading, token.tenant_id, token.id)
    assert used.last_used_from == "203.0.113.7"


async def test_a_token_that_ends_soon_is_told_in_the_logs_once(scim: ScimClient) -> None:
    """issue 4: "warning before expiry"; the secret is not in it."""
    soon = datetime.now(UTC) + timedelta(days=6)
    used, token = await with_token(scim, *EVERYTHING, expires_at=soon)
    gate = Authenticator(
        scim.database, ScimLimits(), AccessTokens([derive(new_key(), Purpose.ACCESS_TOKENS)])
    )
    with structlog.testing.capture_logs() as told:
        for _ in range(2):
            await gate.touch(token, "127.0.0.1")
    [warning] = told
    assert (warning["event"], warning["within_days"], warning["log_level"]) == (
        "scim.token_ends_soon",
        7,
        "warning",
    )
    assert str(used.token) not in str(warning)
