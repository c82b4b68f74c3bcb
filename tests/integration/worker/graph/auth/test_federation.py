"""Somebody else's word in place of a secret: workload identity's token file, a machine's managed identity."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import RSAKey

from simulator.registration import FederatedCredential
from simulator.server import Simulator, running_simulator
from tests.builders.graph_reading import HURRIED, LEAST, connection_to
from worker.graph.auth.credentials import Credential
from worker.graph.errors import ConnectionFault, ConnectionUnusable, CredentialsRejected, ServiceFault
from worker.graph.http.client import open_graph

SUBJECT = "system:serviceaccount:leaver:worker"
AUDIENCE = "api://AzureADTokenExchange"


class Issuer:
    """An OpenID issuer of workload tokens, as a Kubernetes cluster is: it publishes its keys."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"use": "sig"}, auto_kid=True)
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/keys", self._keys)
        return app

    async def _metadata(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    def token(
        self, claims: Mapping[str, str] | None = None, *, key: RSAKey | None = None, life_s: int = 600
    ) -> str:
        now = int(time.time())
        body = {"iss": self.url, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + life_s}
        body |= claims or {}
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, body, key or self.key)


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    async with TestServer(issuer.app()) as server:
        issuer.url = str(server.make_url("")).rstrip("/")
        yield issuer


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(users=20, groups=4) as running:
        running.simulation.registration.roles = LEAST
        yield running


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as running:
        yield running


def trust(simulator: Simulator, issuer: str, subject: str = SUBJECT) -> None:
    simulator.simulation.registration.federated.append(FederatedCredential(issuer, subject))


async def roles(simulator: Simulator, credential: Credential) -> frozenset[str]:
    async with open_graph(connection_to(simulator), credential, HURRIED) as graph:
        return await graph.token_roles()


async def test_a_projected_token_buys_a_token_of_entra(
    simulator: Simulator, issuer: Issuer, tmp_path: Path
) -> None:
    """Entra, "Workload identity federation": the assertion is the projected token itself."""
    trust(simulator, issuer.url)
    file = tmp_path / "token"
    file.write_text(issuer.token() + "\n")
    assert await roles(simulator, Credential(federated_token_file=str(file))) == LEAST


async def test_a_projected_token_is_read_at_each_use(
    simulator: Simulator, issuer: Issuer, tmp_path: Path
) -> None:
    trust(simulator, issuer.url)
    file = tmp_path / "token"
    file.write_text(issuer.token({"sub": "somebody else"}))
    credential = Credential(federated_token_file=str(file))
    async with open_graph(connection_to(simulator), credential, HURRIED) as graph:
        with pytest.raises(CredentialsRejected):
            await graph.token_roles()
        file.write_text(issuer.token())
        assert await graph.token_roles() == LEAST


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "system:serviceaccount:other:worker"}, 700213),
        ({"aud": "api://another"}, 700212),
        ({"iss": "https://another.example"}, 700211),
    ],
    ids=["subject", "audience", "issuer"],
)
async def test_a_token_that_does_not_match_is_refused_and_says_in_what(
    simulator: Simulator, issuer: Issuer, tmp_path: Path, claims: dict[str, str], code: int
) -> None:
    """Entra: issuer, subject and audience must match the configured federated credential."""
    trust(simulator, issuer.url)
    (tmp_path / "token").write_text(issuer.token(claims))
    with pytest.raises(CredentialsRejected) as raised:
        await roles(simulator, Credential(federated_token_file=str(tmp_path / "token")))
    assert raised.value.code == code
    assert "federated credential" in raised.value.remedy


async def test_a_token_signed_by_another_key_is_refused(
    simulator: Simulator, issuer: Issuer, tmp_path: Path
) -> None:
    trust(simulator, issuer.url)
    (tmp_path / "token").write_text(issuer.token(key=RSAKey.generate_key(2048)))
    with pytest.raises(CredentialsRejected) as raised:
        await roles(simulator, Credential(federated_token_file=str(tmp_path / "token")))
    assert raised.value.code == 50013


async def test_an_issuer_that_does_not_publish_its_keys_is_refused(
    simulator: Simulator, issuer: Issuer, tmp_path: Path
) -> None:
    elsewhere = f"{issuer.url}/nowhere"
    trust(simulator, elsewhere)
    (tmp_path / "token").write_text(issuer.token({"iss": elsewhere}))
    with pytest.raises(CredentialsRejected) as raised:
        await roles(simulator, Credential(federated_token_file=str(tmp_path / "token")))
    assert raised.value.code == 50013


