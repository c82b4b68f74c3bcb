"""Getting a token: secrets, certificates, refusals that say what to do; then the probe."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from simulator.faults import parse_fault
from simulator.server import Simulator, running_simulator
from store.records import Connection
from tests.builders.certificates import CERTIFICATE, KEY, make_certificate, make_key, pem_of
from tests.builders.graph_reading import HURRIED, LEAST, connection_to, secret_of
from worker.graph.auth.credentials import Credential
from worker.graph.auth.kept_tokens import KeptTokens
from worker.graph.errors import (
    ConnectionFault,
    ConnectionUnusable,
    CredentialExpired,
    CredentialsRejected,
    GraphError,
    MalformedAnswer,
    ServiceFault,
    Throttled,
)
from worker.graph.http.client import open_graph
from worker.graph.read.probe import ProbeStep, probe


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(users=20, groups=4) as running:
        yield running


async def roles(connection: Connection, credential: Credential) -> frozenset[str]:
    async with open_graph(connection, credential, HURRIED) as graph:
        return await graph.token_roles()


async def test_a_secret_buys_a_token_with_its_permissions(simulator: Simulator) -> None:
    simulator.simulation.registration.roles = LEAST
    assert await roles(connection_to(simulator), secret_of(simulator)) == LEAST


async def test_a_certificate_buys_a_token(simulator: Simulator) -> None:
    """Entra, "Certificate credentials": an assertion signed with PS256, thumbprint SHA-256."""
    pem = CERTIFICATE.public_bytes(serialization.Encoding.PEM).decode()
    simulator.simulation.registration.add_certificate(pem)
    connection = connection_to(simulator)
    assert await roles(connection, Credential(certificate_pem=pem_of(KEY, CERTIFICATE)))
    locked = Credential(certificate_pem=pem_of(KEY, CERTIFICATE, b"hush"), certificate_password="hush")
    assert await roles(connection, locked)


async def test_an_unknown_certificate_is_refused(simulator: Simulator) -> None:
    key = make_key()
    with pytest.raises(CredentialsRejected) as raised:
        await roles(connection_to(simulator), Credential(certificate_pem=pem_of(key, make_certificate(key))))
    assert raised.value.code == 700027


async def test_a_wrong_secret_is_refused_with_a_remedy(simulator: Simulator) -> None:
    with pytest.raises(CredentialsRejected, match="AADSTS7000215") as raised:
        await roles(connection_to(simulator), Credential(secret="wrong~secret"))
    assert "wrong~secret" not in str(raised.value)
    assert "secret" in raised.value.remedy


async def test_half_a_token_answer_is_refused_and_in_no_log(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """I9: msal logs an answer that is no JSON in full, and this one holds most of a token."""
    fault = {"match": "/oauth2/v2.0/token", "truncate": 0.1}
    simulator.simulation.faults.arm(parse_fault(fault))
    with pytest.raises(CredentialsRejected):
        await roles(connection_to(simulator), secret_of(simulator))
    assert "eyJ" not in caplog.text


async def test_an_unknown_client_is_refused(simulator: Simulator) -> None:
    connection = replace(connection_to(simulator), client_id="00000000-1111-4222-8333-444444444444")
    with pytest.raises(CredentialsRejected, match="AADSTS700016"):
        await roles(connection, secret_of(simulator))


async def test_an_unknown_tenant_is_refused(simulator: Simulator) -> None:
    connection = replace(connection_to(simulator), entra_tenant_id="00000000-1111-4222-8333-444444444444")
    with pytest.raises(CredentialsRejected, match="AADSTS90002"):
        await roles(connection, secret_of(simulator))


async def test_a_repaired_app_works_at_once(simulator: Simulator) -> None:
    """msal repeats a 400 from its own cache for a minute; an admin who repaired the app must not wait."""
    refusal = {"error": "invalid_client", "error_description": "AADSTS7000222: The secret has expired."}
    fault = {"match": "oauth2/v2.0/token", "status": 400, "body": refusal, "times": 1}
    simulator.simulation.faults.arm(parse_fault(fault))
    async with open_graph(connection_to(simulator), secret_of(simulator), HURRIED) as graph:
        with pytest.raises(CredentialsRejected, match="AADSTS7000222"):
            await graph.token_roles()
        assert await graph.token_roles()


@pytest.mark.parametrize(("status", "error"), [(429, Throttled), (503, ServiceFault)])
@pytest.mark.parametrize("endpoint", ["openid-configuration", "oauth2/v2.0/token"])
async def test_a_login_endpoint_that_fails_is_tried_again(
    simulator: Simulator, endpoint: str, status: int, error: type[Exception]
) -> None:
    fault = {"match": endpoint, "status": status, "headers": {"Retry-After": "0.01"}}
    simulator.simulation.faults.arm(parse_fault({**fault, "times": 1}))
    assert await roles(connection_to(simulator), secret_of(simulator))
    simulator.simulation.faults.arm(parse_fault(fault))
    with pytest.raises(error):
        await roles(connection_to(simulator), secret_of(simulator))


@pytest.mark.parametrize("body", ["<html>", {}, [], {"access_token": "opaque"}])
@pytest.mark.parametrize("endpoint", ["openid-configuration", "oauth2/v2.0/token"])
async def test_a_login_endpoint_that_talks_nonsense_is_named(
    simulator: Simulator, endpoint: str, body: object
) -> None:
    simulator.simulation.faults.arm(parse_fault({"match": endpoint, "status": 200, "body": body}))
    with pytest.raises(GraphError) as raised:
        await roles(connection_to(simulator), secret_of(simulator))
    assert isinstance(raised.value, CredentialsRejected | MalformedAnswer)


@pytest.mark.parametrize("url", ["login_url", "graph_url"])
async def test_what_cannot_be_reached_is_named(simulator: Simulator, url: str, unused_tcp_port: int) -> None:
    address = f"http://127.0.0.1:{unused_tcp_port}"
    connection = replace(connection_to(simulator), **{url: address})  # type: ignore[arg-type]
    async with open_graph(connection, secret_of(simulator), HURRIED) as graph:
        from worker.graph.read.application import read_application

        with pytest.raises(ConnectionFault):
            await read_application(graph, connection)


@pytest.mark.parametrize(
    "change",
    [
        {"login_url": "http://login.microsoftonline.com"},
        {"graph_url": "http://graph.microsoft.com"},
        {"graph_url": "graph.microsoft.com"},
        {"login_url": "login.microsoftonline.com"},
        {"client_id": None},
        {"entra_tenant_id": None},
    ],
    ids=str,
)
async def test_a_connection_that_cannot_be_used_says_why(
    simulator: Simulator, change: dict[str, str | None]
) -> None:
    """design.md §6: plain http is refused except for loopback."""
    connection = replace(connection_to(simulator), **change)  # type: ignore[arg-type]
    with pytest.raises(ConnectionUnusable) as raised:
        await roles(connection, secret_of(simulator))
    assert raised.value.remedy.startswith("Set ")


async def test_a_secret_that_was_rotated_in_its_file_works_at_once(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Issue 3: a mounted secret is kept as its path and read at each use."""
    file = tmp_path / "secret"
    file.write_text("wrong~secret")
    async with open_graph(connection_to(simulator), Credential(secret_file=str(file)), HURRIED) as graph:
        with pytest.raises(CredentialsRejected):
            await graph.token_roles()
        file.write_text(simulator.directory.client_secret + "\n")
        assert await graph.token_roles()


