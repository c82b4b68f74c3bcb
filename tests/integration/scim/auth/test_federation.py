"""Workload identity federation: Entra shows an assertion at /oauth/token, signed with the key its login side publishes.

The simulator signs and publishes; what is wrong is signed by hand.
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientResponse, ClientSession
from aiohttp.test_utils import TestClient, TestServer
from joserfc import jwt
from joserfc.jwk import RSAKey

from scim.app import ScimServices, make_app
from scim.auth.federation import ASSERTION_TYPE
from scim.limits import ScimLimits
from simulator.faults import parse_fault
from simulator.provisioning.workload import sync_fabric_id
from simulator.server import Simulator, running_simulator
from store.database import Database
from store.records import ApiToken, Connection, Federation
from store.tenancy import api_tokens, connections
from tests.builders.scim_client import ScimClient
from tests.builders.scim_connections import EVERYTHING, PUBLIC_URL

AUDIENCE = "api://leaver-scim"


@dataclass(frozen=True)
class FederatedClient:
    """A connection of the simulated directory, with a token that Entra's assertions open."""

    entra: Simulator
    scim: ScimClient
    token: ApiToken

    @property
    def issuer(self) -> str:
        return f"{self.entra.login_url}/{self.entra.directory.entra_tenant_id}/v2.0"

    def good(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of an assertion as Entra writes them, some of them changed; None leaves one out."""
        now, subject = int(time.time()), sync_fabric_id(self.entra.directory.entra_tenant_id)
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "oid": subject,
            "aud": AUDIENCE,
            "tid": self.entra.directory.entra_tenant_id,
            "uti": f"uti-{time.monotonic_ns()}",
            "iat": now,
            "nbf": now,
            "exp": now + 3900,
            "ver": "2.0",
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def signed(self, **changed: Any) -> str:
        return sign(self.good(**changed), self.entra.simulation.authority.signer.key)

    async def trade(self, assertion: str, **form: str) -> tuple[ClientResponse, Any]:
        """Ask for an access token as Entra does."""
        whole = {
            "grant_type": "client_credentials",
            "client_id": self.scim.connection.id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": "scim",
            **form,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self.scim.http.post("/oauth/token", data=urlencode(whole), headers=headers) as answer:
            return answer, await answer.json()

    async def refused(self, assertion: str, why: str) -> None:
        answer, body = await self.trade(assertion)
        assert (answer.status, body["error"]) == (401, "invalid_client"), body
        assert why in body["error_description"]


def sign(claims: dict[str, Any], key: RSAKey, kid: str | None = None) -> str:
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": kid or key.kid}, claims, key)


def signed_with_the_public_key(claims: dict[str, Any], key: RSAKey) -> str:
    """Return an HS256 token whose secret is the public key: good for whoever takes the algorithm from the header."""
    parts = ({"alg": "HS256", "kid": key.kid}, claims)
    head_and_body = ".".join(base64url(json.dumps(each).encode()) for each in parts)
    signature = hmac.digest(key.as_pem(private=False), head_and_body.encode(), "sha256")
    return f"{head_and_body}.{base64url(signature)}"


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.fixture
async def federated(database: Database, contoso: Connection) -> AsyncIterator[FederatedClient]:
    async with running_simulator(users=3, groups=1) as entra:
        tenant_id, entra_tenant_id = contoso.tenant_id, entra.directory.entra_tenant_id
        connection = await database.write(
            lambda conn: connections.create(
                conn,
                tenant_id,
                "Federated",
                connections.ConnectionSettings(entra_tenant_id=entra_tenant_id, login_url=entra.login_url),
            )
        )
        federation = Federation(sync_fabric_id(entra_tenant_id), (AUDIENCE, "leaver-scim"))
        token, _ = await database.write(
            lambda conn: api_tokens.create(
                conn, tenant_id, connection.id, "Entra", EVERYTHING, federation=federation
            )
        )
        app = make_app(ScimServices(database, PUBLIC_URL, ScimLimits(token_memory_s=0)))
        async with TestClient(TestServer(app)) as http:
            yield FederatedClient(entra, ScimClient(http, None, database, connection), token)


async def test_an_assertion_of_entra_is_traded_for_an_access_token(federated: FederatedClient) -> None:
    """WIF page: the answer is a bearer token of one to six hours, for the scope scim."""
    answer, body = await federated.trade(federated.signed())
    assert answer.status == 200, body
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "scim")
    federated.scim.token = body["access_token"]
    assert (await federated.scim.get("/Users")).status == 200
    assert (await federated.scim.create_user("ida@northwind.example"))["userName"] == "ida@northwind.example"


async def test_a_directory_may_be_written_in_capitals(federated: FederatedClient) -> None:
    """Its id is a GUID, and Entra writes it in small letters."""
    database, connection = federated.scim.database, federated.scim.connection
    shouted = federated.entra.directory.entra_tenant_id.upper()
    await database.write(
        lambda conn: connections.set_directory(conn, connection.tenant_id, connection.id, shouted)
    )
    assert (await federated.trade(federated.signed()))[0].status == 200


@pytest.mark.parametrize("audience", ["leaver-scim", ["https://elsewhere.example", AUDIENCE]])
async def test_any_audience_of_the_set_will_do(federated: FederatedClient, audience: Any) -> None:
    """Microsoft's page and captures disagree about `aud`, so that a token has a set of them."""
    assert (await federated.trade(federated.signed(aud=audience)))[0].status == 200


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"aud": "api://somebody-else"}, "audience is 'api://somebody-else'"),
        ({"aud": AUDIENCE + "/"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": [5]}, "not text"),
        ({"sub": "somebody-else"}, "subject is 'somebody-else'"),
        ({"sub": None}, "not text"),
        ({"iss": "https://sts.windows.net/other/"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"tid": "another-directory"}, "issuer"),
        ({"exp": 1}, "expired"),
        ({"exp": int(time.time()) - 120}, "expired"),
        ({"exp": None}, "compare the clocks"),
        ({"exp": "tomorrow"}, "compare the clocks"),
        ({"nbf": int(time.time()) + 3600}, "compare the clocks"),
        ({"exp": 1e308}, "compare the clocks"),
        ({"exp": 10**400}, "compare the clocks"),
        ({"exp": True}, "compare the clocks"),
        ({"iat": -1}, "compare the clocks"),
        ({"nbf": float("nan")}, "compare the clocks"),
        ({"exp": int(time.time()) + 90_000}, "longer than a day"),
        ({"exp": int(time.time()) + 90_000, "iat": None, "nbf": None}, "longer than a day"),
        ({"aud": 5}, "audience"),
        ({"uti": None}, "no 'uti'"),
        ({"uti": ""}, "no 'uti'"),
        ({"uti": "u" * 5_000}, "no 'uti'"),
    ],
)
async def test_an_assertion_that_is_not_for_us_is_refused_and_told_why(
    federated: FederatedClient, changed: dict[str, Any], why: str
) -> None:
    """RFC 7523 §3: issuer, subject, audience and expiry are checked, each of them."""
    await federated.refused(federated.signed(**changed), why)


