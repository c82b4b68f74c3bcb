"""`leaver session` and `leaver history`, as typed."""

from __future__ import annotations

import pytest

from store.directory import assessment_results, sessions
from store.lifecycle import perform_within
from store.records import Cause, Connection, CreateUser, DisableUser, Origin, Reason, User
from tests.builders.console_shell import Shell
from tests.builders.store_rows import person

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


def account(shell: Shell, connection: Connection) -> User:
    place = connection.tenant_id, connection.id
    [made] = shell.store(
        lambda conn: perform_within(
            conn, *place, [CreateUser(person("ann"))], Cause(Origin.SCIM, "request-1")
        )
    )
    assert isinstance(made.record, User)
    return made.record


def test_sessions_are_listed_and_ended_and_the_receipt_is_shown(shell: Shell, connection: Connection) -> None:
    """Issue 11: "`leaver session list|end`"."""
    ann = account(shell, connection)
    first, _ = shell.store(lambda conn: sessions.start(conn, ann.tenant_id, ann.id))
    shell.store(lambda conn: sessions.start(conn, ann.tenant_id, ann.id))

    assert shell.json("session", "end", "entra", first.id)["ended"]["by"].startswith("cli:")
    listed = shell.json("session", "list", "entra", ann.user_name)
    assert sorted(each["state"] for each in listed["items"]) == ["ended", "live"]
    cause = Cause(Origin.GRAPH, "cycle-7", "worker")
    place = connection.tenant_id, connection.id
    shell.store(lambda conn: perform_within(conn, *place, [DisableUser(ann.id, Reason.UNASSIGNED)], cause))
    [receipt] = shell.json("session", "list", "entra", ann.user_name)["receipts"]
    assert (receipt["reason"], receipt["correlation_id"], len(receipt["ended"])) == (
        "unassigned",
        "cycle-7",
        1,
    )
    status, text, _ = shell.run("session", "list", "entra", ann.user_name)
    assert status == 0
    assert "unassigned" in text


def test_all_sessions_of_an_account_end_by_one_command(shell: Shell, connection: Connection) -> None:
    ann = account(shell, connection)
    shell.store(lambda conn: sessions.start(conn, ann.tenant_id, ann.id))
    assert shell.json("session", "end", "entra", "--user", ann.id)["ended"] == 1
    assert "no session 'unknown'" in shell.refused("session", "end", "entra", "unknown", status=2)
    assert "SESSION or --user" in shell.refused("session", "end", "entra", status=2)


def test_history_is_exported_and_erased_after_a_yes(shell: Shell, connection: Connection) -> None:
    """Issue 11: "`leaver history export|erase`"."""
    ann = account(shell, connection)
    shell.store(lambda conn: assessment_results.add(conn, ann.tenant_id, ann.id, "Reading", 97))
    [kept] = shell.json("history", "export", "entra", ann.user_name)["accounts"]
    assert [each["title"] for each in kept["results"]] == ["Reading"]
    erase = ("history", "erase", "entra", ann.user_name, "--reason", "Art. 17")
    assert "--yes" in shell.refused(*erase, status=2)
    assert shell.json(*erase, "--yes")["erasures"][0]["results"] == 1
    [kept] = shell.json("history", "export", "entra", ann.user_name)["accounts"]
    assert (kept["results"], len(kept["erasures"])) == ([], 1)
