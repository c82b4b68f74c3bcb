"""Change notifications: what is subscribed to, and its delivery to loopback addresses.

A change is delivered within a fraction of a second; Microsoft's table says *unknown*
for users and groups. A delivery that is not answered 2xx within 3 s is tried again for
4 hours of the directory's clock, then dropped. Lifecycle notifications for users and
groups know `reauthorizationRequired` only; a subscription that expires ends without a
word. Not simulated: throttling of a receiver that answers slowly.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

import aiohttp

from simulator.directory import Directory
from simulator.graph.limits import (
    NOTIFICATION_RETRY_LIFE,
    NOTIFICATION_TIMEOUT_S,
    VALIDATION_TIMEOUT_S,
)
from simulator.objects import ChangeEvent, JsonValue

CHECK_S = 0.05
"""How often the change feed is looked at."""
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(minutes=10)
REAUTHORIZATION_LEAD = timedelta(hours=1)
"""How long before its end a subscription asks for reauthorization."""
MOST_IN_A_BATCH = 100


class ValidationFailed(Exception):
    """A notification URL did not answer its validation as it should."""


@dataclass(slots=True)
class Subscription:
    """One subscription, and how far its changes were sent."""

    id: str
    resource: str
    kind: str
    """`users` or `groups`."""
    object_id: str | None
    """None: all objects of the type."""
    members_only: bool
    change_types: frozenset[str]
    change_type: str
    """As the client wrote it."""
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    application_id: str
    creator_id: str
    tenant_id: str
    expires: datetime
    known: int
    """Number of the last change that was looked at."""
    reauthorization_sent: bool = False
    reauthorization_wanted: bool = False

    @property
    def expires_text(self) -> str:
        return self.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def renew(self, expires: datetime) -> None:
        """Set another end; that reauthorizes too."""
        self.expires = expires
        self.reauthorization_sent = self.reauthorization_wanted = False

    def change_of(self, event: ChangeEvent) -> str | None:
        """Return `updated` or `deleted` for an event that is to be sent, else None.

        Creation and soft deletion arrive as `updated`, the final deletion as `deleted`.
        """
        if f"{event.object_type}s" != self.kind or self.object_id not in {None, event.object_id}:
            return None
        if self.members_only and event.kind not in {"member_added", "member_removed"}:
            return None
        change = "deleted" if event.kind == "purged" else "updated"
        return change if change in self.change_types else None


@dataclass(slots=True)
class Delivery:
    """One POST that is still to be answered."""

    url: str
    value: list[dict[str, JsonValue]]
    give_up_at: datetime
    due_at: datetime
    wait: timedelta = FIRST_RETRY


@dataclass(slots=True)
class Notifier:
    """The subscriptions of a tenant and the task that delivers."""

    directory: Directory
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    _session: aiohttp.ClientSession | None = None
    _task: asyncio.Task[None] | None = None

    async def add(self, subscription: Subscription) -> None:
        """Validate the URLs of a subscription and keep it; raise ValidationFailed."""
        for url in dict.fromkeys((subscription.notification_url, subscription.lifecycle_url)):
            if url is not None:
                await self._validate(url)
        subscription.known = self.directory.sequence
        self.subscriptions[subscription.id] = subscription
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_delivering())

    def drop_expired(self) -> None:
        """Forget subscriptions whose time is over; nothing is sent about that."""
        now = self.directory.clock.now()
        for subscription in list(self.subscriptions.values()):
            if subscription.expires <= now:
                del self.subscriptions[subscription.id]

    def ask_for_reauthorization(self, subscription: Subscription) -> None:
        """Send `reauthorizationRequired` to the lifecycle URL, where there is one."""
        subscription.reauthorization_sent = subscription.reauthorization_wanted = True
        if subscription.lifecycle_url is not None:
            sent: dict[str, JsonValue] = {
                "lifecycleEvent": "reauthorizationRequired",
                **_envelope(subscription),
            }
            self._enqueue(subscription.lifecycle_url, [sent])

    async def close(self) -> None:
        """End the deliveries and close the connections."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._session is not None:
            await self._session.close()

    # --- inside ---

    async def _validate(self, url: str) -> None:
        """Do the handshake: the endpoint answers 200, text/plain, with the decoded
        token.
        """
        token = f"Validation: Testing client application reachability for subscription {uuid.uuid4()}"
        separator = "&" if urlsplit(url).query else "?"
        address = f"{url}{separator}{urlencode({'validationToken': token})}"
        timeout = aiohttp.ClientTimeout(total=VALIDATION_TIMEOUT_S)
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            async with self._open_session().post(address, headers=headers, timeout=timeout) as answer:
                body, is_text = await answer.text(), answer.content_type == "text/plain"
                fits = answer.status == 200 and is_text and body == token
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ValidationFailed(f"Subscription validation request failed: {error!r}") from error
        if not fits:
            raise ValidationFailed(
                "Subscription validation request failed. Notification endpoint must respond with "
                f"200 OK to validation request (HTTP {answer.status}, {answer.content_type})."
            )

    async def _keep_delivering(self) -> None:
        while True:
            self.drop_expired()
            for subscription in list(self.subscriptions.values()):
                self._collect(subscription)
            await self._deliver_due()
            await asyncio.sleep(CHECK_S)

    def _collect(self, subscription: Subscription) -> None:
        """Put what happened since the last look into deliveries."""
        now = self.directory.clock.now()
        if not subscription.reauthorization_sent and subscription.expires - now < REAUTHORIZATION_LEAD:
            self.ask_for_reauthorization(subscription)
        events = self.directory.changes_since(subscription.known)
        subscription.known = self.directory.sequence
        changes = list(_notifications(subscription, events))
        for start in range(0, len(changes), MOST_IN_A_BATCH):
            batch = changes[start : start + MOST_IN_A_BATCH]
            self._enqueue(subscription.notification_url, batch)

    def _enqueue(self, url: str, value: list[dict[str, JsonValue]]) -> None:
        now = self.directory.clock.now()
        self.deliveries.append(Delivery(url, value, now + NOTIFICATION_RETRY_LIFE, now))

    async def _deliver_due(self) -> None:
        now = self.directory.clock.now()
        self.deliveries = [each for each in self.deliveries if each.give_up_at > now]
        for delivery in [each for each in self.deliveries if each.due_at <= now]:
            if await self._post(delivery):
                self.deliveries.remove(delivery)
            else:
                delivery.due_at = self.directory.clock.now() + delivery.wait
                delivery.wait = min(delivery.wait * 2, LONGEST_RETRY)

    async def _post(self, delivery: Delivery) -> bool:
        timeout = aiohttp.ClientTimeout(total=NOTIFICATION_TIMEOUT_S)
        body = {"value": delivery.value}
        try:
            async with self._open_session().post(delivery.url, json=body, timeout=timeout) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _notifications(
    subscription: Subscription, events: Iterable[ChangeEvent]
) -> Iterable[dict[str, JsonValue]]:
    """Make one notification for each object and kind of change."""
    found = {
        (event.object_id, change): None
        for event in events
        if (change := subscription.change_of(event)) is not None
    }
    for object_id, change in found:
        resource = f"{subscription.kind.title()}/{object_id}"
        yield {
            "id": str(uuid.uuid4()),
            "changeType": change,
            "resource": resource,
            "resourceData": {
                "@odata.type": f"#Microsoft.Graph.{subscription.kind.title().removesuffix('s')}",
                "@odata.id": resource,
                "id": object_id,
            },
            **_envelope(subscription),
        }


def _envelope(subscription: Subscription) -> dict[str, JsonValue]:
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": subscription.expires_text,
        "clientState": subscription.client_state,
        "tenantId": subscription.tenant_id,
    }
