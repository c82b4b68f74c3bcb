"""A shell on an empty database, and a connection that its commands made."""

from __future__ import annotations

import pytest

from store.records import Connection
from store.tenancy import connections
from tests.builders.console_shell import Shell
from tests.builders.secret_keys import secret_key


@pytest.fixture
def shell(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.delenv("COLUMNS", raising=False)  # the test run's own width would break lines
    monkeypatch.setenv("LEAVER_DATABASE_URL", database_url)
    monkeypatch.setenv("LEAVER_SECRET_KEY", secret_key("a shell"))
    monkeypatch.setenv("LEAVER_PUBLIC_URL", "https://leaver.example.com/")
    return Shell(database_url, capsys)


@pytest.fixture
def connection(shell: Shell) -> Connection:
    shell.json("tenant", "create", "Fabrikam")
    made = shell.json("connection", "create", "fabrikam", "--name", "entra")
    return shell.store(lambda conn: connections.find(conn, made["id"]))
