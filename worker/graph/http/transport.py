"""The SDK behind `worker.graph.http.client`: msgraph-sdk's builders and request adapter, carried by aiohttp.

Imported only by the process that reads Graph, when it does: the SDK takes a second and 100 MB. Of kiota's
middleware neither the retry handler (`worker.graph.http.retry` is the one place; kiota's is blind to a
fractional `Retry-After`) nor the redirect handler (Graph does not redirect reads; a redirect would carry the
token along) is in the pipeline.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_abstractions.request_option import RequestOption
from kiota_abstractions.response_handler import ResponseHandler
from kiota_http.middleware import ParametersNameDecodingHandler, UserAgentHandler
from kiota_http.middleware.options import ResponseHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory  # type: ignore[import-untyped]
from msgraph_core.middleware import GraphTelemetryHandler  # type: ignore[import-untyped]

from worker.graph.auth.tokens import TokenSource
from worker.graph.errors import ConnectionFault, ForeignLink, GraphResponse, error_from_answer
from worker.graph.http.aiohttp_transport import BufferedTransport
from worker.graph.http.throttle import Priority
from worker.graph.origin import HttpOrigin, tls_context
from worker.graph.queries import GraphQuery

_MAX_CONNECTIONS = 16
_CONNECT_S = 30.0
_READ_AHEAD = 1024 * 1024


class Transport:
    """Sends requests built by `sdk`, with the connection's token, to its Graph and nowhere else."""

    def __init__(
        self, base_url: str, origin: HttpOrigin, tokens: TokenSource, answer_within_s: float
    ) -> None:
        self.base_url = base_url
        self._answer_within_s = answer_within_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, ssl=tls_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S),  # `send` bounds the whole
            read_bufsize=_READ_AHEAD,
        )
        self._http = GraphClientFactory.create_with_custom_middleware(
            [ParametersNameDecodingHandler(), UserAgentHandler(), GraphTelemetryHandler()],
            client=httpx.AsyncClient(transport=BufferedTransport(self._session, _proxy_to(origin))),
        )
        provider = BaseBearerTokenAuthenticationProvider(_ConnectionTokens(tokens, origin))
        self._adapter = GraphRequestAdapter(provider, self._http)
        self._adapter.base_url = base_url
        self.sdk = GraphServiceClient(request_adapter=self._adapter)
        self._raw: list[RequestOption] = [ResponseHandlerOption(_Raw())]

    async def send(self, query: GraphQuery, urgency: Priority) -> GraphResponse:
        """One attempt: the answer if it is a 200. Raises a `GraphError` for everything else."""
        try:
            async with asyncio.timeout(self._answer_within_s):
                answer = await self._adapter.send_primitive_async(
                    self._request(query, urgency), _AS_IT_CAME, None
                )
        except (httpx.HTTPError, aiohttp.ClientError, OSError, TimeoutError) as fault:
            raise ConnectionFault(
                f"Graph broke off or did not answer for {query.name} ({type(fault).__name__})."
            ) from fault
        except httpx.InvalidURL as fault:
            raise ForeignLink(f"Graph sent a link for {query.name} that is no URL.") from fault
        assert isinstance(answer, GraphResponse)
        if answer.status != 200:
            raise error_from_answer(answer, query.name, query.permission)
        return answer

    def _request(self, query: GraphQuery, urgency: Priority) -> RequestInformation:
        request = RequestInformation(Method.GET)
        request.url = query.url
        request.headers.try_add("Accept", "application/json")
        request.headers.try_add("x-ms-throttle-priority", urgency.header)
        request.headers.add_all(query.headers)
        if query.body is not None:
            request.http_method = Method.POST
            request.set_stream_content(query.body, "application/json")
        request.add_request_options(self._raw)
        return request

    async def close(self) -> None:
        await self._http.aclose()
        await self._session.close()  # the SDK's transport does not pass the closing on


def _proxy_to(origin: HttpOrigin) -> str | None:
    """The environment's proxy (`HTTPS_PROXY`, `NO_PROXY`), looked up once: aiohttp does it per request."""
    return None if proxy_bypass(origin.host) else getproxies().get(origin.scheme)


class _ConnectionTokens(AccessTokenProvider):
    """Gives the token to one origin only: scheme, host and port. (The SDK's default: every host.)"""

    def __init__(self, tokens: TokenSource, origin: HttpOrigin) -> None:
        self._tokens = tokens
        self._origin = origin

    async def get_authorization_token(
        self, uri: str, additional_authentication_context: dict[str, Any] | None = None
    ) -> str:
        if not self._origin.holds(uri):
            return ""
        # A claims challenge (continuous access evaluation) asks for a new token; msal declares no such
        # capability, so a plain new one is what we can give.
        return await self._tokens.token(renew="claims" in (additional_authentication_context or {}))

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator([self._origin.host])


_AS_IT_CAME = "bytes"
"""The adapter wants to be told a primitive type; `_Raw` answers in its place."""


class _Raw(ResponseHandler):
    """kiota's seam for raw answers: typed models cost a hundred times what bytes and msgspec cost."""

    async def handle_response_async(self, response: Any, error_map: Any) -> GraphResponse:
        answer: httpx.Response = response
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return GraphResponse(answer.status_code, headers, answer.content)
