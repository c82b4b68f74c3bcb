"""Connections before authentication: how many there are, from which address each comes,
and how long it may take to send its request.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import socket
from typing import Any

import orjson
import prometheus_client
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from scim.errors import error_body
from scim.http.streaming import MEDIA_TYPE
from scim.limits import ScimLimits, setting_of

SPARE_DESCRIPTORS = 64
"""Kept for the database, log and Graph when the process has few file descriptors."""
TOLD_EVERY_S = 10.0

_NO_REQUEST = "This is no HTTP request that Leaver can read: check the proxy between Entra and Leaver."
_FAILED = "Something went wrong inside Leaver: its log has the details."

OPEN = prometheus_client.Gauge("leaver_http_connections", "Open connections.")
REFUSED = prometheus_client.Counter(
    "leaver_http_connections_refused_total", "Connections that were closed without an answer.", ["reason"]
)

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class ConnectionCount:
    """The open connections of a server, and the limits on them."""

    limits: ScimLimits
    trusted_proxies: Sequence[Network] = ()
    """Their connections carry the requests of many addresses."""
    open: int = 0
    by_address: Counter[str] = field(default_factory=Counter)
    unreported: Counter[str] = field(default_factory=Counter)
    reported_at: float = -TOLD_EVERY_S

    @property
    def most(self) -> int:
        """Return the most connections at once, within the file descriptors."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = self.limits.max_connections
        return limit if soft == resource.RLIM_INFINITY else max(1, min(limit, soft - SPARE_DESCRIPTORS))

    def add(self, address: str) -> str | None:
        """Count a new connection; return the limit that it is beyond, or None."""
        self.open += 1
        self.by_address[address] += 1
        OPEN.set(self.open)
        if self.open > self.most:
            return "max_connections"
        is_many = self.by_address[address] > self.limits.max_connections_per_address
        return (
            "max_connections_per_address" if is_many and not is_among(address, self.trusted_proxies) else None
        )

    def remove(self, address: str) -> None:
        self.open -= 1
        self.by_address[address] -= 1
        if self.by_address[address] <= 0:
            del self.by_address[address]
        OPEN.set(self.open)

    def report(self, reason: str, address: str) -> None:
        """Count a connection that was closed; log it, at most once in ten seconds."""
        REFUSED.labels(reason).inc()
        self.unreported[reason] += 1
        now = time.monotonic()
        if now - self.reported_at >= TOLD_EVERY_S:
            self.reported_at = now
            closed = dict(self.unreported)
            self.unreported.clear()
            log.warning(
                "scim.connections_closed",
                closed=closed,
                open=self.open,
                last_address=address,
                remedy=f"raise {setting_of(reason)} if these are clients of yours",
            )


