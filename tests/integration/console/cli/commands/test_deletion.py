"""`connection delete`, `tenant delete`: numbers first, nothing half-done, history survives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import deletion
from store import lifecycle, tables
from store.directory import sessions, users
from store.errors import DatabaseBusy
from store.records import Cause, Connection, CreateGroup, CreateUser, GraphId, LinkUser, Origin, User
from store.sync import leases
from store.tenancy import connections
from tests.builders.console_shell import Shell
from tests.builders.store_rows import person

PUSH = Cause(Origin.SCIM, "request-1", "entra")
NAMES = ("ada", "ben", "cyd")


@pytest.fixture
def secret(shell: Shell, connection: Connection) -> str:
    """Three people of Entra's and a group; gives the secret of Ada's session."""

    async def work(conn: AsyncConnection) -> str:
        of = conn, connection.tenant_id, connection.id
        made = await lifecycle.perform_within(*of, [CreateUser(person(name)) for name in NAMES], PUSH)
        people = [each.record for each in made if isinstance(each.record, User)]
        links = [LinkUser(user.id, GraphId(f"object-of-{user.user_name}")) for user in people]
        await lifecycle.perform_within(*of, [*links, CreateGroup({"displayName": "Readers"})], PUSH)
        _, secret = await sessions.start(conn, connection.tenant_id, people[0].id)
        return secret

    shell.json("token", "create", "entra", "--name", "push")
    return shell.store(work)


def _people(shell: Shell, connection: Connection) -> list[User]:
    found = shell.store(lambda conn: users.load_state(conn, connection.tenant_id, connection.id))
    return list(found.values())


def _is_live(shell: Shell, secret: str) -> bool:
    return shell.store(lambda conn: sessions.find_live(conn, secret)) is not None


def _count(shell: Shell, table: str) -> int:
    async def work(conn: AsyncConnection) -> int:
        found: int = (
            await conn.execute(select(func.count()).select_from(tables.Base.metadata.tables[table]))
        ).scalar_one()
        return found

    return shell.store(work)


def test_numbers_come_first_and_nothing_goes_without_a_yes(
    shell: Shell, connection: Connection, secret: str
) -> None:
    """issue 9: "numbers first, then `--yes`"."""
    line = shell.refused("connection", "delete", "entra", "--people", "disable", status=2)
    for said in ("3 people with access", "1 group,", "1 session,", "1 token,", "--yes"):
        assert said in line
    assert all(user.active for user in _people(shell, connection))
    assert shell.json("connection", "show", "entra")["state"] == "active"


@pytest.mark.parametrize(
    ("fate", "active", "linked", "live", "origin"),
    [("keep", 3, 3, True, "scim"), ("disable", 0, 3, False, "scim"), ("release", 3, 0, True, "console")],
)
def test_people_are_kept_disabled_or_released(
    shell: Shell,
    connection: Connection,
    secret: str,
    monkeypatch: pytest.MonkeyPatch,
    fate: str,
    active: int,
    linked: int,
    live: bool,
    origin: str,
) -> None:
    """issue 9: "(keep, disable or release the people)"; I8: no account and no log entry is erased."""
    monkeypatch.setattr(deletion, "BATCH_SIZE", 2)
    logged = _count(shell, "provisioning_log")
    done = shell.json("connection", "delete", "entra", "--people", fate, "--yes")
    assert (done["people"], done["active"], done["sessions"]) == (fate, 3, 1)
    people = _people(shell, connection)
    assert sum(user.active for user in people) == active
    assert sum(user.entra_object_id is not None for user in people) == linked
    assert {user.origin for user in people} == {origin}
    assert _is_live(shell, secret) is live
    assert _count(shell, "provisioning_log") >= logged
    assert shell.json("connection", "list")["items"] == []


def test_a_deleted_connection_has_no_secret_and_its_name_is_free(
    shell: Shell, connection: Connection, secret: str
) -> None:
    """Tokens are revoked, the credential is erased, and a new connection may have the name."""
    shell.json(
        *("connection", "set", "entra", "--client-id", "c", "--entra-tenant-id", "fabrikam.com"),
        *("--client-secret", "s3cret"),
    )
    shell.json("connection", "delete", "entra", "--people", "keep", "--yes")

    async def secrets(conn: AsyncConnection) -> tuple[str | None, int]:
        t = tables.api_tokens.c
        usable = select(func.count()).where(t.connection_id == connection.id, t.revoked_at.is_(None))
        sealed = await connections.sealed_credential(conn, connection.tenant_id, connection.id)
        return sealed, (await conn.execute(usable)).scalar_one()

    assert shell.store(secrets) == (None, 0)
    assert shell.json("connection", "create", "fabrikam", "--name", "entra")["id"] != connection.id
    assert "no connection" in shell.refused("user", "list", connection.id, status=2)
    actions = [entry["action"] for entry in shell.json("tenant", "audit", "fabrikam")["items"]]
    assert "connection.deleted" in actions


def test_a_connection_with_a_running_cycle_is_not_deleted(
    shell: Shell, connection: Connection, secret: str
) -> None:
    """issue 9, "Bad input": "deleting a connection with a running cycle"."""
    now = datetime.now(UTC)
    of = connection.tenant_id, connection.id
    shell.store(lambda conn: leases.acquire(conn, *of, "command:other", now, 60))
    before = _people(shell, connection)
    for words in (("connection", "delete", "entra"), ("tenant", "delete", "fabrikam")):
        line = shell.refused(*words, "--people", "disable", "--yes", status=1)
        assert "a run works on it" in line
    assert _people(shell, connection) == before
    assert shell.json("connection", "show", "entra")["state"] == "active"


def test_an_interrupted_deletion_stops_push_and_pull_and_goes_on_when_asked_again(
    shell: Shell, connection: Connection, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """issue 9: "nothing half-done": what is not done yet is said, and no cycle undoes what is."""
    monkeypatch.setattr(deletion, "BATCH_SIZE", 2)
    perform, calls = lifecycle.perform, []

    async def breaks_off(*arguments: object, **more: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise DatabaseBusy("the database is busy")
        return await perform(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(lifecycle, "perform", breaks_off)
    shell.refused("connection", "delete", "entra", "--people", "disable", "--yes", status=1)
    shown = shell.json("connection", "show", "entra")
    assert shown["state"] == "paused"
    assert f"leaver connection delete {connection.id} --people disable" in shown["paused_reason"]
    assert sum(user.active for user in _people(shell, connection)) == 1
    monkeypatch.setattr(lifecycle, "perform", perform)
    shell.json("connection", "delete", "entra", "--people", "disable", "--yes")
    assert not any(user.active for user in _people(shell, connection))
    assert not _is_live(shell, secret)


def test_a_deleted_tenant_keeps_its_audit_log_under_its_id(
    shell: Shell, connection: Connection, secret: str
) -> None:
    """issue 9: the audit entry survives; the slug is free for another tenant."""
    shell.json("connection", "create", "fabrikam", "--name", "second")
    line = shell.refused("tenant", "delete", "fabrikam", "--people", "release", status=2)
    assert "Connection entra: 3 people" in line
    assert "Connection second: 0 people" in line
    done = shell.json("tenant", "delete", "fabrikam", "--people", "release", "--yes")
    assert [each["name"] for each in done["connections"]] == ["entra", "second"]
    assert shell.json("tenant", "list")["items"] == []
    assert shell.json("connection", "list")["items"] == []
    [last, *_] = shell.json("tenant", "audit", connection.tenant_id)["items"]
    assert (last["action"], last["detail"]) == ("tenant.deleted", {"people": "release", "connections": 2})
    again = shell.json("tenant", "create", "Fabrikam")
    assert again["slug"] == "fabrikam"
    [only] = shell.json("tenant", "audit", "fabrikam")["items"]
    assert only["action"] == "tenant.created"
    assert len(_people(shell, connection)) == 3
