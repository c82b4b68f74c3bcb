"""Send a response over HTTP: whole, or in pieces where it is too large for memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import structlog
from aiohttp import web
from msgspec import structs

from scim.request import ScimResponse

MEDIA_TYPE = "application/scim+json"
_SENT_AT_ONCE = 262_144

log = structlog.get_logger()


async def start_stream(response: ScimResponse) -> ScimResponse:
    """Read the first 256 KiB of a streamed response, so that an early error is
    answered.

    A smaller response is whole after it.
    """
    if not isinstance(response.body, AsyncIterator):
        return response
    held = bytearray()
    async for piece in response.body:
        held += piece
        if len(held) >= _SENT_AT_ONCE:
            return structs.replace(response, body=_continued(bytes(held), response.body))
    return structs.replace(response, body=bytes(held))


async def _continued(beginning: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield beginning
    async for piece in rest:
        yield piece


async def send(request: web.Request, response: ScimResponse, request_id: str) -> web.StreamResponse:
    """Send a response that `start_stream` returned."""
    headers = {**response.headers, "X-Request-Id": request_id}
    if response.body is None:
        return web.Response(status=response.status, headers=headers)
    headers["Content-Type"] = MEDIA_TYPE
    if isinstance(response.body, AsyncIterator) and request.method == "HEAD":
        stream = web.StreamResponse(status=response.status, headers=headers)
        await stream.prepare(request)  # the length is not known without reading all
        return stream
    if isinstance(response.body, AsyncIterator):
        stream = web.StreamResponse(status=response.status, headers=headers)
        return await _stream(request, stream, response.body)
    body = response.body if isinstance(response.body, bytes) else orjson.dumps(response.body)
    return web.Response(status=response.status, body=body, headers=headers)


async def _stream(
    request: web.Request, stream: web.StreamResponse, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send the pieces as fast as the client reads them.

    After an error in the middle the connection is aborted, so that the response never
    looks complete.
    """
    await stream.prepare(request)
    try:
        async for piece in pieces:
            await stream.write(piece)
    except ConnectionError:
        raise  # the client hung up
    except Exception:
        # The status is sent: only an abort before the last chunk can show the error.
        log.exception("scim.answer_broken_off", request_id=stream.headers["X-Request-Id"])
        if request.transport is not None:
            request.transport.abort()
        return stream
    await stream.write_eof()
    return stream
