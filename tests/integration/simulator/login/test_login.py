"""The login side of the simulated tenant, with the real msal."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msal
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import KeySet

from simulator.login.id_token_faults import NAMES
from tests.builders.simulator.client import Answer, SimulatorClient, simulator_client

GRAPH_SCOPE = ["https://graph.microsoft.com/.default"]


@pytest.fixture
async def client() -> AsyncIterator[SimulatorClient]:
    async with simulator_client() as client:
        yield client


class OverPlainHttp(requests.Session):
    """msal insists on https authorities: speak http to the simulator and say https to msal."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._plain, self._tls = base_url, base_url.replace("http://", "https://")

    def request(self, method: str, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        answer = super().request(method, str(url).replace(self._tls, self._plain), *args, **kwargs)
        answer._content = answer.content.replace(self._plain.encode(), self._tls.encode())
        return answer


async def msal_token(
    client: SimulatorClient, credential: object, tenant: str | None = None
) -> dict[str, Any]:
    """Ask for an app token as a client with real msal does."""
    directory = client.simulator.directory
    tls = client.simulator.login_url.replace("http://", "https://")

    def ask() -> dict[str, Any]:
        with OverPlainHttp(client.simulator.login_url) as session:
            app = msal.ConfidentialClientApplication(
                directory.client_id,
                client_credential=credential,
                authority=f"{tls}/{tenant or directory.entra_tenant_id}",
                instance_discovery=False,
                http_client=session,
            )
            answer: dict[str, Any] = app.acquire_token_for_client(GRAPH_SCOPE)
            return answer

    return await asyncio.to_thread(ask)


def certificate(name: str = "leaver") -> tuple[str, str, str]:
    """Make a key and a self-signed certificate; give private key, certificate (PEM) and SHA-1 thumbprint."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = made.public_bytes(Encoding.PEM).decode()
    return private, public, made.fingerprint(hashes.SHA1()).hex()  # noqa: S303  # msal's legacy thumbprint


async def test_token_by_secret(client: SimulatorClient) -> None:
    """Client credentials with a secret; app roles are in the token's `roles` claim, and Graph takes it."""
    answer = await msal_token(client, client.simulator.directory.client_secret)
    keys = await client.get(
        f"{client.simulator.login_url}/{client.simulator.directory.entra_tenant_id}/discovery/v2.0/keys"
    )
    claims = jwt.decode(answer["access_token"], KeySet.import_key_set(keys.body)).claims
    assert "User.Read.All" in claims["roles"]
    assert claims["tid"] == client.simulator.directory.entra_tenant_id
    graph = await client.get("/organization", {"Authorization": f"Bearer {answer['access_token']}"})
    assert graph.status == 200


@pytest.mark.parametrize("way", ["PS256", "RS256"])
async def test_token_by_certificate(client: SimulatorClient, way: str) -> None:
    """Certificate JWT: `x5t#S256` with PS256, or the older `x5t` with RS256."""
    private, public, thumbprint = certificate()
    await client.admin("POST", "/credentials", {"certificate": public})
    credential = {"private_key": private, "public_certificate": public}
    if way == "RS256":
        credential = {"private_key": private, "thumbprint": thumbprint}
    assert "access_token" in await msal_token(client, credential)


async def test_unregistered_certificate_is_refused(client: SimulatorClient) -> None:
    """AADSTS700027: no certificate with that thumbprint."""
    private, public, _ = certificate()
    answer = await msal_token(client, {"private_key": private, "public_certificate": public})
    assert answer["error_codes"] == [700027]


async def test_assertion_signed_by_another_key_is_refused(client: SimulatorClient) -> None:
    """A thumbprint alone proves nothing: the signature must fit the registered certificate."""
    _, public, thumbprint = certificate()
    await client.admin("POST", "/credentials", {"certificate": public})
    other_key, _, _ = certificate("intruder")
    answer = await msal_token(client, {"private_key": other_key, "thumbprint": thumbprint})
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])


async def test_wrong_secret(client: SimulatorClient) -> None:
    """The documented error body, with code, trace id, correlation id and timestamp."""
    answer = await msal_token(client, "wrong")
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])
    assert answer["error_description"].startswith("AADSTS7000215: Invalid client secret")
    assert {"timestamp", "trace_id", "correlation_id"} <= set(answer)


