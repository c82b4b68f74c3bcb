"""The vendor's own app hears that a person left: docs/developer.md and both examples, in real processes.

The blocks of the guide are typed into one shell, as its reader does; the browser is the one of
`tests.builders.browser`. Then what the setup guides promise of sign-in, sessions and history (design.md §8).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.builders.browser import Browser, Page
from tests.builders.installation import Json, call
from tests.builders.ports import free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\n(.*?)^```", re.DOTALL | re.MULTILINE)
DONE = "--block-has-ended--"
BLOCK_S = 60

pytestmark = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")) and not os.environ.get("CI"),
    reason="the guide for developers needs bash and curl",
)


@dataclass
class Terminal:
    """One shell in a folder that looks like a clone, with ports of its own."""

    folder: Path
    ports: dict[str, str] = field(default_factory=lambda: {p: str(free_port()) for p in ("8080", "5000")})

    def __post_init__(self) -> None:
        for name in ("examples", ".venv"):
            (self.folder / name).symlink_to(ROOT / name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEAVER_")}
        environment = {**kept, "PYTHONPATH": str(ROOT), "LEAVER_PORT": self.ports["8080"]}
        environment["LEAVER_OPERATIONS_PORT"] = str(free_port())
        self.shell = subprocess.Popen(
            ["bash", "-e"],
            cwd=self.folder,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def type(self, block: str) -> str:
        """Gives what was printed; a command that fails ends the shell, and the test."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        for port, own in self.ports.items():
            block = re.sub(rf"\b{port}\b", own, block)
        self.shell.stdin.write(f"{block}\necho; echo {DONE}\n")
        self.shell.stdin.flush()
        said: list[str] = []
        for line in self.shell.stdout:
            if line.strip() == DONE:
                return "".join(said)
            said.append(line)
        logs = "\n".join(f"{log}: {log.read_text()[-2000:]}" for log in self.folder.glob("*.log"))
        raise AssertionError(f"the shell ended at:\n{block}\n{''.join(said)}\n{logs}")

    def value(self, name: str) -> str:
        return self.type(f'echo "${name}"').strip()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.shell.pid, signal.SIGTERM)
        self.shell.wait(20)
        for stream in (self.shell.stdin, self.shell.stdout):
            if stream is not None:
                stream.close()


@dataclass
class Installed:
    """What the guide has built up to the sign-in of the first person."""

    terminal: Terminal
    entra: str
    app_url: str
    leaver_url: str
    connection: str
    token: str
    people: list[str]
    """Object ids of those who are assigned; the guide signs in as the first."""
    rest: list[str]
    """The blocks that follow."""

    def api(self, method: str, path: str) -> tuple[int, Json]:
        return call(
            method, f"{self.leaver_url}/api/admin/v1/connections/{self.connection}{path}", token=self.token
        )

    def unassign(self, person: str) -> None:
        """Takes away what makes a person entitled: the own assignment, and memberships of assigned groups."""
        [found] = [each for each in call("GET", f"{self.entra}/state")[1]["users"] if each["id"] == person]
        for via in found["via"]:
            path = f"assignments/{person}" if via == "direct" else f"groups/{via}/members/{person}"
            assert call("DELETE", f"{self.entra}/{path}")[0] < 300

    def sync(self) -> None:
        self.terminal.type("leaver sync fabrikam/entra")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("developer")
    blocks = BLOCK.findall((ROOT / "docs/developer.md").read_text())
    assert "browser" in blocks[0], "the picture"
    assert blocks[1].startswith("make setup\n")
    terminal = Terminal(folder)
    try:
        terminal.type(blocks[1].removeprefix("make setup\n"))
        for block in blocks[2:5]:
            terminal.type(block)
        entra, connection, token, who = map(
            terminal.value, ("ENTRA", "APP_LEAVER_CONNECTION", "APP_LEAVER_TOKEN", "WHO")
        )
        app, leaver = (f"http://127.0.0.1:{terminal.ports[port]}" for port in ("5000", "8080"))
        people = [each["id"] for each in call("GET", f"{entra}/state")[1]["users"] if each["entitled"]]
        assert people[0] == who
        wait_until(lambda: _listens(terminal.ports["5000"]))
        yield Installed(terminal, entra, app, leaver, connection, token, people, blocks[5:])
    finally:
        terminal.close()


def _listens(port: str) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
        return True
    return False


def wait_until(is_so: Callable[[], bool], within_s: float = 15) -> None:
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, f"it did not become so within {within_s} s"
        time.sleep(0.05)


class Visitor(Browser):
    """A person with a browser, who signs in to the app."""

    async def sign_in(self, app_url: str, object_id: str) -> Page:
        """Gives the page after the last redirect; at Entra the person is chosen."""
        page = await self.get(f"{app_url}/sign-in")
        while page.status in (302, 303):
            is_chooser = "/oauth2/v2.0/authorize" in urlsplit(page.location).path
            page = await self.get(page.location + (f"&login_hint={object_id}" if is_chooser else ""))
        return page


