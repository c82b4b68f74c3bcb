"""What the first people to use Leaver met: credentials that are tested, names, tokens, errors for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from simulator.server import Simulator
from store.records import Connection, TokenId
from store.tenancy import api_tokens
from tests.builders.company_thread import company_in_a_thread, connect_options
from tests.builders.console_shell import Shell

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
"""What is tested here does not depend on the database."""


@pytest.fixture
def company() -> Iterator[Simulator]:
    with company_in_a_thread(users=8, groups=1) as running:
        yield running


@pytest.fixture
def fabrikam(shell: Shell, company: Simulator) -> Shell:
    shell.json("tenant", "create", "Fabrikam")
    shell.json(
        "connection", "create", "fabrikam", "--name", "entra", "--mode", "enforce", *connect_options(company)
    )
    return shell


# --- credentials ---


def test_a_new_credential_is_tested_before_the_old_one_goes(fabrikam: Shell, tmp_path: Path) -> None:
    """first-days: "*A new credential is tested before the old one goes*; `--no-test` to skip"."""
    wrong = tmp_path / "secret"
    wrong.write_text("wrong")
    line = fabrikam.refused("connection", "set", "entra", "--client-secret", f"@{wrong}", status=1)
    assert "AADSTS7000215" in line
    assert "--no-test" in line
    assert fabrikam.json("connection", "test", "entra")["ok"]
    fabrikam.json("connection", "set", "entra", "--client-secret", "wrong", "--no-test")
    assert not fabrikam.json("connection", "test", "entra", status=1)["ok"]


@pytest.mark.parametrize(
    ("secret", "options", "says"),
    [
        pytest.param("x" * 100_001, (), "longer than", id="too-long"),
        pytest.param("x", ("--client-secret-expires", "2020-01-31"), "has passed", id="ended"),
    ],
)
def test_a_secret_that_cannot_be_one_is_refused(
    shell: Shell, connection: Connection, tmp_path: Path, secret: str, options: tuple[str, ...], says: str
) -> None:
    """first-days: a length cap; an expiry date in the past is refused."""
    file = tmp_path / "secret"
    file.write_text(secret)
    given = ("--client-secret", f"@{file}", *options)
    assert says in shell.refused("connection", "set", connection.name, *given, status=2)


# --- on demand ---


def test_somebody_must_go_now_although_the_connection_is_paused(fabrikam: Shell, company: Simulator) -> None:
    """first-days: "On demand works while the connection is paused, if the person says so"."""
    fabrikam.json("sync", "entra")
    [ada] = [user.id for user in company.directory.users.values() if user.properties["mailNickname"] == "ada"]
    company.directory.change_user(ada, {"accountEnabled": False})
    fabrikam.json("connection", "pause", "entra")
    assert "--while-paused" in fabrikam.refused("provision", "entra", "ada@fabrikam.com", status=1)
    done = fabrikam.json("provision", "entra", "ada@fabrikam.com", "--while-paused")
    assert done["result"] == "disabled"
    [entry] = [
        each for each in fabrikam.json("audit", "entra")["items"] if each["detail"].get("while_paused")
    ]
    assert entry["action"] == "connection.provision_requested"


# --- names ---


def test_a_slug_is_made_from_every_latin_name_and_chosen_for_others(shell: Shell) -> None:
    """first-days: "a slug for every script (transliterated, or `--slug`)"."""
    assert shell.json("tenant", "create", "Bücher Łódź Ærø")["slug"] == "bucher-lodz-aero"
    assert "--slug" in shell.refused("tenant", "create", "株式会社", status=1)
    assert shell.json("tenant", "create", "株式会社", "--slug", "kabushiki")["slug"] == "kabushiki"
    assert "letters a-z" in shell.refused("tenant", "create", "X", "--slug", "Not A Slug", status=1)


# --- tokens ---


def test_a_token_is_named_by_its_connection_short_id_or_prefix(shell: Shell, connection: Connection) -> None:
    """first-days: "accept `CONNECTION NAME`, a short id (8 characters) or the shown prefix"."""
    made = shell.json("token", "create", "entra", "--name", "entra")
    shell.json("tenant", "create", "Contoso")
    shell.json("connection", "create", "contoso", "--name", "entra")
    shell.json("token", "create", "contoso/entra", "--name", "entra")
    assert "2 tokens" in shell.refused("token", "suspend", "entra", status=2)
    prefix = shell.json("token", "list", connection.id)["items"][0]["prefix"]
    for words in (("fabrikam/entra", "entra"), (made["id"][-8:],), (prefix,), (f"{prefix}…",)):
        assert shell.json("token", "suspend", *words)["id"] == made["id"]
        assert shell.json("token", "resume", *words)["state"] == "active"


def test_a_rotation_is_told_whole(shell: Shell, connection: Connection) -> None:
    """first-days: "old and new linked, which one Entra still uses, `revoke --replaced`"."""
    old = shell.json("token", "create", "entra", "--name", "entra")
    new = shell.json("token", "rotate", "entra")
    assert new["replaces_id"] == old["id"]
    assert "still in use" in " ".join(shell.run("token", "list", "entra")[1].split())
    assert shell.json("token", "revoke", "entra", "--replaced")["items"] == []
    shell.store(lambda conn: api_tokens.touch(conn, connection.tenant_id, TokenId(new["id"]), None))
    revoked = shell.json("token", "revoke", "entra", "--replaced")["items"]
    assert [token["id"] for token in revoked] == [old["id"]]


def test_the_doctor_counts_tokens_that_entra_can_push_with(shell: Shell, connection: Connection) -> None:
    """first-days: `"Entra can push" needs a token with user and group permissions for more than one person`."""

    def found() -> str:
        checks = json.loads(shell.run("doctor", connection.id, "--json")[1])["checks"]
        return next(str(check["status"]) for check in checks if check["name"] == "API token")

    shell.json("token", "create", "entra", "--name", "reports", "--permission", "admin:report:read")
    assert found() == "warning"
    shell.json("token", "create", "entra", "--name", "entra")
    assert found() == "ok"


# --- errors ---


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(("connection", "show", "nope"), "unknown_reference", id="use-case"),
        pytest.param(("log",), "wrong_use", id="command"),
        pytest.param(("sync", "entra", "--no-such-option"), "wrong_use", id="option"),
    ],
)
def test_a_failure_is_a_document_too(
    shell: Shell, connection: Connection, words: tuple[str, ...], code: str
) -> None:
    """first-days: `--json` on failure prints `{"error": {"code", "message", "remedy"}}`."""
    assert connection.name == "entra"
    error = shell.json(*words, status=2)["error"]
    assert (error["code"], set(error)) == (code, {"code", "message", "remedy"})
    assert error["message"]
    assert error["remedy"]


@pytest.mark.parametrize("words", [(), ("plan",), ("connection", "mapping")])
def test_a_command_that_is_not_whole_prints_its_help_and_nothing_else(
    shell: Shell, words: tuple[str, ...]
) -> None:
    """first-days: "`leaver` without a command prints help and no error line"."""
    code, out, err = shell.run(*words)
    assert (code, "Usage" in out, err) == (2, True, "")


def test_status_says_how_long_a_credential_lasts(shell: Shell, connection: Connection) -> None:
    ends = f"{datetime.now(UTC) + timedelta(days=20, hours=12):%Y-%m-%d}"
    shell.json(
        *("connection", "set", connection.name, "--client-secret", "s3cret", "--client-secret-expires", ends)
    )
    [found] = shell.json("status")["items"]
    assert found["credential_days"] in (19, 20)
    assert found["credential_state"] == "ends_within_30_days"


@pytest.mark.parametrize(
    "words",
    [("pause", "entra"), ("resume", "entra"), ("mode", "entra", "enforce"), ("rename", "entra", "other")],
)
def test_a_command_that_changes_one_thing_says_that_one_thing(
    shell: Shell, connection: Connection, words: tuple[str, ...]
) -> None:
    """first-days: "commands that change one thing print that one thing"; the document is whole as before."""
    code, out, _ = shell.run("connection", *words)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith(f"Connection {'other' if 'other' in words else connection.name} ")
