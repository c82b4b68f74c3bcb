"""What one client may ask for, and what hostile ones get: a SCIM error, never a 500 and never a half-done
write."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer

from scim.app import ScimServices, make_app
from scim.limits import ScimLimits
from tests.builders.scim_client import ScimClient, entra_user
from tests.builders.scim_connections import PUBLIC_URL
from tests.builders.scim_members import many_users
from tests.databases.slow_reads import slow_reads

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@pytest.fixture
def limits() -> ScimLimits:
    return ScimLimits(
        token_memory_s=0,
        max_body_bytes=20_000,
        max_bulk_body_bytes=40_000,
        max_patch_operations=3,
        max_bulk_operations=2,
        max_filter_length=200,
        max_page_size=2,
        default_page_size=1,
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b'{"userName": "ada\\u0000"}', id="NUL"),
        pytest.param(b'{"userName": "\xff"}', id="not UTF-8"),
        pytest.param(b'{"userName": "a", "userName": "b"}', id="repeated key"),
        pytest.param(b'{"userName": "a", "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", id="deep"),
        pytest.param(b'{"userName": "a", "x": 1e999}', id="infinite"),
        pytest.param(b'{"userName": "\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"userName": "a", "active": 5}', id="wrong type"),
        pytest.param(b'{"userName": {"a": 1}}', id="wrong shape"),
        pytest.param(b'{"userName": "a", "emails": {"value": ["x"]}}', id="wrong shape inside"),
        pytest.param(b'{"userName": "a", "externalId": "' + b"x" * 5_000 + b'"}', id="too long an id"),
        pytest.param(
            b'{"userName": "a", "USERNAME": "b", "op": 1, "OP": 2}', id="one name twice in other case"
        ),
        pytest.param(b'{"userName": "a", "x": ' + b"9" * 400 + b"}", id="huge"),
        pytest.param('{"userName": "a"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"null", id="null"),
        pytest.param(b"", id="nothing"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/Users"), ("PUT", "/Users/{id}"), ("PATCH", "/Users/{id}")]
)
async def test_hostile_bodies_are_bad_requests(scim: ScimClient, body: bytes, method: str, path: str) -> None:
    created = await scim.create_user("ida@northwind.example")
    reply = await scim.send(method, path.format(id=created["id"]), raw=body)
    assert (reply.status, reply.body["schemas"]) == (400, [ERROR]), reply.body
    assert (await scim.get(f"/Users/{created['id']}")).body == created
    assert (await scim.get("/Users")).body["totalResults"] == 1


async def test_too_large_a_body_is_refused(scim: ScimClient) -> None:
    reply = await scim.post("/Users", entra_user("ida@northwind.example", title="x" * 20_000))
    assert (reply.status, "20000 bytes" in reply.body["detail"]) == (413, True)
    assert (await scim.log())[0].steps[-1].detail == reply.body["detail"]
    reply = await scim.post("/Bulk", {"Operations": [], "x": "x" * 30_000})
    assert reply.status == 200
    assert (await scim.post("/Bulk", {"Operations": [], "x": "x" * 50_000})).status == 413


async def test_too_many_operations_are_refused(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example")
    title = {"op": "Add", "path": "title", "value": "x"}
    reply = await scim.patch(f"/Users/{created['id']}", *[title] * 4)
    assert (reply.status, "takes 3" in reply.body["detail"]) == (400, True)
    operation = {"method": "DELETE", "path": "/Users/nobody"}
    assert (await scim.post("/Bulk", {"Operations": [operation] * 3})).status == 413


async def test_too_long_a_filter_is_refused(scim: ScimClient) -> None:
    reply = await scim.get("/Users?filter=" + "title+pr+or+" * 30 + "title+pr")
    assert (reply.status, reply.body["scimType"]) == (400, "invalidFilter")


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 21 + "title pr" + ")" * 21,
        "not (" * 21 + "title pr" + ")" * 21,
        "emails[" * 21 + "type pr" + "]" * 21,
    ],
)
async def test_too_deep_a_filter_is_refused(scim: ScimClient, expression: str) -> None:
    """Before a parser goes down there itself; brackets within quotes are text."""
    reply = await scim.get(f"/Users?filter={quote(expression)}")
    assert (reply.status, reply.body["scimType"]) == (400, "invalidFilter")
    assert "20 brackets" in reply.body["detail"]
    quoted = quote('title eq "' + "(" * 50 + '"')
    assert (await scim.get(f"/Users?filter={quoted}")).status == 200


@pytest.mark.parametrize(
    "path", ["emails[" + "(" * 5_000 + "type pr" + ")" * 5_000 + "]", 'emails[type eq "' + "x" * 5_000 + '"]']
)
async def test_a_path_is_bounded_too(scim: ScimClient, path: str) -> None:
    """RFC 7644 table 9: invalidPath."""
    user = await scim.create_user("ida@northwind.example")
    reply = await scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": path, "value": "x"})
    assert (reply.status, reply.body["scimType"]) == (400, "invalidPath")


async def test_the_configuration_tells_the_true_limits(scim: ScimClient) -> None:
    """RFC 7643 §5."""
    config = (await scim.get("/ServiceProviderConfig")).body
    assert config["bulk"] == {"supported": True, "maxOperations": 2, "maxPayloadSize": 40_000}
    assert config["filter"] == {"supported": True, "maxResults": 2}
    assert (config["pagination"]["defaultPageSize"], config["pagination"]["maxPageSize"]) == (1, 2)


async def test_pages_have_a_largest_size(scim: ScimClient) -> None:
    for number in range(3):
        await scim.create_user(f"u{number}@northwind.example")
    assert (await scim.get("/Users?count=1000000")).body["itemsPerPage"] == 2
    assert (await scim.get("/Users")).body["itemsPerPage"] == 1


async def test_s58_more_requests_than_allowed_are_told_when_to_come_back(scim: ScimClient) -> None:
    """RFC 6585 §4: 429 with Retry-After; one token's haste is not another's."""
    limits = ScimLimits(requests_per_s=1, burst=5)
    async with TestClient(TestServer(make_app(ScimServices(scim.database, PUBLIC_URL, limits)))) as http:
        hasty = ScimClient(http, scim.token, scim.database, scim.connection)
        replies = [await hasty.get("/Users") for _ in range(7)]
        assert [each.status for each in replies][:5] == [200] * 5
        assert replies[-1].status == 429
        assert int(replies[-1].headers["Retry-After"]) >= 1
        assert replies[-1].body["schemas"] == [ERROR]


async def test_guessing_tokens_becomes_slow(scim: ScimClient) -> None:
    limits = ScimLimits(guesses_before_slowing=2, token_memory_s=0)
    async with TestClient(TestServer(make_app(ScimServices(scim.database, PUBLIC_URL, limits)))) as http:
        loop = asyncio.get_running_loop()
        guesser = ScimClient(http, "guess", scim.database, scim.connection)
        times: list[float] = []
        for _ in range(4):
            before = loop.time()
            assert (await guesser.get("/Users")).status == 401
            times.append(loop.time() - before)
        assert times[3] >= 0.19
        right = ScimClient(http, scim.token, scim.database, scim.connection)
        before = loop.time()
        assert (await right.get("/Users")).status == 200
        assert loop.time() - before < times[3]


async def test_what_takes_too_long_is_given_up(scim: ScimClient) -> None:
    limits = ScimLimits(request_timeout_s=0.0)
    async with TestClient(TestServer(make_app(ScimServices(scim.database, PUBLIC_URL, limits)))) as http:
        client = ScimClient(http, scim.token, scim.database, scim.connection)
        replies = [await client.get("/Users") for _ in range(30)]  # more than there are connections
        for reply in replies:
            assert (reply.status, reply.body["schemas"]) == (503, [ERROR])
            assert int(reply.headers["Retry-After"]) > 0
    assert (await scim.get("/Users")).status == 200  # what was given up keeps no connection


async def test_a_reading_thread_does_not_keep_the_answer_beyond_the_limit(scim: ScimClient) -> None:
    """A statement that runs on a thread cannot be stopped: the answer comes without it."""
    if scim.database.dialect != "sqlite":
        return  # PostgreSQL reads in a process of its own
    limits, search = ScimLimits(request_timeout_s=0.3), "/Users?filter=" + quote('title co "x"')
    async with TestClient(TestServer(make_app(ScimServices(scim.database, PUBLIC_URL, limits)))) as http:
        client = ScimClient(http, scim.token, scim.database, scim.connection)
        assert (await client.get(search)).status == 200
        with slow_reads("users", 2.0):
            begin = time.monotonic()
            assert (await client.get(search)).status == 503
            assert time.monotonic() - begin < 2.0


@pytest.mark.parametrize(
    "path",
    [
        "/Users/%00",
        "/Users/" + "x" * 5_000,
        "/Users/%ff",
        "/Users/..%2f..",
        "/Users?filter=%00",
        "/Users?filter=title+eq+%22%00%22",
        "/Users?sortBy=%00",
        "/Users?attributes=%00,,",
        "/Users?filter=" + "(" * 150,
        "/Users?cursor=%00",
        "/Groups/%F0%9F%92%A9",
    ],
)
async def test_hostile_addresses_never_break_the_server(scim: ScimClient, path: str) -> None:
    assert (await scim.get(path)).status in (200, 400, 404)
    assert (await scim.delete(path)).status in (400, 404, 405)


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.5, "", "x", [], [[]], [None], {}, {"value": None}, {"value": {}}, [{"value": [1]}]],
)
async def test_no_value_breaks_a_patch(scim: ScimClient, value: Any) -> None:
    user = await scim.create_user("ida@northwind.example")
    group = await scim.create_group("Cartographers", user["id"])
    for path in (
        "title",
        "active",
        "name",
        "emails",
        "emails.value",
        'emails[type eq "work"]',
        "roles",
        "manager",
        "meta",
        "schemas",
        "externalId",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        None,
    ):
        for op in ("add", "replace", "remove"):
            operation = {"op": op, "value": value, **({} if path is None else {"path": path})}
            assert (await scim.patch(f"/Users/{user['id']}", operation)).status in (200, 400), operation
    for path in ("members", 'members[value eq "x"]', "members.value", "displayName", None):
        for op in ("add", "replace", "remove"):
            operation = {"op": op, "value": value, **({} if path is None else {"path": path})}
            assert (await scim.patch(f"/Groups/{group['id']}", operation)).status in (204, 400), operation


async def test_a_request_whose_client_hung_up_comes_to_its_end(scim: ScimClient) -> None:
    """I4: an unanswered write leaves nothing half-done, and nothing of it is lost in silence."""
    await scim.create_user("ida@northwind.example")
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    holding_up = asyncio.create_task(scim.database.write(lambda _: asyncio.sleep(0.3)))
    for name in ("ida@northwind.example", "ben@northwind.example"):
        asked = asyncio.create_task(scim.post("/Users", entra_user(name)))
        await asyncio.sleep(0.1)
        asked.cancel()
    await holding_up
    await asyncio.sleep(0.2)
    gc.collect()
    assert unseen == []
    assert (await scim.get("/Users")).body["totalResults"] == 2


async def test_a_search_over_all_rows_counts_by_its_work(scim: ScimClient) -> None:
    """Issue 10, D: charged to the rate limit by rows and comparisons, not one for a request."""
    await many_users(scim, 500)
    narrow = ScimLimits(token_memory_s=0, requests_per_s=0.1, burst=8)
    async with TestClient(TestServer(make_app(ScimServices(scim.database, PUBLIC_URL, narrow)))) as http:
        client = ScimClient(http, scim.token, scim.database, scim.connection)
        one = "/Users?count=1&filter=" + quote('title co "x"')
        five = "/Users?count=1&filter=" + quote(" or ".join(f'title co "{each}"' for each in range(5)))
        looked_up = [(await client.get("/Users?filter=" + quote('userName eq "x"'))).status for _ in range(3)]
        assert [(await client.get(path)).status for path in (one, five)] == [200, 200]
        refused = await client.get(one)
        assert (looked_up, refused.status) == ([200] * 3, 429)
        assert int(refused.headers["Retry-After"]) > 10