async def test_the_guide_leads_to_a_leaver_who_is_out_of_the_app(installed: Installed) -> None:
    """Issue 11: "`docs/developer.md` (ten minutes, with a picture, executed by a test)"."""
    who = installed.people[0]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        ann = Visitor(http)
        page = await ann.sign_in(installed.app_url, who)
        assert (page.status, page.text[:6]) == (200, "Hello,"), page.text
        keep, leave, after = installed.rest[:3]
        assert "[('Information security', 91)]" in installed.terminal.type(keep)
        installed.terminal.type(leave)
        assert (await ann.get(installed.app_url)).status == 401
        _, receipts = installed.api("GET", f"/users/{who}/receipts")
        receipt = receipts["items"][0]
        wait_until(lambda: not installed.api("GET", "/receipts")[1]["items"])
        assert [each["client"] for each in receipt["ended"] if each["kind"] == "session"] == ["app"]

        said = installed.terminal.type(after)

        assert "session.revoked" in said
        assert "[('Information security', 91)]" in said, "the history has stayed"
        again = await Visitor(http).sign_in(installed.app_url, who)
        assert again.status in (401, 403), "Entra refuses a disabled person, and Leaver would"
        assert "Hello" not in again.text


async def test_whoever_leaves_in_whatever_way_is_out_by_the_next_cycle_and_who_stays_stays(
    installed: Installed,
) -> None:
    """Seed 000: "Their sessions are revoked and they can no longer sign in. Their assessment history is retained",
    for every way to leave beside being disabled, which is the guide's.
    """
    deleted, purged, unassigned, staying = installed.people[1:4] + installed.people[6:7]
    leaving = (deleted, purged, unassigned)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        visitors = {each: Visitor(http) for each in (*leaving, staying)}
        for each, visitor in visitors.items():
            assert (await visitor.sign_in(installed.app_url, each)).status == 200
        installed.terminal.type(installed.rest[0])  # writes keep.py
        kept = "\n".join(f"python keep.py {each}" for each in leaving)
        assert installed.terminal.type(kept).count("[('Information security', 91)]") == 3
        for each in (deleted, purged):
            call("DELETE", f"{installed.entra}/users/{each}")
        call("POST", f"{installed.entra}/users/{purged}/purge")
        installed.unassign(unassigned)

        installed.sync()

        statuses = {each: (await visitor.get(installed.app_url)).status for each, visitor in visitors.items()}
        assert statuses == {**dict.fromkeys(leaving, 401), staying: 200}
        wait_until(lambda: not installed.api("GET", "/receipts")[1]["items"])
        assert installed.terminal.type(kept).count("[('Information security', 91)]") == 3
        for each in leaving:
            page = await Visitor(http).sign_in(installed.app_url, each)
            assert page.status >= 400, each
            assert "Hello" not in page.text
        assert page.status == 403, "Entra lets who is only unassigned in; Leaver does not"
        assert "assign" in page.text.lower(), "and the page says what to do"


async def test_provision_on_demand_ends_a_session_without_waiting(installed: Installed) -> None:
    """Seed 000: "a departed employee still has access": press *Provision on demand*."""
    ben = installed.people[4]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        visitor = Visitor(http)
        assert (await visitor.sign_in(installed.app_url, ben)).status == 200
        call("PATCH", f"{installed.entra}/users/{ben}", {"accountEnabled": False})
        assert (await visitor.get(installed.app_url)).status == 200, "nobody has told Leaver yet"
        installed.terminal.type(f"leaver provision fabrikam/entra {ben}")
        assert (await visitor.get(installed.app_url)).status == 401


async def test_a_person_without_an_account_is_told_what_to_do(installed: Installed) -> None:
    """Issue 11: "refused with a page that says what to do when unknown"."""
    status, made = call(
        "POST",
        f"{installed.entra}/users",
        {
            "displayName": "New",
            "userPrincipalName": "new@fabrikam.com",
            "mailNickname": "new",
            "accountEnabled": True,
        },
    )
    assert status < 300, made
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        page = await Visitor(http).sign_in(installed.app_url, made["id"])
    assert page.status in (400, 403)
    assert "Assign" in page.text or "assign" in page.text, page.text


NODE = [shutil.which(name) for name in ("node", "npm")]


@pytest.mark.skipif(
    None in NODE and not os.environ.get("CI"), reason="the TypeScript example needs node 20 and npm"
)
async def test_the_same_app_in_typescript_hears_it_too(installed: Installed, tmp_path: Path) -> None:
    """Issue 11: "two small apps …: Python (aiohttp) and TypeScript (Node), both run in CI as real processes"."""
    for name in ("app.ts", "package.json", "package-lock.json", "tsconfig.json"):
        shutil.copy(ROOT / "examples/typescript" / name, tmp_path)
    port = str(free_port())
    app, cy = f"http://127.0.0.1:{port}", installed.people[5]
    installed.terminal.type(
        f"(cd {tmp_path} && npm ci --no-audit --no-fund && npm run build)\n"
        f"leaver connection set fabrikam/entra --return-url {app}/signed-in"
        f" --return-url http://127.0.0.1:5000/signed-in\n"
        f"TS_SECRET=$(leaver webhook create {app}/leaver --type session --acknowledges --tenant fabrikam --json"
        f" | of secret)\n"
        f"PORT={port} APP_LEAVER_WEBHOOK_SECRET=$TS_SECRET node {tmp_path}/app.js > node.log 2>&1 &"
    )
    wait_until(lambda: _listens(port))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        visitor = Visitor(http)
        page = await visitor.sign_in(app, cy)
        assert (page.status, page.text[:6]) == (200, "Hello,"), page.text
        assert (await visitor.post(f"{app}/leaver", form={"a": "forged"})).status == 401
        call("PATCH", f"{installed.entra}/users/{cy}", {"accountEnabled": False})
        installed.terminal.type(f"leaver provision fabrikam/entra {cy}")
        assert (await visitor.get(app)).status == 401
        wait_until(lambda: not installed.api("GET", "/receipts")[1]["items"])
