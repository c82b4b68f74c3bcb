"""The simulator over HTTP: one port for login, Graph (`/v1.0`) and the admin side
(`/admin`).
"""

import asyncio
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from simulator import provisioning
from simulator.admin import add_admin
from simulator.directory import Directory
from simulator.faults import Fault
from simulator.graph.wire import Body, GraphError, GraphResponse, error_response, parse_request
from simulator.login.endpoints import add_login
from simulator.login.managed_identity import add_managed_identity
from simulator.registration import Registration
from simulator.seeding import Shape, seed_company
from simulator.simulation import Simulation, authorized_roles, build_simulation
from simulator.state_file import load_state, save_state

HOST = "127.0.0.1"
WORTH_COMPRESSING = 1400
"""Bytes: what fits in one packet gains nothing."""
PIECE_BYTES = 16
"""Of a body that trickles."""
ARRIVES_WITHIN_S = 0.02
"""Loopback takes less: what was sent before a reset has been read by then."""


def build_app(simulation: Simulation) -> web.Application:
    """Return the application that serves a simulation."""
    app = web.Application(middlewares=[_disturbed(simulation)], client_max_size=64 * 1024 * 1024)
    admin = web.Application()
    add_admin(admin, simulation)
    provisioning.add_routes(admin, simulation.jobs)
    app.add_subapp("/admin", admin)

    async def end_notifications(_: web.Application) -> None:
        await simulation.notifier.close()

    app.on_cleanup.append(end_notifications)

    async def graph(request: web.Request) -> web.Response:
        return await _graph(simulation, request)

    app.router.add_route("*", "/v1.0/{tail:.*}", graph)
    add_managed_identity(app, simulation.authority)
    add_login(app, simulation.authority)
    app.router.add_route("*", "/{tail:/*v1\\.0/.*}", graph)
    return app


async def _graph(simulation: Simulation, request: web.Request) -> web.Response:
    base_url = f"{request.scheme}://{request.host}/v1.0"
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        roles = authorized_roles(simulation, headers.get("authorization", ""))
    except GraphError as error:
        request_id = headers.get("client-request-id", "")
        return _http(error_response(error, request_id, request_id, simulation.directory), request)
    answer = await simulation.graph.answer(
        parse_request(
            method=request.method,
            raw_path=request.rel_url.raw_path.partition("v1.0")[2],
            raw_query=request.rel_url.raw_query_string,
            headers=headers,
            body=await request.read(),
            base_url=base_url,
            roles=roles,
        )
    )
    return _http(answer, request)


def _http(answer: GraphResponse, request: web.Request) -> web.Response:
    headers = dict(answer.headers)
    if not answer.body and answer.status == 204:
        return web.Response(status=204, headers=headers)
    headers["Content-Type"] = answer.content_type
    body = answer.body
    wants_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    if wants_gzip and isinstance(body, Body) and len(body) > WORTH_COMPRESSING:
        headers["Content-Encoding"] = "gzip"
        body = body.compressed()
    return web.Response(status=answer.status, body=body, headers=headers)


# --- what goes wrong on the way ---


