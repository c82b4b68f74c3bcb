"""`leaver connection release-brake`: numbers first, then a person releases."""

from __future__ import annotations

from functools import partial

import pytest

from store.errors import PushBraked
from store.keys import utc_now
from store.records import Cause, Connection, Origin
from store.tenancy import push_brakes
from tests.builders.console_shell import Shell

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)

REASON = "More than 100 active users would be disabled or deleted by push within 10 minutes."


def _brake(shell: Shell, connection: Connection) -> None:
    shell.store(
        partial(
            push_brakes.note_refused,
            tenant_id=connection.tenant_id,
            connection_id=connection.id,
            braked=PushBraked("users", REASON, None, is_new=True),
            cause=Cause(Origin.SCIM, "request"),
            now=utc_now(),
        )
    )


def test_a_brake_is_shown_with_its_reason_and_released_by_a_person(
    shell: Shell, connection: Connection
) -> None:
    """Without --yes nothing is released; the audit log names who did it."""
    _brake(shell, connection)
    line = shell.refused("connection", "release-brake", "entra", status=2)
    assert REASON in line
    assert "1 requests were refused" in line
    shown = shell.json("connection", "release-brake", "entra", "--yes")
    [released] = shown["released"]
    assert (released["kind"], released["reason"], released["refused"]) == ("users", REASON, 1)
    assert shown["released_until"] is None
    [entry, *_] = shell.json("audit", "entra")["items"]
    assert (entry["action"], entry["detail"]["refused"]) == ("connection.push_brake_released", 1)


def test_a_planned_offboarding_is_announced_for_so_many_minutes(shell: Shell, connection: Connection) -> None:
    """Where nothing is braked a time is needed, within bounds."""
    line = shell.refused("connection", "release-brake", "entra", "--yes", status=2)
    assert "--for-minutes 60" in line
    line = shell.refused("connection", "release-brake", "entra", "--yes", "--for-minutes", "0", status=2)
    assert "--for-minutes 0" in line
    assert shell.json("connection", "release-brake", "entra", "--yes", "--for-minutes", "30")[
        "released_until"
    ]


def test_the_doctor_names_a_brake_and_how_to_release_it(shell: Shell, connection: Connection) -> None:
    """A push that is stopped is a failed check."""
    _brake(shell, connection)
    checks = shell.json("doctor", "entra", status=1)["checks"]
    [found] = [check for check in checks if check["name"] == "push removals"]
    assert found["status"] == "failed"
    assert "release-brake" in found["remedy"]


def test_a_new_connection_begins_with_brake_and_protection(shell: Shell, connection: Connection) -> None:
    """Nobody has to think of it."""
    made = shell.json("connection", "create", "fabrikam", "--name", "second")
    shown = shell.json("connection", "show", made["id"])
    assert (shown["brake_push"], shown["protect_from_push"]) == (True, True)
