"""Commands against a real database: what they print for programs and for people, and what they refuse."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from config.keys import Sealer
from store.records import (
    Connection,
    CycleId,
    CycleKind,
    CycleStatus,
    DriftFinding,
    DriftKind,
    FindingState,
    Mode,
    Reason,
    SubjectType,
)
from store.sync import cycles, held_plans
from store.tenancy import connections
from tests.builders.console_shell import Shell
from tests.builders.store_rows import record_drift
from worker.graph.auth.credentials import Credential

NOW = datetime.now(UTC)


# --- setting up ---


def test_creating_a_tenant_prints_the_shape_scripts_rely_on(shell: Shell) -> None:
    """design.md §6: `tenant create NAME` gives `{"id", "name", "slug"}`."""
    made = shell.json("tenant", "create", "Fabrikam Residences")
    assert set(made) == {"id", "name", "slug"}
    assert (made["name"], made["slug"]) == ("Fabrikam Residences", "fabrikam-residences")
    assert shell.json("tenant", "list") == {"items": [made], "next": None}


def test_a_tenant_of_a_taken_name_is_refused_with_what_to_do(shell: Shell) -> None:
    """The error names what was typed and the fix; nothing of the tenant that is there changes."""
    made = shell.json("tenant", "create", "Fabrikam")
    code, _, err = shell.run("tenant", "create", "fabrikam")
    assert (code, "leaver tenant list" in err, "'fabrikam'" in err) == (2, True, True)
    assert shell.json("tenant", "list") == {"items": [made], "next": None}


def test_creating_a_connection_prints_every_value_an_admin_pastes(shell: Shell) -> None:
    """design.md §6: the shape of `connection create`, and §8: how the SCIM URL follows from the callback."""
    shell.json("tenant", "create", "Fabrikam")
    made = shell.json("connection", "create", "fabrikam", "--name", "entra")
    assert made["scim_url"] == "https://leaver.example.com/api/scim/v2"
    callback = made["redirect_uri"]
    assert made["scim_url_connection"] == callback.replace("openid", "scim").removesuffix("/callback/login")
    assert made["mode"] == "report"
    assert shell.json("connection", "show", made["id"]) == made


def test_a_client_secret_is_stored_sealed_and_never_shown(shell: Shell, tmp_path: Path) -> None:
    """design.md §7, I9: "No secret at rest in clear"."""
    secret = tmp_path / "secret"
    secret.write_text("very-secret-value\n")
    shell.json("tenant", "create", "Fabrikam")
    code, out, err = shell.run(
        *(
            "connection",
            "create",
            "fabrikam",
            "--name",
            "entra",
            "--client-id",
            "c",
            "--entra-tenant-id",
            "fabrikam.com",
        ),
        *("--client-secret", f"@{secret}"),
    )
    assert code == 0, err
    assert "very-secret-value" not in out + err
    found = shell.store(lambda conn: connections.find(conn, "entra"))
    sealed = shell.store(lambda conn: connections.sealed_credential(conn, found.tenant_id, found.id))
    assert sealed is not None
    assert "very-secret-value" not in sealed


def test_storing_a_credential_without_a_secret_key_is_refused_and_stores_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """design.md §6: "`LEAVER_SECRET_KEY` seals stored credentials"."""
    shell.json("tenant", "create", "Fabrikam")
    monkeypatch.delenv("LEAVER_SECRET_KEY")
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    line = shell.refused(
        *("connection", "create", "fabrikam", "--name", "entra", "--client-secret", f"@{secret}"), status=1
    )
    assert "LEAVER_SECRET_KEY" in line
    assert shell.json("connection", "list")["items"] == []


@pytest.mark.parametrize("option", ["--login-url", "--graph-url"])
def test_a_connection_over_plain_http_is_refused(shell: Shell, option: str) -> None:
    """design.md §6: "plain http is refused except for loopback"."""
    shell.json("tenant", "create", "Fabrikam")
    line = shell.refused(
        *("connection", "create", "fabrikam", "--name", "entra", option, "http://graph.example.com"), status=2
    )
    assert option in line
    assert shell.json("connection", "list")["items"] == []


def test_two_connections_of_one_name_need_the_tenant_in_front(shell: Shell) -> None:
    """A name is unique within its tenant only, so a command must never pick one of two."""
    for tenant in ("fabrikam", "contoso"):
        shell.json("tenant", "create", tenant)
        shell.json("connection", "create", tenant, "--name", "entra")
    assert "2 connections" in shell.refused("connection", "show", "entra", status=2)
    shown = shell.json("connection", "show", "contoso/entra")
    [contoso] = [t for t in shell.json("tenant", "list")["items"] if t["slug"] == "contoso"]
    assert shown["tenant_id"] == contoso["id"]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("connection", "show", "entro"), id="show"),
        pytest.param(("connection", "pause", "entro"), id="pause"),
        pytest.param(("token", "create", "entro", "--name", "k"), id="token"),
        pytest.param(("sync", "entro"), id="sync"),
        pytest.param(("provision", "entro", "ada@fabrikam.com"), id="provision"),
        pytest.param(("drift", "show", "entro"), id="drift"),
        pytest.param(("log", "entro"), id="log"),
    ],
)
def test_an_unknown_connection_is_answered_with_the_nearest_known(
    shell: Shell, connection: Connection, words: tuple[str, ...]
) -> None:
    """issue 2, Bad input: "unknown connection ... one line that says what, why and what to do"."""
    line = shell.refused(*words, status=2)
    assert "no connection 'entro'" in line
    assert "Did you mean 'entra'?" in line


def test_an_empty_installation_says_how_to_begin(shell: Shell) -> None:
    """field.md, UX notes: "the empty state says what ... will do next"."""
    assert "leaver tenant create" in shell.run("tenant", "list")[1]
    assert "leaver connection create" in shell.refused("sync", "entra", status=2)


def test_mode_pause_and_resume_show_the_connection_as_it_is_then(
    shell: Shell, connection: Connection
) -> None:
    """field.md, UX notes: "state word + since when + next action"."""
    assert shell.json("connection", "mode", "entra", "enforce")["mode"] == "enforce"
    assert shell.json("connection", "pause", "entra", "--reason", "audit")["paused_reason"] == "audit"
    assert "audit" in shell.run("connection", "show", "entra")[1]
    resumed = shell.json("connection", "resume", "entra")
    assert (resumed["state"], resumed["mode"]) == ("active", "enforce")
    found = shell.store(lambda conn: connections.get(conn, connection.tenant_id, connection.id))
    assert found.policy.mode is Mode.ENFORCE


def test_half_of_a_credential_change_changes_nothing(shell: Shell, connection: Connection) -> None:
    """A stored secret belongs to one client: a new client id alone would make every cycle fail."""
    shell.refused("connection", "set", "entra", "--client-id", "other", status=2)
    shell.refused("connection", "set", "entra", status=2)
    assert shell.json("connection", "show", "entra")["client_id"] is None


# --- reports ---


def _finding(label: str, **changes: Any) -> DriftFinding:
    values: dict[str, Any] = {
        "kind": DriftKind.MISSED_DEPROVISION,
        "reason": Reason.DISABLED,
        "subject_type": SubjectType.USER,
        "subject_id": label,
        "subject_label": label,
        "before": {"active": True},
        "after": {"active": False},
        "first_seen": NOW,
        "state": FindingState.OPEN,
        **changes,
    }
    return DriftFinding(**values)


def _report(shell: Shell, connection: Connection, *findings: DriftFinding) -> str:
    tenant_id, connection_id = connection.tenant_id, connection.id

    async def work(conn: AsyncConnection) -> str:
        cycle = await cycles.start(conn, tenant_id, connection_id, CycleKind.FULL)
        await cycles.finish(
            conn, tenant_id, cycle.id, cycles.CycleResult(CycleStatus.REPORTED, complete=True)
        )
        await record_drift(conn, tenant_id, connection_id, cycle.id, findings)
        return cycle.id

    return shell.store(work)


def test_a_drift_report_has_the_shape_scripts_rely_on(shell: Shell, connection: Connection) -> None:
    """design.md §6: the shape of `drift show`."""
    cycle_id = _report(shell, connection, _finding("ada@fabrikam.com"))
    report = shell.json("drift", "show", "entra")
    assert (report["cycle_id"], report["complete"]) == (cycle_id, True)
    [finding] = report["findings"]
    assert {"kind", "reason", "subject", "before", "after", "first_seen", "state", "evidence"} <= set(finding)
    assert (finding["subject"], finding["reason"]) == ("ada@fabrikam.com", "disabled")
    assert "ada@fabrikam.com" in shell.run("drift", "show", "entra")[1]


def test_a_report_exported_as_csv_opens_harmlessly_in_a_spreadsheet(
    shell: Shell, connection: Connection, tmp_path: Path
) -> None:
    """OWASP, CSV injection: a cell that begins with = + - @ is run as a formula."""
    _report(shell, connection, _finding("=HYPERLINK(1)"), _finding('with "quotes", and a comma'))
    file = tmp_path / "drift.csv"
    code, _, err = shell.run("drift", "export", "entra", "--format", "csv", "--output", str(file))
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert {row["subject"] for row in rows} == {"'=HYPERLINK(1)", 'with "quotes", and a comma'}


def test_a_report_as_html_cannot_run_what_a_name_contains(shell: Shell, connection: Connection) -> None:
    """Display names come from strangers, and a report is opened in a browser."""
    _report(shell, connection, _finding("<script>alert(1)</script>"))
    page = shell.run("drift", "export", "entra", "--format", "html")[1]
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_markup_in_a_name_is_printed_as_it_is(shell: Shell, connection: Connection) -> None:
    """A name may hold square brackets, which Rich would take for a style."""
    _report(shell, connection, _finding("[red]Ada[/red]"))
    assert "[red]Ada[/red]" in shell.run("drift", "show", "entra")[1]


def test_before_the_first_cycle_there_is_no_report_and_the_line_says_what_to_do(
    shell: Shell, connection: Connection
) -> None:
    assert "leaver sync" in shell.refused("drift", "show", "entra", status=2)
    assert shell.json("drift", "list", "entra") == {"items": [], "next": None}


# --- held plans ---


def _hold(shell: Shell, connection: Connection, checksum: str) -> str:
    body = {
        "changes": [
            {
                "kind": "missed_deprovision",
                "action": "disable",
                "reason": "purged",
                "subject": {"type": "user", "graph_id": None, "local_id": "1", "label": "ada@fabrikam.com"},
                "member": None,
            }
        ]
    }
    cycle_id = _report(shell, connection)

    async def work(conn: AsyncConnection) -> str:
        held = await held_plans.hold(
            conn,
            connection.tenant_id,
            connection.id,
            CycleId(cycle_id),
            checksum,
            "18 of 120 users would be disabled (15.0 %), the ceiling is 10 %",
            body,
            NOW + timedelta(days=7),
        )
        return held.id

    return shell.store(work)


def test_a_held_plan_is_shown_with_numbers_and_names(shell: Shell, connection: Connection) -> None:
    """design.md §5: "stored whole, shown with numbers and names"."""
    plan_id = _hold(shell, connection, "ab" * 32)
    [listed] = shell.json("plan", "list")["items"]
    assert {"id", "checksum", "status", "reason", "expires_at", "changes"} <= set(listed)
    assert listed["id"] == plan_id
    page = shell.run("plan", "show", "abababab")[1]
    assert "18 of 120 users" in page
    assert "ada@fabrikam.com" in page
    assert "1 × disable" in page


def test_a_person_rejects_by_checksum_and_only_once(shell: Shell, connection: Connection) -> None:
    """design.md §5: "approved or rejected ... by checksum"."""
    _hold(shell, connection, "cd" * 32)
    decided = shell.json("plan", "reject", "cdcdcdcdcd", "--by", "Ada")
    assert (decided["status"], decided["decided_by"]) == ("rejected", "Ada")
    assert shell.json("plan", "list")["items"] == []
    assert shell.json("plan", "list", "--all")["items"][0]["status"] == "rejected"
    assert "rejected" in shell.refused("plan", "reject", "cdcdcdcdcd", status=1)


@pytest.mark.parametrize("reference", ["", "ab", "ffffffffff"])
def test_a_vague_or_unknown_checksum_decides_nothing(
    shell: Shell, connection: Connection, reference: str
) -> None:
    """Two characters would match a plan nobody has looked at."""
    _hold(shell, connection, "ab" * 32)
    assert "leaver plan list" in shell.refused("plan", "approve", reference, status=2)
    assert len(shell.json("plan", "list")["items"]) == 1


# --- the log ---


def test_an_empty_log_has_the_shape_and_the_page_says_what_comes(
    shell: Shell, connection: Connection
) -> None:
    """design.md §6: `log` gives `{"items", "next"}`; field.md: "the first cycle may take 40 min"."""
    assert shell.json("log", "entra") == {"items": [], "next": None}
    assert "40 minutes" in shell.run("log", "entra")[1]


# --- credentials and clouds ---


def stored_credential(shell: Shell) -> Credential:
    found = shell.store(lambda conn: connections.find(conn, "entra"))
    sealed = shell.store(lambda conn: connections.sealed_credential(conn, found.tenant_id, found.id))
    return Credential.from_text(Sealer([os.environ["LEAVER_SECRET_KEY"]]).unseal(sealed or ""))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--client-secret", "s3cret"), Credential(secret="s3cret")),
        (("--client-secret-file", "/run/s"), Credential(secret_file="/run/s")),
        (
            ("--client-secret-file", "/run/s", "--client-secret-expires", "2031-05-11"),
            Credential(secret_file="/run/s", secret_expires=datetime(2031, 5, 11, tzinfo=UTC)),
        ),
        (("--certificate-file", "/run/c.pfx"), Credential(certificate_file="/run/c.pfx")),
        (("--federated-token-file", "/run/t"), Credential(federated_token_file="/run/t")),
        (("--managed-identity", "system"), Credential(managed_identity="system")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("command", ["create", "set"])
def test_every_kind_of_credential_can_be_given(
    shell: Shell, command: str, words: tuple[str, ...], expected: Credential
) -> None:
    """Issue 3: client secret, certificate, federated credential; "sealed in the store or from a file"."""
    shell.json("tenant", "create", "Fabrikam")
    given = words if command == "create" else ()
    shell.json("connection", "create", "fabrikam", "--name", "entra", *given)
    if command == "set":
        shell.json("connection", "set", "entra", *words)
    assert stored_credential(shell) == expected
    shown = shell.json("connection", "show", "entra")
    assert shown["has_credential"]
    assert shown["credential_expires_at"] == (expected.secret_expires and "2031-05-11T00:00:00Z")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--client-secret", "a", "--managed-identity", "system"), "an app shows one credential"),
        (("--client-secret-file", "run/s"), "the whole path"),
        (("--client-secret-expires", "2031-05-11"), "goes with a secret"),
        (("--certificate-password", "a"), "goes with a certificate"),
    ],
    ids=["two kinds", "relative path", "an end of nothing", "a password of nothing"],
)
def test_credential_options_that_do_not_fit_are_refused(
    shell: Shell, words: tuple[str, ...], part: str
) -> None:
    shell.json("tenant", "create", "Fabrikam")
    line = shell.refused("connection", "create", "fabrikam", "--name", "entra", *words, status=2)
    assert part in line
    assert shell.json("connection", "list")["items"] == []


def test_a_national_cloud_is_chosen_by_its_two_urls(shell: Shell) -> None:
    """Issue 3: "national clouds: global, US Gov L4 and L5, China"."""
    shell.json("tenant", "create", "Fabrikam")
    urls = ("--login-url", "https://login.microsoftonline.us", "--graph-url", "https://graph.microsoft.us")
    made = shell.json("connection", "create", "fabrikam", "--name", "entra", *urls)
    assert made["graph_url"] == "https://graph.microsoft.us"


def test_urls_of_two_clouds_are_refused_with_what_would_fit(shell: Shell) -> None:
    shell.json("tenant", "create", "Fabrikam")
    line = shell.refused(
        *("connection", "create", "fabrikam", "--name", "entra"),
        *("--graph-url", "https://microsoftgraph.chinacloudapi.cn"),
        status=2,
    )
    assert "belong to different clouds" in line
    assert "https://graph.microsoft.com" in line
    assert shell.json("connection", "list")["items"] == []


def test_another_cloud_needs_its_own_credential(shell: Shell, connection: Connection) -> None:
    """A stored secret is shown to nobody but the login it was given for."""
    urls = ("--login-url", "https://login.microsoftonline.us", "--graph-url", "https://graph.microsoft.us")
    assert "together with their credential" in shell.refused("connection", "set", "entra", *urls, status=2)
    changed = shell.json("connection", "set", "entra", *urls, "--client-secret", "s3cret")
    assert changed["login_url"] == "https://login.microsoftonline.us"


@pytest.mark.parametrize(
    ("days", "state", "word"),
    [
        (400, "valid", ""),
        (29, "ends_within_30_days", "ends within 30 days"),
        (6, "ends_within_7_days", "ends within 7 days"),
        (0.5, "ends_within_1_day", "ends within 1 day"),
        (-1, "expired", "expired"),
    ],
)
def test_a_credential_that_ends_is_shown_wherever_one_looks(
    shell: Shell, connection: Connection, days: float, state: str, word: str
) -> None:
    """Issue 3: expiry "warned of 30, 7 and 1 days ahead"; expired is a named state with the remedy."""
    ends = datetime.now(UTC) + timedelta(days=days)
    shell.store(
        lambda conn: connections.set_credential(
            conn, connection.tenant_id, connection.id, "sealed", expires_at=ends
        )
    )
    assert shell.json("connection", "show", "entra")["credential_state"] == state
    assert shell.json("connection", "list")["items"][0]["credential_state"] == state
    _, listed, _ = shell.run("connection", "list")
    assert word in " ".join(listed.split())
    _, card, _ = shell.run("connection", "show", "entra")
    assert ("make a new one in Entra" in " ".join(card.split())) == (state != "valid")
    _, out, _ = shell.run("doctor", "entra", "--json")
    [check] = [each for each in json.loads(out)["checks"] if each["name"] == "expiry"]
    assert check["status"] == {"valid": "ok", "expired": "failed"}.get(state, "warning")
    assert ("leaver connection set" in check["remedy"]) == (state != "valid")