class BoundedConnection(RequestHandler):
    """One connection: its head has to come in time, and it may not idle for ever."""

    __slots__ = ("_address", "_count", "_deadline", "_is_counted", "_loop_time", "_timer", "_waits_for")

    def __init__(self, count: ConnectionCount, manager: Any, **options: Any) -> None:
        super().__init__(manager, **options)
        self._count = count
        self._address = ""
        self._is_counted = False
        self._loop_time = asyncio.get_running_loop().time
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for = ""
        self._deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        self._is_counted = True
        beyond = self._count.add(self._address)
        if beyond is not None:
            self._abort(beyond)
        else:
            self._wait_for("head_timeout_s")
            self._start_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._waits_for = ""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_counted:
            self._is_counted = False
            self._count.remove(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waits_for == "idle_timeout_s":
            self._wait_for("head_timeout_s")  # the next request began
        super().data_received(data)

    def begin(self) -> None:
        """Note that a whole head has come and its request is being answered."""
        self._waits_for = ""

    def end(self) -> None:
        """Note that a request was answered: the connection may be used again."""
        if self.transport is not None:
            self._wait_for("idle_timeout_s")

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP request by a SCIM error that repeats nothing of it."""
        super().handle_error(request, status, exc, message)  # logs it, by its class alone
        body = orjson.dumps(error_body(status, _FAILED if status >= 500 else _NO_REQUEST))
        response = web.Response(status=status, body=body, content_type=MEDIA_TYPE)
        response.force_close()
        return response

    def _wait_for(self, limit: str) -> None:
        """Set the deadline that a limit gives, from now on.

        The timer is not touched: two of them for every request cost more than reading
        its head.
        """
        self._waits_for = limit
        self._deadline = self._loop_time() + getattr(self._count.limits, limit)

    def _start_timer(self) -> None:
        """Look again when the next deadline may be over, at most a head's time away."""
        limits = self._count.limits
        delay_s = min(limits.head_timeout_s, limits.idle_timeout_s)
        if self._waits_for:
            delay_s = min(delay_s, max(self._deadline - self._loop_time(), 0.0))
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._expire)

    def _expire(self) -> None:
        if self._waits_for and self._loop_time() >= self._deadline:
            self._abort(self._waits_for)
        else:
            self._start_timer()

    def _abort(self, reason: str) -> None:
        if reason != "idle_timeout_s":  # an idle connection is closed as a matter of course
            self._count.report(reason, self._address)
        if self.transport is not None:
            self.transport.abort()


@web.middleware
async def note_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell a connection when its request begins and ends, for its time limits."""
    connection = request.protocol
    if not isinstance(connection, BoundedConnection):
        return await handler(request)
    connection.begin()
    try:
        return await handler(request)
    finally:
        connection.end()


@asynccontextmanager
async def listening(
    app: web.Application, sock: socket, count: ConnectionCount, grace_s: float
) -> AsyncIterator[None]:
    """Answer requests on a socket; on leaving let those that run come to their end.

    `app` has `note_requests` among its middlewares.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=grace_s, handle_signals=False)
    await runner.setup()
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {**HANDLER_ARGS, "access_log": None, "loop": loop}
    server = await loop.create_server(lambda: BoundedConnection(count, runner.server, **options), sock=sock)
    try:
        yield
    finally:
        server.close()
        await runner.cleanup()


_log = logging.getLogger(__name__)

HANDLER_ARGS: dict[str, Any] = {"auto_decompress": False, "logger": _log}
"""For every application with SCIM endpoints.

aiohttp's own decoding logs a traceback for each garbled body, so `scim.http.body`
decodes. Its log repeats what it cannot parse, so the logger has a filter.
"""


def _repeat_nothing(record: logging.LogRecord) -> bool:
    """Log that a malformed HTTP request came, without its content.

    The content may be a token or a name (design.md §7, I9).
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = (
            "What came was no HTTP request: %s, answered %d",
            (type(error).__name__, error.code),
        )
        record.exc_info = record.exc_text = None
    return True


_log.addFilter(_repeat_nothing)


Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def client_address(peer: str | None, forwarded_for: Iterable[str], trusted: Sequence[Network]) -> str | None:
    """Return the nearest address that is no trusted proxy, from the peer backwards.

    Any client can send X-Forwarded-For: an entry counts only if the hop that wrote it
    is trusted.
    """
    if not trusted or peer is None:
        return peer
    hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
    nearest = peer
    while is_among(nearest, trusted) and hops:
        address = _read(hops.pop())
        if address is None:
            break
        nearest = str(address)
    return nearest


def is_among(address: str | None, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks; an unreadable one is in none."""
    found = _read(address or "")
    return found is not None and any(found in network for network in networks)


def _read(text: str) -> Address | None:
    """Read an address; some proxies add the port (`203.0.113.7:443`,
    `[2001:db8::1]:443`).
    """
    bare = text.partition("]")[0].lstrip("[") if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    # A socket that listens on both families shows IPv4 clients as ::ffff:203.0.113.7.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
