"""HEAD and OPTIONS (RFC 9110 §9.3.2, §9.3.7), and text that is no text."""

from __future__ import annotations

import pytest

from tests.builders.scim_client import ScimClient


async def test_head_is_get_without_a_body(scim: ScimClient) -> None:
    user = await scim.create_user("ada@northwind.example")
    group = await scim.create_group("Cartographers", user["id"])
    for path in (f"/Users/{user['id']}", "/Users", f"/Groups/{group['id']}", "/ServiceProviderConfig"):
        read, head = await scim.get(path), await scim.send("HEAD", path)
        assert (head.status, head.body) == (200, None), path
        assert head.headers.get("ETag") == read.headers.get("ETag")
        assert head.headers["Content-Type"] == read.headers["Content-Type"]
    assert (await scim.send("HEAD", "/Users/nobody")).status == 404


async def test_options_names_what_a_path_takes(scim: ScimClient) -> None:
    assert (await scim.send("OPTIONS", "/Users")).headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    one = (await scim.send("OPTIONS", "/Groups/x")).headers["Allow"]
    assert one == "GET, HEAD, DELETE, PATCH, PUT, OPTIONS"
    assert (await scim.send("OPTIONS", "/a/b/c/d")).status == 404
    refused = await scim.send("PUT", "/Users", {})
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")


@pytest.mark.parametrize(
    "path",
    [
        "/Users?filter=userName+eq+%22%5Cud800%22",
        "/Users?filter=externalId+eq+%22%5Cu0000%22",
        "/Users?filter=emails%5Bvalue+co+%22%5Cudfff%22%5D",
        "/Users?filter=displayName+sw+%22%ED%A0%80%22",
        "/Users/%ED%A0%80",
        "/Users/%00",
        "/Groups/%F0%28%8C",
        "/Users?cursor=%ED%A0%80",
        "/Users?cursor=%C3%A9",
        "/Users?attributes=%00,userName",
        "/Users?sortBy=%5Cud800",
        "/%C3%A9%F0",
        "/Schemas/%ED%A0%80",
    ],
)
async def test_any_text_in_an_address_is_answered_below_500(scim: ScimClient, path: str) -> None:
    assert (await scim.get(path)).status < 500


@pytest.mark.parametrize("name", ["If-Match", "X-Request-Id", "ADSCIMVersion", "X-Forwarded-For"])
async def test_any_bytes_in_a_header_are_answered_below_500(scim: ScimClient, name: str) -> None:
    user = await scim.create_user("ada@northwind.example")
    for value in ("\udcff", "é", '"\udced\udca0\udc80"'):
        reply = await scim.patch(
            f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": "x"}, headers={name: value}
        )
        assert reply.status < 500, value


async def test_a_token_that_is_no_text_is_unknown(scim: ScimClient) -> None:
    reply = await scim.get("/Users", headers={"Authorization": "Bearer \udcff\udcfe"})
    assert reply.status == 401


async def test_a_surrogate_in_a_selector_selects_nobody(scim: ScimClient) -> None:
    user = await scim.create_user("ada@northwind.example")
    group = await scim.create_group("Cartographers", user["id"])
    for path in ('members[value eq "\\ud800"]', 'members[value co "\\u0000"]'):
        reply = await scim.patch(f"/Groups/{group['id']}", {"op": "remove", "path": path})
        assert reply.status < 500
    assert await scim.member_ids(group["id"]) == {user["id"]}