async def test_expired_secret(client: SimulatorClient) -> None:
    """AADSTS7000222 once the secret's time is over."""
    await client.admin("POST", "/credentials", {"secret": "short-lived", "expires_in_s": 60})
    assert "access_token" in await msal_token(client, "short-lived")
    await client.admin("POST", "/clock", {"advance_s": 61})
    assert (await msal_token(client, "short-lived"))["error_codes"] == [7000222]


async def test_revoked_credentials(client: SimulatorClient) -> None:
    """Without a secret left nobody gets a token."""
    await client.admin("DELETE", "/credentials")
    assert (await msal_token(client, client.simulator.directory.client_secret))["error_codes"] == [7000215]


async def test_unknown_tenant(client: SimulatorClient) -> None:
    """AADSTS90002, already when the metadata are read."""
    stranger = "00000000-0000-0000-0000-000000000001"
    metadata = await client.get(
        f"{client.simulator.login_url}/{stranger}/v2.0/.well-known/openid-configuration"
    )
    assert (metadata.status, metadata.body["error_codes"]) == (400, [90002])
    with pytest.raises(ValueError, match="check your tenant name"):
        await msal_token(client, "x", tenant=stranger)


async def token(client: SimulatorClient, **form: str) -> Answer:
    directory = client.simulator.directory
    url = f"{client.simulator.login_url}/{directory.entra_tenant_id}/oauth2/v2.0/token"
    whole = {"client_id": directory.client_id, "client_secret": directory.client_secret, **form}
    async with client.session.post(url, data=whole) as answer:
        return Answer(answer.status, answer.headers, await answer.json())


async def test_scope_must_be_the_default_one(client: SimulatorClient) -> None:
    """AADSTS70011 for anything but `https://{graph host}/.default`."""
    answer = await token(client, grant_type="client_credentials", scope="User.Read.All")
    assert (answer.status, answer.body["error"]) == (400, "invalid_scope")


async def test_unknown_application(client: SimulatorClient) -> None:
    """AADSTS700016 for a client id of nobody."""
    answer = await token(
        client, client_id="00000000-0000-0000-0000-000000000001", grant_type="client_credentials"
    )
    assert answer.body["error_codes"] == [700016]


# --- people ---

REDIRECT = "http://127.0.0.1:8080/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-the-rfc-and-random"


async def authorize(client: SimulatorClient, hint: str, **more: str) -> Answer:
    directory = client.simulator.directory
    await client.admin("PATCH", "/sign-in", {"redirect_uris": [REDIRECT]})
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    query = {
        "client_id": directory.client_id,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": "openid profile email",
        "state": "xyz",
        "nonce": "n-1",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "login_hint": hint,
        **more,
    }
    url = f"{client.simulator.login_url}/{directory.entra_tenant_id}/oauth2/v2.0/authorize"
    async with client.session.get(url, params=query, allow_redirects=False) as answer:
        return Answer(answer.status, answer.headers, await answer.text())


def returned(answer: Answer) -> dict[str, str]:
    assert answer.headers["Location"].startswith(REDIRECT)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


async def test_assigned_person_signs_in(client: SimulatorClient) -> None:
    """Authorization code with PKCE; the ID token names the person by object id and repeats the nonce."""
    directory = client.simulator.directory
    user = directory.users[next(iter(directory.entitled()))]
    back = returned(await authorize(client, user.user_principal_name))
    assert back["state"] == "xyz"
    spent = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}
    answer = await token(client, **spent, code_verifier=VERIFIER)
    keys = await client.get(f"{client.simulator.login_url}/{directory.entra_tenant_id}/discovery/v2.0/keys")
    claims = jwt.decode(answer.body["id_token"], KeySet.import_key_set(keys.body)).claims
    assert (claims["oid"], claims["aud"], claims["nonce"]) == (user.id, directory.client_id, "n-1")
    assert claims["iss"] == f"{client.simulator.login_url}/{directory.entra_tenant_id}/v2.0"
    assert (await token(client, **spent, code_verifier=VERIFIER)).body["error"] == "invalid_grant"