def _disturbed(simulation: Simulation) -> Middleware:
    """Return the middleware that applies armed faults to every request
    outside `/admin`.
    """

    @web.middleware
    async def disturb(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/admin"):
            return await handler(request)
        fault = simulation.faults.take(request.method, request.raw_path)
        response = await (handler(request) if fault is None else _faulty(simulation, fault, request, handler))
        simulation.requests.append(f"{request.method} {request.raw_path} {response.status}")
        return response

    return disturb


async def _faulty(
    simulation: Simulation, fault: Fault, request: web.Request, handler: Handler
) -> web.StreamResponse:
    await asyncio.sleep(fault.delay_s)
    if fault.replaces_answer:
        headers = {"Content-Type": "application/json", **fault.answer_headers}
        response = web.Response(status=fault.answer_status, body=fault.replacement(), headers=headers)
    else:
        # What is thinned or cut must be readable here.
        given = await handler(request.clone(headers=_without_compression(request)))
        if not isinstance(given, web.Response):
            return given
        response = given
        response.headers.update(fault.headers)
    body = response.body if isinstance(response.body, bytes) else b""
    if fault.id_token is not None:
        body = simulation.authority.distort(body, fault.id_token)
    body = fault.cut(simulation.faults.changed(fault, body))
    if fault.reset:
        return await _broken_off(request, response, body)
    if fault.trickle_s:
        return await _trickled(request, response, body, fault.trickle_s)
    response.body = body
    return response


def _without_compression(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() != "accept-encoding"}


async def _broken_off(request: web.Request, response: web.Response, body: bytes) -> web.StreamResponse:
    """Send half of an answer, let it arrive, and reset the connection."""
    started = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
    started.content_length = len(body) + 1
    await started.prepare(request)
    await started.write(body[: len(body) // 2])
    await asyncio.sleep(ARRIVES_WITHIN_S)
    if request.transport is not None:
        # Without lingering the close is a reset (RST): the client cannot take it for an
        # end.
        connected = request.transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return started


async def _trickled(
    request: web.Request, response: web.Response, body: bytes, pause_s: float
) -> web.StreamResponse:
    """Send an answer in pieces that keep every idle timeout from striking; stop when
    the client is gone.
    """
    started = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
    started.enable_chunked_encoding()
    await started.prepare(request)
    with suppress(ConnectionError):
        for start in range(0, len(body), PIECE_BYTES):
            await started.write(body[start : start + PIECE_BYTES])
            await asyncio.sleep(pause_s)
        await started.write_eof()
    return started


# --- running it ---


@dataclass(frozen=True, slots=True)
class Simulator:
    """A simulation that listens on a port."""

    simulation: Simulation
    base_url: str

    @property
    def directory(self) -> Directory:
        return self.simulation.directory

    @property
    def login_url(self) -> str:
        return self.base_url

    @property
    def graph_url(self) -> str:
        return self.base_url

    @property
    def admin_url(self) -> str:
        return f"{self.base_url}/admin"

    def ready(self) -> dict[str, str]:
        """Return what a client needs to connect."""
        directory = self.directory
        return {
            "login_url": self.login_url,
            "graph_url": self.graph_url,
            "admin_url": self.admin_url,
            "entra_tenant_id": directory.entra_tenant_id,
            "client_id": directory.client_id,
            "client_secret": directory.client_secret,
            "app_id": directory.app_id,
            "service_principal_id": directory.service_principal_id,
        }

    def app_token(self) -> str:
        """Make an access token for Graph without the way over the token endpoint."""
        issuer = f"{self.base_url}/{self.directory.entra_tenant_id}/v2.0"
        return self.simulation.authority.app_token(issuer, "https://graph.microsoft.com")


@asynccontextmanager
async def serving(simulation: Simulation, port: int = 0) -> AsyncIterator[Simulator]:
    """Serve a simulation on 127.0.0.1 while the context is open; port 0 takes a free
    one.
    """
    runner = web.AppRunner(build_app(simulation), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield Simulator(simulation, f"http://{HOST}:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running_simulator(
    users: int = 40, groups: int = 6, seed: int = 1, *, shape: Shape | None = None, port: int = 0
) -> AsyncIterator[Simulator]:
    """Seed a company and serve it in this process: what tests use."""
    directory = Directory(seed)
    seed_company(directory, users, groups, shape=shape)
    async with serving(build_simulation(directory), port) as simulator:
        yield simulator


def run(port: int = 0, users: int = 200, groups: int = 12, seed: int = 1, state: Path | None = None) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; print one JSON line when ready.

    With a state file go on from it, if it is there, and save to it at the end.
    """
    if state is not None and state.exists():
        directory, registration = load_state(state)
    else:
        directory = Directory(seed)
        seed_company(directory, users, groups)
        registration = Registration(directory.client_id, {directory.client_secret: None})
    asyncio.run(_serve_until_stopped(build_simulation(directory, registration), port))
    if state is not None:
        save_state(state, directory, registration)


async def _serve_until_stopped(simulation: Simulation, port: int) -> None:
    stopping = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    async with serving(simulation, port) as simulator:
        sys.stdout.write(orjson.dumps(simulator.ready()).decode() + "\n")
        sys.stdout.flush()
        await stopping.wait()