async def test_an_ended_certificate_is_a_named_state(simulator: Simulator) -> None:
    """Issue 3: expired is a named state with the remedy; Entra is not even asked."""
    ended = make_certificate(KEY, datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(CredentialExpired, match="ended on") as raised:
        await roles(connection_to(simulator), Credential(certificate_pem=pem_of(KEY, ended)))
    assert "--certificate" in raised.value.remedy
    assert not simulator.simulation.requests


async def test_an_ended_secret_is_a_named_state(simulator: Simulator) -> None:
    registration = simulator.simulation.registration
    registration.secrets["old"] = simulator.directory.clock.now()
    with pytest.raises(CredentialExpired, match="AADSTS7000222"):
        await roles(connection_to(simulator), Credential(secret="old"))


@pytest.mark.parametrize(
    ("login", "graph"),
    [
        ("https://login.microsoftonline.us", "https://graph.microsoft.com"),
        ("https://login.microsoftonline.com", "https://graph.example.com"),
        (None, "https://graph.microsoft.com"),
    ],
)
async def test_a_token_is_not_asked_for_where_clouds_are_mixed(
    simulator: Simulator, login: str | None, graph: str
) -> None:
    connection = replace(connection_to(simulator), login_url=login or simulator.login_url, graph_url=graph)
    with pytest.raises(ConnectionUnusable) as raised:
        await roles(connection, secret_of(simulator))
    assert raised.value.remedy.startswith("Set ")
    assert not simulator.simulation.requests


async def probed(simulator: Simulator, credential: Credential | None = None) -> dict[str, ProbeStep]:
    steps = await probe(connection_to(simulator), credential or secret_of(simulator), HURRIED)
    return {step.name: step for step in steps}


STEPS = [
    *("credential", "permissions", "application", "assignments", "groups", "users"),
    *("deleted users", "one person", "changes"),
]


@pytest.mark.parametrize(
    ("match", "step"),
    [
        (r"groups/[^/]+\?", "groups"),
        (r"groups/[^/]+/members", "groups"),
        (r"users\?.*\$top=1$", "users"),
        (r"users/\$count", "users"),
        (r"users\?.*expand", "users"),
        ("deletedItems", "deleted users"),
        (r"users/[^/]+/memberOf", "one person"),
        (r"users/delta", "changes"),
        (r"groups/delta", "changes"),
    ],
)
async def test_a_query_that_no_cycle_could_send_fails_the_probe(
    simulator: Simulator, match: str, step: str
) -> None:
    """Green means that a cycle can complete: every query of it is sent, for one row."""
    simulator.simulation.faults.arm(
        parse_fault({"match": match, "status": 403, "body": {"error": {"code": "accessDenied"}}})
    )
    steps = await probed(simulator)
    assert list(steps)[-1] == step
    assert not steps[step].ok
    assert "admin consent" in steps[step].remedy


async def test_hidden_members_are_pointed_out_with_the_permission(simulator: Simulator) -> None:
    directory = simulator.directory
    directory.assign(directory.create_group({"displayName": "Secret", "visibility": "HiddenMembership"}).id)
    simulator.simulation.registration.roles = LEAST
    steps = await probed(simulator)
    assert list(steps) == STEPS
    assert "Member.Read.Hidden" in steps["groups"].remedy
    simulator.simulation.registration.roles = LEAST | {"Member.Read.Hidden"}
    assert not (await probed(simulator))["groups"].remedy


async def test_a_remedy_asks_for_no_request_id_that_there_is_not(simulator: Simulator) -> None:
    simulator.simulation.faults.arm(parse_fault({"match": "deletedItems", "status": 404, "body": "<html>"}))
    step = (await probed(simulator))["deleted users"]
    assert not step.ok
    assert "request-id" not in f"{step.detail} {step.remedy}"


@pytest.mark.parametrize("path", ["/beta", "/v1", "/api/v1.0"])
async def test_a_graph_url_of_another_version_is_told(simulator: Simulator, path: str) -> None:
    url = simulator.graph_url.removesuffix("/v1.0")
    connection = replace(connection_to(simulator), graph_url=url + path)
    [step] = await probe(connection, secret_of(simulator), HURRIED)
    assert f"{url}/v1.0" in step.remedy
    for accepted in (url, f"{url}/", f"{url}/v1.0/"):
        await roles(replace(connection, graph_url=accepted), secret_of(simulator))


async def test_a_sound_connection_passes_every_step(simulator: Simulator) -> None:
    steps = await probed(simulator)
    assert list(steps) == STEPS
    assert all(step.ok and not step.remedy for step in steps.values())


async def test_a_refused_secret_ends_the_probe_with_its_remedy(simulator: Simulator) -> None:
    steps = await probed(simulator, Credential(secret="wrong"))
    assert list(steps) == ["credential"]
    assert not steps["credential"].ok
    assert "secret" in steps["credential"].remedy


async def test_missing_permissions_are_named(simulator: Simulator) -> None:
    simulator.simulation.registration.roles = frozenset({"Application.Read.All"})
    steps = await probed(simulator)
    assert not steps["permissions"].ok
    assert "GroupMember.Read.All, User.Read.All" in steps["permissions"].remedy


async def test_an_application_that_nobody_is_assigned_to_is_pointed_out(simulator: Simulator) -> None:
    for row in simulator.directory.live_assignments():
        simulator.directory.unassign(row.principal_id)
    steps = await probed(simulator)
    assert steps["assignments"].ok
    assert "Assign users or groups" in steps["assignments"].remedy


async def test_a_login_host_that_is_out_of_reach_is_named_with_its_remedy(
    simulator: Simulator, unused_tcp_port: int
) -> None:
    """What `leaver doctor` shows; it said ConnectError and "check the network"."""
    connection = replace(connection_to(simulator), login_url=f"http://127.0.0.1:{unused_tcp_port}")
    [step] = await probe(connection, secret_of(simulator), HURRIED)
    place = f"127.0.0.1:{unused_tcp_port}"
    assert (step.ok, f"{place} refuses the connection" in step.detail) == (False, True)
    assert f"open {place} to this machine" in step.remedy


async def test_a_connection_that_cannot_be_opened_fails_the_first_step(simulator: Simulator) -> None:
    connection = replace(connection_to(simulator), client_id=None)
    [step] = await probe(connection, secret_of(simulator), HURRIED)
    assert (step.name, step.ok) == ("credential", False)


async def test_a_kept_token_serves_the_next_client_until_one_fails_or_reads_everything(
    simulator: Simulator,
) -> None:
    """Two of the eight requests of an increment were for a token; a full cycle wants the permissions of now."""
    kept, place = KeptTokens(), (connection_to(simulator), secret_of(simulator), HURRIED)

    async def roles_by_a_client() -> frozenset[str]:
        async with open_graph(*place, kept) as graph:
            return await graph.token_roles()

    before = await roles_by_a_client()
    simulator.simulation.registration.roles = before - {"Group.Read.All"} | {"Sites.Read.All"}
    assert await roles_by_a_client() == before
    async with open_graph(*place, kept) as graph:
        graph.renew_permissions()
        assert "Sites.Read.All" in await graph.token_roles()
    assert "Sites.Read.All" in await roles_by_a_client()
    simulator.simulation.registration.roles = before
    with pytest.raises(KeyError):
        async with open_graph(*place, kept):
            raise KeyError
    assert await roles_by_a_client() == before


async def test_another_credential_has_no_part_in_a_kept_token(simulator: Simulator) -> None:
    kept, connection = KeptTokens(), connection_to(simulator)
    async with open_graph(connection, secret_of(simulator), HURRIED, kept) as graph:
        await graph.token_roles()
    async with open_graph(connection, Credential(secret="wrong~secret"), HURRIED, kept) as graph:
        with pytest.raises(CredentialsRejected):
            await graph.token_roles()
