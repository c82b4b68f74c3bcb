"""Whatever goes wrong while Graph is read, the snapshot says so and never shows fewer people as all."""

import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from store.records import GraphId
from tests.builders.graph_reading import HURRIED, LEAST, Reading, list_named, reading, unfinished
from worker.graph.errors import ApplicationNotFound, ConnectionFault, ConsentMissing, ServiceFault, Throttled
from worker.graph.graph_query import GraphQuery
from worker.graph.read import pages
from worker.reconcile.completeness import gaps
from worker.reconcile.snapshot import Snapshot

PAGE = 999
"""The users are read without their managers, which would cap a page at 100."""
SECOND_PAGE = r"GET /v1.0/users\?.*skiptoken"


def is_whole(run: Reading, snapshot: Snapshot) -> bool:
    return gaps(snapshot, run.connection.policy.scope) == ()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_page_that_fails_for_good_leaves_the_list_unfinished(status: int) -> None:
    """Disaster 1: one page answered 503, was read as empty, users were deleted."""
    async with reading(users=1200) as run:
        run.break_down(match=SECOND_PAGE, status=status)
        snapshot = await run.snapshot()
        users = list_named(snapshot, "users")
        assert (users.pages, users.items, users.finished) == (1, PAGE, False)
        assert str(status) in users.detail
        assert [read.name for read in unfinished(snapshot)] == ["users"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_page_that_fails_once_is_read_again(status: int) -> None:
    async with reading(users=1200) as run:
        run.break_down(match=SECOND_PAGE, status=status, times=1)
        snapshot = await run.snapshot()
        assert is_whole(run, snapshot)
        assert len(snapshot.users) == 1200


async def test_a_fractional_retry_after_is_waited_for() -> None:
    """SDK trap: kiota's retry handler crashes on `Retry-After: 2.128`, Microsoft's own sample."""
    async with reading() as run:
        run.break_down(match=r"GET /v1.0/users\?", status=429, headers={"Retry-After": "0.25"}, times=1)
        started = time.monotonic()
        snapshot = await run.snapshot()
        assert is_whole(run, snapshot)
        assert time.monotonic() - started >= 0.25


async def test_empty_pages_with_a_next_link_are_followed() -> None:
    """Disaster 6 and SDK trap: PageIterator stops at the first empty page although a next link is there."""
    async with reading(users=1200) as run:
        run.simulator.simulation.behaviour.empty_pages = (1, 2)
        snapshot = await run.snapshot()
        assert len(snapshot.users) == 1200
        assert list_named(snapshot, "users").pages == 2 + -(-1200 // PAGE)
        assert is_whole(run, snapshot)


async def test_there_is_no_cap() -> None:
    """Disaster 3: a reader stopped at 10,000, everyone past it counted as gone."""
    async with reading(users=10_500, groups=2) as run:
        snapshot = await run.snapshot()
        assert len(snapshot.users) == 10_500
        assert is_whole(run, snapshot)


async def test_people_missing_from_a_good_answer_are_noticed_by_the_count() -> None:
    """Disaster 2: the directory answered 200 with people missing."""
    async with reading(users=300) as run:
        run.break_down(match=r"GET /v1.0/users\?", drop_fraction=0.2)
        snapshot = await run.snapshot()
        users = list_named(snapshot, "users")
        assert not users.finished
        assert users.expected_items == 300
        assert users.items < 300


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="200 with an empty object"),
        pytest.param({"value": None}, id="null"),
        pytest.param("<html>maintenance</html>", id="html"),
        pytest.param("", id="nothing"),
        pytest.param('{"value": [', id="cut off"),
        pytest.param("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), id="no text"),
    ],
)
@pytest.mark.parametrize(
    "part", [r"users\?", "appRoleAssignedTo", "deletedItems", r"groups/[^/]+/members", r"groups/[^/]+\?"]
)
async def test_a_malformed_answer_is_a_named_fault(part: str, body: Any) -> None:
    """Issue 3, bad input: "malformed JSON, wrong types, missing ids: ends in a named state"."""
    async with reading() as run:
        run.break_down(match=rf"GET /v1.0/(.*/)?{part}", status=200, body=body)
        snapshot = await run.snapshot()
        assert not is_whole(run, snapshot)
        assert all(read.detail for read in unfinished(snapshot))


