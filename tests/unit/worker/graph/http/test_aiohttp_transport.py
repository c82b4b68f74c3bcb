"""What the transport sends to Graph, and bodies as they come back: whole, or a named fault."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.graph.auth.tokens import TokenSource
from worker.graph.errors import BadRequest, ConnectionFault, ForeignLink
from worker.graph.graph_query import GraphQuery
from worker.graph.http import transport as transport_module
from worker.graph.http.throttle import Priority
from worker.graph.http.transport import Transport, inflate
from worker.graph.network import HttpOrigin, tls_context
from worker.graph.queries import READ_USERS

PAGE = b'{"value": []}' * 1000
TOKEN = "only-for-graph"


def test_a_packed_body_is_unpacked() -> None:
    assert inflate(gzip.compress(PAGE)) == PAGE


# Named, for the bytes tell the time: two runners of one suite would not agree on the tests' names.
@pytest.mark.parametrize(
    "body",
    [b"", b"no gzip", gzip.compress(PAGE)[:-20], gzip.compress(PAGE)[:5]],
    ids=["nothing", "not packed", "cut near its end", "cut in its head"],
)
def test_half_a_body_is_no_body(body: bytes) -> None:
    """Issue 3, bad input: a connection reset in mid-body never reads as a short page."""
    with pytest.raises(aiohttp.ClientPayloadError):
        inflate(body)


def test_a_body_that_unpacks_without_end_is_refused() -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        inflate(gzip.compress(PAGE), max_bytes=100)


class OneToken:
    async def token(self, *, renew: bool = False) -> str:
        return TOKEN


@dataclass
class GraphServer:
    """A server that answers as its query says, and the requests it was sent."""

    transport: Transport
    url: str
    requests: list[web.Request] = field(default_factory=list)

    async def get(self, path: str, **rest: Any) -> tuple[bytes, dict[str, str]]:
        query = GraphQuery(self.url + path, "users", READ_USERS, **rest)
        answer = await self.transport.send(query, Priority.SCHEDULED)
        return answer.body, dict(answer.headers)

    @property
    def sent(self) -> web.Request:
        return self.requests[-1]


def transport_to(url: str, answer_within_s: float = 5.0) -> Transport:
    return Transport(f"{url}/v1.0", HttpOrigin.of(url), cast(TokenSource, OneToken()), answer_within_s)


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        await request.read()
        match request.query.get("as", ""):
            case "gzip":
                return web.Response(body=gzip.compress(PAGE), headers={"Content-Encoding": "gzip"})
            case "damaged":
                return web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})
            case "cut":
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(PAGE[:500])
                assert request.transport is not None
                request.transport.close()
                return response
            case "trickle":
                await asyncio.sleep(2.0)
            case "redirect":
                return web.Response(status=302, headers={"Location": "/v1.0/elsewhere"})
        return web.Response(body=request.raw_path.encode())

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        transport = transport_to(url, answer_within_s=1.0)
        try:
            yield GraphServer(transport, url, requests)
        finally:
            await transport.close()


async def test_gzip_is_asked_for_and_unpacked(graph: GraphServer) -> None:
    body, _ = await graph.get("/page?as=gzip")
    assert graph.sent.headers["Accept-Encoding"] == "gzip"
    assert body == PAGE


async def test_a_link_is_sent_as_it_was_given(graph: GraphServer) -> None:
    """Graph, "Paging": a next link is opaque; one changed character is another link."""
    link = "/v1.0/users?$skiptoken=RFNwdAIAAQ%2b%2FAA~-_.!*%27()&$top=999"
    body, _ = await graph.get(link)
    assert body.decode() == link


async def test_what_no_url_may_hold_is_encoded(graph: GraphServer) -> None:
    """A link with a space or a line end would be another request on the wire, or two."""
    body, _ = await graph.get("/v1.0/users?$filter=a eq 'ä'\r\nX: y")
    assert body.decode() == "/v1.0/users?$filter=a%20eq%20'%C3%A4'%0D%0AX:%20y"


async def test_a_link_that_is_no_url_is_refused(graph: GraphServer) -> None:
    with pytest.raises(ForeignLink):
        await graph.transport.send(GraphQuery("http://[broken", "users", READ_USERS), Priority.SCHEDULED)


@pytest.mark.parametrize(
    ("how", "fault"),
    [("damaged", "ClientPayloadError"), ("cut", "ClientPayloadError"), ("trickle", "TimeoutError")],
)
async def test_a_body_that_is_not_whole_is_a_named_fault(graph: GraphServer, how: str, fault: str) -> None:
    with pytest.raises(ConnectionFault, match=fault):
        await graph.get(f"/page?as={how}")


async def test_a_body_that_unpacks_to_too_much_is_a_named_fault(
    graph: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "inflate", lambda body: inflate(body, max_bytes=100))
    with pytest.raises(ConnectionFault, match="ClientPayloadError"):
        await graph.get("/page?as=gzip")


async def test_a_server_that_is_not_there_is_a_named_fault() -> None:
    transport = transport_to("http://127.0.0.1:1")
    try:
        with pytest.raises(ConnectionFault, match="refuses the connection"):
            await transport.send(
                GraphQuery("http://127.0.0.1:1/v1.0/users", "users", READ_USERS), Priority(0)
            )
    finally:
        await transport.close()


async def test_a_redirect_is_an_answer_like_any_other(graph: GraphServer) -> None:
    """A redirect that is followed carries the token along."""
    with pytest.raises(BadRequest, match="302"):
        await graph.get("/page?as=redirect")
    assert len(graph.requests) == 1


async def test_the_token_goes_to_one_origin(graph: GraphServer) -> None:
    """Scheme, host and port: another port of this machine is another origin."""
    await graph.get("/v1.0/users")
    assert graph.sent.headers["Authorization"] == f"Bearer {TOKEN}"
    elsewhere = transport_to("http://127.0.0.1:1")
    try:
        await elsewhere.send(GraphQuery(f"{graph.url}/v1.0/users", "users", READ_USERS), Priority.SCHEDULED)
    finally:
        await elsewhere.close()
    assert "Authorization" not in graph.sent.headers


async def test_each_request_says_what_graph_wants_to_know(graph: GraphServer) -> None:
    """Graph, "Best practices": a `client-request-id` of its own by which support finds a request."""
    await graph.get("/v1.0/users", is_eventual=True)
    first = graph.sent.headers
    assert (first["Accept"], first["ConsistencyLevel"]) == ("application/json", "eventual")
    assert first["x-ms-throttle-priority"] == "low"
    await graph.get("/v1.0/$batch", body=b"{}")
    assert (graph.sent.method, graph.sent.content_type) == ("POST", "application/json")
    assert first["client-request-id"] != graph.sent.headers["client-request-id"]


async def test_the_environments_proxy_is_used(graph: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTP_PROXY` and `HTTPS_PROXY` name it; a host of `NO_PROXY` is asked directly."""
    monkeypatch.setenv("http_proxy", graph.url)
    monkeypatch.setenv("no_proxy", "")
    url = "http://graph.example"
    transport = transport_to(url)
    try:
        await transport.send(GraphQuery(f"{url}/v1.0/users", "users", READ_USERS), Priority.SCHEDULED)
    finally:
        await transport.close()
    assert graph.sent.headers["Host"] == "graph.example"
    monkeypatch.setenv("no_proxy", "graph.example")
    direct = transport_to(url)
    assert direct._proxy is None
    await direct.close()


async def test_one_tls_context_serves_all() -> None:
    transport = transport_to("https://graph.microsoft.com")
    assert isinstance(transport._session.connector, aiohttp.TCPConnector)
    assert transport._session.connector._ssl is tls_context()
    await transport.close()


async def test_no_request_goes_round_the_transport(graph: GraphServer) -> None:
    """SDK trap: kiota's adapter retries, redirects and gives the token to any host; there is none."""
    with pytest.raises(AttributeError, match="send_async"):
        await graph.transport.sdk.users.get()
    assert graph.requests == []
