"""/oauth/token: client credentials as Entra sends them, and access tokens that are worth no more than their
secret."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse
from joserfc import jws
from scim2_models import InvalidCursorException, UnauthorizedException

from config.keys import Purpose, derive, new_key
from scim.auth.access_tokens import AccessTokens
from scim.cursors import RotatedCursors
from store.records import ApiToken, ConnectionId, TenantId, TokenId
from store.tenancy import api_tokens, connections
from tests.builders.scim_client import ScimClient
from tests.builders.scim_connections import EVERYTHING, new_connection

GRANT = "grant_type=client_credentials"


def basic(client_id: str, secret: str | None) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()}


async def ask(
    scim: ScimClient, form: str, headers: dict[str, str] | None = None, media_type: str | None = None
) -> tuple[ClientResponse, Any]:
    sent = {"Content-Type": media_type or "application/x-www-form-urlencoded", **(headers or {})}
    async with scim.http.post("/oauth/token", data=form.encode(), headers=sent) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer, await answer.json()


def with_token(scim: ScimClient, token: str) -> ScimClient:
    return ScimClient(scim.http, token, scim.database, scim.connection)


async def test_s05_entra_asks_with_a_basic_header(scim: ScimClient) -> None:
    """Captures of June 2026: the credentials come in the header, nothing but the grant in the body."""
    answer, body = await ask(scim, GRANT, basic(scim.connection.id, scim.token))
    assert answer.status == 200
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "scim")
    assert (await with_token(scim, body["access_token"]).get("/Users")).status == 200
    escaped = scim.connection.id.replace("-", "%2D")  # RFC 6749 §2.3.1: both are form-encoded before Basic
    assert (await ask(scim, GRANT, basic(escaped, scim.token)))[0].status == 200


async def test_s06_the_credentials_may_come_in_the_body(scim: ScimClient) -> None:
    """RFC 6749 §2.3.1."""
    form = f"{GRANT}&client_id={scim.connection.id}&client_secret={scim.token}&scope=scim"
    answer, body = await ask(scim, form)
    assert answer.status == 200
    assert (await with_token(scim, body["access_token"]).get("/Groups")).status == 200
    answer, _ = await ask(scim, form, media_type="application/scim+json")
    assert answer.status == 200  # a 415 here fails Test Connection with a message about credential locations


@pytest.mark.parametrize("place", ["header", "body"])
@pytest.mark.parametrize("wrong", ["secret", "client", "both", "nothing"])
async def test_wrong_credentials_are_an_invalid_client(scim: ScimClient, place: str, wrong: str) -> None:
    """RFC 6749 §5.2: 401, invalid_client, and a challenge."""
    client_id = "somebody" if wrong in ("client", "both") else scim.connection.id
    secret = "leaver_wrong" if wrong in ("secret", "both") else scim.token
    if wrong == "nothing":
        client_id, secret = "", ""
    in_body = f"&client_id={client_id}&client_secret={secret}"
    answer, body = await (
        ask(scim, GRANT, basic(client_id, secret)) if place == "header" else ask(scim, GRANT + in_body)
    )
    assert (answer.status, body["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=%ff&x=" + "y" * 20_000, "invalid_request"),
        ("&".join(f"a{number}=1" for number in range(60)), "invalid_request"),
    ],
)
async def test_what_is_no_token_request_is_refused(scim: ScimClient, form: str, error: str) -> None:
    answer, body = await ask(scim, form, basic(scim.connection.id, scim.token))
    assert answer.status in (400, 413)
    assert body["error"] == error


@pytest.mark.parametrize(
    "header", ["Basic !", "Basic " + b64encode(b"nocolon").decode(), "Basic", "Bearer x"]
)
async def test_an_unreadable_header_is_an_invalid_client(scim: ScimClient, header: str) -> None:
    answer, body = await ask(scim, GRANT, {"Authorization": header})
    assert (answer.status, body["error"]) == (401, "invalid_client")


async def test_several_secrets_are_good_at_once_and_each_dies_with_its_token(scim: ScimClient) -> None:
    """App Gallery requirements: secrets overlap for rotation; a revoked one takes its access tokens with it."""
    connection = scim.connection
    second, secret = await scim.database.write(
        lambda writing: api_tokens.create(writing, connection.tenant_id, connection.id, "second", EVERYTHING)
    )
    got = [
        (await ask(scim, GRANT, basic(connection.id, each)))[1]["access_token"]
        for each in (scim.token, secret)
    ]
    assert [(await with_token(scim, each).get("/Users")).status for each in got] == [200, 200]
    await scim.database.write(lambda writing: api_tokens.revoke(writing, connection.tenant_id, second.id))
    assert [(await with_token(scim, each).get("/Users")).status for each in got] == [200, 403]
    answer, body = await ask(scim, GRANT, basic(connection.id, secret))
    assert (answer.status, "revoked" in body["error_description"]) == (401, True)


async def test_an_access_token_has_its_secrets_permissions_and_end(scim: ScimClient) -> None:
    connection = scim.connection
    soon = datetime.now(UTC) + timedelta(minutes=5)
    _, secret = await scim.database.write(
        lambda writing: api_tokens.create(
            writing, connection.tenant_id, connection.id, "reader", ["admin:user:read"], expires_at=soon
        )
    )
    _, body = await ask(scim, GRANT, basic(connection.id, secret))
    assert 0 < body["expires_in"] <= 300
    reader = with_token(scim, body["access_token"])
    assert (await reader.get("/Users")).status == 200
    assert (await reader.get("/Groups")).status == 403
    assert (await reader.post("/Users", {"userName": "x"})).status == 403


async def test_an_access_token_is_of_one_connection(scim: ScimClient) -> None:
    """Design §7, I5."""
    other = await new_connection(scim.database)
    answer, _ = await ask(scim, GRANT, basic(other.id, scim.token))
    assert answer.status == 401
    _, body = await ask(scim, GRANT, basic(scim.connection.id, scim.token))
    client = with_token(scim, body["access_token"])
    client.base = f"/v1/admin/scim/{other.id}"
    assert (await client.get("/Users")).status == 403


async def test_access_tokens_that_are_forged_or_too_old_are_unauthorized(scim: ScimClient) -> None:
    _, body = await ask(scim, GRANT, basic(scim.connection.id, scim.token))
    genuine = body["access_token"]
    head, claims, signature = genuine.split(".")
    async with scim.database.reading() as reading:
        [token] = await api_tokens.list_for(reading, scim.connection.tenant_id, scim.connection.id)
    forged, _ = AccessTokens([derive(new_key(), Purpose.ACCESS_TOKENS)]).issue(token, 3600)
    unsigned = "eyJhbGciOiJub25lIn0." + claims + "."
    # The first character: the last one has bits that mean nothing, so that another may be the same signature.
    altered = f"{head}.{claims}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for wrong in (forged, unsigned, altered, "a.b.c", ".."):
        assert (await with_token(scim, wrong).get("/Users")).status == 401


def test_an_access_token_ends_when_it_says() -> None:
    now = 1_000_000.0
    access_tokens = AccessTokens([derive(new_key(), Purpose.ACCESS_TOKENS)], clock=lambda: now)
    created = datetime.fromtimestamp(0, UTC)
    token = ApiToken(TokenId("t"), TenantId("x"), ConnectionId("c"), "n", "p", (), created, None)
    issued, lifetime_s = access_tokens.issue(token, 60)
    now += lifetime_s - 1
    assert access_tokens.read(issued) == ("x", "t")
    now += 2
    with pytest.raises(Exception, match="expired"):
        access_tokens.read(issued)


def test_an_access_token_names_its_key_and_is_good_under_every_configured_one() -> None:
    """issue 10, G: "access tokens carry `kid` and verify under every configured key"."""
    old, new, unknown = (derive(new_key(), Purpose.ACCESS_TOKENS) for _ in range(3))
    created = datetime.fromtimestamp(0, UTC)
    token = ApiToken(TokenId("t"), TenantId("x"), ConnectionId("c"), "n", "p", (), created, None)
    issued, _ = AccessTokens([old]).issue(token, 60)
    assert jws.extract_compact(issued.encode()).headers()["kid"] == old.id
    assert AccessTokens([new, old]).read(issued) == ("x", "t")
    renewed, _ = AccessTokens([new, old]).issue(token, 60)
    assert AccessTokens([new]).read(renewed) == ("x", "t")
    for keys in ([new], [unknown, new]):
        with pytest.raises(UnauthorizedException):
            AccessTokens(keys).read(issued)


def test_a_cursor_outlives_a_change_of_the_key() -> None:
    """A client that pages on must not begin again because an operator changed a key."""
    old, new = (derive(new_key(), Purpose.CURSORS) for _ in range(2))
    cursor = RotatedCursors([old]).seal("query", 10, ["ada"])
    assert RotatedCursors([new, old]).open(cursor, "query", 10, 60) == ["ada"]
    with pytest.raises(InvalidCursorException):
        RotatedCursors([new]).open(cursor, "query", 10, 60)


async def test_a_paused_connection_still_hands_out_tokens(scim: ScimClient) -> None:
    """Test Connection would otherwise blame the credentials; the SCIM answer says that it is paused."""
    connection = scim.connection
    await scim.database.write(
        lambda writing: connections.pause(writing, connection.tenant_id, connection.id, "x")
    )
    answer, body = await ask(scim, GRANT, basic(connection.id, scim.token))
    assert answer.status == 200
    assert (await with_token(scim, body["access_token"]).get("/Users")).status == 503


async def test_a_form_may_come_in_pieces(scim: ScimClient) -> None:
    """An assertion is larger than a packet: what has not arrived yet is waited for."""
    form = f"{GRANT}&client_id={scim.connection.id}&client_secret={scim.token}".encode()

    async def in_pieces() -> AsyncIterator[bytes]:
        for byte in range(0, len(form), 20):
            yield form[byte : byte + 20]
            await asyncio.sleep(0.01)

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with scim.http.post("/oauth/token", data=in_pieces(), headers=headers) as answer:
        assert answer.status == 200, await answer.text()


async def test_two_ways_to_name_a_secret_are_one_too_many(scim: ScimClient) -> None:
    """RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request"."""
    client_id, secret = scim.connection.id, scim.token
    form = f"{GRANT}&client_id={client_id}&client_secret={secret}"
    answer, body = await ask(scim, form, basic(client_id, secret))
    assert (answer.status, body["error"]) == (400, "invalid_request")
    answer, body = await ask(scim, f"{GRANT}&client_id=x", basic(client_id, secret))
    assert (answer.status, body["error"]) == (400, "invalid_request")
