"""Deliver to one endpoint what is after its position, in order.

The position is saved after the deliveries: a worker that dies sends some events again,
with the same id. An event that fails three times in a row is set aside once, so that
one poisonous event does not hold up the others; from then on the endpoint itself is
taken to fail, and is tried less and less often, for three days.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp
import structlog
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection

from config.keys import Sealer
from store.database import Database
from store.directory import receipts
from store.integration import event_streams, webhook_endpoints
from store.logs import events
from store.logs.event_types import REVOCATIONS
from store.records import Event, WebhookEndpoint, WebhookFormat, WebhookState
from worker.delivery import security_tokens
from worker.delivery.encoding import Encoding, PushEncoding, Request, WebhookEncoding
from worker.delivery.targets import SendResult, post

SET_ASIDE_AFTER = 3
DELAYS_S = (2.0, 10.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0)
GIVE_UP_AFTER = timedelta(days=3)
GONE = 410
BATCH = 100
CLAIM_S = 30.0
"""Longer than a batch and its last request take. Where a worker died, the others wait
for no more than this; where a receiver is so slow that the claim is lost, events come
twice with the same id.
"""
LONGEST_BATCH = timedelta(seconds=10)
SAVE_EVERY = 20
NOTHING_TO_SEND = SendResult(204)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """What deliveries are made with."""

    db: Database
    session: aiohttp.ClientSession
    sealer: Sealer
    worker: str
    clock: Callable[[], datetime]
    allows_loopback: bool
    stop: asyncio.Event
    """Set when the process stops: the event under way is the last."""

    async def deliver(self, endpoint: WebhookEndpoint, through: int) -> WebhookEndpoint:
        """Send the events after the endpoint's position, up to `through`.

        Returns the endpoint as it was saved.
        """
        now = self.clock()
        pending = await self._pending(endpoint, through)
        if not (pending or endpoint.control) and through - endpoint.position < 1_000:
            return structs.replace(
                endpoint, position=through
            )  # not of its tenant: no row is written for that
        if not await self.db.write(
            lambda conn: webhook_endpoints.claim(conn, endpoint, self.worker, now, CLAIM_S)
        ):
            return endpoint
        encoding = await self.encoding(endpoint)
        endpoint = await self._send_control(endpoint, encoding)
        endpoint, taken = await self._send_all(endpoint, pending, encoding, now + LONGEST_BATCH)
        is_all = endpoint.attempts == 0 and len(pending) < BATCH
        if is_all and (not pending or endpoint.position == pending[-1].id):
            endpoint = structs.replace(endpoint, position=max(endpoint.position, through))
        await self._save(endpoint, taken, release=True)
        return endpoint

    async def _pending(self, endpoint: WebhookEndpoint, through: int) -> Sequence[Event]:
        async with self.db.reading(single_statement=True) as conn:
            return await events.since(
                *(conn, endpoint.tenant_id, endpoint.position, BATCH), through=through, types=endpoint.types
            )

    async def encoding(self, endpoint: WebhookEndpoint) -> Encoding:
        """Return how the endpoint is told of events."""
        now = self.clock()
        async with self.db.reading() as conn:
            sealed = await webhook_endpoints.sealed_secrets(conn, endpoint.tenant_id, endpoint.id, now)
            secrets = [self.sealer.unseal(each) for each in sealed]
            if endpoint.format is WebhookFormat.JSON:
                return WebhookEncoding(secrets, self.clock)
            stream = await event_streams.get(conn, endpoint.tenant_id, endpoint.id)
            key = await security_tokens.current(conn, self.sealer, now)
        return PushEncoding(stream, key, secrets[0], self.clock)

    async def _send_control(self, endpoint: WebhookEndpoint, encoding: Encoding) -> WebhookEndpoint:
        """Send what the stream is told about itself, once: a receiver asks again, and
        no event waits for it.
        """
        if not endpoint.control:
            return endpoint
        for control in endpoint.control:
            result = await self._post(endpoint, encoding.control_requests(control))
            if not result.is_taken:
                log.info("webhook.control_refused", endpoint=endpoint.id, why=result.why)
        sent = [str(each["id"]) for each in endpoint.control]
        await self.db.write(lambda conn: event_streams.drop_control(conn, endpoint, sent))
        return structs.replace(endpoint, control=())

    async def _send_all(
        self, endpoint: WebhookEndpoint, pending: Sequence[Event], encoding: Encoding, ends_at: datetime
    ) -> tuple[WebhookEndpoint, Sequence[Event]]:
        """Send until one is not taken; return those that are still to be saved too."""
        taken: list[Event] = []
        for event in pending:
            result = await self.send(endpoint, event, encoding)
            endpoint = self._after(endpoint, event, result)
            if result.is_taken:
                taken.append(event)
            elif endpoint.attempts == SET_ASIDE_AFTER:
                await self._set_aside(endpoint, event, result)
            if not result.is_taken or self.stop.is_set() or self.clock() >= ends_at:
                break
            if len(taken) >= SAVE_EVERY:
                if not await self._save(endpoint, taken, release=False):
                    return endpoint, ()
                taken = []
        return endpoint, taken

    async def send(self, endpoint: WebhookEndpoint, event: Event, encoding: Encoding) -> SendResult:
        """Send one event, signed; it is taken when every part of it is."""
        return await self._post(endpoint, encoding.requests(event))

    async def _post(self, endpoint: WebhookEndpoint, requests: Sequence[Request]) -> SendResult:
        result = NOTHING_TO_SEND
        for each in requests:
            result = await post(
                *(self.session, endpoint.url, each.body, each.headers), allows_loopback=self.allows_loopback
            )
            if not result.is_taken:
                break
        return result

    def _after(self, endpoint: WebhookEndpoint, event: Event, result: SendResult) -> WebhookEndpoint:
        """Return the endpoint after one attempt."""
        now = self.clock()
        if result.is_taken:
            return structs.replace(
                endpoint,
                position=event.id,
                attempts=0,
                failing_since=None,
                last_error=None,
                last_delivered_at=now,
                next_attempt_at=now,
            )
        since = endpoint.failing_since or now
        attempts = endpoint.attempts + 1
        delay_s = DELAYS_S[min(attempts, len(DELAYS_S)) - 1]
        # Not for a clock that was set ahead: it has to have been tried often as well.
        is_over = now - since >= GIVE_UP_AFTER and attempts > len(DELAYS_S)
        is_over = is_over or result.status == GONE
        if is_over:
            log.warning("webhook.disabled", endpoint=endpoint.id, why=result.why)
        return structs.replace(
            endpoint,
            position=event.id if attempts == SET_ASIDE_AFTER else endpoint.position,
            attempts=attempts,
            failing_since=since,
            last_error=result.why,
            next_attempt_at=now + timedelta(seconds=delay_s),
            state=WebhookState.DISABLED if is_over else endpoint.state,
        )

    async def _set_aside(self, endpoint: WebhookEndpoint, event: Event, result: SendResult) -> None:
        await self.db.write(
            lambda conn: webhook_endpoints.add_dead_letter(conn, endpoint, event.id, result.why, self.clock())
        )

    async def _save(self, endpoint: WebhookEndpoint, taken: Sequence[Event], *, release: bool) -> bool:
        """Save the position, and that the app knows of what ended."""

        async def work(conn: AsyncConnection) -> bool:
            for event in taken if endpoint.acknowledges else ():
                if event.type in REVOCATIONS:
                    by = f"webhook:{endpoint.id}"
                    await receipts.acknowledge_event(conn, event.tenant_id, event, by, now=self.clock())
            return await webhook_endpoints.save(conn, endpoint, self.worker, release=release)

        return await self.db.write(work)
