"""The view over tenants, and held plans, at a shell with a simulated company behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from simulator.server import Simulator
from store.records import Connection, CycleKind, CycleStatus
from store.sync import cycles
from store.tenancy import connection_health, connections
from tests.builders.company_thread import company_in_a_thread, connect_options
from tests.builders.console_shell import Shell

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
"""What is tested here does not depend on the database."""


@pytest.fixture
def company() -> Iterator[Simulator]:
    with company_in_a_thread() as running:
        yield running


@pytest.fixture
def fabrikam(shell: Shell, company: Simulator) -> Shell:
    """Fabrikam is connected in mode enforce, and everybody entitled is here."""
    shell.json("tenant", "create", "Fabrikam")
    shell.json(
        "connection", "create", "fabrikam", "--name", "entra", "--mode", "enforce", *connect_options(company)
    )
    shell.json("sync", "entra")
    return shell


def _held(shell: Shell, company: Simulator, leavers: int = 8) -> str:
    """So many people are disabled at once; gives the checksum of the plan that is held."""
    for person in sorted(company.directory.entitled())[:leavers]:
        company.directory.change_user(person, {"accountEnabled": False})
    held = shell.json("sync", "entra", "--full", status=3)["held_plan"]
    return str(held["checksum"])


def _quarantine(shell: Shell, connection: Connection) -> None:
    why = "The secret expired."
    shell.store(
        lambda conn: connection_health.note_failure(
            conn, connection.tenant_id, connection.id, why, datetime.now(UTC), quarantine=True
        )
    )


def _report(shell: Shell, connection: Connection) -> None:
    """A cycle over the connection that found two differences."""
    result = cycles.CycleResult(CycleStatus.REPORTED, complete=True, findings={"open": 2})

    async def work(conn: AsyncConnection) -> None:
        cycle = await cycles.start(conn, connection.tenant_id, connection.id, CycleKind.FULL)
        await cycles.finish(conn, connection.tenant_id, cycle.id, result)

    shell.store(work)


# --- status and check ---


def test_status_has_the_worst_first_with_its_reason(shell: Shell, connection: Connection) -> None:
    """first-days, operator: "one line a connection, worst first"."""
    shell.json("tenant", "create", "Contoso")
    made = shell.json("connection", "create", "contoso", "--name", "entra", "--client-secret", "s3cret")
    broken = shell.store(lambda conn: connections.find(conn, made["id"]))
    _quarantine(shell, broken)
    found = shell.json("status")["items"]
    assert [(each["tenant"], each["level"]) for each in found] == [
        ("contoso", "failed"),
        ("fabrikam", "warning"),
    ]
    assert "The secret expired." in found[0]["why"][0]
    code, out, _ = shell.run("status")
    lines = out.splitlines()
    assert (code, "contoso/entra" in lines[2], "fabrikam/entra" in lines[3]) == (0, True, True)
    for words in (("status",), ("connection", "list")):
        [shown] = shell.json(*words, "--state", "quarantined")["items"]
        assert shown.get("connection_id", shown.get("id")) == made["id"]
    assert "No connection is like that" in shell.run("connection", "list", "--state", "paused")[1]
    assert "1 connection: 0 failed, 1 to look at" in shell.run("status", "fabrikam")[1]


@on_sqlite
def test_check_tells_a_warning_from_a_failure(shell: Shell, connection: Connection) -> None:
    """first-days, operator: "exit codes that tell warning from failure and ask no Graph"."""
    assert shell.json("check", status=3)["level"] == "warning"
    _quarantine(shell, connection)
    code, out, _ = shell.run("check")
    assert (code, "1 failed" in out, "fabrikam/entra: In quarantine" in out) == (1, True, True)


def test_status_knows_the_last_cycle_the_drift_and_what_is_held(fabrikam: Shell, company: Simulator) -> None:
    """On-demand runs and dry runs say nothing about the connection."""
    [well] = fabrikam.json("status")["items"]
    assert (well["level"], well["last_cycle"]["status"], well["open"], well["held_rows"]) == (
        "ok",
        "applied",
        0,
        0,
    )
    _held(fabrikam, company)
    fabrikam.run("provision", "entra", "ada@fabrikam.com")
    [held] = fabrikam.json("status")["items"]
    assert (held["level"], held["last_cycle"]["status"], held["held_plans"]) == ("warning", "held", 1)
    assert held["held_rows"] == 8
    assert held["last_complete_age_s"] < 60


# --- drift list and log over everything ---


def test_drift_list_and_log_of_all_connections_name_each(shell: Shell, connection: Connection) -> None:
    """first-days, operator: `drift list --all`, `log --all`."""
    shell.json("tenant", "create", "Contoso")
    made = shell.json("connection", "create", "contoso", "--name", "entra")
    for each in (connection, shell.store(lambda conn: connections.find(conn, made["id"]))):
        _report(shell, each)
    listed = shell.json("drift", "list", "--all")["items"]
    assert {each["connection"] for each in listed} == {"contoso/entra", "fabrikam/entra"}
    assert "Connection" in shell.run("drift", "list", "--all")[1].splitlines()[0]
    assert shell.json("log", "--all") == {"items": [], "next": None}
    for words in (("drift", "list"), ("log",), ("log", "entra", "--all")):
        assert "--all" in shell.refused(*words, status=2)


@on_sqlite
def test_the_log_has_names_first_and_values_when_asked(fabrikam: Shell) -> None:
    """first-days, at a terminal: "`log` shows names of attributes first, values with `--long`"."""
    short = fabrikam.run("log", "entra", "--user", "ada@fabrikam.com")[1]
    assert "displayName" in short
    assert "→" not in short
    assert (
        "displayName: (empty) → Ada"
        in fabrikam.run("log", "entra", "--user", "ada@fabrikam.com", "--long")[1]
    )
    rows = list(csv.DictReader(io.StringIO(fabrikam.run("log", "--all", "--format", "csv")[1])))
    [name] = [
        row for row in rows if row["subject"] == "ada@fabrikam.com" and row["attribute"] == "displayName"
    ]
    assert (name["tenant"], name["connection"], name["after"]) == ("fabrikam", "entra", "Ada")
    assert name["at"].endswith("Z")


@on_sqlite
def test_the_audit_log_as_csv_has_a_fact_a_line(fabrikam: Shell) -> None:
    """first-days, auditor: "ISO times, true/false; never a program's representation of an object"."""
    fabrikam.json("sync", "entra", "--full")
    out = fabrikam.run("audit", "entra", "--format", "csv")[1]
    rows = [row for row in csv.DictReader(io.StringIO(out)) if row["action"] == "connection.sync_requested"]
    assert {(row["fact"], row["value"]) for row in rows} >= {("full", "true"), ("dry_run", "false")}


# --- held plans ---


def test_a_plan_approved_in_part_says_what_waits(fabrikam: Shell, company: Simulator) -> None:
    """first-days, operator: a partial approval exits 3, says how many rows wait, and has a state per row."""
    checksum = _held(fabrikam, company)
    [listed] = fabrikam.json("plan", "list")["items"]
    assert listed["connection"] == "fabrikam/entra"
    assert "Decide:" in fabrikam.run("plan", "show", checksum)[1]
    code, out, _ = fabrikam.run("plan", "approve", checksum, "--row", "2")
    assert (code, "7 of 8 rows still to decide" in out, "partly applied" in out) == (3, True, True)
    shown = fabrikam.json("plan", "show", checksum)
    assert (shown["status"], len(shown["changes"]), shown["decided_by"] is not None) == (
        "partly_applied",
        8,
        True,
    )
    states = [row["state"] for row in shown["changes"]]
    assert (states[2], set(states[:2] + states[3:])) == ("applied", {"waits_in_another_plan"})
    card = fabrikam.run("plan", "show", checksum)[1]
    assert "Decide:" not in card
    assert f"leaver plan show {shown['rest'][:12]}" in card
    assert fabrikam.run("plan", "approve", shown["rest"])[0] == 0
    assert len(fabrikam.json("plan", "list", "--status", "applied")["items"]) == 2
    assert fabrikam.json("plan", "list")["items"] == []
    assert "No plan is expired." in fabrikam.run("plan", "list", "--status", "expired")[1]


@on_sqlite
def test_a_plan_is_exported_with_a_line_a_row(fabrikam: Shell, company: Simulator) -> None:
    """first-days, operator: `plan export`; auditor: one column a fact."""
    checksum = _held(fabrikam, company)
    fabrikam.run("plan", "reject", checksum, "--row", "1", "--by", "kim")
    rows = list(csv.DictReader(io.StringIO(fabrikam.run("plan", "export", checksum)[1])))
    assert len(rows) == 8
    assert {row["status"] for row in rows} == {"partly_rejected"}
    assert (rows[1]["state"], rows[1]["decided_by"], rows[1]["connection"]) == ("rejected", "kim", "entra")
    assert rows[0]["reason"] == "disabled"
