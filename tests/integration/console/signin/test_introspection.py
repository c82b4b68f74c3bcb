"""What the vendor's app is told about a session (RFC 7662), from the commit on that ends it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from console.browser import SESSION_COOKIE
from console.signin.introspection import INTROSPECTION
from simulator.faults import parse_fault
from store.directory import sessions
from store.integration import operator_tokens
from store.keys import utc_now
from store.records import Ceilings, ChangeHolder, DisableUser, GraphId, Origin, Session, SessionTerms
from store.tenancy import api_tokens, connections, tenants
from tests.builders.sign_in_scene import SignInScene
from tests.builders.store_rows import create_user, perform

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
APP = ("admin:session:introspect",)


async def token_of(scene: SignInScene, permissions: Sequence[str] = APP) -> str:
    place = scene.connection.tenant_id, scene.connection.id
    _, secret = await scene.database.write(lambda conn: api_tokens.create(conn, *place, "app", permissions))
    return secret


async def ask(
    scene: SignInScene, token: str, form: dict[str, str] | bytes, **headers: str
) -> tuple[int, dict[str, Any]]:
    sent = {"Authorization": f"Bearer {token}", **headers}
    async with scene.browser.http.post(f"{scene.url}/oauth/introspect", data=form, headers=sent) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def test_the_app_learns_whose_session_it_is_until_access_ends(scene: SignInScene) -> None:
    """Issue 11: "active only if holder number and period hold"; a dead one is told by nothing but that."""
    account = await scene.account(scene.people[0])
    assert (await scene.sign_in(scene.people[0])).status == 303
    secret, token = str(scene.browser.cookie(scene.url, SESSION_COOKIE)), await token_of(scene)

    status, answer = await ask(scene, token, {"token": secret, "token_type_hint": "access_token"})

    session = await scene.live()
    assert session is not None
    assert (status, answer["active"], answer["sub"], answer["holder"]) == (200, True, account.id, 1)
    assert (answer["sid"], answer["username"], answer["iss"]) == (session.id, account.user_name, scene.url)
    assert answer["exp"] == int(session.idle_until.timestamp())
    assert secret not in str(answer)
    encoded = f"token=%{ord(secret[0]):x}{secret[1:]}".encode()
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, is_live in ((encoded, True), (b"token=" + secret.encode(), True), (encoded + b"+", False)):
        assert (await ask(scene, token, body, **sent))[1]["active"] is is_live, body
    await perform(scene.database, scene.connection, DisableUser(account.id))
    assert await ask(scene, token, {"token": secret}) == (200, {"active": False})


async def test_a_change_of_holder_is_the_end_of_the_session_in_the_answer(scene: SignInScene) -> None:
    """W3, W7: one credential, one holder, one period."""
    account = await scene.account(scene.people[0])
    _, secret = await scene.database.write(lambda conn: sessions.start(conn, account.tenant_id, account.id))
    token = await token_of(scene)
    assert (await ask(scene, token, {"token": secret}))[1]["active"]
    change = ChangeHolder(account.id, GraphId(scene.people[1]))
    await perform(scene.database, scene.connection, change, origin=Origin.GRAPH)
    assert await ask(scene, token, {"token": secret}) == (200, {"active": False})


@on_sqlite
async def test_another_tenants_app_learns_nothing(scene: SignInScene) -> None:
    """I5: a live session of another tenant is answered like one that never was."""
    _, secret = await _session_of_another_tenant(scene)
    assert await ask(scene, await token_of(scene), {"token": secret}) == (200, {"active": False})


@on_sqlite
async def test_only_an_app_with_the_permission_may_ask(scene: SignInScene) -> None:
    """401 is about the caller, 403 names the permission; nothing is said about the session."""
    form = {"token": "unknown"}
    assert (await ask(scene, "no-such-token", form))[0] == 401
    status, answer = await ask(scene, await token_of(scene, ["admin:user:*", "admin:session:read"]), form)
    assert (status, answer["error_description"]) == (403, "The token lacks admin:session:introspect.")
    assert await ask(scene, await token_of(scene, ["admin:session:*"]), form) == (200, {"active": False})
    basic = {"Authorization": _basic(scene.connection.id, await token_of(scene))}
    assert await ask(scene, "", form, **basic) == (200, {"active": False})
    assert (await ask(scene, "", form, Authorization=_basic("another", await token_of(scene))))[0] == 401


@on_sqlite
async def test_an_operators_token_asks_about_the_sessions_of_all_tenants(scene: SignInScene) -> None:
    """An app that serves every customer has one token; revoked or without the permission it learns nothing."""
    account = await scene.account(scene.people[0])
    _, secret = await scene.database.write(lambda conn: sessions.start(conn, account.tenant_id, account.id))
    _, theirs = await _session_of_another_tenant(scene)
    token, operator = await scene.database.write(lambda conn: operator_tokens.create(conn, "app", APP))
    headers: tuple[dict[str, str], ...] = ({}, {"Authorization": _basic(scene.connection.id, operator)})

    for each in headers:
        answers = [(await ask(scene, operator, {"token": one}, **each))[1] for one in (secret, theirs, "x")]
        assert [answer["active"] for answer in answers] == [True, True, False]
        assert answers[0]["tenant"] != answers[1]["tenant"]

    scene.app[INTROSPECTION].callers.memory_s = 0
    await scene.database.write(lambda conn: operator_tokens.revoke(conn, token))
    status, answer = await ask(scene, operator, {"token": secret})
    assert (status, answer["error_description"]) == (403, "The operator's token 'app' was revoked.")
    _, reader = await scene.database.write(
        lambda conn: operator_tokens.create(conn, "r", ["admin:user:read"])
    )
    assert (await ask(scene, reader, {"token": secret}))[0] == 403


async def _session_of_another_tenant(scene: SignInScene) -> tuple[Session, str]:
    other = await scene.database.write(lambda conn: tenants.create(conn, "Fabrikam"))
    theirs = await scene.database.write(lambda conn: connections.create(conn, other.id, "Entra"))
    ben = await create_user(scene.database, theirs, "ben")
    return await scene.database.write(lambda conn: sessions.start(conn, other.id, ben.id))


def _basic(client_id: str, secret: str) -> str:
    return f"Basic {b64encode(f'{client_id}:{secret}'.encode()).decode()}"


@on_sqlite
async def test_more_questions_than_allowed_are_told_when_to_come_back(scene: SignInScene) -> None:
    """RFC 7662 §4: one app's flood is answered with 429, and another app's questions go on."""
    rate = scene.app[INTROSPECTION].rate
    rate.limits = replace(rate.limits, requests_per_s=0.5, burst=3)
    flooding, other = await token_of(scene), await token_of(scene)
    answers = [(await ask(scene, flooding, {"token": "unknown"}))[0] for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]
    assert await ask(scene, other, {"token": "unknown"}) == (200, {"active": False})


@on_sqlite
async def test_a_paused_connection_still_answers_the_app(scene: SignInScene) -> None:
    """A pause stops push and pull; people who work go on."""
    account = await scene.account(scene.people[0])
    _, secret = await scene.database.write(lambda conn: sessions.start(conn, account.tenant_id, account.id))
    token = await token_of(scene)
    place = account.tenant_id, account.connection_id
    await scene.database.write(lambda conn: connections.pause(conn, *place, "why"))
    assert (await ask(scene, token, {"token": secret}))[1]["active"]


@on_sqlite
async def test_what_is_no_request_is_refused_by_name(scene: SignInScene) -> None:
    """A repeated parameter, a missing token and an odd age are errors, never a guess."""
    token = await token_of(scene)
    for body, why in (
        ("", "token is missing"),
        ("token=", "token is missing"),
        ("token=a&token=b", "repeated"),
        ("token=a&max_age_s=soon", "max_age_s"),
        ("token=a&max_age_s=nan", "max_age_s"),
        ("token=a&max_age_s=0", "max_age_s"),
    ):
        async with scene.browser.http.post(
            f"{scene.url}/oauth/introspect", data=body, headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            assert answer.status == 400, body
            assert why in (await answer.json())["error_description"]


@on_sqlite
async def test_a_used_session_stays_and_its_use_is_written_now_and_then(scene: SignInScene) -> None:
    """Idle end: the app's questions are the use of a session; they are written many at a time."""
    account = await scene.account(scene.people[0])
    long_ago = utc_now() - timedelta(minutes=50)
    terms = SessionTerms(idle_s=3600)
    session, secret = await scene.database.write(
        lambda conn: sessions.start(conn, account.tenant_id, account.id, terms=terms, now=long_ago)
    )
    assert (await ask(scene, await token_of(scene), {"token": secret}))[1]["active"]
    await scene.app[INTROSPECTION].desk.write_seen()
    async with scene.database.reading() as conn:
        seen = await sessions.get(conn, account.tenant_id, session.id)
    assert seen is not None
    assert seen.idle_until > session.idle_until + timedelta(minutes=45)


