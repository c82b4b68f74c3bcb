"""`leaver token` and `leaver audit`: what an operator can do with tokens, and what is kept of it."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from store import lifecycle, tables
from store.database import open_database
from store.records import Cause, Connection, CreateUser, Origin, TokenId, User
from store.tenancy import api_tokens
from tests.builders.console_shell import Shell
from tests.builders.simulator.process import start as start_simulator
from tests.builders.simulator.process import stop as stop_simulator


def test_a_token_is_shown_once_and_found_by_its_secret(shell: Shell, connection: Connection) -> None:
    """design.md §6: `token create` prints the token, "the only time `token` is shown"."""
    made = shell.json("token", "create", "entra", "--name", "entra", "--expires-days", "30")
    assert set(made) == {"id", "name", "token", "permissions", "expires_at"}
    found = shell.store(lambda conn: api_tokens.find_by_secret(conn, made["token"]))
    assert found is not None
    assert found.id == made["id"]
    listed = shell.run("token", "list", "entra", "--json")[1]
    assert made["token"] not in listed
    assert json.loads(listed)["items"][0]["state"] == "active"


@pytest.mark.parametrize("permission", ["admin:users:*", "admin:user:fly", "everything"])
def test_an_unknown_permission_is_refused_with_the_known_ones(
    shell: Shell, connection: Connection, permission: str
) -> None:
    """A token with a permission nobody checks would look stronger than it is."""
    line = shell.refused("token", "create", "entra", "--name", "k", "--permission", permission, status=2)
    assert "admin:sync: read run approve" in line
    assert shell.json("token", "list", "entra")["items"] == []


def test_a_section_alone_is_select_all(shell: Shell, connection: Connection) -> None:
    """Setup guide: in the section Admin:user press *Select all*."""
    made = shell.json("token", "create", "entra", "--name", "k", "--permission", "admin:user")
    assert made["permissions"] == ["admin:user:*"]


def test_rotating_leaves_the_old_token_working_for_the_overlap(shell: Shell, connection: Connection) -> None:
    """issue 4: "overlapping rotation": Entra is changed over while both work."""
    old = shell.json("token", "create", "entra", "--name", "entra")
    new = shell.json("token", "rotate", old["id"], "--overlap-days", "7")
    assert new["token"] != old["token"]
    states = {token["id"]: token for token in shell.json("token", "list", "entra")["items"]}
    assert states[old["id"]]["state"] == states[new["id"]]["state"] == "active"
    assert states[old["id"]]["expires_at"] is not None


def test_a_revoked_token_is_listed_as_revoked(shell: Shell, connection: Connection) -> None:
    made = shell.json("token", "create", "entra", "--name", "entra")
    assert shell.json("token", "revoke", made["id"])["revoked_at"] is not None
    assert shell.json("token", "list", "entra")["items"][0]["state"] == "revoked"


def test_a_token_can_be_suspended_and_resumed(shell: Shell, connection: Connection) -> None:
    """issue 4: "reversible suspend"; a revoked one stays revoked."""
    made = shell.json("token", "create", "entra", "--name", "entra")
    assert shell.json("token", "suspend", "entra")["state"] == "suspended"
    assert "refused" not in shell.run("token", "suspend", "entra")[2]
    assert shell.json("token", "resume", made["id"])["state"] == "active"
    shell.json("token", "revoke", "entra")
    assert "for good" in shell.refused("token", "resume", "entra", status=2)
    assert "for good" in shell.refused("token", "suspend", "entra", status=2)


def test_a_token_may_be_bound_to_addresses(shell: Shell, connection: Connection) -> None:
    """issue 4: "IP allow-list"; a lone address is a network of one."""
    made = shell.json("token", "create", "entra", "--name", "k", "--allow-address", "10.0.0.0/8")
    assert shell.json("token", "list", "entra")["items"][0]["allowed_addresses"] == ["10.0.0.0/8"]
    changed = shell.json("token", "allow", made["id"], "203.0.113.7", "2001:db8::/32")
    assert changed["allowed_addresses"] == ["203.0.113.7/32", "2001:db8::/32"]
    assert shell.json("token", "allow", "k")["allowed_addresses"] == []
    assert "neither" in shell.refused("token", "allow", "k", "everywhere", status=2)
    wrong = ("token", "create", "entra", "--name", "x", "--allow-address", "10.0.0.0/99")
    assert "neither" in shell.refused(*wrong, status=2)


@pytest.mark.parametrize(("days", "warned"), [("1", 1), ("6", 7), ("29", 30), ("31", None)])
def test_a_token_that_ends_soon_is_pointed_out(
    shell: Shell, connection: Connection, days: str, warned: int | None
) -> None:
    """issue 4: "warning before expiry": 30, 7 and 1 days before, in the list and by the doctor."""
    shell.json("token", "create", "entra", "--name", "k", "--expires-days", days)
    assert shell.json("token", "list", "entra")["items"][0]["ends_within_days"] == warned
    assert ("token rotate" in shell.run("token", "list", "entra")[1]) == (warned is not None)
    checks = shell.json("doctor", "entra", status=1)
    found = next(each for each in checks["checks"] if each["name"] == "API token")
    assert (found["status"], f"within {warned} day" in found["detail"]) == (
        ("warning", True) if warned else ("ok", False)
    )


def test_a_token_that_was_rotated_is_to_be_replaced_by_the_one_that_waits(
    shell: Shell, connection: Connection
) -> None:
    """Rotated once, there is something to paste; the doctor does not ask for a third token."""
    old = shell.json("token", "create", "entra", "--name", "entra")
    shell.store(lambda conn: api_tokens.touch(conn, connection.tenant_id, TokenId(old["id"]), "127.0.0.1"))
    new = shell.json("token", "rotate", old["id"], "--overlap-days", "7")
    checks = shell.json("doctor", "entra", status=1)
    found = next(each for each in checks["checks"] if each["name"] == "API token")
    assert found["status"] == "warning"
    assert found["remedy"].startswith("Its successor leaver_")
    assert new["id"] in found["remedy"]
    assert new["token"] not in found["remedy"]


async def _user(url: str, connection: Connection, name: str) -> User:
    database = await open_database(url)
    try:
        command = CreateUser({"userName": name, "active": True})
        [outcome] = await lifecycle.perform(
            database, connection.tenant_id, connection.id, [command], Cause(Origin.CONSOLE, "test")
        )
    finally:
        await database.close()
    assert isinstance(outcome.record, User)
    return outcome.record


def test_a_token_may_stand_for_a_user(shell: Shell, connection: Connection) -> None:
    """RFC 7644 §3.11: /Me needs a subject; it may read itself unless more is granted."""
    ann = asyncio.run(_user(shell.url, connection, "ann@fabrikam.example"))
    made = shell.json("token", "create", "entra", "--name", "ann", "--user", "Ann@fabrikam.example")
    assert made["permissions"] == ["admin:user:read"]
    assert shell.json("token", "list", "entra")["items"][0]["user_id"] == ann.id
    assert "no user" in shell.refused(
        *("token", "create", "entra", "--name", "x", "--user", "bob@fabrikam.example"), status=2
    )


def test_a_federated_token_has_no_secret_to_show(shell: Shell, connection: Connection) -> None:
    """Workload identity federation: the admin pastes endpoint and client id; nothing secret changes hands."""
    made = shell.json(
        *("token", "create", "entra", "--name", "wif", "--federation-subject", "subject"),
        *("--federation-audience", "api://leaver", "--federation-audience", "leaver"),
    )
    federation = {"subject": "subject", "audiences": ["api://leaver", "leaver"]}
    assert (made["token"], made["federation"]) == (None, federation)
    shown = shell.json("connection", "show", "entra")
    assert shown["federation"] == [{"token_id": made["id"], "name": "wif", **federation}]
    assert shown["token_url"] == "https://leaver.example.com/oauth/token"
    assert "api://leaver" in shell.run("connection", "show", "entra")[1]
    code, out, _ = shell.run("token", "rotate", "wif")
    assert (code, "Client Identifier" in out, "leaver_" in out) == (0, True, False)
    assert "--entra-tenant-id" in out
    shell.json("connection", "set", "entra", "--entra-tenant-id", "11111111-2222-4333-8444-555555555555")
    for half in (("--federation-subject", "s"), ("--federation-audience", "a")):
        line = shell.refused("token", "create", "entra", "--name", "x", *half, status=2)
        assert "--federation-subject and --federation-audience" in line


def test_who_did_what_to_a_token_can_be_read(shell: Shell, connection: Connection) -> None:
    """issue 4: "audit of who did what"; the secret is in no entry."""
    made = shell.json("token", "create", "entra", "--name", "entra", "--expires-days", "90")
    for deed in ("suspend", "resume", "revoke"):
        shell.json("token", deed, made["id"])
    page = shell.json("audit", "entra", "--limit", "2")
    assert [each["action"] for each in page["items"]] == ["token.revoked", "token.resumed"]
    rest = shell.json("audit", "entra", "--before", str(page["next"]))
    assert [each["action"] for each in rest["items"]][:2] == ["token.suspended", "token.created"]
    created = rest["items"][1]
    assert created["actor"] == f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    assert created["detail"]["permissions"] == ["admin:user:*", "admin:group:*"]
    ends = datetime.fromisoformat(created["detail"]["expires_at"])
    assert ends - datetime.now(UTC) > timedelta(days=89)
    printed = shell.run("audit", "entra")[1]
    assert "token.revoked" in printed
    assert made["token"] not in printed + json.dumps([page, rest])


def test_what_is_done_to_a_connection_is_in_the_audit_log_too(shell: Shell, connection: Connection) -> None:
    """issue 4: "audit of who did what"; the values of a credential are not in it."""
    shell.json("connection", "set", "entra", "--interval-minutes", "60")
    shell.json("connection", "mode", "entra", "enforce")
    shell.json("connection", "pause", "entra", "--reason", "moving")
    shell.json("connection", "resume", "entra")
    entries = shell.json("audit", "entra")["items"]
    assert [(each["action"], each["detail"]) for each in reversed(entries)] == [
        ("connection.created", {"mode": "report"}),
        ("connection.changed", {"what": ["interval_minutes"]}),
        ("connection.mode_changed", {"before": "report", "after": "enforce"}),
        ("connection.paused", {"reason": "moving"}),
        ("connection.resumed", {}),
    ]


def test_custom_attributes_are_declared_and_withdrawn(shell: Shell, connection: Connection) -> None:
    """issue 4: "any custom extension URN a connection declares"."""
    urn = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User"
    shell.json("connection", "declare", "entra", f"{urn}:costCenter", f"{urn}:badge")
    shown = shell.json("connection", "declare", "entra", f"{urn}:badge", f"{urn}:level")
    assert shown["extensions"] == [f"{urn}:costCenter", f"{urn}:badge", f"{urn}:level"]
    assert "costCenter" in shell.run("connection", "show", "entra")[1]
    shown = shell.json("connection", "declare", "entra", f"{urn}:badge", "--withdraw")
    assert shown["extensions"] == [f"{urn}:costCenter", f"{urn}:level"]
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
    for wrong in ("costCenter", "urn:contoso", enterprise):
        line = shell.refused("connection", "declare", "entra", wrong, status=2)
        assert "names no attribute of a custom extension" in line


def test_the_doctor_looks_whether_assertions_can_be_checked(shell: Shell, connection: Connection) -> None:
    """Federation needs the directory, and its keys within reach: each finding has its remedy."""

    def federation() -> tuple[str, str]:
        checks = shell.json("doctor", "entra", status=1)["checks"]
        found = next(each for each in checks if each["name"] == "federation")
        return found["status"], found["detail"] + found["remedy"]

    shell.json(
        *("token", "create", "entra", "--name", "wif", "--federation-subject", "s"),
        *("--federation-audience", "a"),
    )
    assert federation()[0] == "failed"
    assert "--entra-tenant-id" in federation()[1]
    process, ready = start_simulator()
    try:
        _point(shell, ready["entra_tenant_id"], ready["login_url"])
        assert federation() == ("ok", "1 signing keys of the directory can be read.")
    finally:
        stop_simulator(process)
    assert federation()[0] == "failed"
    assert "cannot be read" in federation()[1]


def _point(shell: Shell, entra_tenant_id: str, login_url: str) -> None:
    values = {"entra_tenant_id": entra_tenant_id, "login_url": login_url}
    shell.store(lambda conn: conn.execute(update(tables.connections).values(values)))
