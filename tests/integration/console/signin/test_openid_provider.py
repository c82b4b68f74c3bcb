"""Sign-in by an independent OpenID provider (Canaille, by pytest-iam): RS512, `aud` as a list, RFC 9207."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pytest_iam import Server

from console.admin.actor import Actor, ActorKind
from console.admin.connections import openid_provider
from console.admin.connections.openid_provider import NAMES_OF_OTHERS, NewProvider
from console.admin.errors import InvalidPolicy
from console.browser import SESSION_COOKIE
from console.signin.id_token import LOGOUT_EVENT
from store.records import ChangeHolder, DisableUser, GraphId, MarkUser, User
from tests.builders.sign_in_scene import SignInScene
from tests.builders.store_rows import create_user, perform

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
PROFILE = "https://people.contoso.example/4711"
OPERATOR = Actor(ActorKind.CLI, "ada")


@dataclass
class Provider:
    """The provider, Leaver's registration with it, and a person who is signed in there."""

    iam: Server
    client: Any
    subject: str


@pytest.fixture
def provider(iam_server: Server, scene: SignInScene) -> Iterator[Provider]:
    callback = f"{scene.base}/callback/login"
    with iam_server.app.app_context():
        client = iam_server.models.Client(
            client_id="leaver",
            client_secret="the-secret-of-leaver",
            client_name="Leaver",
            client_id_issued_at=datetime.now(UTC),
            redirect_uris=[callback],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile"],
            token_endpoint_auth_method="client_secret_basic",
        )
        iam_server.backend.save(client)
        client.audience = [client]
        iam_server.backend.save(client)
    person = iam_server.random_user(user_name="ann", profile_url=PROFILE)
    iam_server.login(person)
    iam_server.consent(person)
    yield Provider(iam_server, client, "ann")
    iam_server.logout()
    with iam_server.app.app_context():
        iam_server.backend.delete(client)
        iam_server.backend.delete(person)


async def use(scene: SignInScene, provider: Provider, link_claim: str | None = None) -> None:
    issuer = provider.iam.url.rstrip("/")
    wanted = NewProvider(issuer, "leaver", "the-secret-of-leaver", link_claim)
    await openid_provider.set_provider(scene.services, OPERATOR, scene.connection.id, wanted)


async def sign_in(scene: SignInScene, **changed: str | None) -> tuple[int, str]:
    """Goes to the provider, comes back with its answer (with some of it changed), and gives what is shown."""
    begun = await scene.browser.get(f"{scene.base}/login")
    assert begun.status == 303, begun.text
    answered = await scene.browser.follow(begun)
    assert answered.status in (302, 303), answered.text
    parts = urlsplit(answered.location)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changed
    kept = {name: value for name, value in query.items() if value is not None}
    page = await scene.browser.get(urlunsplit(parts._replace(query=urlencode(kept))))
    return page.status, page.text


async def account(scene: SignInScene, external_id: str = "E-4711") -> User:
    return await create_user(scene.database, scene.connection, "ann", externalId=external_id)


async def test_a_subject_that_an_administrator_linked_signs_in_until_access_ends(
    scene: SignInScene, provider: Provider
) -> None:
    """Issue 11: linked by (issuer, sub); nothing of a name or an address lets anyone in."""
    ann = await account(scene)
    await use(scene, provider)
    status, text = await sign_in(scene)
    assert (status, "no account" in text.lower()) == (403, True), text
    await openid_provider.link(scene.services, OPERATOR, scene.connection.id, ann.id, provider.subject)

    status, text = await sign_in(scene)
    assert status == 303, text

    session = await scene.live()
    assert session is not None
    assert (session.user_id, session.issuer_subject) == (ann.id, provider.subject)
    await perform(scene.database, scene.connection, DisableUser(ann.id))
    assert await scene.live() is None
    assert (await sign_in(scene))[0] == 403


