"""`leaver user`, `leaver group`, `leaver cycle`: pages, details, marks, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from store import lifecycle
from store.directory import users
from store.records import (
    Cause,
    Connection,
    CreateGroup,
    CreateUser,
    CycleId,
    CycleKind,
    CycleStatus,
    DeleteUser,
    DisableUser,
    Origin,
    User,
)
from store.sync import cycles
from tests.builders.console_shell import Shell
from tests.builders.store_rows import person

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)

PUSH = Cause(Origin.SCIM, "request-1", "entra")


@pytest.fixture
def people(shell: Shell, connection: Connection) -> dict[str, User]:
    """Ada is in, Ben lost access, Cyd is deleted; Ada and Ben are in Readers."""

    async def work(conn: AsyncConnection) -> dict[str, User]:
        of = conn, connection.tenant_id, connection.id
        made = await lifecycle.perform_within(
            *of, [CreateUser(person(name)) for name in ("ada", "ben", "cyd")], PUSH
        )
        ids = {u.document["externalId"]: u.id for each in made if isinstance(u := each.record, User)}
        members = (ids["ada"], ids["ben"])
        await lifecycle.perform_within(
            *of, [CreateGroup({"displayName": "Readers"}, member_ids=members)], PUSH
        )
        await lifecycle.perform_within(*of, [DisableUser(ids["ben"]), DeleteUser(ids["cyd"])], PUSH)
        found = await users.load_state(*of)
        return {str(user.document["externalId"]): user for user in found.values()}

    return shell.store(work)


def _names(shell: Shell, *words: str) -> list[str]:
    return [
        each["user_name"].partition("@")[0] for each in shell.json("user", "list", "entra", *words)["items"]
    ]


def test_accounts_are_listed_by_state_and_by_part_of_a_name(shell: Shell, people: dict[str, User]) -> None:
    """issue 9: filters, and a deleted account is not listed among the others."""
    assert _names(shell) == ["ada", "ben"]
    assert _names(shell, "--active") == ["ada"]
    assert _names(shell, "--inactive") == ["ben"]
    assert _names(shell, "--deleted") == ["cyd"]
    assert _names(shell, "--name", "BE") == ["ben"]
    assert _names(shell, "--name", "%") == []
    assert "--inactive" in shell.refused("user", "list", "entra", "--active", "--inactive", status=2)


def test_pages_follow_one_another_until_there_is_none(shell: Shell, people: dict[str, User]) -> None:
    """`{"items": [...], "next": ...}`: the shape of every list."""
    first = shell.json("user", "list", "entra", "--limit", "1")
    assert [each["id"] for each in first["items"]] == [people["ada"].id]
    second = shell.json("user", "list", "entra", "--limit", "1", "--after", str(first["next"]))
    assert ([each["id"] for each in second["items"]], second["next"]) == ([people["ben"].id], None)


def test_lists_of_nothing_say_what_comes_next(shell: Shell, connection: Connection) -> None:
    """An empty state tells why it is empty."""
    for noun in ("user", "group", "cycle"):
        assert shell.json(noun, "list", "entra") == {"items": [], "next": None}
        _, out, _ = shell.run(noun, "list", "entra")
        assert " yet" in out
    assert "--name" in shell.run("user", "list", "entra", "--name", "x")[1]
    assert "--status" in shell.run("cycle", "list", "entra", "--status", "failed")[1]


def test_an_account_is_shown_with_its_marks_groups_and_changes(shell: Shell, people: dict[str, User]) -> None:
    """By name, by id, and after its deletion."""
    shown = shell.json("user", "show", "entra", "ADA@contoso.example")
    assert (shown["id"], shown["state"], shown["origin"]) == (people["ada"].id, "active", "scim")
    assert [group["display_name"] for group in shown["groups"]] == ["Readers"]
    assert [entry["action"] for entry in shown["changes"]] == ["create"]
    assert shell.json("user", "show", "entra", people["cyd"].id)["state"] == "deleted"
    _, out, _ = shell.run("user", "show", "entra", people["ben"].id)
    assert "inactive since" in out
    assert "leaver user list" in shell.refused("user", "show", "entra", "nemo", status=2)


def test_marks_are_set_and_taken_away_with_the_person_in_both_logs(
    shell: Shell, people: dict[str, User]
) -> None:
    """issue 9, row 13: "`MarkUser` is made by no command"."""
    assert shell.json("user", "protect", "entra", "ada@contoso.example")["protected"] is True
    assert shell.json("user", "admin", "entra", people["ada"].id)["admin"] is True
    shown = shell.json("user", "show", "entra", people["ada"].id)
    assert (shown["protected"], shown["admin"]) == (True, True)
    [audited, *_] = shell.json("audit", "entra")["items"]
    assert audited["action"] == "connection.account_marked"
    assert audited["detail"] == {"account": people["ada"].id, "admin": True}
    assert shown["changes"][0]["actor"] == audited["actor"]
    assert shell.json("user", "unprotect", "entra", people["ada"].id)["protected"] is False
    assert shell.json("user", "admin", "entra", people["ada"].id, "--off")["admin"] is False


def test_marks_of_a_deleted_account_are_refused_in_one_line(shell: Shell, people: dict[str, User]) -> None:
    """issue 9, "Bad input": "protect for the deleted"."""
    before = shell.json("audit", "entra")
    for words in (("protect",), ("unprotect",), ("admin",)):
        line = shell.refused("user", *words, "entra", people["cyd"].id, status=2)
        assert "deleted" in line
    assert shell.json("audit", "entra") == before


def test_groups_are_listed_and_shown_with_their_members(shell: Shell, people: dict[str, User]) -> None:
    """Members carry their state: a leaver in a group is seen at once."""
    [listed] = shell.json("group", "list", "entra", "--name", "read")["items"]
    assert (listed["display_name"], listed["members"]) == ("Readers", 2)
    shown = shell.json("group", "show", "entra", "readers")
    assert [(each["user_name"].partition("@")[0], each["state"]) for each in shown["users"]] == [
        ("ada", "active"),
        ("ben", "inactive"),
    ]
    assert "Readers" in shell.run("group", "show", "entra", listed["id"])[1]
    assert "leaver group list" in shell.refused("group", "show", "entra", "Writers", status=2)


def test_cycles_are_paged_filtered_and_shown(shell: Shell, connection: Connection) -> None:
    """The newest first; a cycle of another connection is not found."""

    async def work(conn: AsyncConnection) -> list[CycleId]:
        made: list[CycleId] = []
        for kind in (CycleKind.FULL, CycleKind.INCREMENTAL, CycleKind.INCREMENTAL):
            at = datetime.now(UTC) - timedelta(hours=3 - len(made))
            cycle = await cycles.start(conn, connection.tenant_id, connection.id, kind, now=at)
            result = cycles.CycleResult(CycleStatus.APPLIED, complete=True, counts={"users": 7})
            await cycles.finish(conn, connection.tenant_id, cycle.id, result)
            made.append(cycle.id)
        return made

    oldest, middle, newest = shell.store(work)
    first = shell.json("cycle", "list", "entra", "--limit", "2")
    assert [each["cycle_id"] for each in first["items"]] == [newest, middle]
    rest = shell.json("cycle", "list", "entra", "--before", first["next"])
    assert ([each["cycle_id"] for each in rest["items"]], rest["next"]) == ([oldest], None)
    assert len(shell.json("cycle", "list", "entra", "--kind", "incremental")["items"]) == 2
    assert shell.json("cycle", "show", "entra", oldest)["counts"] == {"users": 7}
    assert "7 users" in shell.run("cycle", "show", "entra", oldest)[1]
    shell.json("connection", "create", "fabrikam", "--name", "second")
    assert "no cycle" in shell.refused("cycle", "show", "second", oldest, status=2)
