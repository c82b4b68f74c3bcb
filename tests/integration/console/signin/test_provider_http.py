"""A tenant's provider leads nowhere into the operator's network (decision 16)."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from console.admin.actor import Actor, ActorKind
from console.admin.connections import openid_provider
from console.admin.connections.openid_provider import NewProvider
from console.admin.errors import InvalidPolicy
from console.admin.sessions.errors import SignInProblem, SignInRefused
from console.admin.sessions.provider_sign_in import ProviderClient
from console.signin.openid import discover
from console.signin.provider_http import ProviderHttp, ProviderUnreachable
from scim.auth.jwks import KeysUnreachable
from store.integration.openid_providers import OpenIdProvider
from tests.builders.sign_in_scene import SignInScene
from worker.delivery.targets import PrivateAddress, TargetRefused

OPERATOR = Actor(ActorKind.CLI, "ada")
SIMULATOR = ProviderHttp(allows_loopback=True, allows_private=False)
STRICT = ProviderHttp(allows_loopback=False, allows_private=False)
OWN_NETWORK = ProviderHttp(allows_loopback=False, allows_private=True)
OPERATOR = Actor(ActorKind.CLI, "ada")
PRIVATE, LINK_LOCAL, PUBLIC = "10.1.2.3", "169.254.169.254", "93.184.216.34"


@pytest.fixture
async def here() -> AsyncIterator[tuple[str, list[str]]]:
    """A server on this machine, and the paths that it was asked for."""
    paths: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/elsewhere"}, text="moved")
        if request.path == "/endless":
            return web.Response(body=b"x" * 300_000)
        return web.json_response({"host": request.host, "form": dict(await request.post())})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield f"http://localhost:{server.port}", paths


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> list[str]:
    """Have the name server give one answer after the other; return the hosts it was asked for."""
    hosts: list[str] = []

    def look(host: str, port: int, **_: Any) -> list[Any]:
        hosts.append(host)
        found = answers[min(len(hosts), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr("console.signin.provider_http.getaddrinfo", look)
    return hosts


async def send(http: ProviderHttp, url: str, form: dict[str, str] | None = None) -> Any:
    return json.loads(await asyncio.to_thread(http.send, "POST" if form else "GET", url, form))


async def test_what_is_connected_to_is_the_address_that_was_checked(
    here: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server is asked once; an address that does not answer is passed over; `Host` is the name."""
    url, _ = here
    hosts = resolve_to(monkeypatch, ["127.0.0.9", "127.0.0.1"], [PRIVATE])
    said = await send(SIMULATOR, f"{url}/token", {"code": "c"})
    assert (said["host"], said["form"]) == (url.removeprefix("http://"), {"code": "c"})
    assert hosts == ["localhost"]
    with pytest.raises(PrivateAddress):
        await send(SIMULATOR, f"{url}/token")


@pytest.mark.parametrize(
    ("http", "addresses"),
    [
        *((STRICT, [PRIVATE]), (STRICT, [PUBLIC, PRIVATE]), (STRICT, ["127.0.0.1"])),
        *((OWN_NETWORK, [LINK_LOCAL]), (OWN_NETWORK, ["127.0.0.1"]), (SIMULATOR, [PRIVATE])),
    ],
)
async def test_a_name_that_resolves_into_the_operators_network_is_not_asked(
    http: ProviderHttp, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a whole: one public address beside a private one does not help."""
    resolve_to(monkeypatch, addresses)
    client = ProviderClient(OpenIdProvider("https://id.example", "leaver", None), "secret")
    with pytest.raises(SignInRefused) as refused:
        await asyncio.to_thread(discover, client, http)
    assert refused.value.problem is SignInProblem.NOT_SET_UP
    assert ("LEAVER_ALLOW_PRIVATE_ISSUERS" in refused.value.detail) is (PRIVATE in addresses)
    with pytest.raises(KeysUnreachable):
        await http.fetch_keys("https://id.example/keys")


async def test_the_certificate_has_to_be_that_of_the_name_though_an_address_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = certificate(tmp_path, "id.contoso.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    resolve_to(monkeypatch, ["127.0.0.1"])

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"host": request.host})

    app = web.Application()
    app.router.add_get("/keys", answer)
    server = TestServer(app)
    await server.start_server(ssl=context)
    try:
        said = await send(SIMULATOR, f"https://id.contoso.example:{server.port}/keys")
        assert said["host"] == f"id.contoso.example:{server.port}"
        with pytest.raises(ProviderUnreachable):
            await send(SIMULATOR, f"https://other.example:{server.port}/keys")
    finally:
        await server.close()


def certificate(folder: Path, name: str) -> Path:
    """Write a key and a certificate of the name, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "chain.pem"
    path.write_bytes(pem + made.public_bytes(Encoding.PEM))
    return path


async def test_no_redirect_is_followed_and_no_endless_answer_read(here: tuple[str, list[str]]) -> None:
    url, paths = here
    assert await asyncio.to_thread(SIMULATOR.send, "GET", f"{url}/moved") == b"moved"
    with pytest.raises(ProviderUnreachable):
        await send(SIMULATOR, f"{url}/endless")
    with pytest.raises(TargetRefused):
        await send(STRICT, f"{url}/keys")
    assert paths == ["/moved", "/endless"]


@pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
async def test_a_private_issuer_is_set_only_where_the_operator_allows_it(scene: SignInScene) -> None:
    """The refusal names the setting where that would help: not for a link-local address."""
    private, never = (f"https://{address}/realm" for address in (PRIVATE, LINK_LOCAL))
    place = (OPERATOR, scene.connection.id)
    with pytest.raises(InvalidPolicy, match="LEAVER_ALLOW_PRIVATE_ISSUERS"):
        await openid_provider.set_provider(scene.services, *place, NewProvider(private, "leaver", "secret"))
    allowed = scene.services.settings.model_copy(update={"allow_private_issuers": True})
    services = type(scene.services)(allowed, scene.services.db)
    await openid_provider.set_provider(services, *place, NewProvider(private, "leaver", "secret"))
    with pytest.raises(InvalidPolicy):
        await openid_provider.set_provider(services, *place, NewProvider(never, "leaver", "secret"))
