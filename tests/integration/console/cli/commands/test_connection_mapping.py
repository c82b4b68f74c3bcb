"""`leaver connection mapping`: versions, and faults with their place (identity.md, mapping)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from store.records import Connection, CycleId, JsonValue
from store.sync import held_plans
from store.tenancy import connections
from tests.builders.console_shell import Shell
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


def _stored(shell: Shell, connection: Connection) -> Connection:
    return shell.store(lambda conn: connections.get(conn, connection.tenant_id, connection.id))


def test_a_new_connection_has_entras_default_mapping(shell: Shell, connection: Connection) -> None:
    """identity.md: "a mapping with an origin: `default`, `imported`, `set`"."""
    shown = shell.json("connection", "mapping", "show", "entra")
    assert (shown["origin"], shown["version"], shown["versions"]) == ("default", 0, [])
    assert shown["mapping"] == dict(DEFAULT_MAPPING)


def test_each_change_is_a_version_that_the_worker_reads(shell: Shell, connection: Connection) -> None:
    """identity.md: "Versions are kept"; what a person said of the version before no longer counts."""

    async def confirm(conn: AsyncConnection) -> None:
        policy = replace(connection.policy, mapping_confirmed=True)
        await connections.set_policy(conn, connection.tenant_id, connection.id, policy)

    shell.store(confirm)
    first = shell.json(
        *("connection", "mapping", "set", "entra", "--set", "userName=mail"),
        *("--set", 'externalId=Append([employeeId], "=x")', "--remove", "title"),
    )
    assert (first["version"], first["origin"], first["confirmed"]) == (1, "set", False)
    policy = _stored(shell, connection).policy
    assert policy.mapping is not None
    assert policy.mapping["userName"] == "mail"
    assert policy.mapping["externalId"] == 'Append([employeeId], "=x")'
    assert "title" not in policy.mapping
    assert not policy.mapping_confirmed
    second = shell.json("connection", "mapping", "set", "entra", "--default")
    assert [each["origin"] for each in second["versions"]] == ["default", "set"]
    assert _stored(shell, connection).policy.mapping is None
    [audited, *_] = shell.json("audit", "entra")["items"]
    assert audited["detail"] == {
        "version": 2,
        "origin": "default",
        "changed": ["externalId", "title", "userName"],
        "ended_plans": 0,
    }


def test_a_change_says_how_many_plans_it_ended(shell: Shell, connection: Connection) -> None:
    """They were found by the mapping of before; the next cycle holds what is still due."""
    until = datetime.now(UTC) + timedelta(days=7)
    body: dict[str, JsonValue] = {"changes": [{}]}

    async def hold(conn: AsyncConnection) -> None:
        scope = connection.tenant_id, connection.id
        await held_plans.hold(conn, *scope, CycleId("a cycle"), "a" * 64, "1 of 12", body, until)

    shell.store(hold)
    _, told, _ = shell.run("connection", "mapping", "set", "entra", "--set", "userName=mail")
    assert "1 plan that waited" in told
    assert shell.json("connection", "mapping", "set", "entra", "--default")["ended_plans"] == 0


def test_a_file_holds_the_whole_mapping(shell: Shell, connection: Connection, tmp_path: Path) -> None:
    """Lines that the file does not have are gone."""
    file = tmp_path / "mapping.json"
    file.write_text('{"userName": "userPrincipalName", "externalId": "objectId"}')
    shown = shell.json("connection", "mapping", "set", "entra", "--file", str(file))
    assert shown["mapping"] == {"userName": "userPrincipalName", "externalId": "objectId"}
    assert "objectId" in shell.run("connection", "mapping", "show", "entra")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", 'title=Join(" ", [givenName]'), ("title", "at column")),
        (("--set", "title=Jion([givenName], [surname])"), ("at column 1", "Join")),
        (
            ("--set", "userName=SelectUniqueValue([mail], [userPrincipalName])"),
            ("SelectUniqueValue cannot be used",),
        ),
        (("--set", "userName=userPrincipalname"), ("userPrincipalname", "did you mean userPrincipalName?")),
        (("--set", "title=Append([jobTitel], [city])"), ("jobTitel", "did you mean jobTitle?")),
        (("--set", "na me=mail"), ("is not a SCIM path",)),
        (("--set", "userName"), ("ATTRIBUTE=SOURCE",)),
        (("--set", "userName="), ("ATTRIBUTE=SOURCE",)),
        (("--remove", "userName"), ("the mapping: ", "no userName")),
        (("--remove", "nothing"), ("--remove: nothing is not mapped",)),
        (("--set", "title=city", "--default"), ("Give one of them",)),
        (("--file", "/no/such/file"), ("cannot be read",)),
        ((), ("no option was given", "leaver connection mapping set --help")),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused_with_the_place(
    shell: Shell, connection: Connection, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    """issue 9: "a wrong one refused when saved with the position of the fault"."""
    good = ("--set", "title=city") if words[:1] == ("--set",) and "--default" not in words else ()
    line = shell.refused("connection", "mapping", "set", "entra", *good, *words, status=2)
    assert [part for part in said if part not in line] == []
    assert _stored(shell, connection) == connection
    assert shell.json("connection", "mapping", "show", "entra")["versions"] == []


@pytest.mark.parametrize(
    "content", ["[", "[]", '{"userName": 1}', '{"userName": "nonsense"}', '{"title": "city"}']
)
def test_a_file_that_holds_no_mapping_is_refused(
    shell: Shell, connection: Connection, tmp_path: Path, content: str
) -> None:
    """One line, and nothing half-done."""
    file = tmp_path / "mapping.json"
    file.write_text(content)
    shell.refused("connection", "mapping", "set", "entra", "--file", str(file), status=2)
    assert _stored(shell, connection) == connection


def test_a_check_without_a_credential_says_how_to_give_one(shell: Shell, connection: Connection) -> None:
    """The check reads the directory."""
    for words in (("check",), ("check", "--accept"), ("import",)):
        assert "no Graph credential" in shell.refused("connection", "mapping", *words, "entra", status=1)
    assert not _stored(shell, connection).policy.mapping_confirmed
