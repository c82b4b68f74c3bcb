"""Entra's side of the SCIM conversation: requests as the service writes them, answers
judged as it does.
"""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import aiohttp
from yarl import URL

from simulator.provisioning import errors
from simulator.provisioning.dialect import Dialect
from simulator.provisioning.errors import JobStopped, TargetRefused
from simulator.provisioning.log import timestamp
from simulator.provisioning.paths import ENTERPRISE

SCIM_JSON = "application/scim+json"
ResourceType = Literal["Users", "Groups"]


class Credentials(Protocol):
    """Where the bearer token of a request comes from."""

    async def bearer(self, session: aiohttp.ClientSession) -> str: ...


@dataclass(frozen=True, slots=True)
class SecretToken:
    """The long-lived token an admin pasted."""

    token: str

    async def bearer(self, session: aiohttp.ClientSession) -> str:
        return self.token


@dataclass(slots=True)
class ClientCredentials:
    """The OAuth client-credentials grant; id and secret go in a Basic header, as was
    observed of Entra.
    """

    token_endpoint: str
    client_id: str
    client_secret: str
    location: Literal["header", "body"] = "header"
    _token: str = field(default="", init=False)
    _good_until: float = field(default=0.0, init=False)

    async def bearer(self, session: aiohttp.ClientSession) -> str:
        """Return a token that is good for another minute; raise JobStopped if none is
        to be had.
        """
        if time.monotonic() + 60 > self._good_until:
            await self._fetch(session)
        return self._token

    async def _fetch(self, session: aiohttp.ClientSession) -> None:
        form = {"grant_type": "client_credentials"}
        headers = {}
        if self.location == "header":
            pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        try:
            async with session.post(self.token_endpoint, data=form, headers=headers) as answer:
                body = await answer.json(content_type=None) if answer.ok else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _unchecked(f"The token endpoint gave no usable answer: {error}") from error
        if not body.get("access_token"):
            raise _unchecked(f"The token endpoint gave no token (HTTP {answer.status}).")
        self._token = str(body["access_token"])
        self._good_until = time.monotonic() + float(body.get("expires_in", 3600))


def _unchecked(message: str) -> JobStopped:
    return JobStopped(errors.CREDENTIALS_UNCHECKED, message)


@dataclass(frozen=True, slots=True)
class Target:
    """The application's SCIM server, as the admin typed it."""

    base_url: str
    credentials: Credentials
    dialect: Dialect = Dialect.DEFAULT
    flag_query: str = ""
    """What stood behind the `?`; sent along only if `forward_flag` (whether Entra does
    is unknown)."""
    forward_flag: bool = False
    timeout_s: float = 30.0


def parse_target(
    tenant_url: str, credentials: Credentials, *, forward_flag: bool = False, timeout_s: float = 30.0
) -> Target:
    """Take a Tenant URL apart: base, and the flags behind the `?`.

    Raise ValueError if it is no URL.
    """
    parts = urlsplit(tenant_url.strip())
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"Tenant URL {tenant_url!r} is no URL; give one like https://app.example/scim/v2")
    flags = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    dialect = Dialect.RFC if Dialect.RFC.lower() in flags else Dialect.DEFAULT
    base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return Target(base, credentials, dialect, parts.query, forward_flag, timeout_s)