# --- how old the proof is ---


@on_sqlite
async def test_an_old_proof_is_renewed_at_graph_for_this_one_person(scene: SignInScene) -> None:
    """Issue 11: "older means Leaver asks Graph for this one person first, within a time limit"."""
    account = await scene.account(scene.people[0])
    _, secret = await scene.database.write(lambda conn: sessions.start(conn, account.tenant_id, account.id))
    token = await token_of(scene)
    assert (await ask(scene, token, {"token": secret}))[1]["proof_age_s"] is None

    _, answer = await ask(scene, token, {"token": secret, "max_age_s": "60"})

    assert answer["active"]
    assert 0 <= answer["proof_age_s"] < 60
    before = len(scene.simulator.simulation.requests)
    assert (await ask(scene, token, {"token": secret, "max_age_s": "60"}))[1]["active"]
    assert len(scene.simulator.simulation.requests) == before, "a young proof costs no request"


@on_sqlite
async def test_a_leaver_is_out_in_the_answer_that_asked_graph(scene: SignInScene) -> None:
    """The app that accepts no old proof hears of a leaver before the next cycle."""
    me = scene.people[0]
    account = await scene.account(me)
    _, secret = await scene.database.write(lambda conn: sessions.start(conn, account.tenant_id, account.id))
    token = await token_of(scene)
    scene.simulator.directory.change_user(me, {"accountEnabled": False})
    assert (await ask(scene, token, {"token": secret}))[1]["active"], "nothing has been read since"

    assert await ask(scene, token, {"token": secret, "max_age_s": "1"}) == (200, {"active": False})


