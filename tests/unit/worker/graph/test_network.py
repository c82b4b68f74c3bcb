"""A company's network: one rule for login and Graph, and one line at once that names the variable."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.builders.certificates import CERTIFICATE, KEY, pem_of
from worker.errors import InstallationFault
from worker.graph.auth.credentials import Credential
from worker.graph.auth.tokens import TokenSource
from worker.graph.errors import ConnectionFault
from worker.graph.graph_query import GraphQuery
from worker.graph.http.throttle import Priority
from worker.graph.http.transport import Transport
from worker.graph.network import HttpOrigin, NetworkMisconfigured, proxy_to, tls_context
from worker.graph.queries import READ_USERS

LOGIN, GRAPH = (
    HttpOrigin.of("https://login.microsoftonline.com"),
    HttpOrigin.of("https://graph.microsoft.com"),
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class _NoTokens:
    async def token(self, *, renew: bool = False) -> str:
        return "token"


async def read_graph(url: str) -> None:
    transport = Transport(f"{url}/v1.0", HttpOrigin.of(url), _NoTokens(), 5.0)  # type: ignore[arg-type]
    try:
        await transport.send(GraphQuery(f"{url}/v1.0/users", "users", READ_USERS), Priority.SCHEDULED)
    finally:
        await transport.close()


async def log_in(url: str) -> None:
    tokens = TokenSource(url, "tenant", "client", Credential(secret="secret"), f"{GRAPH}/.default", 5.0)
    try:
        await tokens.token()
    finally:
        tokens.close()


BOTH = pytest.mark.parametrize("read", [log_in, read_graph], ids=["login", "Graph"])
Read = Callable[[str], Awaitable[None]]


@asynccontextmanager
async def answering(answer: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers every connection alike."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("origin", [LOGIN, GRAPH])
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_one_rule_names_the_proxy_of_both(
    monkeypatch: pytest.MonkeyPatch, variable: str, origin: HttpOrigin
) -> None:
    """The login went by `ALL_PROXY`, Graph around it."""
    monkeypatch.setenv(variable, "http://proxy.corp.example:3128")
    proxy = proxy_to(origin)
    assert proxy is not None
    assert (proxy.variable, proxy.host) == (variable, "proxy.corp.example:3128")
    monkeypatch.setenv("NO_PROXY", ".microsoftonline.com,graph.microsoft.com")
    assert proxy_to(origin) is None


@BOTH
@pytest.mark.parametrize(
    "value", ["proxy.corp.example:3128", "socks5://proxy.corp.example", "http://", "http://p:x"]
)
async def test_a_proxy_that_is_no_url_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, read: Read, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(NetworkMisconfigured, match="HTTPS_PROXY") as raised:
        await read(str(GRAPH))
    assert "http://host:port" in raised.value.remedy
    assert isinstance(raised.value, InstallationFault), "no connection is to blame"


@BOTH
async def test_a_proxy_that_wants_a_login_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, read: Read
) -> None:
    async with answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:hush@127.0.0.1:{port}")
        with pytest.raises(NetworkMisconfigured, match="407") as raised:
            await read(str(GRAPH))
    assert f"127.0.0.1:{port} (HTTPS_PROXY)" in str(raised.value)
    assert "hush" not in f"{raised.value} {raised.value.remedy}"


@BOTH
async def test_an_untrusted_certificate_is_told_at_once(tmp_path: Path, read: Read) -> None:
    """A proxy of the network opens TLS with an authority of its own: 18 s of retries and "ConnectError"."""
    chain = tmp_path / "server.pem"
    chain.write_text(pem_of(KEY, CERTIFICATE))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    async with answering(b"", context) as port:
        started = time.monotonic()
        with pytest.raises(NetworkMisconfigured, match="not trusted") as raised:
            await read(f"https://127.0.0.1:{port}")
    assert time.monotonic() - started < 3
    assert "SSL_CERT_FILE" in raised.value.remedy


@BOTH
async def test_a_missing_file_of_authorities_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Read
) -> None:
    """It was "a fault of its own"."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    tls_context.cache_clear()
    with pytest.raises(NetworkMisconfigured, match=r"SSL_CERT_FILE \(.*gone\.pem\)"):
        await read(str(GRAPH))


@BOTH
async def test_a_name_that_dns_does_not_know_is_said(monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    """A typing error in a URL, or a machine without DNS, was "ConnectError"."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFault, match=r"login\.example cannot be resolved \(DNS\)") as raised:
        await read("https://login.example")
    assert "getent hosts login.example" in raised.value.remedy


@BOTH
async def test_a_host_that_speaks_no_tls_is_said(read: Read) -> None:
    """A firewall that answers in its place does so in plain text."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ConnectionFault, match=f"127.0.0.1:{port} does not speak TLS") as raised:
            await read(f"https://127.0.0.1:{port}")
    finally:
        server.close()
    assert "firewall" in raised.value.remedy


@BOTH
async def test_a_proxy_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, read: Read, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://someone:hush@127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ConnectionFault, match=rf"127\.0\.0\.1:{unused_tcp_port} \(HTTPS_PROXY\)") as raised:
        await read(str(GRAPH))
    assert "graph.microsoft.com:443" in raised.value.remedy
    assert "hush" not in f"{raised.value} {raised.value.remedy}"