class ScimClient:
    """Requests to one target.

    `sent` counts them; `spoil_token` tells whether the stored secret expired.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        spoil_token: Callable[[], bool] = lambda: False,
    ) -> None:
        self.target = target
        self.sent = 0
        self._session = session
        self._now = now
        self._spoil_token = spoil_token
        self._timeout = aiohttp.ClientTimeout(total=target.timeout_s)

    # --- requests ---

    async def ping(self, resource_type: ResourceType, path: str) -> None:
        """Ask for an object that cannot be there; raise JobStopped unless the answer is
        an empty list.
        """
        try:
            found = await self.find(resource_type, path, str(uuid.uuid4()))
        except TargetRefused as refused:
            refused_credentials = refused.code in {errors.UNAUTHORIZED, errors.INSUFFICIENT_RIGHTS}
            code = errors.CREDENTIALS_REFUSED if refused_credentials else errors.CREDENTIALS_UNCHECKED
            raise JobStopped(code, refused.message) from refused
        if found:
            raise JobStopped(errors.SERVICE_INCOMPATIBLE, f"{resource_type} found for a random {path}")

    async def find(self, resource_type: ResourceType, path: str, value: str) -> list[dict[str, Any]]:
        """Query by one matching attribute; raise JobStopped for a 404, which a filter
        must never give.
        """
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        query = [("filter", f'{path} eq "{escaped}"')]
        return await self._list(resource_type, query)

    async def has_reference(self, resource_type: ResourceType, target_id: str, name: str, other: str) -> bool:
        """Ask whether an object already refers to another; the values go without
        quotes, as documented.
        """
        query = [("filter", f"id eq {target_id} and {name} eq {other}"), ("attributes", "id")]
        return bool(await self._list(resource_type, query))

    async def read(self, resource_type: ResourceType, target_id: str) -> dict[str, Any]:
        """Read an object by its cached id; raise TargetRefused with InvalidAnchor if it
        is gone.
        """
        query = [("excludedAttributes", "members")] if resource_type == "Groups" else []
        status, body = await self._request("GET", f"/{resource_type}/{quote(target_id, safe='')}", query)
        return _resource(self._accept(status, body, {200}, by_id=True), status)

    async def create(self, resource_type: ResourceType, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; a 201 without an id is no success, because nothing could be
        linked.
        """
        status, body = await self._request("POST", f"/{resource_type}", [], resource)
        return _resource(self._accept(status, body, {200, 201}), status)

    async def patch(self, resource_type: ResourceType, target_id: str, patch: Mapping[str, Any]) -> None:
        path = f"/{resource_type}/{quote(target_id, safe='')}"
        status, body = await self._request("PATCH", path, [], patch)
        self._accept(status, body, {200, 204}, by_id=True)

    async def delete(self, resource_type: ResourceType, target_id: str) -> None:
        """Delete an object; one that is gone already is a success."""
        status, body = await self._request("DELETE", f"/{resource_type}/{quote(target_id, safe='')}", [])
        self._accept(status, body, {200, 204, 404}, by_id=True)

    # --- one request, and its answer ---

    async def _list(self, resource_type: ResourceType, query: list[tuple[str, str]]) -> list[dict[str, Any]]:
        if resource_type == "Groups":
            query = [("excludedAttributes", "members"), *query]
        status, body = await self._request("GET", f"/{resource_type}", query)
        if status == 404:
            raise JobStopped(
                errors.SERVICE_INCOMPATIBLE,
                f"HTTP/404 for a query of /{resource_type} rather than the expected HTTP/200 "
                "(RFC 7644 section 3.4.2): check the Tenant URL",
            )
        resources = self._accept(status, body, {200})
        if not isinstance(resources, dict) or not isinstance(resources.get("totalResults"), int):
            raise TargetRefused(errors.SERVICE_INCOMPATIBLE, "a query was not answered with a ListResponse")
        return [_resource(resource, status) for resource in resources.get("Resources") or []]

    async def _request(
        self, method: str, path: str, query: list[tuple[str, str]], body: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        text = "&".join(f"{name}={quote_plus(value, safe=',')}" for name, value in query)
        if self.target.forward_flag and self.target.flag_query:
            text = f"{text}&{self.target.flag_query}" if text else self.target.flag_query
        url = URL(self.target.base_url + path + (f"?{text}" if text else ""), encoded=True)
        headers = await self._headers(with_body=body is not None)
        data = aiohttp.JsonPayload(body, content_type=SCIM_JSON) if body is not None else None
        self.sent += 1
        try:
            async with self._session.request(
                method, url, headers=headers, data=data, timeout=self._timeout, allow_redirects=False
            ) as answer:
                return answer.status, _parsed(answer, await answer.read())
        except TimeoutError as error:
            raise TargetRefused("Timeout", f"no answer within {self.target.timeout_s:g} s") from error
        except (aiohttp.ClientError, asyncio.IncompleteReadError) as error:
            raise TargetRefused("WebExceptionProtocolError", f"no connection: {error}") from error

    async def _headers(self, *, with_body: bool) -> dict[str, str]:
        token = await self.target.credentials.bearer(self._session)
        headers = {
            "Authorization": f"Bearer {'expired-' + token if self._spoil_token() else token}",
            "Accept": SCIM_JSON,
            "ADSCIMVersion": f"Date:{timestamp(self._now())}, ActivityId:{uuid.uuid4()}",
        }
        return headers | {"Content-Type": SCIM_JSON} if with_body else headers

    def _accept(self, status: int, body: Any, good: set[int], *, by_id: bool = False) -> Any:
        if status in good:
            return body
        detail = body.get("detail") if isinstance(body, dict) else None
        message = f"The service returned HTTP {status}." + (f" {detail}" if detail else "")
        if status == 401:
            raise JobStopped(errors.UNAUTHORIZED, message)
        code = errors.INVALID_ANCHOR if status == 404 and by_id else errors.code_of(status)
        raise TargetRefused(code, message)


def _parsed(answer: aiohttp.ClientResponse, content: bytes) -> Any:
    if not content or answer.content_type not in {SCIM_JSON, "application/json"}:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return None


def _resource(body: Any, status: int) -> dict[str, Any]:
    if not isinstance(body, dict) or not isinstance(body.get("id"), str) or not body["id"]:
        message = f"HTTP {status} came without a resource with an id"
        raise TargetRefused(errors.SERVICE_INCOMPATIBLE, message)
    manager = (body.get(ENTERPRISE) or {}).get("manager")
    if isinstance(manager, str):
        # Seen in the wild: a manager that reads back as a bare text makes the service
        # give up.
        raise TargetRefused(errors.SERVICE_INCOMPATIBLE, "manager must read back as an object with a value")
    return body
