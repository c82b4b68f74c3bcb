"""Server-sent events: a part of a page, sent again when it changed, until its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientConnectionResetError, web
from aiohttp_sse import sse_response

from console.admin.actor import Actor, ActorKind
from console.admin.sessions import console_access
from console.browser import SESSION_COOKIE, page_headers
from console.web.rendering import render
from console.web.visit import Visit
from store.records import Cycle
from store.sync.cycles import Progress

LOOK_EVERY_S = 1.0
LONGEST_S = 600.0
"""Then the stream ends; the browser connects again by itself."""
SESSION_EVERY_S = 15.0
"""So often the session is looked at: that of a person without access ends."""

PHASES: Mapping[str, str] = {
    "starting": "Starting",
    "users": "Reading people",
    "groups": "Reading groups",
    "members": "Reading members",
    "compare": "Comparing",
    "evidence": "Asking Entra once more about who is gone",
    "apply": "Applying",
    "subjects": "Provisioning",
}


@dataclass(frozen=True, slots=True)
class ProgressWords:
    """How far a run is, for a page."""

    phase: str
    done: int
    total: int | None
    rate_per_s: float | None
    left_s: float | None
    cycle: Cycle


def progress_words(running: tuple[Cycle, Progress | None]) -> ProgressWords:
    """Return how far a cycle is."""
    cycle, progress = running
    known = progress or Progress("starting")
    phase = PHASES.get(known.phase, known.phase.replace("_", " ").capitalize())
    return ProgressWords(phase, known.done, known.total, known.rate_per_s, known.left_s, cycle)


def fragment(template: str, values: Mapping[str, Any]) -> str:
    """Return a part of a page."""
    return render(template, values)


async def stream(visit: Visit, look: Callable[[], Awaitable[tuple[str, bool]]]) -> web.StreamResponse:
    """Send what `look` returns whenever it changed, and `end` once it is over."""
    headers = {**page_headers(visit.public_url), "X-Accel-Buffering": "no"}
    text, is_over = await look()  # what is refused is refused before the stream begins
    loop = asyncio.get_running_loop()
    begun = checked = loop.time()
    sent = None
    async with sse_response(visit.request, headers=headers) as response:
        with suppress(ClientConnectionResetError, ConnectionResetError):
            while True:
                if is_over:
                    await response.send(text, event="end")
                    break
                if text != sent:
                    sent = text
                    await response.send(text, event="progress")
                if (
                    loop.time() - begun > LONGEST_S
                    or await _is_stopping(visit)
                    or not response.is_connected()
                ):
                    break
                if loop.time() - checked > SESSION_EVERY_S:
                    checked = loop.time()
                    if not await _is_signed_in(visit):
                        break
                text, is_over = await look()
    return response


async def _is_stopping(visit: Visit) -> bool:
    """Wait a moment; return whether the server stops meanwhile."""
    with suppress(TimeoutError):
        return await asyncio.wait_for(visit.stopping.wait(), LOOK_EVERY_S)
    return False


async def _is_signed_in(visit: Visit) -> bool:
    secret = visit.request.cookies.get(SESSION_COOKIE, "")
    return await console_access.identify(visit.services, Actor(ActorKind.WEB, "console"), secret) is not None
