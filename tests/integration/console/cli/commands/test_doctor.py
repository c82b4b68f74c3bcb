"""`leaver doctor` and `leaver drift list`: real cycles are judged, and what waits is told by the exit status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store.records import Connection, CycleId, CycleKind, CycleStatus, JsonValue
from store.sync import cycles, held_plans
from tests.builders.console_shell import Shell

NOW = datetime.now(UTC)


def _cycle(shell: Shell, connection: Connection, minute: int, kind: CycleKind, **end: Any) -> CycleId:
    async def work(conn: AsyncConnection) -> CycleId:
        at = NOW - timedelta(minutes=60 - minute)
        cycle = await cycles.start(conn, connection.tenant_id, connection.id, kind, now=at)
        result = cycles.CycleResult(**{"status": CycleStatus.APPLIED, "complete": True, **end})
        await cycles.finish(conn, connection.tenant_id, cycle.id, result, now=at)
        return cycle.id

    return shell.store(work)


def _checks(shell: Shell) -> dict[str, tuple[str, str, str]]:
    """No credential is stored, so the exit status is 1 throughout."""
    found = shell.json("doctor", "entra", status=1)["checks"]
    return {check["name"]: (check["status"], check["detail"], check["remedy"]) for check in found}


def test_an_on_demand_run_hides_no_failed_cycle(shell: Shell, connection: Connection) -> None:
    """The trial: after one `leaver provision` the doctor called the connection well."""
    _cycle(shell, connection, 1, CycleKind.FULL, status=CycleStatus.FAILED, complete=None, error="No answer.")
    _cycle(shell, connection, 2, CycleKind.ON_DEMAND, complete=None)
    status, detail, _ = _checks(shell)["last cycle"]
    assert (status, "No answer." in detail) == ("failed", True)


def test_an_incomplete_reading_open_drift_and_held_plans_each_have_a_check(
    shell: Shell, connection: Connection
) -> None:
    """First days: "has checks of its own for held plans and incomplete readings"."""
    _cycle(shell, connection, 1, CycleKind.FULL)
    _cycle(
        shell,
        connection,
        2,
        CycleKind.FULL,
        status=CycleStatus.INCOMPLETE,
        complete=False,
        findings={"open": 3, "new": 1},
    )
    body: dict[str, JsonValue] = {"changes": [{}, {}]}
    tenant_id, connection_id, cycle = (
        connection.tenant_id,
        connection.id,
        _cycle(shell, connection, 0, CycleKind.FULL),
    )
    shell.store(
        lambda conn: held_plans.hold(
            conn, *(tenant_id, connection_id, cycle), "a" * 64, "2 of 12", body, NOW + timedelta(days=7)
        )
    )
    checks = _checks(shell)
    assert checks["last cycle"][0] == "ok"
    assert checks["reading"][0] == "warning"
    assert "removals wait" in checks["reading"][1]
    assert checks["drift"][:2] == ("warning", "3 open, 1 new.")
    assert "leaver drift show fabrikam/entra" in checks["drift"][2]
    assert checks["held plans"][0] == "warning"
    assert "1 plan with 2 rows" in checks["held plans"][1]
    assert "leaver plan list fabrikam/entra" in checks["held plans"][2]


def test_a_connection_on_which_nothing_waits_has_four_checks_that_are_well(
    shell: Shell, connection: Connection
) -> None:
    _cycle(shell, connection, 1, CycleKind.FULL, findings={"open": 0, "new": 2, "repaired": 2})
    checks = _checks(shell)
    assert {checks[name][0] for name in ("last cycle", "reading", "drift", "held plans")} == {"ok"}


def test_drift_list_is_a_page_of_cycles_without_what_was_done_on_demand(
    shell: Shell, connection: Connection
) -> None:
    """First days: "`drift list` lists cycles, not on-demand runs; `--limit/--before`"."""
    made = [
        _cycle(shell, connection, minute, kind)
        for minute, kind in enumerate(
            [CycleKind.FULL, CycleKind.ON_DEMAND, CycleKind.INCREMENTAL, CycleKind.INCREMENTAL]
        )
    ]
    first = shell.json("drift", "list", "entra", "--limit", "2")
    assert [each["cycle_id"] for each in first["items"]] == [made[3], made[2]]
    last = shell.json("drift", "list", "entra", "--limit", "2", "--before", first["next"])
    assert ([each["cycle_id"] for each in last["items"]], last["next"]) == ([made[0]], None)
    assert first["next"] in shell.run("drift", "list", "entra", "--limit", "2")[1]