async def test_a_token_file_that_nobody_renews_is_named_before_entra_is_asked(
    simulator: Simulator, issuer: Issuer, tmp_path: Path
) -> None:
    trust(simulator, issuer.url)
    (tmp_path / "token").write_text(issuer.token(life_s=-10))
    with pytest.raises(ConnectionUnusable, match="has ended") as raised:
        await roles(simulator, Credential(federated_token_file=str(tmp_path / "token")))
    assert "no longer renews" in raised.value.remedy
    assert not [line for line in simulator.simulation.requests if "/token" in line]


async def test_a_token_file_that_is_missing_or_no_token_is_named(
    simulator: Simulator, tmp_path: Path
) -> None:
    with pytest.raises(ConnectionUnusable, match="cannot be read"):
        await roles(simulator, Credential(federated_token_file=str(tmp_path / "nowhere")))
    (tmp_path / "token").write_text("not.a.token\n")
    with pytest.raises(CredentialsRejected):
        await roles(simulator, Credential(federated_token_file=str(tmp_path / "token")))


# --- managed identity ---

SYSTEM, CHOSEN = "system", "0a5e51de-0000-4000-8000-000000000002"


@pytest.fixture(params=["imds", "app service"])
def platform(request: pytest.FixtureRequest, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine we run on: a virtual machine with IMDS, or an App Service."""
    if request.param == "imds":
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", simulator.base_url)
        return
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{simulator.base_url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", simulator.simulation.registration.identity_header)


def own_issuer(simulator: Simulator) -> str:
    return f"{simulator.base_url}/{simulator.directory.entra_tenant_id}/v2.0"


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("identity", [SYSTEM, CHOSEN])
async def test_a_managed_identity_buys_a_token(simulator: Simulator, identity: str) -> None:
    """Entra, "Managed identity as a federated credential": its token for AzureADTokenExchange is the assertion."""
    trust(simulator, own_issuer(simulator), simulator.simulation.registration.managed_identities[identity])
    assert await roles(simulator, Credential(managed_identity=identity)) == LEAST


@pytest.mark.usefixtures("platform")
async def test_a_managed_identity_that_the_app_does_not_trust_is_refused(simulator: Simulator) -> None:
    trust(simulator, own_issuer(simulator), "another-identity")
    with pytest.raises(CredentialsRejected) as raised:
        await roles(simulator, Credential(managed_identity=SYSTEM))
    assert raised.value.code == 700213


@pytest.mark.usefixtures("platform")
async def test_an_identity_that_this_machine_does_not_have_is_named(simulator: Simulator) -> None:
    with pytest.raises(CredentialsRejected, match="managed identity endpoint gave no token") as raised:
        await roles(simulator, Credential(managed_identity="11111111-0000-4000-8000-000000000000"))
    assert "Assign the managed identity" in raised.value.remedy


async def test_a_machine_without_managed_identity_says_so(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ConnectionFault, match="give the connection another credential"):
        await roles(simulator, Credential(managed_identity=SYSTEM))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 503}, ServiceFault),
        ({"status": 200, "body": "<html>"}, CredentialsRejected),
        ({"status": 200, "body": []}, CredentialsRejected),
        ({"status": 404, "body": {"error": "not_found"}}, CredentialsRejected),
    ],
    ids=["503", "html", "list", "404"],
)
async def test_a_managed_identity_endpoint_that_fails_is_named(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, object],
    error: type[Exception],
) -> None:
    from simulator.faults import parse_fault

    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", simulator.base_url)
    simulator.simulation.faults.arm(parse_fault({"match": "/metadata/identity", **fault}))
    with pytest.raises(error):
        await roles(simulator, Credential(managed_identity=SYSTEM))


async def test_the_stand_in_endpoints_ask_for_what_shows_good_faith(simulator: Simulator) -> None:
    """IMDS wants `Metadata: true`, App Service the header it gave to the app."""
    import httpx

    async with httpx.AsyncClient(base_url=simulator.base_url, params={"resource": "x"}) as http:
        assert (await http.get("/metadata/identity/oauth2/token")).status_code == 400
        wrong = {"X-IDENTITY-HEADER": "wrong"}
        assert (await http.get("/msi/token", headers=wrong)).status_code == 401
