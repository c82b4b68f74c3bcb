"""What an operator's alarms watch at /metrics."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer

from console.server import health
from console.server.health import Readiness, operations_app
from store.database import Database
from store.records import Connection
from store.tenancy import connections

INFO = "leaver_connection_info"


async def metrics(database: Database, url: str = "") -> str:
    async with TestClient(TestServer(operations_app(Readiness(database, url)))) as client:
        answer = await client.get("/metrics")
        assert answer.status == 200
        return await answer.text()


@pytest.mark.parametrize(("days", "state"), [(3, "ends_within_7_days"), (-3, "expired")])
async def test_credentials_that_end_are_counted(
    database: Database, contoso: Connection, days: int, state: str
) -> None:
    """Issue 3: "Expiry known, warned of 30, 7 and 1 days ahead", as a metric that names no tenant itself."""
    ends = datetime.now(UTC) + timedelta(days=days)
    await database.write(
        lambda conn: connections.set_credential(
            conn, contoso.tenant_id, contoso.id, "sealed", expires_at=ends
        )
    )
    told = await metrics(database)
    assert f'leaver_credentials_ending{{state="{state}"}} 1.0' in told
    assert 'leaver_credentials_ending{state="ends_within_30_days"} 0.0' in told
    assert all(contoso.id not in line for line in told.splitlines() if not line.startswith(INFO))


async def test_the_names_of_connections_are_one_metric_that_others_are_joined_to(
    database: Database, contoso: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is renamed has one line, and no more are shown than are counted on."""
    told = [line for line in (await metrics(database)).splitlines() if line.startswith(INFO)]
    assert told == [f'{INFO}{{connection="{contoso.id}",name="{contoso.name}",tenant="contoso"}} 1.0']
    monkeypatch.setattr(health, "MOST_CONNECTIONS", 0)
    assert INFO + "{" not in await metrics(database)


async def test_the_other_figures_are_told_while_the_database_is_away(database: Database) -> None:
    await database.close()
    assert "leaver_http_requests_total" in await metrics(database)