async def test_a_link_opens_nothing_once_the_account_is_another_persons(
    scene: SignInScene, provider: Provider
) -> None:
    """I10: a link is of one holder."""
    ann = await account(scene)
    await use(scene, provider)
    await openid_provider.link(scene.services, OPERATOR, scene.connection.id, ann.id, provider.subject)
    assert (await sign_in(scene))[0] == 303
    await perform(scene.database, scene.connection, ChangeHolder(ann.id, GraphId("entra-ben")))
    assert (await sign_in(scene))[0] == 403


async def test_the_chosen_claim_links_at_the_first_sign_in_and_only_then(
    scene: SignInScene, provider: Provider
) -> None:
    """Issue 11: "at first sign-in through a verified claim chosen per connection"."""
    ann = await account(scene, external_id=PROFILE)
    await use(scene, provider, link_claim="employee_id")
    assert (await sign_in(scene))[0] == 403, "a claim that the provider does not send links no one"
    await use(scene, provider, link_claim="website")
    status, text = await sign_in(scene)
    assert status == 303, text
    session = await scene.live()
    assert session is not None
    assert session.user_id == ann.id
    await use(scene, provider)
    assert (await sign_in(scene))[0] == 303, "the link stays without the claim"
    for name in NAMES_OF_OTHERS:
        with pytest.raises(InvalidPolicy):
            await use(scene, provider, link_claim=name)


@pytest.mark.parametrize("why", ["another subject has it", "it has the mark admin", "it is protected"])
async def test_a_claim_that_people_write_themselves_takes_no_account_that_is_anothers_or_marked(
    scene: SignInScene, provider: Provider, why: str
) -> None:
    """Issue 11: a claim links at the first sign-in; W6: no mark goes along with a free text."""
    ann = await account(scene, external_id=PROFILE)
    await use(scene, provider, link_claim="website")
    if why == "another subject has it":
        await openid_provider.link(scene.services, OPERATOR, scene.connection.id, ann.id, "the-true-ann")
    else:
        marked = MarkUser(ann.id, is_admin="admin" in why or None, is_protected="protected" in why or None)
        await perform(scene.database, scene.connection, marked)
    assert (await sign_in(scene))[0] == 403
    assert await scene.live() is None
    await openid_provider.link(scene.services, OPERATOR, scene.connection.id, ann.id, provider.subject)
    assert (await sign_in(scene))[0] == 303, "an administrator's word opens it"


async def test_a_wrong_answer_of_the_provider_lets_no_one_in(scene: SignInScene, provider: Provider) -> None:
    """RFC 9207, state and code: one wrong part at a time.

    A made-up code is not among them: Canaille's database in memory looks codes up by code *or* client, and so gives
    tokens for one that it never issued. The client's wrong secret has its token endpoint refuse instead.
    """
    ann = await account(scene)
    await use(scene, provider)
    await openid_provider.link(scene.services, OPERATOR, scene.connection.id, ann.id, provider.subject)
    for changed in (
        {"iss": "https://evil.example"},
        {"state": "another"},
        {"code": None},
    ):
        assert (await sign_in(scene, **changed))[0] >= 400, changed
        assert await scene.live() is None
    issuer = provider.iam.url.rstrip("/")
    wrong = NewProvider(issuer, "leaver", "not-the-secret")
    await openid_provider.set_provider(scene.services, OPERATOR, scene.connection.id, wrong)
    assert (await sign_in(scene))[0] >= 400
    assert await scene.live() is None


async def test_without_a_provider_people_sign_in_by_entra_again(
    scene: SignInScene, provider: Provider
) -> None:
    await scene.account(scene.people[0])
    await use(scene, provider)
    assert await openid_provider.remove_provider(scene.services, OPERATOR, scene.connection.id)
    assert (await scene.sign_in(scene.people[0])).status == 303


# --- sign-out ---


def logout_token(provider: Provider, key: RSAKey, **changed: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": provider.iam.url.rstrip("/"),
        "aud": ["leaver"],
        "iat": now,
        "exp": now + 120,
        "jti": str(uuid.uuid4()),
        "sub": provider.subject,
        "events": {LOGOUT_EVENT: {}},
        **changed,
    }
    return jwt.encode({"alg": "RS256", "typ": "logout+jwt", "kid": key.kid}, claims, key)


