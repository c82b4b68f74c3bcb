"""Child processes of the demo, single commands, and HTTP requests to the processes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.errors import CommandError

READY_S = 30.0
COMMAND_S = 120.0
GRACE_S = 10.0
REQUEST_S = 120.0
PLEASE_REPORT = "This should not happen; please report it"

Json = dict[str, Any]


@dataclass
class ProcessGroup:
    """The processes that the demo starts in one folder, and ends together."""

    folder: Path
    environment: dict[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> Callable[[], Json]:
        """Start `leaver`.

        The returned function waits for the JSON line of its readiness.
        """
        process = self._spawn(*arguments)

        def ready() -> Json:
            line = _first_line(process, READY_S)
            if not line:
                raise self._broken(arguments[0])
            document: Json = json.loads(line)
            return document

        return ready

    def leaver(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> Any:
        """Run one command with `--json`, and return its document.

        Raises `CommandError`.
        """
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            [*_leaver(), *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if done.returncode not in accept:
            why = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
            raise CommandError(
                f"the demo stopped at: leaver {arguments[0]}",
                why[0],
                "Please report this; it should not happen",
            )
        return json.loads(done.stdout)

    def end(self) -> None:
        """Terminate every started process, then wait for each."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            _wait_for_end(process)

    def _spawn(self, *arguments: str) -> subprocess.Popen[str]:
        with self._log(arguments[0]).open("w") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                [*_leaver(), *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which ends its children in order
            )
        self.running.append(process)
        return process

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _broken(self, name: str) -> CommandError:
        log = self._log(name)
        said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        return CommandError(
            f"the demo's {name} did not come up", said[0] if said else "it said nothing", f"Its log: {log}"
        )


@contextlib.contextmanager
def process_group(folder: Path, environment: Mapping[str, str]) -> Iterator[ProcessGroup]:
    """Give an empty group of processes, all of which end with the context."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEAVER_")}
    group = ProcessGroup(folder, {**kept, **environment})
    try:
        yield group
    finally:
        group.end()


def _leaver() -> list[str]:
    """Return the command of this installation, independent of PATH."""
    return [sys.executable, "-c", "import sys; from console.main import main; sys.exit(main())"]


def _first_line(process: subprocess.Popen[str], timeout_s: float) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], timeout_s)
    return process.stdout.readline() if ready else ""


def _wait_for_end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def call(method: str, url: str, body: object = None, token: str | None = None) -> Any:
    """Return the JSON of a successful response, None where it is empty.

    Raises `CommandError` for any other response.
    """
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own loopback processes
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:  # noqa: S310
            raw = answer.read()
    except urllib.error.HTTPError as refused:
        raise _unanswered(
            method, url, f"{refused.code} {refused.read(300).decode(errors='replace')}"
        ) from refused
    except OSError as error:
        raise _unanswered(method, url, str(error)) from error
    return json.loads(raw) if raw else None


def _unanswered(method: str, url: str, why: str) -> CommandError:
    return CommandError(
        f"the demo stopped at: {method} {url}", why, "Please report this; it should not happen"
    )
