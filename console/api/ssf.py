"""The transmitter of security events: configuration, keys, streams, poll (SSF 1.0,
RFC 8936).

Receivers send an API token, as to the admin API, and see the streams of its tenant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scim2_models import SCIMException, UnauthorizedException

from console.admin.actor import Actor, ActorKind
from console.admin.events import poll, signing_keys, streams
from console.admin.events.poll import PollRequest
from console.admin.events.streams import PUSH, Stream, StreamRequest
from console.admin.services import Services
from console.api.app import API, refuse
from console.api.problems import Problem
from console.api.stream import STOPPING
from console.documents import events as documents
from console.documents.values import JsonDocument
from scim.app import delay_guesses, peer_address
from scim.http.body import read_body
from scim.json_body import read_json
from store.keys import new_id
from worker.delivery.security_tokens import KEYS_KEPT_S

CONFIGURATION, KEYS = "/.well-known/ssf-configuration", "/.well-known/jwks.json"
MAX_BODY_BYTES, MAX_DEPTH = 262_144, 8
MOST_IDS = 1_000
READ, MANAGE = ("admin:event:read",), ("admin:webhook:update",)
CREATE, DELETE = ("admin:webhook:create", "admin:event:read"), ("admin:webhook:delete",)

ANYONE = Actor(ActorKind.WEB, "anyone")
"""Reads the public keys, which are for all."""

Uri = Annotated[str, Field(min_length=1, max_length=300)]


class _Body(BaseModel):
    """Members that are not known are ignored (SSF 1.0)."""

    model_config = ConfigDict(strict=True)


class DeliveryBody(_Body):
    method: Uri
    endpoint_url: Annotated[str | None, Field(max_length=2_000)] = None
    authorization_header: Annotated[str | None, Field(max_length=1_000)] = None


class StreamBody(_Body):
    stream_id: Annotated[str | None, Field(max_length=80)] = None
    iss: str | None = None
    aud: str | list[str] | None = None
    events_requested: Annotated[list[Uri] | None, Field(max_length=100)] = None
    delivery: DeliveryBody | None = None
    description: Annotated[str | None, Field(max_length=1_000)] = None


class StatusBody(_Body):
    stream_id: Annotated[str, Field(max_length=80)]
    status: str
    reason: Annotated[str | None, Field(max_length=1_000)] = None


class VerificationBody(_Body):
    stream_id: Annotated[str, Field(max_length=80)]
    state: Annotated[str | None, Field(max_length=1_000)] = None


class RefusedSet(_Body):
    err: Annotated[str, Field(max_length=80)]
    description: Annotated[str | None, Field(max_length=4_000)] = None


class PollBody(_Body):
    maxEvents: Annotated[int | None, Field(ge=0, le=1_000_000)] = None
    returnImmediately: bool = False
    ack: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=MOST_IDS)] = []
    setErrs: Annotated[dict[str, RefusedSet], Field(max_length=MOST_IDS)] = {}


@dataclass(frozen=True, slots=True)
class _Transmitter:
    services: Services
    url: str


TRANSMITTER = web.AppKey("ssf_transmitter", _Transmitter)
Handler = Callable[[web.Request, Actor], Awaitable[web.Response]]


def add_routes(app: web.Application, services: Services, public_url: str) -> None:
    """Add the transmitter to an application that has the admin API."""
    app[TRANSMITTER] = _Transmitter(services, public_url)
    router = app.router
    router.add_get(CONFIGURATION + urlsplit(public_url).path.rstrip("/"), _configuration)
    router.add_get(KEYS, _keys)
    for method, path, permissions, handler in (
        ("GET", "streams", READ, _read),
        ("POST", "streams", CREATE, _create),
        ("PATCH", "streams", MANAGE, _update),
        ("PUT", "streams", MANAGE, _replace),
        ("DELETE", "streams", DELETE, _delete),
        ("GET", "status", READ, _read_status),
        ("POST", "status", MANAGE, _set_status),
        ("POST", "verify", MANAGE, _verify),
        ("POST", "poll/{stream_id}", READ, _poll),
    ):
        router.add_route(method, f"/ssf/{path}", _answered(permissions, handler))


def _answered(
    permissions: Sequence[str], handler: Handler
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Authenticate, and answer refusals as problems."""

    async def answered(request: web.Request) -> web.Response:
        try:
            identity = await request.app[API].authenticator.authenticate(
                request.headers.get("Authorization"), peer_address(request)
            )
            for permission in permissions:
                section = permission.rpartition(":")[0]
                if identity.permissions.isdisjoint({permission, f"{section}:*", section, "*"}):
                    raise Problem("permission-missing", f"The API token lacks the permission {permission}.")
            return await handler(request, identity.actor)
        except Exception as error:
            if isinstance(error, UnauthorizedException):
                await delay_guesses(request)
            return refuse(error, new_id())

    return answered


async def _configuration(request: web.Request) -> web.Response:
    return _json(documents.configuration(request.app[TRANSMITTER].url))


async def _keys(request: web.Request) -> web.Response:
    keys = await signing_keys.list_all(request.app[TRANSMITTER].services, ANYONE)
    return _json(documents.key_set(keys), headers={"Cache-Control": f"public, max-age={KEYS_KEPT_S}"})


