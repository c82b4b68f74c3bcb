"""Sign-in through a simulated directory, with the real msal: who is let in, and every way that must fail."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import pytest
from sqlalchemy import update

from console.admin.services import Services
from console.browser import BROWSER_COOKIE, SESSION_COOKIE
from simulator.faults import Fault, parse_fault
from simulator.login.id_token_faults import NAMES
from store import tables
from store.directory import receipts, users
from store.keys import utc_now
from store.records import (
    ChangeUser,
    CreateUser,
    DisableUser,
    Document,
    GraphId,
    HolderBasis,
    LinkUser,
    Origin,
    User,
)
from store.tenancy import connections
from tests.builders.sign_in_scene import SignInScene
from tests.builders.store_rows import create_user, perform, person, setting

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
"""What is tested here does not depend on the database."""


async def reread(scene: SignInScene, user: User) -> User:
    async with scene.database.reading() as conn:
        return await users.get(conn, user.tenant_id, user.id)


async def test_a_person_signs_in_by_object_id_and_is_out_with_the_access(scene: SignInScene) -> None:
    """Seed 000: "Their sessions are revoked and they can no longer sign in."; design.md §8."""
    me = scene.people[0]
    account = await scene.account(me)

    page = await scene.sign_in(me, return_to="/reports?year=2026")

    assert (page.status, page.headers["Location"]) == (303, "/reports?year=2026")
    session = await scene.live()
    assert session is not None
    assert (session.user_id, session.issuer, session.created_from) == (
        account.id,
        f"{scene.simulator.login_url}/{scene.simulator.directory.entra_tenant_id}/v2.0",
        "127.0.0.1",
    )
    assert (session.expires_at - session.created_at).total_seconds() == 8 * 3600
    assert (session.idle_until - session.created_at).total_seconds() == 3600
    shown = await scene.browser.get(f"{scene.base}/session")
    assert "ann@contoso.example" in shown.text

    await perform(scene.database, scene.connection, DisableUser(account.id))

    assert await scene.live() is None
    assert (await scene.browser.get(f"{scene.base}/session")).status == 303
    refused = await scene.sign_in(me)
    assert refused.status == 403
    assert "Your access has ended" in refused.text
    async with scene.database.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, account.tenant_id, account.id)
    assert [each["id"] for each in receipt.ended] == [session.id]


async def test_a_name_lets_no_one_in(scene: SignInScene) -> None:
    """nOAuth: an account with the person's e-mail and userName, of another object id or of none, is not theirs."""
    me, other = scene.people[:2]
    entra = scene.simulator.directory.users[me]
    names: Document = {
        "userName": entra.user_principal_name,
        "emails": [{"type": "work", "value": entra.text("mail")}],
    }
    [unproven] = await perform(scene.database, scene.connection, CreateUser({**person("x"), **names}))
    assert isinstance(unproven.record, User)

    refused = await scene.sign_in(me)
    assert (refused.status, await scene.live()) == (403, None)
    assert "There is no account for you here yet" in refused.text

    await perform(
        scene.database,
        scene.connection,
        LinkUser(unproven.record.id, GraphId(other), basis=HolderBasis.PROOF),
    )
    assert (await scene.sign_in(me)).status == 403
    assert await scene.live() is None


async def test_the_object_id_that_the_push_sent_is_a_proof(scene: SignInScene) -> None:
    """identity.md: an externalId mapped from objectId proves the person, and the sign-in links the account."""
    me = scene.people[0]
    [made] = await perform(scene.database, scene.connection, CreateUser(person("ann", externalId=me.upper())))
    assert isinstance(made.record, User)

    assert (await scene.sign_in(me)).status == 303

    linked = await reread(scene, made.record)
    assert (linked.entra_object_id, linked.holder_basis) == (me, HolderBasis.PROOF)
    assert linked.directory_id == scene.simulator.directory.entra_tenant_id


async def test_the_same_person_lifts_the_seal_and_another_does_not(scene: SignInScene) -> None:
    """W5: "The same person seen again (pull by object id, or sign-in) unseals it; another is W3"."""
    me, other = scene.people[:2]
    account = await scene.account(me)
    await perform(scene.database, scene.connection, DisableUser(account.id))
    await perform(scene.database, scene.connection, ChangeUser(account.id, setting(active=True)))
    assert (await reread(scene, account)).sealed_at is not None

    assert (await scene.sign_in(other, browser=scene.another_browser())).status == 403
    assert (await reread(scene, account)).sealed_at is not None
    assert (await scene.sign_in(me)).status == 303

    assert (await reread(scene, account)).sealed_at is None


