"""Look for endpoints with news, and deliver to each in a task of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

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
                await _start_due(services, sender, running, seen)
            except Exception as error:  # the database may be away for a while: the next round tries again
                log.warning("webhook.delivery_interrupted", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
        if running:
            await asyncio.wait(running.values())


async def _start_due(
    services: WorkerServices,
    sender: WebhookSender,
    running: dict[str, asyncio.Task[WebhookEndpoint]],
    seen: dict[str, int],
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
        task.add_done_callback(lambda ended, key=endpoint.id: _look_again(ended, key, seen))  # type: ignore[misc]
        running[endpoint.id] = task


def _look_again(ended: asyncio.Task[WebhookEndpoint], endpoint_id: str, seen: dict[str, int]) -> None:
    """Look again at an endpoint that was not sent everything."""
    if ended.cancelled() or ended.exception() or ended.result().position < seen.get(endpoint_id, 0):
        seen.pop(endpoint_id, None)
