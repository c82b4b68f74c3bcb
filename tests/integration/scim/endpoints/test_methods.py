"""HEAD and OPTIONS (RFC 9110 §9.3.2, §9.3.7), and text that is no text."""

from __future__ import annotations

from urllib.parse import quote

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


@pytest.mark.parametrize(
    ("expression", "status"),
    [
        ('displayName eq "disk is full"', 200),
        ('displayName co "database is locked"', 200),
        ('title eq "no such table: password authentication failed"', 200),
        ("active eq disk", 400),
        ('meta.created gt "0000-13-45"', 400),
        ('meta.created gt "0001-01-01T00:00:00+14:00"', None),
        ('meta.version eq "W/\\"99999999999999999999999\\""', 200),
        ("urn:ietf:params:scim:schemas:extension:contoso:2.0:User:level gt 1e400", None),
        ("urn:ietf:params:scim:schemas:extension:contoso:2.0:User:level gt 99999999999999999999", None),
        ('emails[primary eq "disk is full"]', 400),
        ('userName eq "\U0001d4b3\u0301\u202e"', 200),
    ],
)
async def test_what_a_filter_says_is_never_taken_for_an_error(
    scim: ScimClient, expression: str, status: int | None
) -> None:
    """On PostgreSQL a filter with "disk is full" called the operator."""
    reply = await scim.get(f"/Users?filter={quote(expression)}")
    assert reply.status == status or (status is None and reply.status < 500), reply.body


async def test_a_path_behind_entras_flag_is_told_and_not_answered_with_everybody(scim: ScimClient) -> None:
    """A client that puts tenant URL and path together: `…/v2?aadOptscim062020` + `/Users?filter=…`."""
    await scim.create_user("ada@northwind.example")
    for path in ("?aadOptscim062020/Users?filter=userName+eq+%22x%22", "?aadOptscim062020/Groups"):
        reply = await scim.get(path)
        assert reply.status == 404
        assert "tenant URL" in reply.body["detail"]
    assert (await scim.get("/Users?aadOptscim062020")).status == 200
    assert (await scim.get("/Users?aadOptscim062020&filter=userName+eq+%22x%22")).body["totalResults"] == 0