async def test_clocks_may_be_a_minute_apart(federated: FederatedClient) -> None:
    """RFC 7519 §4.1.4: some small leeway, to account for clock skew."""
    now = int(time.time())
    assert (await federated.trade(federated.signed(exp=now - 30)))[0].status == 200
    assert (await federated.trade(federated.signed(nbf=now + 30, iat=now + 30)))[0].status == 200


async def test_an_assertion_is_good_once(federated: FederatedClient) -> None:
    """RFC 7523 §3: replay is prevented by the unique id; Entra's is `uti`."""
    assertion = federated.signed(uti="once")
    assert (await federated.trade(assertion))[0].status == 200
    await federated.refused(assertion, "used before")
    await federated.refused(federated.signed(uti="once", exp=int(time.time()) + 60), "used before")
    assert (await federated.trade(federated.signed(uti="twice")))[0].status == 200


async def test_other_algorithms_are_no_signature(federated: FederatedClient) -> None:
    """RFC 8725 §3.1, §3.2: an allow-list of algorithms; `none` and HMAC with the public key are forgeries."""
    key = federated.entra.simulation.authority.signer.key
    genuine = federated.signed()
    head, body, _ = genuine.split(".")
    none = "eyJhbGciOiJub25lIiwia2lkIjoieCJ9"  # {"alg":"none","kid":"x"}
    await federated.refused(f"{none}.{body}.", "RS256")
    await federated.refused(signed_with_the_public_key(federated.good(), key), "RS256")
    stranger = RSAKey.generate_key(2048, auto_kid=True)
    await federated.refused(sign(federated.good(), stranger, kid=key.kid), "signature")
    await federated.refused(sign(federated.good(), stranger), "does not publish")
    other_claims = federated.signed(sub="x").split(".")[1]
    await federated.refused(f"{head}.{other_claims}.{genuine.split('.')[2]}", "signature")
    deep = base64url(b"[" * 9_000)
    for nonsense in ("x", "a.b.c", "..", "é.é.é", f"{deep}.a.b"):
        await federated.refused(nonsense, "not a signed JWT")


async def test_what_a_former_key_signed_is_good_until_it_ends(federated: FederatedClient) -> None:
    """After a rollover Entra publishes both keys for a while."""
    before = federated.signed()
    federated.entra.simulation.authority.signer.roll_over()
    assert (await federated.trade(federated.signed()))[0].status == 200
    assert (await federated.trade(before))[0].status == 200


