"""A whole installation in real processes: a simulated Entra tenant, Leaver's server, worker, command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.builders.ports import free_port
from tests.builders.secret_keys import secret_key

LEAVER = Path(sys.executable).with_name("leaver")
Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any
    """Decoded JSON; None where empty."""


def ask(method: str, url: str, body: object = None, token: str | None = None) -> Answer:
    """One HTTP exchange."""
    request = urllib.request.Request(url, method=method)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=120) as response:
            return Answer(response.status, dict(response.headers), _decoded(response.read()))
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, dict(refused.headers), _decoded(refused.read()))


def call(method: str, url: str, body: object = None, token: str | None = None) -> tuple[int, Any]:
    """One HTTP exchange; the status and the decoded JSON body (None where empty)."""
    answer = ask(method, url, body, token)
    return answer.status, answer.body


def text_of(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        text: str = response.read().decode()
        return text


def _decoded(raw: bytes) -> Any:
    return json.loads(raw) if raw else None


@dataclass
class Entra:
    """The simulated tenant, by its admin side."""

    ready: Json
    process: subprocess.Popen[str]

    def admin(self, method: str, path: str, body: object = None) -> Any:
        status, answer = call(method, f"{self.ready['admin_url'].rstrip('/')}{path}", body)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def state(self) -> Json:
        state: Json = self.admin("GET", "/state")
        return state

    def entitled(self) -> dict[str, Json]:
        """Entitled people by userPrincipalName, lower case."""
        return {user["userPrincipalName"].lower(): user for user in self.state()["users"] if user["entitled"]}

    def fault(self, **fault: object) -> None:
        self.admin("POST", "/faults", fault)

    def heal(self) -> None:
        self.admin("DELETE", "/faults")

    def provisioning(self, do: str, **fields: object) -> Any:
        return self.admin("POST", "/provisioning", {"do": do, **fields})


@dataclass
class Installation:
    """Leaver with one tenant and one connection to `entra`."""

    folder: Path
    environment: dict[str, str]
    entra: Entra
    port: int
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    connection: str = ""
    token: str = ""
    scim_url: str = ""

    @property
    def operations_url(self) -> str:
        """Where the server answers /healthz, /readyz and /metrics."""
        return f"http://127.0.0.1:{self.environment['LEAVER_OPERATIONS_PORT']}"

    def leaver(self, *arguments: str, expect: Sequence[int] = (0,)) -> Any:
        """Runs one command with `--json`, checks its exit status, gives its document."""
        done = self.run(*arguments, "--json")
        assert done.stdout, f"leaver {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}"
        assert done.returncode in expect, (
            f"leaver {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return json.loads(done.stdout)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LEAVER, *arguments],
            env=self.environment,
            cwd=self.folder,
            text=True,
            capture_output=True,
            timeout=180,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        with (self.folder / f"{arguments[0]}-{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [LEAVER, *arguments],
                env=self.environment,
                cwd=self.folder,
                text=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def sync(self, *arguments: str) -> Json:
        report: Json = self.leaver("sync", self.connection, *arguments, expect=(0, 1, 3))
        return report

    def enforce(self) -> None:
        self.leaver("connection", "mode", self.connection, "enforce")

    def scim(self, path: str) -> Json:
        status, answer = call("GET", f"{self.scim_url}{path}", token=self.token)
        assert status == 200, f"GET {path}: {status} {answer}"
        document: Json = answer
        return document

    def people(self) -> dict[str, Json]:
        """Every SCIM user by userName, lower case."""
        found: dict[str, Json] = {}
        while True:
            page = self.scim(f"/Users?startIndex={len(found) + 1}&count=200")
            found.update({user["userName"].lower(): user for user in page["Resources"]})
            if len(found) >= page["totalResults"] or not page["Resources"]:
                return found

    def active(self) -> set[str]:
        return {name for name, user in self.people().items() if user["active"]}

    def members(self, display_name: str) -> set[str]:
        """userNames of the members of the group with that displayName."""
        names = {user["id"]: name for name, user in self.people().items()}
        for group in self.scim("/Groups?count=200")["Resources"]:
            if group["displayName"] == display_name:
                return {
                    names[member["value"]] for member in group.get("members", []) if member["value"] in names
                }
        raise AssertionError(f"no group {display_name}")

    def stop(self) -> None:
        for process in self.processes:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def simulated_entra(folder: Path, users: int, groups: int, seed: int) -> Iterator[Entra]:
    with (folder / "simulator.log").open("w") as log:
        process = subprocess.Popen(
            [
                LEAVER,
                "simulator",
                "--port",
                "0",
                "--users",
                str(users),
                "--groups",
                str(groups),
                "--seed",
                str(seed),
            ],
            text=True,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        try:
            yield Entra(json.loads(process.stdout.readline()), process)
        finally:
            _end(process)
            process.stdout.close()


def environment_for(folder: Path, port: int, database_url: str | None) -> dict[str, str]:
    kept: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith("LEAVER_")
    }
    return {
        **kept,
        "LEAVER_DATABASE_URL": database_url or f"sqlite+aiosqlite:///{folder}/leaver.db",
        "LEAVER_ALLOW_SIMULATOR": "1",
        "LEAVER_OPERATIONS_PORT": str(free_port()),
        "LEAVER_SECRET_KEY": secret_key("an installation"),
        "LEAVER_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }


def wait_for(
    url: str, process: subprocess.Popen[str], timeout_s: float = 30, log: Path | None = None
) -> None:
    """Waits until `url` answers 200; fails at once, with the end of `log`, when the process ends."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if process.poll() is not None:
            said = log.read_text()[-2000:] if log else ""
            raise AssertionError(f"the process ended with {process.returncode}\n{said}")
        with contextlib.suppress(OSError):
            if call("GET", url)[0] == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer within {timeout_s} s")


@contextlib.contextmanager
def installed(
    folder: Path,
    *,
    users: int = 60,
    groups: int = 5,
    seed: int = 7,
    database_url: str | None = None,
    worker: bool = True,
    push: bool = True,
) -> Iterator[Installation]:
    """A running installation in mode `enforce`; its people have been pushed by the provisioning service."""
    port = free_port()
    with simulated_entra(folder, users, groups, seed) as entra:
        it = Installation(folder, environment_for(folder, port, database_url), entra, port)
        try:
            _connect(it)
            server = it.start("serve", "--port", str(port))
            wait_for(f"{it.operations_url}/readyz", server, log=folder / "serve-0.log")
            if worker:
                it.start("worker")
            if push:
                _push(it)
            yield it
        finally:
            it.stop()


def _connect(it: Installation) -> None:
    ready = it.entra.ready
    it.run("db", "upgrade")
    tenant = it.leaver("tenant", "create", "Fabrikam")
    connection = it.leaver(
        *("connection", "create", tenant["slug"], "--name", "entra", "--mode", "enforce"),
        *("--entra-tenant-id", ready["entra_tenant_id"], "--client-id", ready["client_id"]),
        *("--client-secret", ready["client_secret"], "--app-id", ready["app_id"]),
        *("--login-url", ready["login_url"], "--graph-url", ready["graph_url"]),
    )
    it.connection = connection["id"]
    it.scim_url = f"http://127.0.0.1:{it.port}/api/scim/v2"
    it.token = it.leaver("token", "create", it.connection, "--name", "entra")["token"]


def _push(it: Installation) -> None:
    it.entra.provisioning("configure", target_url=it.scim_url, token=it.token)
    it.entra.provisioning("start")
    it.entra.provisioning("cycle")
