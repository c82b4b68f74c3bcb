"""The simulated Graph as one function: request in, answer or rendered error out."""

import re
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace

from simulator.graph.batch import Answer, answer_batch
from simulator.graph.call import Call, Tenant
from simulator.graph.query import refuse_advanced_expand
from simulator.graph.routes import ROUTES, AnyOf, Route
from simulator.graph.throttling import Meter, cost
from simulator.graph.wire import (
    GraphError,
    GraphRequest,
    GraphResponse,
    error_response,
    request_denied,
)

REMEMBERED_BYTES = 128 * 1024 * 1024

Disturb = Callable[[GraphRequest, Answer], Awaitable[GraphResponse]]
"""Answers an item of a batch, by itself or as an armed fault says."""


class Graph:
    """Microsoft Graph v1.0 of one tenant."""

    def __init__(self, tenant: Tenant, disturb: Disturb | None = None) -> None:
        self.tenant = tenant
        self._meter = Meter(tenant.directory, tenant.behaviour)
        self._disturb = disturb
        self._pages = PageMemory()

    async def answer(self, request: GraphRequest) -> GraphResponse:
        """Answer a request; every refusal is a rendered error, every answer has Graph's
        headers.
        """
        request_id = str(uuid.uuid4())
        client_request_id = request.headers.get("client-request-id", request_id)
        try:
            response = await self._route(request)
        except GraphError as error:
            response = error_response(error, request_id, client_request_id, self.tenant.directory)
        headers = {"request-id": request_id, "client-request-id": client_request_id, "OData-Version": "4.0"}
        return replace(response, headers={**headers, **response.headers})

    async def _route(self, request: GraphRequest) -> GraphResponse:
        if request.path == "/$batch" and request.method == "POST":
            return await answer_batch(request, self._answer_item)
        route, found = _find(request)
        _check_permissions(route, request.roles)
        if self.tenant.behaviour.refuse_advanced_expand:
            refuse_advanced_expand(request)
        if route.is_report:
            self._meter.charge_report()
        headers = self._meter.charge(cost(route.units, request.query))
        response = self._pages.recall(request, self.tenant)
        if response is None:
            answered = route.handler(Call(self.tenant, request, found.groupdict()))
            response = await answered if isinstance(answered, Awaitable) else answered
            self._pages.remember(request, self.tenant, response)
        return replace(response, headers={**headers, **response.headers})

    async def _answer_item(self, request: GraphRequest) -> GraphResponse:
        return await (self._disturb(request, self.answer) if self._disturb else self.answer(request))


def _find(request: GraphRequest) -> tuple[Route, re.Match[str]]:
    methods: set[str] = set()
    for route in ROUTES:
        found = route.pattern.match(request.path)
        if found is None:
            continue
        if route.method == request.method:
            return route, found
        methods.add(route.method)
    if methods:
        message = (
            f"Specified HTTP method is not allowed for the request target; try {', '.join(sorted(methods))}."
        )
        raise GraphError(405, "Request_BadRequest", message)
    segment = request.path.rsplit("/", 1)[-1]
    raise GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def _check_permissions(route: Route, roles: AnyOf) -> None:
    if all(wanted & roles for wanted in route.permissions):
        return
    if route.is_report and route.method == "GET":
        message = "The caller is missing the permission ProvisioningLog.Read.All."
        raise GraphError(403, "Authentication_MSGraphPermissionMissing", message)
    raise request_denied()


PageKey = tuple[frozenset[str], str, str, str, str, str]
"""Roles, base URL, path, query, index or not, `Prefer`."""


class PageMemory:
    """Rendered answers, good until the directory or the behaviour changes: reading
    again costs nothing.
    """

    def __init__(self) -> None:
        self._version: tuple[int, str] = (-1, "")
        self._held: OrderedDict[PageKey, GraphResponse] = OrderedDict()
        self._bytes = 0

    def recall(self, request: GraphRequest, tenant: Tenant) -> GraphResponse | None:
        version = (tenant.directory.version, repr(tenant.behaviour))
        if version != self._version:
            self._held.clear()
            self._bytes = 0
            self._version = version
        # Lags depend on time, not only on what changed.
        if request.method != "GET" or tenant.behaviour.index_lag_s or tenant.behaviour.assignment_lag_s:
            return None
        return self._held.get(_key(request))

    def remember(self, request: GraphRequest, tenant: Tenant, response: GraphResponse) -> None:
        if not response.cacheable or request.method != "GET" or self._version[0] != tenant.directory.version:
            return
        self._held[_key(request)] = response
        self._bytes += len(response.body)
        while self._bytes > REMEMBERED_BYTES:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= len(oldest.body)


def _key(request: GraphRequest) -> PageKey:
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    return (
        request.roles,
        request.base_url,
        request.spelling,
        query,
        str(request.is_advanced),
        request.headers.get("prefer", ""),
    )
