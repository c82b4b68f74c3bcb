"""Send one request to Graph: msgraph-sdk builds it, one aiohttp session sends it.

Import this module only in a process that reads Graph, when it does: the SDK takes a
second and 100 MB. kiota's request adapter is not used. It would send through httpx,
retry 429, 503 and 504 by itself (it crashes on a fractional `Retry-After`), follow
redirects with the token, and hand bodies on in pieces of 16 kB, which costs more than
decoding the page. Retries are in `worker.graph.http.retry` only.
"""

from __future__ import annotations

import asyncio
import string
import uuid
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import aiohttp
from kiota_abstractions.serialization import SerializationWriterFactory, SerializationWriterFactoryRegistry
from msgraph.graph_service_client import GraphServiceClient
from yarl import URL

from worker.graph.auth.tokens import TokenSource
from worker.graph.errors import ConnectionFault, ForeignLink, GraphResponse, error_from_answer
from worker.graph.graph_query import GraphQuery
from worker.graph.http.throttle import Priority
from worker.graph.network import (
    PROXY_WANTS_LOGIN,
    HttpOrigin,
    lasting_fault,
    proxy_to,
    proxy_wants_login,
    tls_context,
    unreachable,
)

if TYPE_CHECKING:
    from msgraph.graph_request_adapter import GraphRequestAdapter

MAX_BODY_BYTES = 256 * 1024 * 1024
"""Limit of one inflated body. A page of 999 users is under 1 MB."""
_MAX_CONNECTIONS = 16
_CONNECT_S = 30.0
_READ_AHEAD = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "Leaver"}


class Transport:
    """Send requests to the connection's Graph; its token goes to this origin only."""

    def __init__(
        self, base_url: str, origin: HttpOrigin, tokens: TokenSource, answer_within_s: float
    ) -> None:
        self.base_url = base_url
        self.sdk = request_builders(base_url)
        self._origin = origin
        self._tokens = tokens
        self._answer_within_s = answer_within_s
        self._proxy = proxy_to(origin)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, ssl=tls_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S),  # `send` bounds the whole
            read_bufsize=_READ_AHEAD,
            auto_decompress=False,
            headers=_HEADERS,
        )

    async def send(self, query: GraphQuery, priority: Priority) -> GraphResponse:
        """Make one attempt and return the answer if its status is 200.

        Raises a `GraphError` for everything else: `ConnectionFault` for a body that is
        cut off, damaged or too large, or that is not complete within `answer_within_s`.
        """
        try:
            async with asyncio.timeout(self._answer_within_s):
                answer = await self._exchange(query, priority)
        except aiohttp.InvalidURL as fault:
            raise ForeignLink(f"Graph sent a link for {query.name} that is no URL.") from fault
        except (aiohttp.ClientError, OSError, TimeoutError) as fault:
            if lasting := lasting_fault(fault, self._origin, self._proxy):
                raise lasting from fault
            found = unreachable(fault, self._origin, self._proxy)
            raise ConnectionFault(f"No answer for {query.name}: {found.why}.", found.remedy) from fault
        if answer.status == PROXY_WANTS_LOGIN:
            raise proxy_wants_login(self._proxy)
        if answer.status != 200:
            raise error_from_answer(answer, query.name, query.permission)
        return answer

    async def _exchange(self, query: GraphQuery, priority: Priority) -> GraphResponse:
        async with self._session.request(
            "GET" if query.body is None else "POST",
            _url(query.url),
            headers=await self._headers(query, priority),
            data=query.body,
            allow_redirects=False,  # Graph does not redirect reads; a redirect would carry the token along
            proxy=self._proxy.url if self._proxy else None,
        ) as response:
            body = await response.read()
        if response.headers.getall("Content-Encoding", []) == ["gzip"]:
            body = inflate(body)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return GraphResponse(response.status, headers, body)

    async def _headers(self, query: GraphQuery, priority: Priority) -> dict[str, str]:
        headers = {
            "client-request-id": str(uuid.uuid4()),
            "x-ms-throttle-priority": priority.header,
            **query.headers,
        }
        if query.body is not None:
            headers["Content-Type"] = "application/json"
        if self._origin.holds(query.url):  # the SDK's default: every host gets the token
            headers["Authorization"] = f"Bearer {await self._tokens.token()}"
        return headers

    async def close(self) -> None:
        """Close the session and its connections."""
        await self._session.close()


def inflate(body: bytes, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body without its gzip coding.

    Raises `aiohttp.ClientPayloadError` where the body is damaged, cut off, or inflates
    to more than `max_bytes`.
    """
    decompressor = zlib.decompressobj(_GZIP)
    try:
        content = decompressor.decompress(body, max_bytes)
    except zlib.error as error:
        raise aiohttp.ClientPayloadError(str(error)) from error
    if not decompressor.eof:
        raise aiohttp.ClientPayloadError("the body is cut off or too large")
    return content


@dataclass(slots=True)
class _BuilderContext:
    """The part of a kiota adapter that request builders use: base URL and serializers.

    It has no method that sends, so that no request can go round `Transport.send`.
    """

    base_url: str

    def get_serialization_writer_factory(self) -> SerializationWriterFactory:
        return SerializationWriterFactoryRegistry()

    def enable_backing_store(self, backing_store_factory: object) -> None:
        """Do nothing: models are only serialized."""


@lru_cache(maxsize=64)
def request_builders(base_url: str) -> GraphServiceClient:
    """Return msgraph-sdk's request builders for URLs under `base_url`.

    They cannot send.
    """
    return GraphServiceClient(request_adapter=cast("GraphRequestAdapter", _BuilderContext(base_url)))


def _url(url: str) -> URL:
    """Return the URL as it was given: a next link is opaque (Graph, "Paging").

    Only characters that no URL may hold (spaces, controls, not ASCII) are
    percent-encoded. Raises `aiohttp.InvalidURL`.
    """
    try:
        return URL(quote(url, safe=string.punctuation), encoded=True)
    except ValueError as error:
        raise aiohttp.InvalidURL(url) from error