async def test_a_logout_token_of_the_provider_ends_its_subjects_sessions(
    scene: SignInScene, provider: Provider
) -> None:
    """OpenID Connect Back-Channel Logout: by the provider's own key, for its own subject, this client."""
    ann = await account(scene)
    await use(scene, provider)
    await openid_provider.link(scene.services, OPERATOR, scene.connection.id, ann.id, provider.subject)
    assert (await sign_in(scene))[0] == 303
    own = RSAKey.import_key(provider.iam.app.config["CANAILLE_OIDC"]["ACTIVE_JWKS"][0])
    stranger = RSAKey.generate_key(2048, {"kid": str(own.kid)})
    other = scene.another_browser()

    async def send(token: str) -> int:
        url = f"{scene.base}/logout/back"
        page = await other.post(url, headers={"Sec-Fetch-Site": "cross-site"}, form={"logout_token": token})
        return page.status

    entra = scene.simulator.simulation.authority.signer.key
    for wrong in (
        logout_token(provider, stranger),
        logout_token(provider, own, iss="https://evil.example"),
        logout_token(provider, own, aud="another"),
        logout_token(provider, RSAKey.import_key(entra.as_dict(private=True))),
    ):
        assert await send(wrong) == 400
    assert await send(logout_token(provider, own, sub="another")) == 200, "a good token about someone else"
    assert await scene.live() is not None
    assert await send(logout_token(provider, own)) == 200
    assert await scene.live() is None


async def test_signing_out_leads_to_the_providers_own_sign_out(
    scene: SignInScene, provider: Provider
) -> None:
    """RP-Initiated Logout 1.0 §2: the provider knows which application asks, and asks the person first."""
    ann = await account(scene)
    await use(scene, provider)
    await openid_provider.link(scene.services, OPERATOR, scene.connection.id, ann.id, provider.subject)
    assert (await sign_in(scene))[0] == 303

    page = await scene.browser.post(f"{scene.base}/logout")

    assert scene.browser.cookie(scene.url, SESSION_COOKIE) is None
    [link] = [unescape(each) for each in re.findall(r'href="([^"]+)"', page.text) if "end_session" in each]
    asked = await scene.browser.get(link)
    assert (asked.status, "Leaver" in asked.text) == (200, True), asked.text
    done = await scene.browser.post(link, form={"answer": "logout"})
    assert done.status in (200, 302), done.text


async def test_the_providers_sign_out_ends_the_session_here_by_the_front_channel(scene: SignInScene) -> None:
    """Front-Channel Logout §2: `sid` in a frame, with `iss` or without; the simulator is the provider here."""
    ann = await scene.account(scene.people[0])
    authority = scene.simulator.simulation.authority
    issuer = f"{scene.simulator.login_url}/{scene.simulator.directory.entra_tenant_id}/v2.0"
    registration = authority.registration
    wanted = NewProvider(issuer, registration.client_id, next(iter(registration.secrets)), "oid")
    await openid_provider.set_provider(scene.services, OPERATOR, scene.connection.id, wanted)
    registration.logout_url = f"{scene.base}/logout/front"
    assert (await scene.sign_in(scene.people[0])).status == 303
    session = await scene.live()
    assert session is not None
    assert (session.user_id, session.issuer) == (ann.id, issuer)
    signed_out = await scene.browser.get(issuer.replace("/v2.0", "/oauth2/v2.0/logout"))
    [framed] = [unescape(each) for each in re.findall(r'<iframe src="([^"]+)"', signed_out.text)]
    stranger = scene.another_browser()

    for wrong in (f"{framed}x", f"{framed}&iss=https://evil.example", f"{framed}&{framed.partition('?')[2]}"):
        assert (await stranger.get(wrong)).status == 200
        assert await scene.live() is not None, wrong
    assert (await stranger.get(f"{framed}&{urlencode({'iss': issuer})}")).status == 200
    assert await scene.live() is None
