"""/Me: a token that stands for a user, and reaches nobody else (RFC 7644 §3.11)."""

from __future__ import annotations

import pytest

from store.records import UserId
from store.tenancy import api_tokens
from tests.builders.scim_client import ScimClient, entra_user
from tests.builders.scim_connections import EVERYTHING, PUBLIC_URL

IDA = "ida@northwind.example"


async def standing_for(scim: ScimClient, user_id: str, *permissions: str) -> ScimClient:
    """Return a client whose token stands for a user."""
    connection = scim.connection
    _, secret = await scim.database.write(
        lambda writing: api_tokens.create(
            writing,
            connection.tenant_id,
            connection.id,
            "ida",
            permissions or EVERYTHING,
            user_id=UserId(user_id),
        )
    )
    return ScimClient(scim.http, secret, scim.database, connection)


async def test_me_is_the_user_the_token_stands_for(scim: ScimClient) -> None:
    """ "the HTTP Location header MUST be the permanent location of the aliased resource"."""
    ida = await scim.create_user(IDA)
    me = await standing_for(scim, ida["id"])
    reply = await me.get("/Me")
    assert (reply.status, reply.body) == (200, ida)
    location = f"{PUBLIC_URL}/api/scim/v2/Users/{ida['id']}"
    assert (reply.headers["Location"], reply.headers["Content-Location"]) == (location, location)
    assert reply.body["meta"]["location"] == location
    assert set((await me.get("/Me?attributes=userName")).body) == {"schemas", "id", "userName"}
    unchanged = await me.get("/Me", headers={"If-None-Match": reply.headers["ETag"]})
    assert unchanged.status == 304


async def test_me_can_be_changed_replaced_and_deleted(scim: ScimClient) -> None:
    """The alias takes what the resource takes; afterwards the resource is what was sent to the alias."""
    ida = await scim.create_user(IDA)
    me = await standing_for(scim, ida["id"])
    changed = await me.patch("/Me", {"op": "replace", "path": "title", "value": "Cartographer"})
    assert (changed.status, changed.body["title"]) == (200, "Cartographer")
    replaced = await me.put("/Me", entra_user(IDA, title="Surveyor"))
    assert (replaced.status, replaced.body["title"]) == (200, "Surveyor")
    stale = await me.delete("/Me", headers={"If-Match": changed.headers["ETag"]})
    assert stale.status == 412
    assert (await scim.get(f"/Users/{ida['id']}")).body["title"] == "Surveyor"
    gone = await me.delete("/Me")
    assert gone.status == 204
    assert gone.headers["Location"].endswith(f"/Users/{ida['id']}")
    assert (await scim.get(f"/Users/{ida['id']}")).status == 404
    assert (await me.get("/Me")).status == 403
    assert "access was taken away" in (await me.get("/Me")).body["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/Users", None),
        ("GET", "/Users/{id}", None),
        ("GET", "/", None),
        ("POST", "/.search", {}),
        ("POST", "/Users", {"userName": "eve@northwind.example"}),
        ("PATCH", "/Users/{id}", {"Operations": [{"op": "add", "path": "title", "value": "x"}]}),
        ("DELETE", "/Groups/nobody", None),
        ("POST", "/Bulk", {"Operations": []}),
    ],
)
async def test_who_stands_for_a_user_reaches_nobody_else(
    scim: ScimClient, method: str, path: str, body: object
) -> None:
    """Whatever its permissions say: they are about the one user."""
    ida = await scim.create_user(IDA)
    me = await standing_for(scim, ida["id"])
    reply = await me.send(method, path.format(id=ida["id"]), body)
    assert (reply.status, "/Me and nothing else" in reply.body["detail"]) == (403, True)
    assert (await me.get("/Schemas")).status == 200


async def test_me_needs_the_permission_of_the_action(scim: ScimClient) -> None:
    """Design §6: the refusal names the permission that is missing."""
    ida = await scim.create_user(IDA)
    me = await standing_for(scim, ida["id"], "admin:user:read")
    assert (await me.get("/Me")).status == 200
    for reply in (await me.delete("/Me"), await me.patch("/Me", {"op": "remove", "path": "title"})):
        assert (reply.status, "admin:user:" in reply.body["detail"]) == (403, True)


async def test_access_dies_with_the_commit_that_takes_it_away(scim: ScimClient) -> None:
    """Design §7, I3: also where the server remembers tokens for a while."""
    ida = await scim.create_user(IDA)
    me = await standing_for(scim, ida["id"])
    assert (await me.get("/Me")).status == 200
    active = {"op": "Replace", "path": "active", "value": "False"}
    assert (await scim.patch(f"/Users/{ida['id']}", active)).status == 200
    assert (await me.get("/Me")).status == 403
    assert (await scim.patch(f"/Users/{ida['id']}", active | {"value": "True"})).status == 200
    assert (await me.get("/Me")).status == 403, "a key is for a period (W7)"


async def test_a_token_of_a_connection_stands_for_nobody(scim: ScimClient) -> None:
    """The answer says how to make one that does."""
    reply = await scim.get("/Me")
    assert (reply.status, "--user" in reply.body["detail"]) == (404, True)
    assert (await scim.post("/Me", entra_user(IDA))).status == 405


async def test_a_refused_write_to_me_is_in_the_log_of_its_user(scim: ScimClient) -> None:
    """Who looks for a user's history finds what they tried on themselves."""
    ida = await scim.create_user(IDA)
    me = await standing_for(scim, ida["id"], "admin:user:read")
    await me.delete("/Me")
    newest = (await scim.log())[0]
    assert (newest.subject_id, newest.status, newest.actor) == (ida["id"], "failure", "ida")


async def test_a_user_token_of_an_earlier_period_never_works_again(scim: ScimClient) -> None:
    """W7: one issued before access ended never works again, whatever is enabled later."""
    ida = await scim.create_user(IDA)
    me = await standing_for(scim, ida["id"])
    for active in (False, True):
        changed = await scim.patch(
            f"/Users/{ida['id']}", {"op": "replace", "path": "active", "value": active}
        )
        assert changed.status == 200
    reply = await me.get("/Me")
    assert reply.status == 403
    assert "never works again" in reply.body["detail"]
    assert (await (await standing_for(scim, ida["id"])).get("/Me")).status == 200


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("userName", "eve@northwind.example"),
        ("externalId", "eve"),
        ("active", False),
        ("roles", [{"value": "owner"}]),
        ("entitlements", [{"value": "everything"}]),
    ],
)
async def test_nobody_decides_about_themselves_what_others_decide(
    scim: ScimClient, path: str, value: object
) -> None:
    """Issue 10, F: by PATCH and PUT; what PUT leaves out of these stays, unlike other attributes."""
    ida = await scim.create_user(IDA, roles=[{"value": "reader"}], title="Surveyor")
    me = await standing_for(scim, ida["id"])
    patched = await me.patch("/Me", {"op": "replace", "path": path, "value": value})
    put = await me.put("/Me", {**entra_user(IDA, roles=[{"value": "reader"}]), path: value})
    assert (patched.status, put.status, path in patched.body["detail"]) == (403, 403, True)
    replaced = await me.put("/Me", {"userName": IDA, "nickName": "Idi"})
    assert replaced.status == 200
    kept = (await scim.get(f"/Users/{ida['id']}")).body
    assert (kept["roles"], kept["externalId"], kept["active"]) == (ida["roles"], ida["externalId"], True)
    assert (kept["nickName"], kept.get("title")) == ("Idi", None)
