"""Stream the progress of a run as server-sent events."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson
from aiohttp import ClientConnectionResetError, web

from console.admin import runs
from console.api.contract import Caller
from console.api.routes.sync import run_document
from console.documents.values import JsonDocument

LOOK_EVERY_S = 0.5
COMMENT_EVERY_S = 15.0
LONGEST_S = 600.0
"""Then the stream ends; an EventSource connects again by itself."""

STOPPING = web.AppKey("api_streams_stopping", asyncio.Event)


async def stream_run(request: web.Request, caller: Caller) -> web.StreamResponse:
    """Send the document of a run whenever it changes, until it ends.

    Raises what `console.admin.runs.show` raises, before anything is sent.
    """
    path = request.match_info
    found = await runs.show(caller.services, caller.actor, path["connection"], path["run"])
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    response.content_type = "text/event-stream"
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    begun, said_at, sent, number = loop.time(), loop.time(), None, 0
    with suppress(ClientConnectionResetError, ConnectionResetError):
        while True:
            document = run_document(found)
            if document != sent or found.has_ended:
                number, sent, said_at = number + 1, document, loop.time()
                await _send(response, number, "end" if found.has_ended else "progress", document)
            elif loop.time() - said_at >= COMMENT_EVERY_S:
                said_at = loop.time()
                await response.write(b": still here\n\n")
            if found.has_ended or loop.time() - begun >= LONGEST_S or await _is_stopping(request):
                break
            found = await runs.show(caller.services, caller.actor, path["connection"], path["run"])
    return response


async def _is_stopping(request: web.Request) -> bool:
    """Wait a moment; return whether the server stops meanwhile."""
    with suppress(TimeoutError):
        return await asyncio.wait_for(request.app[STOPPING].wait(), LOOK_EVERY_S)
    return False


async def _send(response: web.StreamResponse, number: int, event: str, document: JsonDocument) -> None:
    data = orjson.dumps(document).decode()
    await response.write(f"id: {number}\nevent: {event}\ndata: {data}\n\n".encode())


async def end_streams(app: web.Application) -> None:
    """Let every open stream end, so that the server need not wait for it."""
    app[STOPPING].set()