async def _read(request: web.Request, actor: Actor) -> web.Response:
    transmitter, wanted = request.app[TRANSMITTER], request.query.get("stream_id")
    if wanted is not None:
        return _stream(request, await streams.show(transmitter.services, actor, wanted))
    found = await streams.list_all(transmitter.services, actor)
    return _json([documents.stream(each.terms, each.endpoint.url, transmitter.url) for each in found])


async def _create(request: web.Request, actor: Actor) -> web.Response:
    body, transmitter = await _body(request, StreamBody), request.app[TRANSMITTER]
    made = await streams.create(
        transmitter.services, actor, _requested(body, StreamRequest()), transmitter.url
    )
    return _stream(request, made, status=201)


async def _update(request: web.Request, actor: Actor) -> web.Response:
    body = await _body(request, StreamBody)
    known = await streams.requested(request.app[TRANSMITTER].services, actor, _id(body.stream_id))
    return await _change(request, actor, body, _requested(body, known))


async def _replace(request: web.Request, actor: Actor) -> web.Response:
    body = await _body(request, StreamBody)
    return await _change(request, actor, body, _requested(body, StreamRequest(events_requested=())))


async def _change(
    request: web.Request, actor: Actor, body: StreamBody, wanted: StreamRequest
) -> web.Response:
    services = request.app[TRANSMITTER].services
    found = await streams.show(services, actor, _id(body.stream_id))
    known, wanted = found.terms, replace(wanted, acknowledges=found.endpoint.acknowledges)
    if body.iss not in (None, known.issuer) or body.aud not in (None, known.audience):
        raise Problem("invalid-request", "iss and aud are set by the transmitter.")
    return _stream(request, await streams.change(services, actor, known.id, wanted))


async def _delete(request: web.Request, actor: Actor) -> web.Response:
    wanted = _id(request.query.get("stream_id"))
    await streams.delete(request.app[TRANSMITTER].services, actor, wanted)
    return web.Response(status=204)


async def _read_status(request: web.Request, actor: Actor) -> web.Response:
    wanted = _id(request.query.get("stream_id"))
    return _status(await streams.show(request.app[TRANSMITTER].services, actor, wanted))


async def _set_status(request: web.Request, actor: Actor) -> web.Response:
    body, services = await _body(request, StatusBody), request.app[TRANSMITTER].services
    return _status(await streams.set_status(services, actor, body.stream_id, body.status, body.reason))


async def _verify(request: web.Request, actor: Actor) -> web.Response:
    body = await _body(request, VerificationBody)
    await streams.verify(request.app[TRANSMITTER].services, actor, body.stream_id, body.state)
    return web.Response(status=204)


async def _poll(request: web.Request, actor: Actor) -> web.Response:
    body = await _body(request, PollBody)
    wanted = PollRequest(
        body.maxEvents,
        body.returnImmediately,
        body.ack,
        {name: refused.err for name, refused in body.setErrs.items()},
    )
    services, stream_id = request.app[TRANSMITTER].services, request.match_info["stream_id"]
    found = await poll.poll(services, actor, stream_id, wanted, request.app[STOPPING])
    return _json({"sets": dict(found.sets), "moreAvailable": found.more_available})


def _requested(body: StreamBody, known: StreamRequest) -> StreamRequest:
    """Return what the receiver wants: what the body names, and the rest as known."""
    given: dict[str, Any] = {}
    if "events_requested" in body.model_fields_set:
        given["events_requested"] = tuple(body.events_requested or ())
    if "description" in body.model_fields_set:
        given["description"] = body.description
    if body.delivery is not None:
        url = body.delivery.endpoint_url if body.delivery.method == PUSH else None
        given |= {"method": body.delivery.method, "endpoint_url": url}
        given["authorization"] = body.delivery.authorization_header
    return replace(known, **given)


async def _body(request: web.Request, model: type[Any]) -> Any:
    """Read the body. Raises `Problem` that names the member, not what it holds."""
    raw = await read_body(request, MAX_BODY_BYTES, timeout_s=25.0)
    try:
        read_json(raw or b"{}", MAX_DEPTH)
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:80]
        raise Problem("invalid-request", f"{place}: {first['msg']}.") from None
    except SCIMException as error:
        raise Problem("invalid-request", error.detail) from error


def _id(given: str | None) -> str:
    if not given:
        raise Problem("invalid-request", "stream_id is missing.")
    return given


def _stream(request: web.Request, found: Stream, status: int = 200) -> web.Response:
    url = request.app[TRANSMITTER].url
    return _json(documents.stream(found.terms, found.endpoint.url, url), status=status)


def _status(found: Stream) -> web.Response:
    reason = found.terms.status_reason
    return _json(
        {
            "stream_id": found.terms.id,
            "status": found.status,
            **({"reason": reason} if reason else {}),
        }
    )


def _json(
    document: JsonDocument | list[JsonDocument], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    sent = headers or {"Cache-Control": "no-store"}
    body = orjson.dumps(document)
    return web.Response(status=status, body=body, headers=sent, content_type="application/json")
