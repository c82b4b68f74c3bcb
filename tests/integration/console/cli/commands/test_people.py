"""`leaver user`, `leaver group`, `leaver cycle`: pages, details, marks, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from store import lifecycle
from store.directory import assessment_results, users
from store.records import (
    Cause,
    ChangeHolder,
    ChangeUser,
    Connection,
    CreateGroup,
    CreateUser,
    CycleId,
    CycleKind,
    CycleStatus,
    DeleteUser,
    DisableUser,
    GraphId,
    LinkUser,
    Origin,
    User,
)
from store.sync import cycles
from store.tenancy import connections
from tests.builders.console_shell import Shell
from tests.builders.store_rows import person, setting

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


# --- the same person


def _titles(shell: Shell, user: User) -> list[str]:
    found = shell.store(lambda conn: assessment_results.list_for_user(conn, user.tenant_id, user.id))
    return sorted(result.title for result in found)


@pytest.fixture
def results(shell: Shell, people: dict[str, User]) -> None:
    """Ada has one result, Ben another."""

    async def work(conn: AsyncConnection) -> None:
        for name in ("ada", "ben"):
            await assessment_results.add(conn, people[name].tenant_id, people[name].id, f"Of {name}", 97)

    shell.store(work)


@pytest.mark.usefixtures("results")
def test_only_a_persons_decision_joins_two_holders_and_it_can_be_taken_back(
    shell: Shell, people: dict[str, User]
) -> None:
    """identity.md, W4: the history of one is visible under the other, audited, reversible."""
    ada, ben = people["ada"], people["ben"]
    assert (_titles(shell, ada), _titles(shell, ben)) == (["Of ada"], ["Of ben"])

    [decided] = shell.json("user", "same-person", "entra", ada.user_name, ben.id)["items"]

    assert [each["id"] for each in decided["people"]] == [ada.id, ben.id]
    assert _titles(shell, ada) == _titles(shell, ben) == ["Of ada", "Of ben"]
    assert shell.json("user", "show", "entra", ada.id)["holder"]["basis"] == "person"
    [audited, *_] = shell.json("audit", "entra")["items"]
    assert audited["action"] == "connection.people_joined"
    assert audited["detail"] == {"pairs": [[f"{ada.id}#1", f"{ben.id}#1"]]}
    _, out, _ = shell.run("user", "same-person", "entra", ben.id, ada.id, "--undo")
    assert "two people again" in out
    assert (_titles(shell, ada), _titles(shell, ben)) == (["Of ada"], ["Of ben"])
    assert shell.json("user", "show", "entra", ada.id)["holder"]["basis"] is None


@pytest.mark.usefixtures("results")
def test_an_earlier_holder_of_an_account_is_named_by_object_id(shell: Shell, people: dict[str, User]) -> None:
    """A person hired again as a new object: the account changed its holder, and is one person's all the same."""
    ada = people["ada"]

    async def work(conn: AsyncConnection) -> None:
        of = conn, ada.tenant_id, ada.connection_id
        cause = Cause(Origin.GRAPH, "a cycle")
        await lifecycle.perform_within(*of, [LinkUser(ada.id, GraphId("old-ada"))], cause)
        await lifecycle.perform_within(*of, [ChangeHolder(ada.id, GraphId("new-ada"))], cause)

    shell.store(work)
    assert _titles(shell, ada) == []

    shell.json("user", "same-person", "entra", "OLD-ADA", "new-ada")

    assert _titles(shell, ada) == ["Of ada"]


@pytest.mark.usefixtures("results")
def test_a_seal_is_lifted_by_a_person_where_no_pull_can_tell_and_doctor_says_so(
    shell: Shell, people: dict[str, User]
) -> None:
    """identity.md, W5: on a push-only connection a sealed account stays sealed: doctor says so, a command ends it."""
    ben = people["ben"]

    async def enabled(conn: AsyncConnection) -> None:
        of = conn, ben.tenant_id, ben.connection_id
        await lifecycle.perform_within(*of, [ChangeUser(ben.id, setting(active=True))], PUSH)

    shell.store(enabled)
    assert _titles(shell, ben) == []
    assert _names(shell, "--sealed") == ["ben"]
    [found] = [c for c in _doctor(shell) if c["name"] == "sealed accounts"]
    assert found["status"] == "warning"
    assert "same-person" in found["remedy"]

    _, out, _ = shell.run("user", "same-person", "entra", ben.user_name)

    assert "lifted" in out
    assert (_titles(shell, ben), _names(shell, "--sealed")) == (["Of ben"], [])
    assert not [c for c in _doctor(shell) if c["name"] == "sealed accounts"]
    shell.run("user", "same-person", "entra", ben.user_name, "--undo")
    assert _titles(shell, ben) == []


def test_what_cannot_be_one_person_is_refused_in_one_line_and_changes_nothing(
    shell: Shell, connection: Connection, people: dict[str, User]
) -> None:
    """issue 9, "Bad input": "same-person for people of two connections"; and of two directories, of one, of none."""
    ada, ben, cyd = people["ada"], people["ben"], people["cyd"]

    async def work(conn: AsyncConnection) -> User:
        other = await connections.create(conn, connection.tenant_id, "other")
        of = conn, connection.tenant_id
        made = await lifecycle.perform_within(*of, other.id, [CreateUser(person("dan"))], PUSH)
        links = [
            LinkUser(ada.id, GraphId("a"), directory_id="one"),
            LinkUser(ben.id, GraphId("b"), directory_id="two"),
        ]
        await lifecycle.perform_within(*of, connection.id, links, Cause(Origin.GRAPH, "a cycle"))
        assert isinstance(made[0].record, User)
        return made[0].record

    dan = shell.store(work)
    before = shell.json("audit", "entra")
    refused = {
        (ada.id, dan.user_name): "connection other",
        (dan.id, ada.id): "connection other",
        (ada.id, ben.id): "two directories",
        (ada.id, ada.user_name): "one holder",
        (ada.id, "nemo"): "leaver user list",
        (ada.id,): "not sealed",
        (ada.id, cyd.id, "--undo"): "not declared",
        (): "--file",
    }
    for words, said in refused.items():
        assert said in shell.refused("user", "same-person", "entra", *words, status=2), words
    assert shell.json("audit", "entra") == before


def test_pairs_from_a_file_are_all_written_or_none(
    shell: Shell, people: dict[str, User], tmp_path: Path
) -> None:
    """identity.md, W4: "also in bulk"."""
    listed = tmp_path / "pairs.csv"
    listed.write_text(
        f"# hired again\n{people['ada'].user_name},{people['cyd'].id}\n{people['ben'].id},nemo\n"
    )
    before = shell.json("audit", "entra")
    assert "nemo" in shell.refused("user", "same-person", "entra", "--file", str(listed), status=2)
    assert shell.json("audit", "entra") == before
    listed.write_text(f"{people['ada'].id},{people['ben'].id},x\n")
    assert "line 1" in shell.refused("user", "same-person", "entra", "--file", str(listed), status=2)

    listed.write_text(
        f"{people['ada'].user_name};{people['cyd'].id}\n{people['ben'].id};{people['cyd'].id}\n"
    )
    decided = shell.json("user", "same-person", "entra", "--file", str(listed))["items"]

    assert [each["same_person"] for each in decided] == [True, True]


def _doctor(shell: Shell) -> list[dict[str, str]]:
    _, out, _ = shell.run("doctor", "entra", "--json")
    return list(json.loads(out)["checks"])
