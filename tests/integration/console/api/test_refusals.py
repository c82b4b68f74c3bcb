"""Every refusal is a problem that names the field and the remedy, and nothing of what was sent."""

from __future__ import annotations

import asyncio
import io

from sqlalchemy.ext.asyncio import AsyncConnection

from console.api.problems import TYPES
from store.integration import operator_tokens
from tests.builders.api_client import ApiDesk


async def test_a_request_without_a_usable_token_is_401_with_a_challenge(desk: ApiDesk) -> None:
    for secret in ("", "nonsense", "leaver_" + "a" * 36):
        refused = await desk.contoso.with_secret(secret).get("/tenants")
        assert (refused.status, refused.problem) == (401, "unauthenticated")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_revoked_operators_token_is_403(desk: ApiDesk) -> None:
    assert (await desk.operator.get("/tenants")).status == 200

    async def revoke(conn: AsyncConnection) -> None:
        [token] = await operator_tokens.list_all(conn)
        await operator_tokens.revoke(conn, token)

    await desk.operator.database.write(revoke)
    refused = await desk.operator.get("/tenants")
    assert (refused.status, refused.problem) == (403, "token-refused")


async def test_a_wrong_parameter_is_named(desk: ApiDesk) -> None:
    for name, value in {"limit": "0", "sort": "name", "active": "perhaps"}.items():
        refused = await desk.contoso.get(f"/connections/{desk.connection.id}/users", **{name: value})
        assert (refused.status, refused.problem) == (400, "invalid-request")
        assert refused.json["errors"][0]["parameter"] == name


async def test_a_parameter_that_is_given_twice_is_refused(desk: ApiDesk) -> None:
    """schemathesis found this as the only 500 of the trial."""
    refused = await desk.contoso.get(f"/connections/{desk.connection.id}/users?limit=1&limit=2")
    assert (refused.status, refused.problem) == (400, "invalid-request")


async def test_a_wrong_field_of_the_body_is_pointed_at(desk: ApiDesk) -> None:
    """RFC 9457 with RFC 6901 pointers; the refused value is not repeated (I9)."""
    wrong: list[tuple[object, str]] = [
        ({"name": "k", "expires_days": -4711}, "/expires_days"),
        ({"name": "k", "permissions": [4711]}, "/permissions/0"),
        ({}, "/name"),
        ({"name": "k", "Name": "4711"}, "/Name"),
    ]
    for body, pointer in wrong:
        refused = await desk.contoso.post(f"/connections/{desk.connection.id}/tokens", body)
        assert (refused.status, refused.problem) == (400, "invalid-request")
        assert refused.json["errors"][0]["pointer"] == pointer
        assert "4711" not in refused.text


async def test_a_value_that_a_use_case_refuses_names_the_field(desk: ApiDesk) -> None:
    path = f"/connections/{desk.connection.id}"
    for body, pointer in (
        ({"interval_minutes": 0}, "/interval_minutes"),
        ({"policy": {"filters": [["department LIKES x"]]}}, "/policy/filters/0/0"),
        ({"app_id": "my-app"}, "/app_id"),
    ):
        refused = await desk.contoso.send("PATCH", path, body, {"If-Match": "*"})
        assert (refused.status, refused.problem) == (422, "invalid-value"), refused.text
        assert refused.json["errors"][0]["pointer"] == pointer


ODD_BODIES = [
    (b'{"reason": "a", "reason": "b"}', "application/json", "invalid-request"),
    (b"not json", "application/json", "invalid-request"),
    (b'{"reason": "a\\u0000"}', "application/json", "invalid-request"),
    (b"[" * 40, "application/json", "invalid-request"),
    (b"{}", "text/plain", "unsupported-media-type"),
    (b"{" + b" " * 1_100_000 + b"}", "application/json", "too-large"),
    (b"[1]", "application/json", "invalid-request"),
]