async def test_code_without_its_verifier_is_worthless(client: SimulatorClient) -> None:
    """RFC 7636: the verifier must fit the challenge."""
    user = next(iter(client.simulator.directory.entitled()))
    back = returned(await authorize(client, user))
    spent = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}
    assert (await token(client, **spent, code_verifier="other")).body["error"] == "invalid_grant"


async def test_who_may_not_sign_in(client: SimulatorClient) -> None:
    """Disabled, unassigned and deleted people stay at Entra's page."""
    directory = client.simulator.directory
    disabled, deleted = list(directory.entitled())[:2]
    unassigned = next(
        u for u in directory.users if directory.reason_not_entitled(u) == "unassigned" and u != deleted
    )
    directory.change_user(disabled, {"accountEnabled": False})
    directory.soft_delete_user(deleted)
    pages = [await authorize(client, user) for user in (disabled, unassigned, deleted)]
    for page, code in zip(pages, ("AADSTS50057", "AADSTS50105", "AADSTS50034"), strict=True):
        assert page.status >= 400
        assert code in page.body
    silent = returned(await authorize(client, disabled, prompt="none"))
    assert silent["error"] == "interaction_required"


async def test_without_a_hint_one_may_choose(client: SimulatorClient) -> None:
    """The page links to everybody; with `prompt=none` nobody is signed in."""
    directory = client.simulator.directory
    page = await authorize(client, "")
    assert next(iter(directory.users.values())).user_principal_name in page.body
    assert returned(await authorize(client, "", prompt="none"))["error"] == "login_required"


async def test_only_a_registered_redirect_uri_gets_a_code(client: SimulatorClient) -> None:
    """AADSTS50011 stays on Entra's page: the address is compared letter by letter."""
    user = next(iter(client.simulator.directory.entitled()))
    for uri in (f"{REDIRECT}/", "http://evil.example/x", REDIRECT.upper()):
        page = await authorize(client, user, redirect_uri=uri)
        assert page.status == 400
        assert "AADSTS50011" in page.body
        assert "Location" not in page.headers


async def test_signing_out_loads_the_logout_url_with_the_session(client: SimulatorClient) -> None:
    """Front-channel logout as Entra does it: `sid` of the ID token, no issuer; no open redirect afterwards."""
    directory = client.simulator.directory
    await client.admin("PATCH", "/sign-in", {"logout_url": "http://127.0.0.1:8080/out"})
    signed_in = await authorize(client, next(iter(directory.entitled())))
    back, cookie = returned(signed_in), signed_in.headers["Set-Cookie"].partition(";")[0]
    spent = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}
    answer = await token(client, **spent, code_verifier=VERIFIER)
    session_id = client.simulator.simulation.authority.signer.read(answer.body["id_token"])
    assert session_id is not None
    url = f"{client.simulator.login_url}/{directory.entra_tenant_id}/oauth2/v2.0/logout"
    async with client.session.get(
        url, params={"post_logout_redirect_uri": "http://evil.example"}, headers={"Cookie": cookie}
    ) as answer_page:
        page = await answer_page.text()
    assert answer_page.status == 200
    assert f"http://127.0.0.1:8080/out?sid={session_id['sid']}" in page
    assert "evil.example" not in page


@pytest.mark.parametrize("fault", sorted(NAMES - {"replay"}))
async def test_an_id_token_can_be_wrong_in_every_way(client: SimulatorClient, fault: str) -> None:
    """What an application must refuse: armed by name, and different from the right token."""
    await client.admin("POST", "/faults", {"match": "POST .*/token", "id_token": fault})
    back = returned(await authorize(client, next(iter(client.simulator.directory.entitled()))))
    spent = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}
    answer = await token(client, **spent, code_verifier=VERIFIER)
    payload = answer.body["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    right = client.simulator.simulation.authority.signer.read(answer.body["id_token"])
    assert right is None or right.get("oid") is None or _is_wrong(claims, client)


def _is_wrong(claims: dict[str, Any], client: SimulatorClient) -> bool:
    directory = client.simulator.directory
    return bool(
        claims["iss"] != f"{client.simulator.login_url}/{directory.entra_tenant_id}/v2.0"
        or claims["aud"] != directory.client_id
        or claims["tid"] != directory.entra_tenant_id
        or claims["nonce"] != "n-1"
        or claims.get("azp", claims["aud"]) != claims["aud"]
        or claims["exp"] < time.time()
    )
