"""Streams of security events: what a receiver asks of the transmitter (SSF 1.0 §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.events.errors import InvalidStream, TooEarly
from console.admin.services import Services
from store.errors import NotFound
from store.integration import event_streams, signing_keys, webhook_endpoints
from store.integration.event_streams import StreamTerms
from store.keys import utc_now
from store.logs.settled_events import settled_events
from store.records import EventStream, JsonValue, WebhookEndpoint, WebhookState
from worker.delivery import security_tokens
from worker.delivery.security_events import (
    STREAM_UPDATED,
    SUPPORTED,
    VERIFICATION,
    stored_types,
)
from worker.delivery.targets import TargetRefused, check_url

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
VERIFIED_AT_MOST_EVERY_S = 30
LONGEST = 1_000
MOST_STREAMS = 10
_STATUS = {
    WebhookState.ACTIVE: "enabled",
    WebhookState.POLLED: "enabled",
    WebhookState.PAUSED: "paused",
    WebhookState.DISABLED: "disabled",
}


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a receiver sets of a stream."""

    events_requested: Sequence[str] = SUPPORTED
    """Types that are not known here are left out."""
    method: str = POLL
    endpoint_url: str | None = None
    authorization: str | None = field(default=None, repr=False)
    description: str | None = None
    acknowledges: bool = False
    """The receiver is the vendor's app: what it takes in is ended there too. No
    receiver says so of itself."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream, and how its delivery goes."""

    terms: EventStream
    endpoint: WebhookEndpoint

    @property
    def status(self) -> str:
        """Return `enabled`, `paused` or `disabled`."""
        return _STATUS[self.endpoint.state]


@requires("admin:webhook:create")
async def create(services: Services, actor: Actor, wanted: StreamRequest, issuer: str) -> Stream:
    """Create a stream of the events from now on, of the actor's tenant, or of all for
    an operator.

    The first stream makes the first signing key. Raises `InvalidStream`,
    `SecretKeyMissing`.
    """
    terms, sealer = _terms(services, wanted), services.sealer()
    position = await settled_events(services.db).settle(1.0)
    key = security_tokens.new_key(services.settings.set_algorithm)

    async def work(conn: AsyncConnection) -> Stream:
        if len(await event_streams.list_for(conn, actor.tenant)) >= MOST_STREAMS:
            raise InvalidStream("delivery", f"there are {MOST_STREAMS} streams already")
        now = utc_now()
        if not await signing_keys.published(conn, now):
            await security_tokens.rotate(conn, sealer, key, services.settings.set_algorithm, now)
        audience = f"{issuer}/tenants/{actor.tenant}" if actor.tenant else f"{issuer}/operators"
        place = (conn, actor.tenant, terms, issuer, audience, position)
        made = await event_streams.create(*place, state=_state(wanted.method), actor=actor.label)
        return await _show(conn, actor, made.id)

    return await services.db.write(work)


@requires("admin:webhook:read")
async def show(services: Services, actor: Actor, stream: str) -> Stream:
    """Return a stream. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        return await _show(conn, actor, stream)


@requires("admin:webhook:read")
async def list_all(services: Services, actor: Actor) -> Sequence[Stream]:
    """Return the streams that the actor can see, the oldest first."""
    async with services.db.reading() as conn:
        return [
            Stream(each, await webhook_endpoints.get(conn, actor.tenant, each.id))
            for each in await event_streams.list_for(conn, actor.tenant)
        ]


@requires("admin:webhook:update")
async def change(services: Services, actor: Actor, stream: str, wanted: StreamRequest) -> Stream:
    """Store what the receiver wants from now on. Raises `UnknownReference`,
    `InvalidStream`.
    """
    terms = _terms(services, wanted)

    async def work(conn: AsyncConnection) -> Stream:
        found = await _show(conn, actor, stream)
        is_on = found.endpoint.state in (WebhookState.ACTIVE, WebhookState.POLLED)
        state = _state(wanted.method) if is_on else found.endpoint.state
        await event_streams.change(conn, actor.tenant, found.terms.id, terms, state)
        await webhook_endpoints.record(conn, found.endpoint, actor.label, "changed")
        return await _show(conn, actor, stream)

    return await services.db.write(work)


@requires("admin:webhook:read")
async def requested(services: Services, actor: Actor, stream: str) -> StreamRequest:
    """Return what the receiver set until now, to change a part of it.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await _show(conn, actor, stream)
        [sealed, *_] = await webhook_endpoints.sealed_secrets(conn, actor.tenant, stream, utc_now())
    return StreamRequest(
        found.terms.events_requested,
        found.terms.method,
        found.endpoint.url or None,
        services.sealer().unseal(sealed) or None,
        found.terms.description,
        found.endpoint.acknowledges,
    )


