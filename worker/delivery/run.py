"""Look for endpoints with news, and deliver to each in a task of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from config.keys import Sealer
from store.integration import webhook_endpoints
from store.logs.settled_events import settled_events
from store.records import WebhookEndpoint
from worker.delivery.deliver import WebhookSender
from worker.delivery.targets import open_session
from worker.services import WorkerServices

LOOK_EVERY_S = 0.5

log = structlog.get_logger(__name__)


@asynccontextmanager
async def delivering(services: WorkerServices) -> AsyncIterator[None]:
    """Deliver events while the body runs; what is under way then ends first."""
    if not services.settings.sealing_keys:
        yield  # no endpoint can have been made without a key
        return
    stop = asyncio.Event()
    work = asyncio.create_task(deliver_until(services, stop), name="webhook delivery")
    try:
        yield
    finally:
        stop.set()
        await work


async def deliver_until(services: WorkerServices, stop: asyncio.Event) -> None:
    """Deliver until `stop` is set; an endpoint that is slow delays no other."""
    running: dict[str, asyncio.Task[WebhookEndpoint]] = {}
    seen: dict[str, int] = {}
    has_more = asyncio.Event()
    worker = f"delivery:{uuid.uuid4()}"
    async with open_session(allows_loopback=services.settings.allow_simulator) as session:
        sender = WebhookSender(
            services.db,
            session,
            Sealer(services.settings.sealing_keys),
            worker,
            services.clock,
            services.settings.allow_simulator,
            stop,
        )
        while not stop.is_set():
            try:
                await _start_due(services, sender, running, seen, has_more)
            except Exception as error:  # the database may be away for a while: the next round tries again
                log.warning("webhook.delivery_interrupted", error=type(error).__name__)
                has_more.clear()
            await _next_look(stop, has_more)
        if running:
            await asyncio.wait(running.values())


async def _next_look(stop: asyncio.Event, has_more: asyncio.Event) -> None:
    """Wait for a moment, or until an endpoint that takes events has more to be sent."""
    waiting = [asyncio.ensure_future(each.wait()) for each in (stop, has_more)]
    try:
        await asyncio.wait(waiting, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    has_more.clear()


async def _start_due(
    services: WorkerServices,
    sender: WebhookSender,
    running: dict[str, asyncio.Task[WebhookEndpoint]],
    seen: dict[str, int],
    has_more: asyncio.Event,
) -> None:
    """Start a delivery to each endpoint that may have news.

    `seen` is through which event each was looked at, so that a quiet one is not asked
    about the same events again.
    """
    for endpoint_id in [each for each, task in running.items() if task.done()]:
        ended = running.pop(endpoint_id)
        if error := ended.exception():
            log.warning("webhook.delivery_failed", endpoint=endpoint_id, error=type(error).__name__)
            seen.pop(endpoint_id, None)
    through = await settled_events(services.db).look()
    async with services.db.reading(single_statement=True) as conn:
        due = await webhook_endpoints.active(conn, services.clock())
    for endpoint in due:
        is_known = seen.get(endpoint.id) == through and endpoint.attempts == 0
        has_news = endpoint.position < through and not is_known
        if endpoint.id in running or not (has_news or endpoint.control):
            continue
        seen[endpoint.id] = through
        task = asyncio.create_task(sender.deliver(endpoint, through))
        task.add_done_callback(partial(_look_again, endpoint, seen, has_more))
        running[endpoint.id] = task


def _look_again(
    before: WebhookEndpoint,
    seen: dict[str, int],
    has_more: asyncio.Event,
    ended: asyncio.Task[WebhookEndpoint],
) -> None:
    """Look again at an endpoint that was not sent everything; at once where it takes
    what it is sent.
    """
    if ended.cancelled() or ended.exception():
        seen.pop(before.id, None)
        return
    after = ended.result()
    if after.position >= seen.get(before.id, 0):
        return
    seen.pop(before.id, None)
    if after.position > before.position and after.attempts == 0:
        has_more.set()
