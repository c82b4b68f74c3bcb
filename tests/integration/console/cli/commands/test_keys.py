"""The change of a secret key, from the new one to the end of the old."""

from __future__ import annotations

import json

import pytest

from config.keys import read_key
from store.records import Connection
from tests.builders.console_shell import Shell
from tests.builders.secret_keys import secret_key

OLD, NEW = secret_key("old"), secret_key("new")

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
"""What is tested here does not depend on the database."""


def test_a_new_key_is_printed_alone(shell: Shell) -> None:
    """`LEAVER_SECRET_KEY=$(leaver secret-key)`."""
    status, out, err = shell.run("secret-key")
    assert (status, err) == (0, "")
    assert len(read_key(out)) == 32


@pytest.fixture
def credential(shell: Shell, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential that the old key seals."""
    monkeypatch.setenv("LEAVER_SECRET_KEY", OLD)
    given = ("--entra-tenant-id", "fabrikam.com", "--client-id", "c", "--client-secret", "s3cret")
    shell.json("connection", "set", connection.name, *given)


@pytest.mark.usefixtures("credential")
def test_a_key_is_changed_in_three_steps(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """issue 10, G: "`leaver db reseal` ends a rotation; `doctor` counts what is still under an old key"."""
    monkeypatch.setenv("LEAVER_SECRET_KEY", f"{NEW},{OLD}")
    [found] = _checks(shell, "key change")
    assert (found["status"], found["remedy"].partition(",")[0]) == ("warning", "leaver db reseal")
    assert "1 of the stored secrets" in found["detail"]

    done = shell.json("db", "reseal")
    assert done == {
        "before": {"keys": 2, "current": 0, "earlier": 1, "unreadable": 0},
        "after": {"keys": 2, "current": 1, "earlier": 0, "unreadable": 0},
        "resealed": 1,
    }
    assert _checks(shell, "key change")[0]["status"] == "ok"
    assert "Nothing needs an earlier key" in shell.run("db", "reseal")[1]
    [entry, *_] = shell.json("tenant", "audit", "fabrikam")["items"]
    assert (entry["action"], entry["subject"]) == ("secret.resealed", "connections")

    monkeypatch.setenv("LEAVER_SECRET_KEY", NEW)
    assert _checks(shell, "key change") == []
    assert shell.json("db", "reseal")["after"]["current"] == 1


@pytest.mark.usefixtures("credential")
@on_sqlite
def test_what_no_key_opens_is_counted_and_left_alone(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old key was removed too early: putting it back mends it."""
    monkeypatch.setenv("LEAVER_SECRET_KEY", NEW)
    done = shell.json("db", "reseal", status=3)
    assert done["after"] == {"keys": 1, "current": 0, "earlier": 0, "unreadable": 1}
    monkeypatch.setenv("LEAVER_SECRET_KEY", f"{NEW},{OLD}")
    assert shell.json("db", "reseal")["resealed"] == 1


def _checks(shell: Shell, name: str) -> list[dict[str, str]]:
    _, out, _ = shell.run("doctor", "--json")
    return [check for check in json.loads(out)["checks"] if check["name"] == name]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--entra-tenant-id", "common"), "neither the id of an Entra tenant nor one of its domains"),
        (("--entra-tenant-id", "fabrikam.com/../evil"), "neither the id"),
        (("--login-url", "https://login.microsoftonline.com/evil"), "more than scheme and host"),
        (("--graph-url", "https://graph.microsoft.com/v1.0?x=y"), "more than scheme and host"),
        (("--login-url", "https://user@login.microsoftonline.com"), "more than scheme and host"),
        (("--login-url", "http://127.0.0.1:9000"), "LEAVER_ALLOW_SIMULATOR=1"),
        (("--graph-url", "https://localhost:9000"), "LEAVER_ALLOW_SIMULATOR=1"),
        (("--client-secret", ""), "--client-secret is empty"),
        (("--client-id=",), "--client-id is empty"),
    ],
)
@on_sqlite
def test_a_connection_leads_to_a_directory_of_microsofts(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], says: str
) -> None:
    """issue 10, G: "login and Graph URLs are origins of a known cloud"."""
    monkeypatch.delenv("LEAVER_ALLOW_SIMULATOR")
    shell.json("tenant", "create", "Fabrikam")
    assert says in shell.refused("connection", "create", "fabrikam", "--name", "e", *given, status=2)


@on_sqlite
def test_a_secret_that_is_typed_as_it_is_is_taken_with_a_warning(
    shell: Shell, connection: Connection
) -> None:
    """issue 10, G: "a secret given literally on the command line is accepted with a warning"."""
    given = ("--entra-tenant-id", "fabrikam.com", "--client-id", "c", "--client-secret", "s3cret")
    status, _, err = shell.run("connection", "set", connection.name, *given)
    assert status == 0
    assert "--client-secret was typed as it is" in err
    assert "s3cret" not in err
