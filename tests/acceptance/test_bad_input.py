"""Bad input of issue 2, as a person meets it: one line, a status, no traceback, and nothing half-written."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.migrations import upgrade
from tests.builders.installation import LEAVER, Installation, installed
from tests.builders.secret_keys import secret_key

KEY = secret_key("an installation")


@dataclass(frozen=True)
class Shell:
    """A shell in an empty folder of its own."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LEAVER, *words],
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def line(self, *words: str, status: int = 1, **environment: str) -> str:
        """Gives the one line of a command that fails; checks that it wrote nothing into the folder."""
        before = _contents(self.folder)
        done = self.run(*words, **environment)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert done.stderr.startswith("leaver: ")
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert _contents(self.folder) == before
        return done.stderr


def _contents(folder: Path) -> dict[str, bytes]:
    """Files and what is in them; SQLite's own side files come and go."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".db", ".txt")}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEAVER_")}
    return Shell(tmp_path, {**kept, "LEAVER_SECRET_KEY": KEY})


@pytest.fixture
def upgraded(shell: Shell) -> Shell:
    asyncio.run(upgrade.upgrade(f"sqlite+aiosqlite:///{shell.folder}/leaver.db"))
    return shell


EVERYWHERE = [
    pytest.param(("tenant", "list"), id="a-command"),
    pytest.param(("db", "check"), id="db-check"),
    pytest.param(("serve", "--port", "0"), id="serve"),
    pytest.param(("worker",), id="worker"),
]


@pytest.mark.parametrize("words", EVERYWHERE)
def test_a_database_that_was_never_upgraded(shell: Shell, words: tuple[str, ...]) -> None:
    """Says what to run, and leaves no empty database behind that looks like one."""
    assert "leaver db upgrade" in shell.line(*words)


@pytest.mark.parametrize(
    ("words", "url", "says"),
    [
        (("tenant", "list"), "mysql://leaver:s3cret@localhost/leaver", "must start with sqlite+aiosqlite://"),
        (("db", "upgrade"), "leaver.db", "must start with sqlite+aiosqlite://"),
        (("db", "upgrade"), "sqlite+aiosqlite:////no/such/folder/leaver.db", "check LEAVER_DATABASE_URL"),
        (("serve",), "postgresql+asyncpg://leaver:s3cret@127.0.0.1:1/leaver", "does not answer"),
        (("worker",), "postgresql+psycopg://leaver:s3cret@127.0.0.1:1/leaver", "does not answer"),
    ],
)
def test_a_wrong_database_url(shell: Shell, words: tuple[str, ...], url: str, says: str) -> None:
    """Names the variable, and never the password in it."""
    line = shell.line(*words, LEAVER_DATABASE_URL=url)
    assert says in line
    assert "LEAVER_DATABASE_URL" in line
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("words", "variable", "value"),
    [
        (("serve",), "LEAVER_PORT", "eighty"),
        (("db", "check"), "LEAVER_PORT", "70000"),
        (("tenant", "list"), "LEAVER_PUBLIC_URL", "leaver.example.com"),
        (("worker",), "LEAVER_LOG_LEVEL", "loud"),
        (("doctor",), "LEAVER_LEASE_S", "0"),
    ],
)
def test_a_malformed_setting(upgraded: Shell, words: tuple[str, ...], variable: str, value: str) -> None:
    """design.md §6: "a wrong value names the variable, the value's problem and an example"."""
    done = upgraded.run(*words, **{variable: value})
    assert done.returncode == (1 if words == ("doctor",) else 2)  # of the doctor it is a finding
    said = " ".join((done.stderr + done.stdout).split())
    assert f"{variable} is wrong" in said
    assert f"for example {variable}=" in said
    assert "Traceback" not in said


def test_a_key_that_is_too_short_is_refused_and_not_repeated(upgraded: Shell) -> None:
    """design.md §7, I9: "no secret or personal data in logs or errors"."""
    line = upgraded.line("serve", status=2, LEAVER_SECRET_KEY="hunter2")
    assert "LEAVER_SECRET_KEY is wrong" in line
    assert "hunter2" not in line


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield str(taken.getsockname()[1])


@pytest.mark.parametrize("command", ["serve", "simulator"])
def test_a_port_in_use(upgraded: Shell, taken_port: str, command: str) -> None:
    """Names the port, and how to take another."""
    line = upgraded.line(command, "--port", taken_port)
    assert f"cannot listen on 127.0.0.1:{taken_port}: the port is in use" in line
    assert "--port" in line


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("worker",)])
def test_no_secret_key(upgraded: Shell, words: tuple[str, ...]) -> None:
    """design.md §6: "`serve` refuses to start without it"."""
    kept = {name: value for name, value in upgraded.environment.items() if name != "LEAVER_SECRET_KEY"}
    assert "LEAVER_SECRET_KEY is not set" in Shell(upgraded.folder, kept).line(*words)
    assert "LEAVER_SECRET_KEY is empty" in upgraded.line(*words, status=2, LEAVER_SECRET_KEY="")


@pytest.mark.parametrize("words", [("sync", "entra"), ("provision", "entra", "ada@fabrikam.com")])
def test_an_unknown_connection(upgraded: Shell, words: tuple[str, ...]) -> None:
    """Says what there is, or how to make the first."""
    assert "leaver connection create" in upgraded.line(*words, status=2)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("bad_input"), users=20, groups=2, worker=False) as it:
        yield it


def _line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("leaver: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stdout
    return done.stderr


def test_wrong_credentials(installation: Installation) -> None:
    """The line names Entra's own code and what an admin does about it; nobody loses anything."""
    before = installation.people()
    ready = installation.entra.ready
    installation.leaver("connection", "set", "entra", "--client-secret", "not-the-secret", "--no-test")
    try:
        line = _line(installation.run("sync", "entra"))
        assert "AADSTS7000215" in line
        assert "The client secret is wrong" in line
        assert _line(installation.run("provision", "entra", "ada@fabrikam.com"))
        checked = installation.leaver("connection", "test", "entra", expect=(1,))
        assert "AADSTS7000215" in checked["checks"][0]["detail"]
        assert installation.people() == before
    finally:
        installation.leaver(
            "connection", "set", "entra", "--client-secret", ready["client_secret"], "--no-test"
        )
        installation.leaver("connection", "resume", "entra")


def test_unreachable_graph(installation: Installation) -> None:
    """Login answers, Graph does not: one line says so, and nobody loses anything."""
    ready = installation.entra.ready
    installation.leaver(
        *("connection", "create", "fabrikam", "--name", "unreachable", "--mode", "enforce"),
        *("--entra-tenant-id", ready["entra_tenant_id"], "--client-id", ready["client_id"]),
        *("--client-secret", ready["client_secret"], "--login-url", ready["login_url"]),
        *("--graph-url", "http://127.0.0.1:1"),
    )
    before = installation.people()
    line = _line(installation.run("sync", "unreachable"))
    assert "leaver doctor" in line
    assert installation.people() == before