@on_sqlite
async def test_asking_about_everyone_is_no_way_around_the_ceilings(scene: SignInScene) -> None:
    """design.md §5, rule 3: the app's questions count; above the ceiling the proof stays old and access stays."""
    token, secrets = await token_of(scene), []
    policy = replace(scene.connection.policy, ceilings=Ceilings(floor=1))
    place = scene.connection.tenant_id, scene.connection.id
    await scene.database.write(lambda conn: connections.set_policy(conn, *place, policy))
    for number, me in enumerate(scene.people[:2]):
        user = await create_user(scene.database, scene.connection, f"p{number}", externalId=me)
        link = ChangeHolder(user.id, GraphId(me))
        await perform(scene.database, scene.connection, link, origin=Origin.GRAPH, actor="test")
        secrets.append(
            (await scene.database.write(lambda conn, u=user: sessions.start(conn, u.tenant_id, u.id)))[1]  # type: ignore[misc]
        )
        scene.simulator.directory.change_user(me, {"accountEnabled": False})

    answers = [(await ask(scene, token, {"token": each, "max_age_s": "1"}))[1] for each in secrets]

    assert [answer["active"] for answer in answers] == [False, True]
    assert answers[1]["proof_age_s"] is None


@on_sqlite
async def test_an_entra_that_does_not_answer_delays_no_app_for_long(scene: SignInScene) -> None:
    """Within the time limit the answer comes, with the age of the proof as it is."""
    account = await scene.account(scene.people[0])
    _, secret = await scene.database.write(lambda conn: sessions.start(conn, account.tenant_id, account.id))
    scene.app[INTROSPECTION].desk.within_s = 0.02
    scene.simulator.simulation.faults.arm(parse_fault({"match": ".*", "delay_s": 0.1}))
    _, answer = await ask(scene, await token_of(scene), {"token": secret, "max_age_s": "1"})
    assert (answer["active"], answer["proof_age_s"]) == (True, None)
    scene.simulator.simulation.faults.clear()
