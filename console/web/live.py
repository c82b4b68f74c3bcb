"""Server-sent events: a part of a page, sent again when it changed, until its end.

However many streams show the same part, it is read once a moment for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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

Look: TypeAlias = Callable[[], Coroutine[Any, Any, tuple[str, bool]]]
"""Returns a part of a page as it is now, and whether that is its end."""

PHASES: Mapping[str, str] = {
    "starting": "Starting",
    "users": "Reading people",
    "groups": "Reading groups",
    "members": "Reading members",
    "compare": "Comparing",
    "evidence": "Asking Entra once more about who is gone",
    "apply": "Applying",
    "subjects": "Provisioning",
    "steps": "Provisioning, step by step",
    "waiting": "Waiting for the running cycle to give way",
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
    is_of_steps: bool = False
    """The five steps of one subject: each is shown by its name."""


def progress_words(running: tuple[Cycle, Progress | None]) -> ProgressWords:
    """Return how far a cycle is."""
    cycle, progress = running
    known = progress or Progress("starting")
    phase = PHASES.get(known.phase, known.phase.replace("_", " ").capitalize())
    return ProgressWords(
        phase, known.done, known.total, known.rate_per_s, known.left_s, cycle, known.phase == "steps"
    )


def fragment(template: str, values: Mapping[str, Any]) -> str:
    """Return a part of a page."""
    return render(template, values)


@dataclass(slots=True)
class SharedLooks:
    """What streams of this process look at, each read once a moment."""

    kept: dict[str, tuple[float, asyncio.Task[tuple[str, bool]]]] = field(default_factory=dict)

    async def read(self, part: str, look: Look) -> tuple[str, bool]:
        """Return the part as it was within the last moment."""
        now = asyncio.get_running_loop().time()
        if part not in self.kept or now - self.kept[part][0] >= LOOK_EVERY_S:
            self.kept = {name: each for name, each in self.kept.items() if now - each[0] < LOOK_EVERY_S}
            reading = asyncio.create_task(look())
            reading.add_done_callback(_note_outcome)
            self.kept[part] = now, reading
        return await asyncio.shield(self.kept[part][1])


LOOKS = web.AppKey("looks", SharedLooks)


def _note_outcome(reading: asyncio.Task[tuple[str, bool]]) -> None:
    """Take note of an error, though all streams that waited for it may have gone."""
    if not reading.cancelled():
        reading.exception()


async def stream(visit: Visit, part: str, look_alone: Look) -> web.StreamResponse:
    """Send what `look_alone` returns whenever it changed, and `end` once it is over.

    `part` names what is looked at. Who may see it was asked before: the connection in
    the address was found for this person, and the permission was there.
    """
    looks, name = visit.request.app[LOOKS], f"{visit.base} {part} {visit.zone.key}"

    async def look() -> tuple[str, bool]:
        return await looks.read(name, look_alone)

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
