"""What a token reads in the answers to its own writes: only what it may read (issue 10, F)."""

from __future__ import annotations

import pytest

from store.tenancy import api_tokens
from tests.builders.scim_client import ScimClient, entra_user

HEAD = {"schemas", "id", "meta"}


async def with_permissions(scim: ScimClient, *permissions: str) -> ScimClient:
    connection = scim.connection
    _, secret = await scim.database.write(
        lambda conn: api_tokens.create(conn, connection.tenant_id, connection.id, "narrow", permissions)
    )
    return ScimClient(scim.http, secret, scim.database, connection)


async def test_a_token_that_only_writes_users_reads_nothing_in_the_answers(scim: ScimClient) -> None:
    """No attributes, no groups, whatever the query asks for."""
    ada = await scim.create_user("ada@x.example")
    await scim.create_group("Crew", ada["id"])
    narrow = await with_permissions(scim, "admin:user:update", "admin:user:create")
    path = f"/Users/{ada['id']}?attributes=userName,emails,groups"
    title = {"op": "replace", "path": "title", "value": "Surveyor"}
    replies = [
        await narrow.patch(path, title),
        await narrow.put(path, entra_user("ada@x.example")),
        await narrow.post("/Users?attributes=userName", entra_user("eve@x.example")),
        await narrow.patch(f"/Users/{ada['id']}", title),
    ]
    assert [each.status for each in replies] == [200, 200, 201, 200]
    assert [set(each.body) for each in replies] == [HEAD] * 4
    assert replies[0].body["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:User"]


async def test_a_token_that_only_writes_groups_reads_no_members(scim: ScimClient) -> None:
    """Nor the name of a group."""
    ada = await scim.create_user("ada@x.example")
    group = await scim.create_group("Crew", ada["id"])
    narrow = await with_permissions(scim, "admin:group:update", "admin:group:create")
    rename = {"op": "replace", "path": "displayName", "value": "Crew 2"}
    replies = [
        await narrow.patch(f"/Groups/{group['id']}?attributes=members", rename),
        await narrow.put(f"/Groups/{group['id']}", {"displayName": "Crew"}),
        await narrow.post("/Groups", {"displayName": "Other", "members": [{"value": ada["id"]}]}),
    ]
    assert [(each.status, set(each.body)) for each in replies] == [(200, HEAD), (200, HEAD), (201, HEAD)]


async def test_a_cursor_is_of_one_token(scim: ScimClient) -> None:
    """Another token of the connection cannot go on with it."""
    for name in ("ada", "eve", "ida"):
        await scim.create_user(f"{name}@x.example")
    page = (await scim.get("/Users?cursor=&count=1")).body
    other = await with_permissions(scim, "admin:user:read")
    query = f"/Users?cursor={page['nextCursor']}&count=1"
    assert (await other.get(query)).status == 400
    assert (await scim.get(query)).status == 200


@pytest.mark.parametrize("sent", ["a" * 81, "short", "spaces in it", 'quote"quote', "<script>alert"])
async def test_a_request_id_of_another_form_is_not_repeated(scim: ScimClient, sent: str) -> None:
    """Neither in the answer nor in the log; a good one is in both."""
    await scim.create_user("ada@x.example")
    refused = await scim.post("/Users", entra_user("ada@x.example"), headers={"X-Request-Id": sent})
    assert refused.headers["X-Request-Id"] != sent
    assert sent not in repr((await scim.log())[0])
