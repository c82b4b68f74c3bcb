"""An httpx transport on aiohttp that reads whole bodies: what a page of a thousand people asks for.

httpx hands a body on in 16 kB pieces and unpacks each by itself, which costs more than decoding the page.
"""

from __future__ import annotations

import zlib

import aiohttp
import httpx
from yarl import URL

MOST_BYTES = 256 * 1024 * 1024
"""Of one unpacked body: a page of 999 people is under a megabyte, a small body that unpacks to this is none of Graph's."""
_GZIP = 16 + zlib.MAX_WBITS


class BufferedTransport(httpx.AsyncBaseTransport):
    """Sends by `session`, follows no redirect, and accepts gzip only."""

    def __init__(self, session: aiohttp.ClientSession, proxy: str | None) -> None:
        self._session = session
        self._proxy = proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises `aiohttp.ClientError`, or `httpx.DecodingError` for a body that is not what its header says."""
        request.headers["Accept-Encoding"] = "gzip"
        async with self._session.request(
            request.method,
            URL(str(request.url), encoded=True),  # a next link is opaque: not one character is changed
            headers=request.headers,
            data=await request.aread() or None,
            allow_redirects=False,
            auto_decompress=False,
            proxy=self._proxy,
        ) as answer:
            body = await answer.read()
        headers = answer.headers.copy()
        coding = headers.popall("Content-Encoding", [])
        headers.popall("Content-Length", None)
        headers.popall("Transfer-Encoding", None)
        content = inflate(body) if coding == ["gzip"] else body
        return httpx.Response(answer.status, headers=list(headers.items()), content=content, request=request)


def inflate(body: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """The body without its gzip. Raises `httpx.DecodingError` where it is damaged, cut off or absurdly large."""
    unpacking = zlib.decompressobj(_GZIP)
    try:
        content = unpacking.decompress(body, most_bytes)
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error
    if not unpacking.eof:
        raise httpx.DecodingError("the body is cut off or too large")
    return content
