"""`leaver session` and `leaver history`, as typed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from store.directory import assessment_results, receipts, sessions
from store.integration import app_keys
from store.integration.app_keys import NewAppKey
from store.keys import utc_now
from store.lifecycle import perform_within
from store.records import (
    AppKeyKind,
    Cause,
    Connection,
    CreateUser,
    CycleKind,
    CycleStatus,
    DisableUser,
    Ending,
    Origin,
    Reason,
    User,
)
from store.sync import cycles
from store.sync.cycles import CycleResult
from tests.builders.console_shell import Shell
from tests.builders.store_rows import person, record_drift

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
    receipt, by_hand = shell.json("session", "list", "entra", ann.user_name)["receipts"]
    assert (by_hand["action"], [each["id"] for each in by_hand["ended"]]) == ("end_sessions", [first.id])
    assert (receipt["reason"], receipt["correlation_id"], len(receipt["ended"])) == (
        "unassigned",
        "cycle-7",
        1,
    )
    status, text, _ = shell.run("session", "list", "entra", ann.user_name)
    assert status == 0
    assert "unassigned" in text


def test_what_the_app_registered_is_listed_and_ended_like_a_session(
    shell: Shell, connection: Connection
) -> None:
    """Issue 11: the app hears of it by the receipt, which it acknowledges."""
    ann = account(shell, connection)
    wanted = NewAppKey(AppKeyKind.SESSION, "web-42")
    key = shell.store(lambda conn: app_keys.register(conn, ann.tenant_id, ann.id, wanted, utc_now()))
    _, text, _ = shell.run("session", "list", "entra", ann.user_name)
    assert "web-42" in text
    assert shell.json("session", "end", "entra", key.id)["state"] == "ended"
    listed = shell.json("session", "list", "entra", ann.user_name)
    assert [each["end_reason"] for each in listed["app_keys"]] == ["ended by an administrator"]
    assert [each["ended"][0]["reference"] for each in listed["receipts"]] == ["web-42"]
    assert shell.json("session", "end", "entra", "--user", ann.id)["ended"] == 0


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


def test_what_the_app_has_not_acknowledged_is_shown_where_people_look(
    shell: Shell, connection: Connection
) -> None:
    """Issue 11: "unacknowledged ones older than 5 minutes are listed in `doctor`, `drift show`"."""
    ann, place = account(shell, connection), (connection.tenant_id, connection.id)
    shell.store(lambda conn: sessions.start(conn, ann.tenant_id, ann.id))
    long_ago = utc_now() - timedelta(minutes=6)

    async def work(conn: AsyncConnection) -> None:
        cycle = await cycles.start(conn, *place, CycleKind.FULL)
        await cycles.finish(conn, place[0], cycle.id, CycleResult(CycleStatus.APPLIED, complete=True))
        await record_drift(conn, *place, cycle.id, [])
        ending = Ending("ended by an administrator")
        await receipts.add(conn, ann.tenant_id, ann, [{"kind": "app_key"}], ending, now=long_ago)

    shell.store(work)
    [late] = shell.json("drift", "show", "entra")["unacknowledged"]
    assert late["user_id"] == ann.id
    _, text, _ = shell.run("drift", "show", "entra")
    assert "has not acknowledged these ends of access" in text
    checks = {each["name"]: each["detail"] for each in shell.json("doctor", "entra", status=1)["checks"]}
    assert checks["revocations"] == "The app has not acknowledged 1 ends of access for five minutes and more."