async def test_a_sealed_account_that_the_push_gave_away_is_the_new_persons(scene: SignInScene) -> None:
    """W3: the push wrote B's object id; once A is gone, B's sign-in is the proof: every key of A ends for good."""
    first, second = scene.people[:2]
    account = await scene.account(first, externalId=first)
    old = scene.another_browser()
    assert (await scene.sign_in(first, browser=old)).status == 303
    await perform(scene.database, scene.connection, ChangeUser(account.id, setting(externalId=second)))
    assert await scene.live(old) is None
    contested = await scene.sign_in(first, browser=old)
    assert contested.status == 403
    assert "being checked" in contested.text
    living = await scene.sign_in(second, browser=scene.another_browser())
    assert (living.status, "being checked" in living.text) == (403, True), "Graph still calls A alive"
    untouched = await reread(scene, account)
    assert (untouched.entra_object_id, untouched.sealed_at is not None) == (first, True)
    await _read_without_holder(scene, account)

    assert (await scene.sign_in(second)).status == 303

    now = await reread(scene, account)
    assert (now.entra_object_id, now.holder_number, now.sealed_at) == (second, 2, None)
    session = await scene.live()
    assert session is not None
    assert session.holder_number == 2
    assert (await scene.sign_in(first, browser=old)).status == 403


async def test_who_signs_in_is_the_holder_by_proof_from_then_on(scene: SignInScene) -> None:
    """identity.md: names linked the account; the oid of a sign-in says more, and is noted once."""
    me = scene.people[0]
    account = await scene.account(me)
    by_names = update(tables.users).where(tables.users.c.id == account.id)
    await scene.database.write(
        lambda conn: conn.execute(by_names.values(holder_basis=HolderBasis.NAMES.value))
    )

    assert (await scene.sign_in(me)).status == 303
    proved = await reread(scene, account)
    assert (await scene.sign_in(me)).status == 303

    assert (proved.holder_basis, proved.entra_object_id) == (HolderBasis.PROOF, me)
    assert (await reread(scene, account)).version == proved.version


async def test_a_sealed_account_of_which_no_holder_is_known_is_handed_over_without_what_was_left(
    scene: SignInScene,
) -> None:
    """W6: the push wrote one person's object id, then another's, and nobody had signed in between."""
    first, second = scene.people[:2]
    account = await create_user(scene.database, scene.connection, "ann", externalId=first)
    await perform(scene.database, scene.connection, ChangeUser(account.id, setting(externalId=second)))

    assert (await scene.sign_in(second)).status == 303

    now = await reread(scene, account)
    assert (now.entra_object_id, now.holder_number, now.sealed_at) == (second, 2, None)


async def _read_without_holder(scene: SignInScene, account: User) -> None:
    """A whole reading of Graph did not find the account's holder."""
    noted = update(tables.users).where(tables.users.c.id == account.id).values(holder_seen_at=utc_now())
    await scene.database.write(lambda conn: conn.execute(noted))


async def test_an_account_of_a_living_holder_is_given_to_no_one_by_sign_in(scene: SignInScene) -> None:
    """W1: two people claim one account that is not sealed: that is for the pull and an administrator."""
    first, second = scene.people[:2]
    account = await scene.account(first)
    await perform(
        scene.database,
        scene.connection,
        ChangeUser(account.id, setting(externalId=second)),
        origin=Origin.CONSOLE,
    )
    refused = await scene.sign_in(second)
    assert refused.status == 403
    assert "being checked" in refused.text


async def test_a_wrong_id_token_lets_no_one_in(scene: SignInScene) -> None:
    """Issue 11: "wrong issuer, key, audience"; each arrives through the real token endpoint and the real msal."""
    me = scene.people[0]
    await scene.account(me)
    for fault in sorted(NAMES - {"replay"}):
        scene.simulator.simulation.faults.clear()
        scene.simulator.simulation.faults.arm(_fault(fault))

        refused = await scene.sign_in(me)

        assert (refused.status, await scene.live()) == (403, None), fault
        assert scene.browser.cookie(scene.url, SESSION_COOKIE) is None
        other = "another organisation" if fault == "another_tenant" else "was not accepted"
        assert other in refused.text, fault


def _fault(name: str) -> Fault:
    return parse_fault({"match": "POST .*/token", "id_token": name})


async def test_an_earlier_id_token_is_not_accepted_again(scene: SignInScene) -> None:
    """Replay: a token is good for the one sign-in whose nonce it carries."""
    me = scene.people[0]
    await scene.account(me)
    assert (await scene.sign_in(me)).status == 303
    scene.simulator.simulation.faults.arm(_fault("replay"))
    assert (await scene.sign_in(me, browser=scene.another_browser())).status == 403


async def test_an_answer_is_good_once(scene: SignInScene) -> None:
    """Replay: the row of a sign-in is used once, whatever the provider thinks of the code."""
    me = scene.people[0]
    await scene.account(me)
    answer = await scene.answer(me)
    kept = dict(scene.browser.cookies)
    assert (await scene.browser.follow(answer)).status == 303
    scene.browser.cookies = kept

    again = await scene.browser.follow(answer)

    assert again.status == 400
    assert "This sign-in is over" in again.text


async def test_an_answer_opens_nothing_in_another_browser(scene: SignInScene) -> None:
    """Login CSRF and stolen callback URLs: the state is bound to the browser that began."""
    me, victim = scene.people[0], scene.another_browser()
    await scene.account(me)
    answer = await scene.answer(me)
    assert (await victim.follow(answer)).status == 400
    await victim.get(
        f"{scene.base}/login?login_hint={scene.people[1]}"
    )  # has a sign-in of its own in progress
    assert (await victim.follow(answer)).status == 400
    assert await scene.live(victim) is None
    assert (await scene.browser.follow(answer)).status == 303, "and is not spoilt by the attempt"