async def test_a_credential_that_cannot_be_used_is_the_callers_mistake(desk: ApiDesk) -> None:
    """20,000 requests of schemathesis: it was told as Entra's, with 502, though no one had asked Entra."""
    tenant = (await desk.operator.get("/tenants")).json["items"][0]["id"]
    for name, value in (
        ("certificate", "-----BEGIN CERTIFICATE-----"),
        ("certificate", "no certificate"),
        ("client_secret", ""),
    ):
        given = {"credential": {name: value}}
        path, version = f"/connections/{desk.connection.id}", {"If-Match": "*"}
        for refused in (
            await desk.operator.post("/connections", {"tenant": tenant, "name": "x", **given}),
            await desk.operator.send("PATCH", path, given, version),
        ):
            assert (refused.status, refused.problem) == (422, "invalid-value"), refused.text
            assert refused.json["errors"][0]["pointer"] == f"/credential/{name}"


async def test_a_body_that_is_no_plain_json_object_is_refused(desk: ApiDesk) -> None:
    url = f"/api/admin/v1/connections/{desk.connection.id}/pause"
    for data, content_type, problem in ODD_BODIES:
        headers = {"Authorization": f"Bearer {desk.contoso.secret}", "Content-Type": content_type}
        async with desk.contoso.http.post(url, data=io.BytesIO(data), headers=headers) as answer:
            body = await answer.json(content_type=None)
            assert (body["type"], answer.status) == (f"/problems/{problem}", TYPES[problem].status)


async def test_an_unknown_path_and_a_wrong_method_say_so(desk: ApiDesk) -> None:
    assert (await desk.contoso.get("/nothing")).problem == "no-such-operation"
    refused = await desk.contoso.send("PUT", "/tenants")
    assert (refused.status, refused.problem, refused.headers["Allow"]) == (
        405,
        "method-not-allowed",
        "GET, POST",
    )


# --- idempotency ---


async def test_a_repeated_write_with_its_key_is_done_once(desk: ApiDesk) -> None:
    """The stored answer comes again; a key with another body is refused."""
    key = {"Idempotency-Key": "make-northwind"}
    first = await desk.operator.send("POST", "/tenants", {"name": "Northwind"}, key)
    again = await desk.operator.send("POST", "/tenants", {"name": "Northwind"}, key)
    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await desk.operator.send("POST", "/tenants", {"name": "Southwind"}, key)
    assert (other.status, other.problem) == (422, "idempotency-key-reused")
    assert len((await desk.operator.get("/tenants")).json["items"]) == 3


async def test_a_key_belongs_to_its_token(desk: ApiDesk) -> None:
    """Another tenant's key is another key."""
    key = {"Idempotency-Key": "pause"}
    own = f"/connections/{desk.connection.id}/pause"
    assert (await desk.contoso.send("POST", own, {}, key)).status == 200
    assert (await desk.fabrikam.send("POST", own, {}, key)).status == 404


async def test_writes_with_one_key_at_the_same_time_happen_once(desk: ApiDesk) -> None:
    key = {"Idempotency-Key": "at-once"}
    answers = await asyncio.gather(
        *(desk.operator.send("POST", "/tenants", {"name": "Northwind"}, key) for _ in range(5))
    )
    assert {each.status for each in answers} <= {201, 409}
    assert len((await desk.operator.get("/tenants")).json["items"]) == 3


async def test_a_secret_is_not_kept_for_a_repeated_request(desk: ApiDesk) -> None:
    """I9: a token is shown once; the repeated request makes no second token either."""
    path, key = f"/connections/{desk.connection.id}/tokens", {"Idempotency-Key": "token-1"}
    made = await desk.contoso.send("POST", path, {"name": "k"}, key)
    again = await desk.contoso.send("POST", path, {"name": "k"}, key)
    assert made.status == 201
    assert (again.status, again.problem) == (409, "answer-not-kept")
    named = [each for each in (await desk.contoso.get(path)).json["items"] if each["name"] == "k"]
    assert len(named) == 1


async def test_a_refused_write_leaves_its_key_free(desk: ApiDesk) -> None:
    """The key is claimed in the transaction of the deed, or not at all."""
    key = {"Idempotency-Key": "k"}
    refused = await desk.operator.send("POST", "/tenants", {"name": "///"}, key)
    assert refused.problem == "invalid-value"
    assert (await desk.operator.send("POST", "/tenants", {"name": "Northwind"}, key)).status == 201