@requires("admin:webhook:update")
async def set_status(
    services: Services, actor: Actor, stream: str, status: str, reason: str | None = None
) -> Stream:
    """Enable, pause (events are kept) or disable (none are kept) a stream.

    Raises `UnknownReference`, `InvalidStream`.
    """
    if status not in ("enabled", "paused", "disabled"):
        raise InvalidStream("status", "it is enabled, paused or disabled")
    _check_text("reason", reason)
    latest = await settled_events(services.db).settle(1.0)

    async def work(conn: AsyncConnection) -> Stream:
        found = await _show(conn, actor, stream)
        states = {"paused": WebhookState.PAUSED, "disabled": WebhookState.DISABLED}
        was_disabled = found.endpoint.state is WebhookState.DISABLED
        await event_streams.set_status(
            *(conn, actor.tenant, found.terms.id),
            states.get(status, _state(found.terms.method)),
            reason,
            utc_now(),
            position=latest if was_disabled and status != "disabled" else None,
        )
        if status != found.status:
            told: dict[str, JsonValue] = {"status": status, **({"reason": reason} if reason else {})}
            await event_streams.tell(conn, actor.tenant, found.terms.id, STREAM_UPDATED, told)
        await webhook_endpoints.record(conn, found.endpoint, actor.label, status)
        return await _show(conn, actor, stream)

    return await services.db.write(work)


@requires("admin:webhook:update")
async def verify(services: Services, actor: Actor, stream: str, state: str | None = None) -> None:
    """Send a verification event, with what the receiver will recognise it by.

    Raises `UnknownReference`, `InvalidStream`, `TooEarly`.
    """
    _check_text("state", state)

    async def work(conn: AsyncConnection) -> None:
        found, now = await _show(conn, actor, stream), utc_now()
        pause = timedelta(seconds=VERIFIED_AT_MOST_EVERY_S)
        if found.terms.verified_at is not None and now - found.terms.verified_at < pause:
            raise TooEarly((found.terms.verified_at + pause - now).total_seconds())
        told: dict[str, JsonValue] = {} if state is None else {"state": state}
        place = (conn, actor.tenant, found.terms.id, VERIFICATION, told)
        await event_streams.tell(*place, verified_at=now)

    await services.db.write(work)


@requires("admin:webhook:delete")
async def delete(services: Services, actor: Actor, stream: str) -> None:
    """Delete a stream; nothing more is sent. Raises `UnknownReference`."""

    async def work(conn: AsyncConnection) -> None:
        found = await _show(conn, actor, stream)
        await webhook_endpoints.record(conn, found.endpoint, actor.label, "deleted")
        await event_streams.remove(conn, actor.tenant, found.terms.id)

    await services.db.write(work)


async def _show(conn: AsyncConnection, actor: Actor, stream: str) -> Stream:
    try:
        found = await event_streams.get(conn, actor.tenant, stream)
        return Stream(found, await webhook_endpoints.get(conn, actor.tenant, stream))
    except NotFound:
        raise UnknownReference(Noun.STREAM, stream) from None


def _terms(services: Services, wanted: StreamRequest) -> StreamTerms:
    """Return the terms to store. Raises `InvalidStream`, `SecretKeyMissing`."""
    if wanted.method not in (PUSH, POLL):
        raise InvalidStream("delivery.method", f"it is {PUSH} (push) or {POLL} (poll)")
    if wanted.method == PUSH:
        try:
            check_url(wanted.endpoint_url or "", allows_loopback=services.settings.allow_simulator)
        except TargetRefused as refused:
            raise InvalidStream("delivery.endpoint_url", str(refused)) from None
    _check_text("description", wanted.description)
    _check_text("delivery.authorization_header", wanted.authorization)
    known = [each for each in SUPPORTED if each in wanted.events_requested]
    is_push = wanted.method == PUSH
    return StreamTerms(
        method=wanted.method,
        url=(wanted.endpoint_url or "") if is_push else "",
        sealed_authorization=services.sealer().seal((wanted.authorization or "") if is_push else ""),
        events_requested=known,
        types=stored_types(known) or [NOTHING],
        description=wanted.description,
        acknowledges=wanted.acknowledges,
    )


NOTHING = "stream.nothing"
"""No event has this type: a receiver that asks for nothing is told nothing."""


def _check_text(name: str, text: str | None) -> None:
    if text is not None and (len(text) > LONGEST or not text.isprintable() or not text.isascii()):
        raise InvalidStream(name, f"it is up to {LONGEST} printable ASCII characters")


def _state(method: str) -> WebhookState:
    return WebhookState.ACTIVE if method == PUSH else WebhookState.POLLED