async def test_a_swapped_state_opens_nothing(scene: SignInScene) -> None:
    """The code of one sign-in with the state of another: PKCE and nonce belong to one of them."""
    me, attacker = scene.people[0], scene.another_browser()
    await scene.account(me)
    mine, theirs = await scene.answer(me), await scene.answer(scene.people[1], browser=attacker)
    code = dict(part.split("=") for part in urlsplit(theirs.location).query.split("&"))["code"]
    state = dict(part.split("=") for part in urlsplit(mine.location).query.split("&"))["state"]

    swapped = await scene.browser.get(
        f"{scene.base}/callback/login?{urlencode({'code': code, 'state': state})}"
    )

    assert (swapped.status, await scene.live()) == (403, None)


async def test_an_answer_of_another_connection_is_refused(scene: SignInScene) -> None:
    """Mix-up: the row names its connection, and `iss` in the answer must be its issuer (RFC 9207)."""
    me = scene.people[0]
    await scene.account(me)
    answer = await scene.answer(me)
    query = urlsplit(answer.location).query
    second = await scene.database.write(
        lambda conn: connections.create(conn, scene.connection.tenant_id, "Second")
    )
    elsewhere = await scene.browser.get(f"{scene.url}/v1/admin/openid/{second.id}/callback/login?{query}")
    assert elsewhere.status == 400
    assert (await scene.browser.get(f"{answer.location}&iss=https://evil.example")).status == 403
    assert await scene.live() is None


async def test_a_session_that_was_there_before_is_not_taken_over(scene: SignInScene) -> None:
    """Session fixation: sign-in makes a new secret, and the one the browser had before ends."""
    first, second = scene.people[:2]
    await scene.account(first)
    assert (await scene.sign_in(first)).status == 303
    planted = scene.browser.cookie(scene.url, SESSION_COOKIE)
    thief = scene.another_browser()
    thief.cookies = {host: dict(jar) for host, jar in scene.browser.cookies.items()}
    command = CreateUser(person("ben"), entra_object_id=GraphId(second))
    await perform(scene.database, scene.connection, command)

    assert (await scene.sign_in(second)).status == 303

    assert scene.browser.cookie(scene.url, SESSION_COOKIE) not in (None, planted)
    assert await scene.live(thief) is None
    scene.browser.cookies[urlsplit(scene.url).netloc][SESSION_COOKIE] = "chosen-by-the-attacker"
    assert (await scene.sign_in(second)).status == 303
    assert scene.browser.cookie(scene.url, SESSION_COOKIE) != "chosen-by-the-attacker"


OTHER_HOSTS = (
    *(
        "//evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "javascript:alert(1)",
    ),
    *("evil.example", "%2F%2Fevil.example", "/%0d%0aSet-Cookie:x=y", "http:/evil.example"),
)


async def test_sign_in_returns_within_this_host_only(scene: SignInScene) -> None:
    """Open redirect: anything but a path of ours is dropped, and the person lands on the own page."""
    me = scene.people[0]
    await scene.account(me)
    for target in OTHER_HOSTS:
        page = await scene.sign_in(me, return_to=target)
        assert page.headers["Location"] == f"/v1/admin/openid/{scene.connection.id}/session", target


async def test_missing_consent_has_a_page_that_names_the_click(scene: SignInScene) -> None:
    """Issue 11: "refused with a page that says what to do when … consent is missing"."""
    scene.simulator.simulation.authority.registration.sign_in_consent = False
    await scene.account(scene.people[0])
    page = await scene.sign_in(scene.people[0])
    assert page.status == 403
    assert "Grant admin consent" in page.text


async def test_a_provider_that_is_away_is_no_ones_fault(scene: SignInScene) -> None:
    """A directory that does not answer gives a page that says so, and starts nothing."""
    scene.simulator.simulation.faults.arm(_away())
    page = await scene.browser.get(f"{scene.base}/login")
    assert page.status == 503
    assert "Nothing is wrong with your account" in page.text


def _away() -> Fault:
    return parse_fault({"match": "openid-configuration", "status": 503})


async def test_unknown_connections_and_endless_attempts_are_refused(scene: SignInScene) -> None:
    """No row and no request to a provider for an unknown id; one address begins 60 sign-ins a minute."""
    assert (await scene.browser.get(f"{scene.url}/v1/admin/openid/nothing/login")).status == 404
    assert (await scene.browser.get(f"{scene.url}/v1/admin/openid/Entra/login")).status == 404, (
        "a name is no id"
    )
    state = scene.services
    assert isinstance(state, Services)
    statuses = [
        (await scene.browser.get(f"{scene.url}/v1/admin/openid/nothing/login")).status for _ in range(60)
    ]
    assert statuses[-1] == 429
    assert scene.browser.cookie(scene.url, BROWSER_COOKIE) is None