@pytest.mark.parametrize("part", [r"users\?", "appRoleAssignedTo"])
@pytest.mark.parametrize("row", [{"id": 7}, {"accountEnabled": True}, "nobody"])
async def test_a_list_in_which_no_row_has_an_id_is_a_named_fault(part: str, row: Any) -> None:
    """One such row is left out; a list of nothing else is not the list that was asked for."""
    async with reading() as run:
        run.break_down(match=rf"GET /v1.0/(.*/)?{part}", status=200, body={"value": [row]})
        snapshot = await run.snapshot()
        assert not is_whole(run, snapshot)
        assert all(read.detail for read in unfinished(snapshot))


@pytest.mark.parametrize("fault", [{"reset": True}, {"truncate": 0.5}], ids=["reset", "truncated"])
async def test_half_an_answer_is_no_answer(fault: dict[str, Any]) -> None:
    """Issue 3, bad input: a connection reset in mid-body."""
    async with reading(users=1200) as run:
        run.break_down(match=SECOND_PAGE, **fault)
        snapshot = await run.snapshot()
        assert [read.name for read in unfinished(snapshot)] == ["users"]
        assert len(snapshot.users) == PAGE


async def test_an_answer_that_breaks_off_once_is_read_again() -> None:
    async with reading(users=1200) as run:
        run.break_down(match=SECOND_PAGE, reset=True, times=1)
        snapshot = await run.snapshot()
        assert is_whole(run, snapshot)


async def test_a_page_that_trickles_is_given_up() -> None:
    """Issue 3, bad input: pages that trickle. Bytes keep coming, so no idle timeout strikes; the whole answer has one."""
    async with reading(retry=replace(HURRIED, answer_within_s=1.0, attempts=2)) as run:
        run.break_down(match=r"GET /v1.0/users\?", trickle_s=0.1)
        snapshot = await run.snapshot()
        users = list_named(snapshot, "users")
        assert (users.finished, users.items) == (False, 0)
        assert "TimeoutError" in users.detail
        assert [read.name for read in unfinished(snapshot)] == ["users"]
        assert not is_whole(run, snapshot)


async def test_a_batch_that_trickles_leaves_its_lists_unfinished() -> None:
    """The members of every group, and the canary, come by batches: none of them is taken for read."""
    async with reading(retry=replace(HURRIED, answer_within_s=1.0, attempts=2)) as run:
        run.break_down(match=r"\$batch", trickle_s=0.1)
        snapshot = await run.snapshot()
        assert not snapshot.completeness.canary_read
        assert {read.name.partition(":")[0] for read in unfinished(snapshot)} == {
            "members",
            "group",
            "managers",
        }


@pytest.mark.parametrize("part", ["openid-configuration", "oauth2/v2.0/token", "servicePrincipals"])
async def test_what_everything_rests_on_may_not_trickle_either(part: str) -> None:
    """No token, or no application: nothing can be said at all, and after a while that is said."""
    async with reading(retry=replace(HURRIED, answer_within_s=1.0, attempts=2)) as run:
        run.break_down(match=part, trickle_s=0.2)
        with pytest.raises(ConnectionFault, match="TimeoutError"):
            await run.snapshot()


async def test_a_page_that_trickles_once_is_read_again() -> None:
    async with reading(retry=replace(HURRIED, answer_within_s=2.0)) as run:
        run.break_down(match=r"GET /v1.0/users\?", trickle_s=0.1, times=1)
        assert is_whole(run, await run.snapshot())


async def test_a_slow_page_within_the_limit_is_waited_for() -> None:
    """Slow is not broken: what comes in pieces and ends in time is a page like any other."""
    async with reading(users=4) as run:
        run.break_down(match=r"GET /v1.0/directory/deletedItems", trickle_s=0.01)
        assert is_whole(run, await run.snapshot())


async def test_a_throttled_item_of_a_batch_is_tried_again_by_itself() -> None:
    """Graph, "JSON batching": a throttled item has its own 429 and Retry-After; SDKs do not retry items."""
    async with reading() as run:
        whole = await run.snapshot()
        batches = len(run.requests("$batch"))
        group_id = next(iter(whole.groups))
        headers = {"Retry-After": "0.2"}
        run.break_down(match=f"GET /v1.0/groups/{group_id}/members", status=429, headers=headers, times=1)
        started = time.monotonic()
        snapshot = await run.snapshot()
        assert time.monotonic() - started >= 0.2
        assert snapshot.members == whole.members
        assert len(run.requests("$batch")) == 2 * batches + 1