async def test_keys_that_cannot_be_read_are_no_verdict(federated: FederatedClient) -> None:
    """A login authority that is down says nothing about an assertion: 503 with Retry-After, not 401."""
    outage = parse_fault({"match": "GET /.*/discovery/v2.0/keys", "status": 503})
    federated.entra.simulation.faults.arm(outage)
    answer, body = await federated.trade(federated.signed())
    assert (answer.status, body["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


async def test_the_token_behind_an_assertion_decides(federated: FederatedClient) -> None:
    """A federated token is revoked, suspended and bound to addresses like any other."""
    database, token = federated.scim.database, federated.token
    _, body = await federated.trade(federated.signed())
    federated.scim.token = body["access_token"]
    await database.write(lambda conn: api_tokens.suspend(conn, token.tenant_id, token.id))
    await federated.refused(federated.signed(), "suspended")
    assert (await federated.scim.get("/Users")).status == 403
    await database.write(lambda conn: api_tokens.resume(conn, token.tenant_id, token.id))
    assert (await federated.scim.get("/Users")).status == 200
    await database.write(
        lambda conn: api_tokens.allow_addresses(conn, token.tenant_id, token.id, ["10.0.0.0/8"])
    )
    await federated.refused(federated.signed(), "address")


async def test_an_assertion_opens_nothing_of_another_connection(
    federated: FederatedClient, contoso: Connection
) -> None:
    """Design §7, I5: neither one without a federated token, nor one of another directory."""
    database = federated.scim.database
    federated.scim.connection = contoso
    await federated.refused(federated.signed(), "does not know its directory")
    other = await database.write(
        lambda conn: connections.create(
            conn,
            contoso.tenant_id,
            "Other",
            connections.ConnectionSettings(
                entra_tenant_id=federated.entra.directory.entra_tenant_id,
                login_url=federated.entra.login_url,
            ),
        )
    )
    federated.scim.connection = other
    await federated.refused(federated.signed(), "no token of this connection")
    answer, body = await federated.trade(federated.signed(), client_id="Federated")  # a name is no id
    assert (answer.status, "No such client" in body["error_description"]) == (401, True)


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_assertion_type": "urn:x"}, 400, "invalid_request"),
        ({"client_assertion": ""}, 400, "invalid_request"),
        ({"client_secret": "leaver_x"}, 400, "invalid_request"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
    ],
)
async def test_a_request_that_is_half_an_assertion_is_refused(
    federated: FederatedClient, form: dict[str, str], status: int, error: str
) -> None:
    """RFC 7521 §4.2, RFC 6749 §2.3: one way to authenticate, and all of it."""
    answer, body = await federated.trade(federated.signed(), **form)
    assert (answer.status, body["error"]) == (status, error)


async def test_entras_own_token_is_no_api_token(federated: FederatedClient) -> None:
    """Without a Secret Token Entra sends a JWT of its own (SCIM page: for testing only): the answer says what is missing."""
    federated.scim.token = federated.signed()
    reply = await federated.scim.get("/Users")
    assert (reply.status, "/oauth/token" in reply.body["detail"]) == (401, True)


async def test_entras_provisioning_service_works_without_any_secret(federated: FederatedClient) -> None:
    """From Test Connection to a cycle: the simulated service shows assertions and nothing else."""
    service = federated.entra.simulation.provisioning
    url = str(federated.scim.http.make_url("/"))
    identity = service.workload_identity(
        federated.entra.login_url, f"{url}oauth/token", federated.scim.connection.id, AUDIENCE
    )
    await service.start(f"{url}api/scim/v2", credentials=identity)
    await service.test_connection()
    report = await service.run_cycle()
    assert (report.state, report.counts.get("created", 0) > 0) == ("Succeeded", True), report


async def test_the_simulated_service_is_set_up_for_federation_over_http(federated: FederatedClient) -> None:
    """For people and other processes: who the subject is, and credentials without a secret."""
    url = str(federated.scim.http.make_url("/"))
    admin = federated.entra.admin_url
    async with ClientSession() as session:

        async def post(path: str, **body: Any) -> Any:
            async with session.post(admin + path, json=body) as answer:
                assert answer.ok, await answer.text()
                return await answer.json() if answer.status == 200 else None

        identity = await post("/provisioning", do="identity")
        assert federated.token.federation is not None
        assert identity == {"issuer": federated.issuer, "subject": federated.token.federation.subject}
        workload = {
            "token_endpoint": f"{url}oauth/token",
            "client_id": federated.scim.connection.id,
            "audience": AUDIENCE,
        }
        await post("/keys/roll-over")
        await post(
            "/provisioning", do="configure", target_url=f"{url}api/scim/v2", workload_identity=workload
        )
        assert (await post("/provisioning", do="test"))["ok"] is True
        wrong = {**workload, "audience": "api://elsewhere"}
        await post("/provisioning", do="configure", workload_identity=wrong)
        failed = await post("/provisioning", do="test")
        assert (failed["ok"], "api://elsewhere" in failed["message"]) == (False, True)


async def test_an_expired_federated_token_leaves_its_successor_in_charge(federated: FederatedClient) -> None:
    """Rotation: the twin is opened by the same assertions."""
    database, token = federated.scim.database, federated.token
    twin, _ = await database.write(
        lambda conn: api_tokens.rotate(
            conn, token.tenant_id, token.id, old_ends_at=datetime.now(UTC) - timedelta(seconds=1)
        )
    )
    answer, body = await federated.trade(federated.signed())
    assert answer.status == 200, body
    assert twin.federation == token.federation
