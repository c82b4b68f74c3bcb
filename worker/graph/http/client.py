"""Client of one connection's Graph: retries, batches, links that stay on its origin.

The SDK is imported when a client is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from store.records import Connection
from worker.graph import batches
from worker.graph.auth import clouds
from worker.graph.auth.credentials import Credential
from worker.graph.auth.kept_tokens import KeptTokens
from worker.graph.auth.tokens import TokenSource
from worker.graph.errors import (
    ConnectionUnusable,
    CredentialsRejected,
    ForeignLink,
    GraphError,
    GraphResponse,
    GraphTryAgain,
    MalformedAnswer,
    NotFound,
    ServiceFault,
    Throttled,
    error_from_answer,
)
from worker.graph.graph_query import GraphQuery
from worker.graph.http.retry import RetryPolicy, with_retry
from worker.graph.http.throttle import Priority, Throttle, throttle_for
from worker.graph.network import HttpOrigin

if TYPE_CHECKING:
    from msgraph.graph_service_client import GraphServiceClient

    from worker.graph.http.transport import Transport

T = TypeVar("T")
Decode: TypeAlias = Callable[[bytes], T]

MAX_BATCH = 20
"""Requests in one `$batch` (Graph, "JSON batching")."""


class GraphClient:
    """Read Graph for one connection, on one event loop; tenants share nothing."""

    def __init__(
        self,
        transport: Transport,
        tokens: TokenSource,
        origin: HttpOrigin,
        throttle: Throttle,
        policy: RetryPolicy,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._origin = origin
        self._throttle = throttle
        self._policy = policy
        self._is_healthy = True
        self._priority = Priority.SCHEDULED

    @property
    def sdk(self) -> GraphServiceClient:
        """msgraph-sdk's request builders."""
        return self._transport.sdk

    async def token_roles(self) -> frozenset[str]:
        """Return the application permissions that Entra put into the token."""
        return await self._with_retry(self._tokens.roles)

    async def get(self, query: GraphQuery) -> bytes:
        """Return the body of one answer. Raises `GraphError`."""
        return await self._with_retry(lambda: self._attempt(query))

    async def read(self, query: GraphQuery, decode: Decode[T]) -> T:
        """Return one decoded answer.

        Raises `GraphError`, `MalformedAnswer` for a body of another shape.
        """
        return decoded(decode, await self.get(query), query.name)

    def follow(self, query: GraphQuery, link: str) -> GraphQuery:
        """Return the same query at a next link.

        Raises `ForeignLink` for a link that is not on the connection's Graph.
        """
        if not self._origin.holds(link):
            raise ForeignLink(
                f"The next link of {query.name} leads away from {self._origin.host}; it was not followed."
            )
        return query.at(link)

    async def batch(self, queries: Sequence[GraphQuery]) -> list[bytes | GraphError]:
        """Send up to 20 queries in one `$batch` and return answers in their order.

        Throttled or failing items are tried again one by one (the SDKs do not do that),
        as long as each round brings an answer: the units of a window may be fewer than
        those of a batch. Never raises a `GraphError`: it is returned in place of the
        answer.
        """
        if not queries:
            return []
        answers: dict[str, bytes | GraphError] = {}
        waiting = {str(number): query for number, query in enumerate(queries)}

        async def attempt() -> None:
            answers.update(await self._attempt_batch(waiting))
            for number in list(waiting):
                if not isinstance(answers[number], GraphTryAgain):
                    del waiting[number]
            faults = [fault for number in waiting if isinstance(fault := answers[number], GraphTryAgain)]
            if faults:
                raise max(faults, key=lambda fault: fault.retry_after_s or 0.0)

        while waiting:
            before = len(waiting)
            try:
                await self._with_retry(attempt)
            except GraphError as error:
                if len(waiting) < before and isinstance(error, GraphTryAgain):
                    continue
                for number in waiting:
                    answers.setdefault(number, error)
                break
        return [answers[str(number)] for number in range(len(queries))]

    def renew_permissions(self) -> None:
        """Read on with the permissions of now, if the token is of an earlier client."""
        self._tokens.renew_if_kept()

    def prioritize(self) -> None:
        """Send further requests before scheduled work on the same tenant.

        For work that a person waits for.
        """
        self._priority = Priority.ON_DEMAND

    def set_tenant_size(self, users: int) -> None:
        """Set the number of users: Graph's quota grows with the tenant."""
        self._throttle.set_tenant_size(users)

    @property
    def paused_s(self) -> float:
        """How long Graph still wants nothing of this directory to be read."""
        return self._throttle.paused_s

    async def _attempt(self, query: GraphQuery) -> bytes:
        async with self._throttle.slot(query.units, self._priority, self._policy.total_s) as slot:
            try:
                answer = await self._sent(query)
            except Throttled as throttled:
                self._throttle.note_throttled(throttled.retry_after_s)
                raise
            self._throttle.note_success(slot, answer.headers)
        return answer.body

    async def _sent(self, query: GraphQuery) -> GraphResponse:
        try:
            return await self._transport.send(query, self._priority)
        except CredentialsRejected:  # the token may just have ended or been revoked: one new one
            await self._tokens.token(renew=True)
            return await self._transport.send(query, self._priority)

    async def _attempt_batch(self, queries: dict[str, GraphQuery]) -> dict[str, bytes | GraphError]:
        body = await self._whole_batch(queries)
        items = {item.id: item for item in decoded(batches.decode_batch, body, "$batch").responses}
        answers = {number: _item_answer(items.get(number), query) for number, query in queries.items()}
        for item in items.values():
            self._throttle.note_fill(item.headers_in_lower_case)
        throttled = [answer for answer in answers.values() if isinstance(answer, Throttled)]
        if throttled:
            self._throttle.note_throttled(max(error.retry_after_s or 0.0 for error in throttled))
        return answers

    async def _whole_batch(self, queries: dict[str, GraphQuery]) -> bytes:
        """Return the body of a batch answer. Raises `GraphError`, never `NotFound`.

        A 404 for the batch itself says nothing of the objects that were asked for: read
        as each item's answer, it would prove that none of them exists.
        """
        try:
            return await self._attempt(self._batch_query(queries))
        except NotFound as error:
            raise ServiceFault(f"Graph did not take a batch of reads ({error.said}).") from error

    def _batch_query(self, queries: dict[str, GraphQuery]) -> GraphQuery:
        base_url = self._transport.base_url
        items = [
            batches.BatchRequest(number, query.url.removeprefix(base_url), query.headers)
            for number, query in queries.items()
        ]
        permission = next(iter(queries.values())).permission
        units = sum(query.units for query in queries.values())
        return GraphQuery(
            f"{base_url}/$batch", "$batch", permission, body=batches.encode_batch(items), units=units
        )

    async def _with_retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run an attempt by the policy.

        After one request has used up its attempts, each further request gets one
        attempt only, until one succeeds.
        """
        policy = self._policy if self._is_healthy else replace(self._policy, attempts=1)
        try:
            result = await with_retry(attempt, policy)
        except GraphTryAgain:
            self._is_healthy = False
            raise
        self._is_healthy = True
        return result


def decoded(decode: Decode[T], body: bytes, name: str) -> T:
    """Decode a body.

    Raises `MalformedAnswer`, naming the query and the place of the fault in the body.
    """
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"Graph's answer for {name} is not what was asked for: {error}.") from error


def _item_answer(item: batches.BatchItem | None, query: GraphQuery) -> bytes | GraphError:
    if item is None:
        return ServiceFault(f"Graph left {query.name} out of its batch answer.")
    body = bytes(item.body)
    if item.status == 200:
        return body
    return error_from_answer(
        GraphResponse(item.status, item.headers_in_lower_case, body), query.name, query.permission
    )


@asynccontextmanager
async def open_graph(
    connection: Connection,
    credential: Credential,
    policy: RetryPolicy | None = None,
    kept: KeptTokens | None = None,
) -> AsyncIterator[GraphClient]:
    """Open Graph for one connection; no request is sent yet.

    Raises `ConnectionUnusable`. Without `kept` tokens live as long as the client: a new
    client gets a new token, and with it the present permissions.
    """
    policy = policy or RetryPolicy()
    origin = _graph_origin(connection)
    tokens = _token_source(connection, credential, origin, policy.answer_within_s, kept)
    throttle = throttle_for(origin, connection.entra_tenant_id or "")
    from worker.graph.http.transport import Transport

    transport = Transport(_base_url(connection.graph_url), origin, tokens, policy.answer_within_s)
    try:
        yield GraphClient(transport, tokens, origin, throttle, policy)
    except BaseException:
        tokens.forget()
        raise
    finally:
        await transport.close()
        tokens.close()


def _graph_origin(connection: Connection) -> HttpOrigin:
    try:
        wrong = clouds.misfit(connection.login_url, connection.graph_url)
    except ValueError as error:
        raise _unusable(connection, "its login URL or Graph URL is not an absolute URL") from error
    if wrong is not None:
        why = f"Connection {connection.name} cannot read Graph: {wrong.why}."
        raise ConnectionUnusable(why, f"{wrong.remedy}.")
    origin, path = HttpOrigin.of(connection.graph_url), urlsplit(connection.graph_url).path.strip("/")
    if path not in ("", API_VERSION):
        why = f"Connection {connection.name} cannot read Graph: its Graph URL ends in /{path}, not /{API_VERSION}."
        raise ConnectionUnusable(why, f"Set the Graph URL to {origin}/{API_VERSION}.")
    return origin


API_VERSION = "v1.0"


def _token_source(
    connection: Connection,
    credential: Credential,
    origin: HttpOrigin,
    answer_within_s: float,
    kept: KeptTokens | None,
) -> TokenSource:
    if not connection.entra_tenant_id or not connection.client_id:
        raise _unusable(connection, "its Entra tenant id or client id is not set")
    return TokenSource(
        connection.login_url,
        connection.entra_tenant_id,
        connection.client_id,
        credential,
        f"{origin}/.default",
        answer_within_s,
        kept,
    )


def _base_url(graph_url: str) -> str:
    """Return the URL with the version added if it has no path of its own."""
    base = graph_url.rstrip("/")
    return base if "/" in base.split("://", 1)[1] else f"{base}/{API_VERSION}"


def _unusable(connection: Connection, why: str) -> ConnectionUnusable:
    return ConnectionUnusable(
        f"Connection {connection.name} cannot read Graph: {why}.",
        "Set the connection's Entra tenant id, client id, login URL and Graph URL.",
    )
