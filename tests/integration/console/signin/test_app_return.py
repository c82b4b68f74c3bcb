"""A person signs in and returns to the vendor's app, which fetches the session with a code, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from aiohttp import encode_basic_auth
from sqlalchemy import update

from store import tables
from store.directory import sessions
from store.integration import operator_tokens
from store.keys import utc_now
from store.records import DisableUser
from store.tenancy import api_tokens, connections, tenants
from tests.builders.sign_in_scene import SignInScene
from tests.builders.store_rows import perform

APP_URL = "https://app.example.com/signed-in?from=leaver"
ALLOWED = (APP_URL, "http://127.0.0.1:5000/signed-in")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


@pytest.fixture
async def app(scene: SignInScene) -> SignInScene:
    """Ann has an account, and the connection allows two addresses of the app."""
    place = scene.connection.tenant_id, scene.connection.id
    await scene.database.write(lambda conn: connections.set_return_urls(conn, *place, ALLOWED))
    await scene.account(scene.people[0])
    return scene


async def token_of(scene: SignInScene, *permissions: str) -> str:
    place = scene.connection.tenant_id, scene.connection.id
    wanted = permissions or ("admin:session:introspect",)
    _, secret = await scene.database.write(lambda conn: api_tokens.create(conn, *place, "app", wanted))
    return secret


async def sign_in(scene: SignInScene) -> dict[str, str]:
    """Gives what the app receives at its address."""
    page = await scene.sign_in(scene.people[0], return_to=quote(APP_URL, safe="") + "&state=s%26t")
    assert page.status == 303, page.text
    assert page.location.startswith(APP_URL + "&")
    return dict(parse_qsl(urlsplit(page.location).query))


async def redeem(
    scene: SignInScene, token: str, code: str, return_url: str = APP_URL, client: str | None = None
) -> tuple[int, dict[str, Any]]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": return_url}
    headers = {"Authorization": encode_basic_auth(client or scene.connection.id, token)}
    async with scene.browser.http.post(f"{scene.url}/oauth/token", data=form, headers=headers) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def live(scene: SignInScene, secret: str) -> bool:
    async with scene.database.reading() as conn:
        return await sessions.find_live(conn, secret) is not None


async def test_the_app_fetches_the_session_with_a_code_and_it_dies_with_the_access(app: SignInScene) -> None:
    """console.md §6 step 1: "back comes a one-time `code`"; the secret never passes the browser."""
    given = await sign_in(app)
    assert (given["state"], given["from"], app.browser.cookie(app.url, "__Host-leaver")) == (
        "s&t",
        "leaver",
        None,
    )

    status, answer = await redeem(app, await token_of(app), given["code"])

    assert status == 200, answer
    person = answer["session"]
    assert (answer["token_type"], person["active"], person["client_id"]) == ("Bearer", True, "app")
    assert given["code"] not in str(answer)
    assert await live(app, answer["access_token"])
    await perform(app.database, app.connection, DisableUser(person["sub"]))
    assert not await live(app, answer["access_token"])


@on_sqlite
async def test_a_code_that_comes_twice_ends_its_session(app: SignInScene) -> None:
    """RFC 6749 §4.1.2: "SHOULD revoke all tokens previously issued based on that code"."""
    token, code = await token_of(app), (await sign_in(app))["code"]
    _, first = await redeem(app, token, code)
    assert await live(app, first["access_token"])

    status, again = await redeem(app, token, code)

    assert (status, again["error"]) == (400, "invalid_grant")
    assert not await live(app, first["access_token"])


@on_sqlite
async def test_a_code_is_of_use_to_its_own_client_and_address_alone(app: SignInScene) -> None:
    """Another tenant's client, another address, a token without the permission, a code of a minute ago."""
    token, code = await token_of(app), (await sign_in(app))["code"]
    other = await app.database.write(lambda conn: tenants.create(conn, "Fabrikam"))
    theirs = await app.database.write(lambda conn: connections.create(conn, other.id, "Entra"))
    place = other.id, theirs.id, "app", ("admin:session:introspect",)
    _, foreign = await app.database.write(lambda conn: api_tokens.create(conn, *place))

    assert (await redeem(app, foreign, code, client=theirs.id))[1]["error"] == "invalid_grant"
    assert (await redeem(app, foreign, code))[1]["error"] == "invalid_client"
    assert (await redeem(app, await token_of(app, "scim"), code))[1]["error"] == "unauthorized_client"
    assert (await redeem(app, token, code, return_url=""))[1]["error"] == "invalid_request"
    assert (await redeem(app, token, code, return_url=ALLOWED[1]))[1]["error"] == "invalid_grant"
    assert (await redeem(app, token, code))[1]["error"] == "invalid_grant", "the wrong address spent it"

    late = (await sign_in(app))["code"]
    past = update(tables.sign_in_codes).values(expires_at=utc_now() - timedelta(seconds=1))
    await app.database.write(lambda conn: conn.execute(past))
    assert (await redeem(app, token, late))[1]["error"] == "invalid_grant"


@on_sqlite
@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example", "https://app.example.com/signed-in", APP_URL + "/", APP_URL + "#x"),
        *(APP_URL.upper(), "https://app.example.com@evil.example/", "http://127.0.0.1:5001/signed-in"),
    ],
)
async def test_an_address_that_is_not_allowed_letter_by_letter_begins_no_sign_in(
    app: SignInScene, target: str
) -> None:
    """Open redirects: the provider is not even asked."""
    page = await app.browser.get(f"{app.base}/login?return_to={quote(target, safe='')}")
    assert (page.status, "Location" in page.headers) == (400, False)
    assert "--return-url" in page.text
    assert "evil" not in page.text


@on_sqlite
async def test_an_address_taken_from_the_connection_meanwhile_gets_no_code(app: SignInScene) -> None:
    """The allowed addresses of the moment count, not those of the start."""
    answer = await app.answer(app.people[0], return_to=quote(APP_URL, safe=""))
    place = app.connection.tenant_id, app.connection.id
    await app.database.write(lambda conn: connections.set_return_urls(conn, *place, ()))
    page = await app.browser.follow(answer)
    assert (page.status, "Location" in page.headers) == (400, False)


@on_sqlite
async def test_an_operators_token_fetches_the_session_at_the_connection_that_it_names(
    app: SignInScene,
) -> None:
    """An app that serves every customer has one token; the client id says at whose connection."""
    _, operator = await app.database.write(
        lambda conn: operator_tokens.create(conn, "app", ["admin:session:introspect"])
    )
    _, reader = await app.database.write(lambda conn: operator_tokens.create(conn, "r", ["admin:user:read"]))
    code = (await sign_in(app))["code"]
    assert (await redeem(app, reader, code))[1]["error"] == "unauthorized_client"
    status, refused = await redeem(app, operator, code, client="no-such-connection")
    assert (status, refused["error"]) == (401, "invalid_client")

    status, answer = await redeem(app, operator, code)

    assert (status, answer["session"]["connection"]) == (200, app.connection.id), answer
    assert await live(app, answer["access_token"])
