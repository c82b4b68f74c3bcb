"""From an answer to HTTP: whole, or piece by piece where it is too large to be held."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import structlog
from aiohttp import web

from scim.request import ScimResponse

MEDIA_TYPE = "application/scim+json"
_SENT_AT_ONCE = 262_144

log = structlog.get_logger()


async def start_stream(answer: ScimResponse) -> ScimResponse:
    """Read the beginning of what comes in pieces: what fails by then is refused as anything else is.

    A small answer is whole after it.
    """
    if not isinstance(answer.body, AsyncIterator):
        return answer
    held = bytearray()
    async for piece in answer.body:
        held += piece
        if len(held) >= _SENT_AT_ONCE:
            return replace(answer, body=_continued(bytes(held), answer.body))
    return replace(answer, body=bytes(held))


async def _continued(beginning: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield beginning
    async for piece in rest:
        yield piece


async def send(request: web.Request, answer: ScimResponse, request_id: str) -> web.StreamResponse:
    """Send an answer that has begun."""
    headers = {**answer.headers, "X-Request-Id": request_id}
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    headers["Content-Type"] = MEDIA_TYPE
    if isinstance(answer.body, AsyncIterator):
        response = web.StreamResponse(status=answer.status, headers=headers)
        return await _stream(request, response, answer.body)
    body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
    return web.Response(status=answer.status, body=body, headers=headers)


async def _stream(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send piece by piece, as fast as the client takes them; what breaks in the middle never looks whole."""
    await response.prepare(request)
    try:
        async for piece in pieces:
            await response.write(piece)
    except ConnectionError:
        raise  # the client hung up
    except Exception:
        # The status is sent: all that is left to say that this is not all is to hang up before the last chunk.
        log.exception("scim.answer_broken_off", request_id=response.headers["X-Request-Id"])
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response
