"""`leaver connection set`: every part of the policy, and bad values in one line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from store.records import Ceilings, Connection, ScopingClause
from store.tenancy import connections
from tests.builders.console_shell import Shell

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


APP_ID = "5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01"


def _stored(shell: Shell, connection: Connection) -> Connection:
    return shell.store(lambda conn: connections.get(conn, connection.tenant_id, connection.id))


def test_every_part_of_the_policy_can_be_set(shell: Shell, connection: Connection) -> None:
    """issue 9: "`connection set` covers every part of the policy"."""
    shown = shell.json(
        *("connection", "set", "entra", "--yes", "--scope", "all", "--membership", "transitive"),
        *("--filter", "department EQUALS Sales", "--filter", "jobTitle is not null"),
        *("--ceiling-floor", "3", "--ceiling-percent", "7.5", "--ceiling-count", "40"),
        *("--held-days", "3", "--full-every-hours", "12", "--evidence-max-age-s", "60"),
        *("--deprovision-local-accounts", "--clear-emptied-attributes"),
        *("--no-protect-from-push", "--no-brake-push"),
        *("--interval-minutes", "1", "--app-id", APP_ID),
    )
    stored = _stored(shell, connection)
    policy = stored.policy
    assert policy.ceilings == Ceilings(floor=3, percent=7.5, count=40)
    assert (policy.held_plan_days, policy.full_every_hours, policy.evidence_max_age_s) == (3, 12, 60)
    assert (policy.deprovision_local_accounts, policy.clear_emptied_attributes) == (True, True)
    assert (policy.protect_from_push, policy.brake_push) == (False, False)
    assert (policy.scope, policy.membership, stored.interval_minutes) == ("all", "transitive", 1)
    assert stored.app_id == APP_ID
    assert policy.scoping_filters == (
        (ScopingClause("department", "EQUALS", "Sales"), ScopingClause("jobTitle", "IS_NOT_NULL")),
    )
    assert shown["filters"] == [["department EQUALS Sales", "jobTitle IS_NOT_NULL"]]
    shell.json("connection", "set", "entra", "--yes", "--no-filters", "--keep-local-accounts")
    assert _stored(shell, connection).policy.scoping_filters == ()


def test_the_audit_log_says_what_the_policy_was_and_is(shell: Shell, connection: Connection) -> None:
    """A filter may name a person, so its value is left out."""
    shell.json("connection", "set", "entra", "--yes", "--filter", "mail EQUALS ada@example.com")
    [entry, *_] = shell.json("audit", "entra")["items"]
    assert entry["detail"]["before"] == {"scoping_filters": []}
    assert entry["detail"]["after"] == {"scoping_filters": [["mail EQUALS"]]}


def test_groups_of_filters_come_from_a_file(shell: Shell, connection: Connection, tmp_path: Path) -> None:
    """Clauses are ANDed inside a group, groups are ORed."""
    file = tmp_path / "filters.json"
    file.write_text('[["department EQUALS Sales", "country EQUALS DE"], ["jobTitle IS NULL"]]')
    shell.json("connection", "set", "entra", "--yes", "--filters-file", str(file))
    assert [len(clauses) for clauses in _stored(shell, connection).policy.scoping_filters] == [2, 1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ceiling-percent", "1000"), ("--ceiling-percent 1000", "1 to 100")),
        (("--ceiling-floor", "0"), ("--ceiling-floor 0", "1 to 1,000")),
        (("--ceiling-count", "0"), ("--ceiling-count 0", "1 to 100,000")),
        (("--interval-minutes", "0"), ("--interval-minutes 0", "1 to 10,080")),
        (("--app-id", "my-app"), ("--app-id 'my-app'", "Application ID")),
        (("--held-days", "1000"), ("--held-days 1000", "1 to 90")),
        (("--evidence-max-age-s", "1"), ("--evidence-max-age-s 1", "30 to 3,600")),
        (("--filter", "department LIKE Sales"), ("--filter 'department LIKE Sales'", "EQUALS")),
        (("--filter", "department EQUALS"), ("--filter", "needs a value")),
        (("--filter", "Departmnt EQUALS Sales"), ("--filter", "did you mean department?")),
        (("--filter", "userType EQUALS Guest"), ("--filter", "does not filter on userType")),
        (("--filter", "department EQUALS a", "--no-filters"), ("--filter and --no-filters", "one of them")),
        (("--filters-file", "/no/such/file"), ("--filters-file /no/such/file", "cannot be read")),
    ],
)
def test_a_bad_value_is_one_line_with_the_option_and_what_may_be(
    shell: Shell, connection: Connection, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    """issue 9, "Bad input": "one line, nothing half-done"."""
    line = shell.refused("connection", "set", "entra", "--ceiling-floor", "9", *words, "--yes", status=2)
    assert [part for part in said if part not in line] == []
    assert _stored(shell, connection) == connection


@pytest.mark.parametrize("content", ["{", "{}", '["department EQUALS Sales"]', "[[1]]", "[[]]"])
def test_a_file_that_holds_no_groups_of_filters_is_refused(
    shell: Shell, connection: Connection, tmp_path: Path, content: str
) -> None:
    """An empty group would let everybody in."""
    file = tmp_path / "filters.json"
    file.write_text(content)
    line = shell.refused("connection", "set", "entra", "--yes", "--filters-file", str(file), status=2)
    assert "filter" in line
    assert _stored(shell, connection) == connection


def test_a_change_of_scope_wants_a_yes(
    shell: Shell, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody at the terminal: refused with what it would do, and nothing is changed."""
    line = shell.refused("connection", "set", "entra", "--scope", "all", status=2)
    assert "cannot be read" in line
    assert "--yes" in line
    assert _stored(shell, connection) == connection
    for answer, status, scope in (("n\n", 2, "assigned"), ("y\n", 0, "all")):
        typed = io.StringIO(answer)
        monkeypatch.setattr(typed, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", typed)
        assert shell.run("connection", "set", "entra", "--scope", "all")[0] == status
        assert _stored(shell, connection).policy.scope == scope


def test_a_connection_is_renamed_within_its_tenant(shell: Shell, connection: Connection) -> None:
    """first days: "`connection rename`"; the id and the URLs stay."""
    shell.json("connection", "create", "fabrikam", "--name", "second")
    assert shell.json("connection", "rename", "entra", "first")["id"] == connection.id
    assert "one of this name" in shell.refused("connection", "rename", "first", "second", status=2)


@pytest.mark.parametrize("name", ["  ", "a/b", "x" * 101, "bell\a"])
def test_a_name_is_printable_and_has_no_slash(shell: Shell, connection: Connection, name: str) -> None:
    """first days: "*Names*: 1 to 100 printable characters, no `/`"."""
    for words in (
        ("connection", "rename", "entra", name),
        ("connection", "create", "fabrikam", "--name", name),
        ("tenant", "create", name),
    ):
        assert "1 to 100 printable characters" in shell.refused(*words, status=2)
    assert [each["name"] for each in shell.json("connection", "list")["items"]] == ["entra"]
