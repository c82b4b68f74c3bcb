"""How a session ends: by its person, by the provider, and never by another site."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import pytest
from joserfc import jwt

from console.browser import SESSION_COOKIE
from console.signin.id_token import LOGOUT_EVENT
from store.records import CreateUser, GraphId
from tests.builders.sign_in_scene import SignInScene
from tests.builders.store_rows import perform, person

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


@pytest.fixture
async def signed_in(scene: SignInScene) -> SignInScene:
    await scene.account(scene.people[0])
    assert (await scene.sign_in(scene.people[0])).status == 303
    return scene


OTHER_SITES: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "SELF"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {},
)


async def test_another_site_ends_no_session(signed_in: SignInScene) -> None:
    """CSRF: Sec-Fetch-Site decides, then Origin; a request with neither is refused."""
    session = await signed_in.live()
    assert session is not None
    for headers in OTHER_SITES:
        sent = {name: signed_in.url if value == "SELF" else value for name, value in headers.items()}
        for path in ("logout", f"sessions/{session.id}/end"):
            assert (await signed_in.browser.post(f"{signed_in.base}/{path}", sent)).status == 403, headers
    assert await signed_in.live() is not None


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "SELF"}])
async def test_signing_out_ends_the_session_and_drops_the_cookie(
    signed_in: SignInScene, headers: dict[str, str]
) -> None:
    """The page says that the directory's own session goes on, and links to its end."""
    secret = signed_in.browser.cookie(signed_in.url, SESSION_COOKIE)
    sent = {name: signed_in.url if value == "SELF" else value for name, value in headers.items()}

    page = await signed_in.browser.post(f"{signed_in.base}/logout", sent)

    assert page.status == 200
    assert "/oauth2/v2.0/logout" in page.text
    assert signed_in.browser.cookie(signed_in.url, SESSION_COOKIE) is None
    thief = signed_in.another_browser()
    thief.cookies = {signed_in.url.removeprefix("http://"): {SESSION_COOKIE: str(secret)}}
    assert await signed_in.live(thief) is None


async def test_a_person_ends_the_own_sessions_and_no_one_elses(signed_in: SignInScene) -> None:
    """IDOR: a session's id of another person, or of the same account's earlier holder, ends nothing."""
    laptop, other = signed_in.another_browser(), signed_in.another_browser()
    assert (await signed_in.sign_in(signed_in.people[0], browser=laptop)).status == 303
    await perform(
        signed_in.database,
        signed_in.connection,
        CreateUser(person("ben"), entra_object_id=GraphId(signed_in.people[1])),
    )
    assert (await signed_in.sign_in(signed_in.people[1], browser=other)).status == 303
    theirs, mine = await signed_in.live(other), await signed_in.live(laptop)
    assert theirs is not None
    assert mine is not None

    for session in (theirs, mine):
        await signed_in.browser.post(f"{signed_in.base}/sessions/{session.id}/end")

    assert await signed_in.live(other) is not None
    assert await signed_in.live(laptop) is None
    assert await signed_in.live() is not None


async def test_signing_out_of_the_directory_ends_the_session_here(signed_in: SignInScene) -> None:
    """Front-channel logout as Entra sends it: `sid` in a frame, no cookie, no issuer."""
    directory = signed_in.simulator.directory
    registration = signed_in.simulator.simulation.authority.registration
    registration.logout_url = f"{signed_in.base}/logout/front"
    page = await signed_in.browser.get(
        f"{signed_in.simulator.login_url}/{directory.entra_tenant_id}/oauth2/v2.0/logout"
    )
    [framed] = re.findall(r'<iframe src="([^"]+)"', page.text)
    stranger = signed_in.another_browser()

    assert (await stranger.get(f"{framed}x")).status == 200
    assert (await stranger.get(f"{framed}&iss=https://evil.example")).status == 200
    assert await signed_in.live() is not None
    assert (await stranger.get(framed)).status == 200

    assert await signed_in.live() is None


async def logout_token(scene: SignInScene, **changed: Any) -> str:
    session = await scene.live()
    assert session is not None
    signer, now = scene.simulator.simulation.authority.signer, int(time.time())
    claims = {
        "iss": session.issuer,
        "aud": scene.connection.client_id,
        "iat": now,
        "exp": now + 120,
        "jti": str(uuid.uuid4()),
        "sub": session.issuer_subject,
        "events": {LOGOUT_EVENT: {}},
        **changed,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "RS256", "typ": "logout+jwt", "kid": signer.key.kid}, kept, signer.key)


async def send(scene: SignInScene, token: str) -> int:
    page = await scene.another_browser().post(
        f"{scene.base}/logout/back", headers={"Sec-Fetch-Site": "cross-site"}, form={"logout_token": token}
    )
    assert page.headers["Cache-Control"] == "no-store"
    return page.status


WRONG_CLAIMS: tuple[dict[str, Any], ...] = (
    {"iss": "https://evil.example"},
    {"aud": "another-client"},
    {"events": {}},
    {"events": None},
    {"nonce": "n"},
    {"sub": None},
    {"jti": None},
    {"exp": 1},
    {"iat": None},
    {"iat": 1},
)


async def test_a_wrong_logout_token_ends_nothing(signed_in: SignInScene) -> None:
    """OpenID Connect Back-Channel Logout §2.6, one wrong claim a row."""
    for changed in WRONG_CLAIMS:
        assert await send(signed_in, await logout_token(signed_in, **changed)) == 400, changed
    assert await signed_in.live() is not None


async def test_a_logout_token_ends_what_it_names_once(signed_in: SignInScene) -> None:
    """Replay: the same token does not end a session that began after it."""
    token = await logout_token(signed_in)
    assert await send(signed_in, token) == 200
    assert await signed_in.live() is None
    assert (await signed_in.sign_in(signed_in.people[0])).status == 303
    assert await send(signed_in, token) == 200
    assert await signed_in.live() is not None


async def test_an_id_token_is_no_logout_token(signed_in: SignInScene) -> None:
    """Cross-JWT confusion: what the browser could have seen ends no session."""
    signer = signed_in.simulator.simulation.authority.signer
    claims = signer.read(str(signed_in.simulator.simulation.authority._first_id_token))
    assert claims is not None
    assert (
        await send(signed_in, jwt.encode({"alg": "RS256", "kid": signer.key.kid}, dict(claims), signer.key))
        == 400
    )
    assert await signed_in.live() is not None
