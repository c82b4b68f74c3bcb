"""What `leaver connection show` says of a cycle that runs."""

from __future__ import annotations

from datetime import UTC, datetime

from config.settings import Settings
from console.admin.connections.overview import ConnectionDetails
from console.cli.output import plain
from console.cli.views import connections
from store.records import Connection, ConnectionId, Cycle, CycleId, CycleKind, CycleStatus, Policy, TenantId
from store.sync.cycles import Progress

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
CONNECTION = Connection(
    id=ConnectionId("e"),
    tenant_id=TenantId("t"),
    name="Entra",
    entra_tenant_id=None,
    client_id=None,
    app_id=None,
    login_url="https://login.microsoftonline.com",
    graph_url="https://graph.microsoft.com",
    interval_minutes=40,
    policy=Policy(),
    has_credential=False,
    credential_changed_at=None,
    credential_expires_at=None,
    created_at=NOW,
)
CYCLE = Cycle(
    CycleId("c1"), CONNECTION.tenant_id, CONNECTION.id, CycleKind.FULL, CycleStatus.RUNNING, started_at=NOW
)


def test_the_cycle_that_runs_is_shown_with_rate_and_time_left() -> None:
    """progress (phase, done, total, rate, time left) readable while it runs."""
    how_far = Progress("users", 400, 1_000, rate_per_s=200.0, left_s=3.0)
    view = connections.shown(ConnectionDetails(CONNECTION, running=(CYCLE, how_far)), Settings())

    assert isinstance(view.document, dict)
    running = view.document["running"]
    assert isinstance(running, dict)
    told = [running[name] for name in ("cycle_id", "done", "total", "rate_per_s", "left_s")]
    assert told == ["c1", 400, 1_000, 200.0, 3.0]
    assert "Reading users, 400 of 1,000, 200/s, 0:03 left" in plain(view.text())


def test_a_cycle_that_has_told_nothing_yet_is_shown_as_well() -> None:
    """It has just begun."""
    view = connections.shown(ConnectionDetails(CONNECTION, running=(CYCLE, None)), Settings())

    assert "full: starting, id c1" in plain(view.text())
