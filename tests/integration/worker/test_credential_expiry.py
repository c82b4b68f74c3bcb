"""Credentials and consent in the life of a connection: what ends is told ahead, what is lost is named."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from config.keys import Sealer
from simulator.faults import parse_fault
from store import tables
from store.records import CycleStatus
from store.tenancy import connections
from tests.builders.certificates import KEY, make_certificate, pem_of
from tests.builders.graph_reading import LEAST
from tests.builders.simulated_connection import Pull
from tests.builders.simulated_tenant import SECRET_KEY
from worker.graph.auth.credentials import Credential


async def give(pull: Pull, credential: Credential, ends: datetime | None = None) -> None:
    sealed = Sealer([SECRET_KEY]).seal(credential.to_text())
    connection = pull.connection
    await pull.db.write(
        lambda conn: connections.set_credential(
            conn, connection.tenant_id, connection.id, sealed, expires_at=ends
        )
    )


async def told(pull: Pull) -> list[str]:
    """The credential warnings that one cycle logs."""
    with capture_logs() as lines:
        await pull.cycle()
    return [str(line["state"]) for line in lines if line["event"] == "connection.credential_ends"]


async def test_an_end_is_told_once_per_stage(pull: Pull) -> None:
    """Issue 3: warned of 30, 7 and 1 days ahead; a warning in every cycle would be read by nobody."""
    secret = pull.directory.client_secret
    for days, stage in ((20, "ends_within_30_days"), (5, "ends_within_7_days"), (0.5, "ends_within_1_day")):
        ends = pull.services.clock() + timedelta(days=days)
        await give(pull, Credential(secret=secret, secret_expires=ends), ends)
        first, second = await told(pull), await told(pull)
        assert (first, second) == ([stage], []) if days == 20 else second == []


async def test_an_end_far_away_is_not_told(pull: Pull) -> None:
    assert await told(pull) == []


async def test_a_certificate_that_was_rotated_in_its_file_moves_its_end(pull: Pull, tmp_path: Path) -> None:
    """A mounted file is rotated without a word to Leaver: its new end has to be known all the same."""
    first, second = (pull.services.clock().replace(microsecond=0) + timedelta(days=d) for d in (100, 400))
    file = tmp_path / "certificate"
    for ends in (first, second):
        certificate = make_certificate(KEY, ends)
        file.write_text(pem_of(KEY, certificate))
        pull.simulator.simulation.registration.add_certificate(pem_of(KEY, certificate))
        if ends is first:
            await give(pull, Credential(certificate_file=str(file)), ends)
        assert (await pull.cycle()).status is CycleStatus.APPLIED
        await pull.reload()
        assert pull.connection.credential_expires_at == ends


async def test_an_ended_certificate_quarantines_with_the_remedy(pull: Pull) -> None:
    """Issue 3: expired is a named state with the remedy."""
    ends = pull.services.clock() - timedelta(days=1)
    await give(pull, Credential(certificate_pem=pem_of(KEY, make_certificate(KEY, ends))), ends)
    report = await pull.cycle()
    assert report.status is CycleStatus.FAILED
    assert "The certificate ended on" in (report.error or "")
    assert "--certificate" in (report.remedy or "")
    await pull.reload()
    assert "The certificate ended on" in (pull.connection.quarantine_reason or "")


@pytest.mark.parametrize("lost", sorted(LEAST))
async def test_lost_consent_names_the_permission_and_takes_nothing(pull: Pull, lost: str) -> None:
    """Issue 3: lost consent is a named state with the remedy and the exact missing permission (I1)."""
    registration = pull.simulator.simulation.registration
    registration.roles = LEAST
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    before = await pull.active()
    registration.roles = LEAST - {lost}
    report = await pull.cycle()
    assert report.status is CycleStatus.FAILED
    assert lost in (report.error or "")
    assert not any(kept in (report.error or "") for kept in LEAST - {lost})
    assert lost in (report.remedy or "")
    assert "admin consent" in (report.remedy or "")
    await pull.reload()
    assert lost in (pull.connection.quarantine_reason or "")
    assert await pull.active() == before


async def test_consent_that_came_back_ends_the_quarantine(pull: Pull) -> None:
    registration = pull.simulator.simulation.registration
    registration.roles = frozenset()
    assert (await pull.cycle()).status is CycleStatus.FAILED
    registration.roles = LEAST
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    await pull.reload()
    assert pull.connection.quarantined_at is None


async def test_graph_tells_when_a_secret_ends(pull: Pull) -> None:
    """Issue 3: "Expiry known": the app registration shows hint and end of each secret (Graph, passwordCredential)."""
    ends = pull.services.clock().replace(microsecond=0) + timedelta(days=90)
    secrets = pull.simulator.simulation.registration.secrets
    secrets[pull.directory.client_secret] = ends
    secrets["another" + pull.directory.client_secret] = ends - timedelta(days=30)
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    await pull.reload()
    assert pull.connection.credential_expires_at == ends


async def test_what_an_admin_said_of_a_secret_stands(pull: Pull) -> None:
    said = pull.services.clock().replace(microsecond=0) + timedelta(days=200)
    secret = pull.directory.client_secret
    pull.simulator.simulation.registration.secrets[secret] = said - timedelta(days=100)
    await give(pull, Credential(secret=secret, secret_expires=said), said)
    await pull.cycle()
    await pull.reload()
    assert pull.connection.credential_expires_at == said


async def test_an_app_of_another_directory_leaves_the_end_unknown_and_the_cycle_alone(pull: Pull) -> None:
    """A multi-tenant app is registered elsewhere: its registration is not found here."""
    pull.simulator.simulation.faults.arm(
        parse_fault(
            {
                "match": "GET /v1.0/applications",
                "status": 404,
                "body": {"error": {"code": "Request_ResourceNotFound", "message": "no"}},
            }
        )
    )
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    await pull.reload()
    assert pull.connection.credential_expires_at is None


async def _let_a_day_pass(pull: Pull) -> None:
    """The end of a secret in a file is asked for once a day, not in every increment."""
    yesterday = pull.services.clock() - timedelta(days=1)
    await pull.db.write(lambda conn: conn.execute(update(tables.connections).values(last_cycle_at=yesterday)))


async def test_a_secret_that_was_rotated_in_its_file_moves_its_end(pull: Pull, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    await give(pull, Credential(secret_file=str(file)))
    secrets = pull.simulator.simulation.registration.secrets
    for name, days in (("first~secret", 40), ("second~secret", 400)):
        ends = pull.services.clock().replace(microsecond=0) + timedelta(days=days)
        secrets[name] = ends
        file.write_text(name)
        await _let_a_day_pass(pull)
        await pull.cycle()
        await pull.reload()
        assert pull.connection.credential_expires_at == ends


async def test_the_end_of_a_secret_is_asked_for_once_a_day(pull: Pull) -> None:
    """An increment every 5 minutes sends no request that it can do without."""
    pull.simulator.simulation.registration.secrets[pull.directory.client_secret] = None
    requests = pull.simulator.simulation.requests
    await pull.cycle()
    await pull.increment()
    assert len([each for each in requests if "/v1.0/applications(appId=" in each]) == 1, requests