async def test_members_that_cannot_be_read_leave_their_group_unfinished() -> None:
    async with reading() as run:
        group_id = next(iter((await run.snapshot()).groups))
        run.break_down(match=f"GET /v1.0/groups/{group_id}/members", status=503)
        snapshot = await run.snapshot()
        assert [read.name for read in unfinished(snapshot)] == [f"members:{group_id}"]


async def test_a_batch_that_leaves_an_item_out_is_not_whole() -> None:
    async with reading() as run:
        run.break_down(match=r"\$batch", body={"responses": []})
        snapshot = await run.snapshot()
        assert not is_whole(run, snapshot)
        assert not snapshot.completeness.canary_read


@asynccontextmanager
async def eavesdropper() -> AsyncIterator[tuple[str, list[str]]]:
    """A host that is not Graph, and what it heard."""
    heard: list[str] = []

    async def listen(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization", "nothing"))
        return web.json_response({"value": []})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", listen)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", heard
    finally:
        await runner.cleanup()


async def test_a_next_link_to_another_host_is_not_followed() -> None:
    """SDK trap: `with_url` and the default authentication hand the token to any host."""
    async with eavesdropper() as (url, heard), reading() as run:
        body = {"value": [], "@odata.nextLink": f"{url}/v1.0/users?$skiptoken=x"}
        run.break_down(match=r"GET /v1.0/users\?", body=body)
        snapshot = await run.snapshot()
        assert heard == []
        assert not list_named(snapshot, "users").finished
        assert "leads away" in list_named(snapshot, "users").detail


async def test_a_foreign_host_that_is_asked_by_mistake_gets_no_token() -> None:
    """The second lock behind the check of links: the token is given to Graph's origin only."""
    async with eavesdropper() as (url, heard), reading() as run:
        await run.graph.get(GraphQuery(f"{url}/v1.0/users", "users", "User.Read.All"))
        assert heard == ["nothing"]


async def test_a_redirect_is_not_followed() -> None:
    """SDK trap: a redirect would carry the token along."""
    async with eavesdropper() as (url, heard), reading() as run:
        run.break_down(match=r"GET /v1.0/users\?", status=302, headers={"Location": f"{url}/v1.0/users"})
        snapshot = await run.snapshot()
        assert heard == []
        assert not list_named(snapshot, "users").finished


@pytest.mark.parametrize("link", ["not a link", "/v1.0/users", "http://[broken"])
async def test_a_next_link_that_is_none_is_a_named_fault(link: str) -> None:
    async with reading() as run:
        run.break_down(match=r"GET /v1.0/users\?", body={"value": [], "@odata.nextLink": link})
        assert not list_named(await run.snapshot(), "users").finished


async def test_next_links_in_a_circle_end() -> None:
    async with reading() as run:
        link = f"{run.simulator.base_url}/v1.0/users?$skiptoken=again"
        run.break_down(match=r"GET /v1.0/users\?", body={"value": [], "@odata.nextLink": link})
        users = list_named(await run.snapshot(), "users")
        assert not users.finished
        assert "circle" in users.detail


async def test_a_token_that_ends_in_mid_cycle_is_renewed_once() -> None:
    """Issue 3, bad input: a token that expires in mid-cycle."""
    async with reading(users=1200) as run:
        run.break_down(match=SECOND_PAGE, status=401, times=1)
        snapshot = await run.snapshot()
        assert is_whole(run, snapshot)
        assert len(run.requests("POST /")) - len(run.requests("$batch")) == 2


async def test_a_claims_challenge_is_met_with_a_new_token() -> None:
    """Continuous access evaluation answers 401 with `claims` in WWW-Authenticate."""
    async with reading() as run:
        challenge = 'Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'
        run.break_down(
            match=r"GET /v1.0/users\?", status=401, headers={"WWW-Authenticate": challenge}, times=1
        )
        assert is_whole(run, await run.snapshot())


async def test_a_token_refused_for_good_ends_the_list() -> None:
    async with reading() as run:
        run.break_down(match=r"GET /v1.0/users\?", status=401)
        users = list_named(await run.snapshot(), "users")
        assert not users.finished
        assert "token" in users.detail


@pytest.mark.parametrize("lost", [*([role] for role in sorted(LEAST)), sorted(LEAST)], ids=", ".join)
async def test_lost_consent_is_named_before_anything_is_read(lost: list[str]) -> None:
    """Issue 3: lost consent is a named state with the exact missing permission."""
    async with reading() as run:
        run.simulator.simulation.registration.roles = LEAST - set(lost)
        with pytest.raises(ConsentMissing) as raised:
            await run.snapshot()
        assert raised.value.permission == ", ".join(lost)
        assert run.requests("/v1.0/") == []


async def test_consent_lost_in_mid_cycle_leaves_the_list_unfinished() -> None:
    """I1: the token still says so, Graph no longer does; the list says which permission it took."""
    async with reading() as run:
        await run.graph.token_roles()
        run.simulator.simulation.registration.roles = LEAST - {"User.Read.All"}
        snapshot = await run.snapshot()
        assert "User.Read.All" in list_named(snapshot, "users").detail
        assert not snapshot.completeness.canary_read
        assert not is_whole(run, snapshot)


async def test_an_unknown_application_needs_a_human() -> None:
    async with reading() as run:
        elsewhere = replace(run.connection, app_id="00000000-1111-4222-8333-444444444444")
        with pytest.raises(ApplicationNotFound):
            await replace(run, connection=elsewhere).snapshot()


async def test_a_canary_that_cannot_be_read_is_told() -> None:
    """design.md §5, rule 1: at least one known-good object could be read (a canary)."""
    async with reading() as run:
        run.break_down(match=r"GET /v1.0/users/[0-9a-f-]{36}", status=404)
        snapshot = await run.snapshot()
        assert not snapshot.completeness.canary_read
        assert unfinished(snapshot) == []


async def test_a_canary_that_left_does_not_stand_for_everybody() -> None:
    async with reading() as run:
        leaver = next(iter(run.simulator.directory.users))
        run.simulator.directory.soft_delete_user(leaver)
        snapshot = await run.snapshot(canary=GraphId(leaver))
        assert snapshot.completeness.canary_read


async def test_once_patience_is_spent_the_others_do_not_wait_too() -> None:
    """A Graph that is down costs one request's patience, not that of every group."""
    async with reading(users=40, groups=240) as run:
        run.break_down(match=r"\$batch", status=503)
        assert not is_whole(run, await run.snapshot())
        at_once, batches = 8, 24
        assert len(run.requests("$batch")) <= HURRIED.attempts * at_once + batches


async def test_a_graph_that_is_down_ends_the_reading() -> None:
    async with reading() as run:
        run.break_down(match="servicePrincipals", status=503)
        with pytest.raises(ServiceFault):
            await run.snapshot()


async def test_one_cause_is_told_once() -> None:
    """Five groups whose lists broke off for one reason were five sentences."""
    async with reading(groups=20) as run:
        run.break_down(match=r"GET /v1.0/groups/[^/]+/members", status=403)
        snapshot = await run.snapshot()
        assert len(unfinished(snapshot)) > 3
        (sentence,) = gaps(snapshot, run.connection.policy.scope)
        assert f"{len(unfinished(snapshot))} lists broke off for one reason" in sentence
        assert "GroupMember.Read.All" in sentence


async def test_a_long_pause_ends_the_reading_and_says_until_when() -> None:
    """Microsoft365-Analytics-Insights#189: 429 with `Retry-After: 3600`."""
    async with reading() as run:
        run.break_down(match=r"deletedItems", status=429, headers={"Retry-After": "3600"}, times=1)
        started = time.monotonic()
        with contextlib.suppress(Throttled):  # the 429 may come before the application is read
            assert (await run.snapshot()).completeness.not_before
        with pytest.raises(Throttled) as raised:
            await run.snapshot()
        assert time.monotonic() - started < 5
        assert raised.value.delay_s > 3500
        assert "UTC" in str(raised.value)


async def test_a_list_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_EMPTY_PAGES", 70)
    async with reading(groups=1) as run:
        run.simulator.simulation.behaviour.endless_pages = True
        snapshot = await run.snapshot()
        assert "does not end" in " ".join(gaps(snapshot, run.connection.policy.scope))
