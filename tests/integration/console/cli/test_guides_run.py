"""Every `leaver` command in a block of README and docs runs, against one simulated company."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.builders.company_thread import company_in_a_thread, connect_options
from tests.builders.console_shell import Shell

ROOT = Path(__file__).parents[4]
GUIDES = (
    "README.md",
    *(f"docs/{name}.md" for name in ("admin", "operator", "tenant", "safety", "simulator", "api", "sign-in")),
)
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:\.venv/bin/|docker[ -]compose exec \w+ )?leaver (\S.*)$", re.MULTILINE)

RUN_ON = {"serve", "worker", "simulator", "demo"}
"""They do not end by themselves; that they start is for the acceptance tests."""

NAMES = {"CONNECTION": "fabrikam/entra", "TENANT": "fabrikam", "USER": "ada@fabrikam.com"}

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


@pytest.fixture(scope="module")
def company() -> Iterator[Simulator]:
    with company_in_a_thread(users=30) as running:
        yield running


def commands(guide: str) -> list[str]:
    """The commands of the guide's blocks, without comments and redirections."""
    blocks = BLOCK.findall((ROOT / guide).read_text())
    lines = [line for block in blocks for line in COMMAND.findall(block)]
    return [re.split(r"\s+#\s|\s+[>|]+\s", line)[0].strip() for line in lines]


class Reader:
    """A person who types what a guide says, with the values of their own company."""

    def __init__(
        self, shell: Shell, company: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.shell, self.company, self._monkeypatch = shell, company, monkeypatch
        told = company.ready()
        self._secret = told["client_secret"]
        self._values: Mapping[str, str] = {
            "--entra-tenant-id": told["entra_tenant_id"],
            "--client-id": told["client_id"],
            "--federation-subject": told["service_principal_id"],
            "--federation-audience": f"api://{told['app_id']}",
        }
        people = company.directory.users.values()
        self._named = {user.id for user in people if user.properties["mailNickname"] in ("ada", "bo")}
        (folder / "secret.txt").write_text(self._secret)
        (folder / "leavers.csv").write_text("bo@fabrikam.com\n")
        monkeypatch.chdir(folder)

    def type(self, line: str) -> tuple[int, str]:
        """Gives the exit status, and what was printed to standard error."""
        words = self._filled(shlex.split(line))
        self._monkeypatch.setattr("sys.stdin", _Stdin(self._secret))
        code, _, err = self.shell.run(*words)
        return code, err

    def _filled(self, words: list[str]) -> list[str]:
        words = [NAMES.get(word, word).replace("/backup/", f"{Path.cwd()}/") for word in words]
        for place in range(1, len(words)):
            if words[place] == "…" or words[place].startswith("<"):
                words[place] = self._values[words[place - 1]]
        if words[0] == "plan" and len(words) > 2:
            words[2] = self._held_plan()
        if words[:2] == ["connection", "create"] and "--client-id" in words:
            words += connect_options(self.company)[6:]
        if words[:2] == ["connection", "set"] and "--client-secret" in words:
            words += connect_options(self.company)[6:]
        if words[1:2] == ["delete"]:
            words = [*words[:2], self._spare(words[0]), *words[3:], "--yes"]
        if words[:2] == ["connection", "release-brake"]:  # no brake is on: say for how long instead
            words += ["--for-minutes", "60"]
        if words[:2] == ["provider", "link"]:  # the person has to be here
            self.shell.run("connection", "set", "fabrikam/entra", *connect_options(self.company), "--yes")
            self.shell.run("provision", "fabrikam/entra", NAMES["USER"])
        asks = words[:2] in (["connection", "set"], ["connection", "release-brake"])
        return [*words, "--yes"] if asks else words

    def _held_plan(self) -> str:
        """The checksum of a plan that waits: nine people leave at once, where none does."""
        if not (waiting := self.shell.json("plan", "list")["items"]):
            self.shell.run("connection", "mode", "fabrikam/entra", "enforce")
            self.shell.run("sync", "fabrikam/entra", "--full")
            directory = self.company.directory
            staying = [each for each in directory.entitled() if each not in self._named]
            for person in sorted(staying)[:9]:
                directory.change_user(person, {"accountEnabled": False})
            self.shell.run("sync", "fabrikam/entra", "--full")
            waiting = self.shell.json("plan", "list")["items"]
        return str(waiting[0]["checksum"])

    def _spare(self, noun: str) -> str:
        """A tenant, or a connection, that may be deleted."""
        self.shell.run("tenant", "create", "Litware")
        self.shell.run("connection", "create", "litware", "--name", "spare")
        return "litware" if noun == "tenant" else "litware/spare"


class _Stdin(io.TextIOWrapper):
    """A secret on standard input, which is no terminal."""

    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()))


@on_sqlite
@pytest.mark.parametrize("guide", [guide for guide in GUIDES if (ROOT / guide).exists()])
def test_every_command_of_a_guide_does_what_it_says(
    shell: Shell,
    company: Simulator,
    guide: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """first-days: "a test runs every fenced command of README and docs against a simulated company"."""
    reader = Reader(shell, company, tmp_path, monkeypatch)
    lines = [line for line in commands(guide) if line.split()[0] not in RUN_ON]
    if not any(line.startswith("tenant create") for line in lines):
        shell.json("tenant", "create", "Fabrikam")
        shell.json("connection", "create", "fabrikam", "--name", "entra")
    refused = {}
    for line in lines:
        code, err = reader.type(line)
        # A check, a reading that found drift and a plan that waits are no failure of the command.
        allowed = {0, 3, 1} if line.split()[0] in ("doctor", "check") else {0, 3}
        if code not in allowed:
            refused[line] = f"{code}: {err.strip()}"
    assert refused == {}
    assert lines or guide in ("docs/tenant.md", "docs/safety.md", "docs/simulator.md")
