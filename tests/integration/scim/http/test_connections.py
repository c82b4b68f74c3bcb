"""Connections before anybody is authenticated: each limit, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import orjson
import pytest
from aiohttp import web

from scim.http.connections import HANDLER_ARGS, ConnectionCount, listening, note_requests
from scim.limits import ScimLimits

LIMITS = ScimLimits(head_timeout_s=0.15, idle_timeout_s=0.3, max_connections=5, max_connections_per_address=3)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def server(count: ConnectionCount) -> AsyncIterator[int]:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)  # longer than every limit on a connection
        return web.Response(text="done")

    async def at_once(_: web.Request) -> web.Response:
        return web.Response(text="done")

    app = web.Application(middlewares=[note_requests], handler_args=HANDLER_ARGS)
    app.router.add_get("/", at_once)
    app.router.add_get("/slow", slow)
    sock = socket.create_server(("127.0.0.1", 0))
    async with listening(app, sock, count, grace_s=1):
        yield sock.getsockname()[1]


async def closes_within(reader: asyncio.StreamReader, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            while await reader.read(1024):
                pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    """1,800 sockets without a token stayed open for ever."""
    async with server(ConnectionCount(LIMITS)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await closes_within(reader, 2)
        writer.close()


async def test_a_kept_connection_ends_when_idle_and_not_while_it_answers() -> None:
    count = ConnectionCount(LIMITS)
    async with server(count) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/slow", b"/"):
            writer.write(REQUEST.replace(b"/ ", path + b" ", 1))
            assert b"200 OK" in await reader.readuntil(b"done")
        assert await closes_within(reader, 2)
        writer.close()
    assert count.open == 0


async def test_no_more_connections_than_allowed_by_address_and_overall(
    capsys: pytest.CaptureFixture[str],
) -> None:
    roomy = replace(LIMITS, head_timeout_s=5)
    for limits, proxies, most in (
        (roomy, (), 3),
        (roomy, (ip_network("127.0.0.1"),), 5),
        (replace(roomy, max_connections_per_address=9), (), 5),
    ):
        async with server(ConnectionCount(limits, proxies)) as port:
            made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(7)]
            ended = await asyncio.gather(*(closes_within(reader, 0.2) for reader, _ in made))
            assert ended == [False] * most + [True] * (7 - most)
            for _, writer in made:
                writer.close()
            await asyncio.sleep(0.05)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)  # there is room again
            assert b"200 OK" in await reader.readuntil(b"done")
            writer.close()
    assert capsys.readouterr().out.count("scim.connections_closed") == 3


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /Ada\x00Marsh HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9 Marsh\r\n\r\n",
        b"GET / HTTP/1.1\r\nMarsh\r\n\r\n",
        b"GET /" + b"Marsh" * 3000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: Marsh\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_by_a_scim_error_without_an_echo(sent: bytes) -> None:
    async with server(ConnectionCount(LIMITS)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert b"application/scim+json" in head
    assert b"Marsh" not in body
    assert orjson.loads(body)["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def test_there_are_never_more_connections_than_file_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (200, 200))
    assert ConnectionCount(ScimLimits()).most == 136
