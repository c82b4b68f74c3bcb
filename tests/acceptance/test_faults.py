"""Faults around a running installation, in real processes: the database, the disk, the key, other processes.

LEAVER_TEST_AWAY_S=30 .venv/bin/pytest tests/acceptance/test_faults.py
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from store.database import BUSY_TIMEOUT_S, libpq_url
from tests.builders.installation import Installation, ask, installed, wait_for
from tests.builders.secret_keys import secret_key
from tests.builders.small_disk import small_disk_at
from tests.databases.postgres_server import restartable_postgres

AWAY_S = float(os.environ.get("LEAVER_TEST_AWAY_S", "4"))


def eventually(is_so: Callable[[], object], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"waited {within_s} s in vain"
        time.sleep(0.2)


def one_line(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.startswith("leaver: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def disable_somebody(company: Installation) -> str:
    """Disables an entitled person in Entra; gives their name."""
    name = sorted(company.entra.entitled())[0]
    company.entra.admin("PATCH", f"/users/{company.entra.entitled()[name]['id']}", {"accountEnabled": False})
    return name


def test_a_second_worker_on_one_sqlite_file_is_refused(running: Installation) -> None:
    """Issue 3: "two workers started on one SQLite file (the second refuses with a clear error)"."""
    line = one_line(running.run("worker"))
    assert "already runs on leaver.db" in line
    assert "PostgreSQL" in line


def test_a_database_that_goes_away_and_returns(tmp_path: Path) -> None:
    """Issue 3: "a database that goes away for 30 s and returns": nobody is restarted, nothing is lost."""
    with (
        restartable_postgres() as server,
        installed(tmp_path, users=40, groups=3, database_url=server.url) as it,
    ):
        it.sync()
        before = it.active()
        it.entra.provisioning("arm", gap="frozen_job")
        leaver = disable_somebody(it)
        it.entra.fault(match="members", delay_s=2.0, times=1)
        syncing = it.start("sync", it.connection, "--full")
        eventually(lambda: has_struck(it))
        server.stop()
        try:
            refused = ask("GET", f"{it.scim_url}/Users?count=1", token=it.token)
            assert (refused.status, refused.headers["Content-Type"].partition(";")[0]) == (
                503,
                "application/scim+json",
            )
            # An answer of /readyz is given again for up to 5 s: a "ready" of just before may still come.
            eventually(lambda: ask("GET", f"{it.operations_url}/readyz").status == 503)
            assert "does not answer" in one_line(it.run("connection", "list"))
            time.sleep(AWAY_S)
        finally:
            server.start()
        wait_for(f"{it.operations_url}/readyz", it.processes[0])
        syncing.wait(60)
        assert before - {leaver} <= it.active(), "nobody else lost access"
        eventually(lambda: worker_lives(it))
        assert [process.poll() for process in it.processes if process is not syncing] == [None, None]
        assert it.sync("--full")["status"] == "applied"
        assert it.active() == before - {leaver}, "and who left is gone with the next cycle"
        shown = it.leaver("connection", "show", it.connection)
        assert shown["state"] == "active", shown


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_server_killed_under_pushes_forgets_nothing_it_answered(tmp_path: Path, database: str) -> None:
    """Issue 4: "nothing acknowledged is lost at `kill -9`"; invariant I4: what was not answered is whole, or not there."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(restartable_postgres()).url if database == "postgresql" else None
        it = stack.enter_context(
            installed(tmp_path, users=1, groups=1, database_url=url, worker=False, push=False)
        )
        everybody = ask("POST", f"{it.scim_url}/Groups", {"displayName": "Everybody"}, it.token).body["id"]
        came: list[str] = []
        joined: list[str] = []
        clients = [Thread(target=push_until_it_ends, args=(it, n, everybody, came, joined)) for n in range(8)]
        for client in clients:
            client.start()
        eventually(lambda: len(joined) >= 100)
        it.processes[0].kill()
        for client in clients:
            client.join()
        it.processes[0].wait()

        server = it.start("serve", "--port", str(it.port))
        wait_for(f"{it.operations_url}/readyz", server)
        people = {user["id"] for user in it.people().values()}
        members = {member["value"] for member in it.scim(f"/Groups/{everybody}")["members"]}
        assert set(came) <= people
        assert set(joined) <= members <= people
        assert len(people) - len(came) <= len(clients), "one each may have been on its way"
        log = it.leaver("log", it.connection, "--limit", "1000")["items"]
        told = Counter(entry["action"] for entry in log if entry["status"] == "success")
        assert told == {"create": len(people) + 1, "add_member": len(members)}


def push_until_it_ends(it: Installation, number: int, group: str, came: list[str], joined: list[str]) -> None:
    """Creates people and puts each into the group until the server is gone; tells who was answered for."""
    schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
    with contextlib.suppress(OSError, HTTPException):
        for each in range(100):
            body = {"schemas": [USER], "userName": f"u{number}-{each}@fabrikam.com", "active": True}
            person = ask("POST", f"{it.scim_url}/Users", body, it.token).body["id"]
            came.append(person)
            operation = {"op": "Add", "path": "members", "value": [{"value": person}]}
            patch = {"schemas": schemas, "Operations": [operation]}
            assert ask("PATCH", f"{it.scim_url}/Groups/{group}", patch, it.token).status == 204
            joined.append(person)


@pytest.mark.parametrize("asked", ["by a command that waits", "by a command that is gone", "by the schedule"])
def test_what_an_outage_cut_off_is_done_within_a_minute_of_its_end(tmp_path: Path, asked: str) -> None:
    """Work that the database's absence interrupted begins again by itself, whoever asked for it; no fault is counted."""
    with (
        restartable_postgres() as server,
        installed(tmp_path, users=40, groups=3, database_url=server.url) as it,
    ):
        assert it.sync()["status"] == "applied"
        it.entra.provisioning("arm", gap="frozen_job")
        leaver = disable_somebody(it)
        it.entra.fault(match="members", delay_s=2.0, times=1)
        if asked == "by the schedule":
            make_due(server.url)
        else:
            command = it.start("sync", it.connection, "--full", "--json")
        eventually(lambda: has_struck(it))
        server.stop()
        try:
            if asked == "by a command that is gone":
                command.kill()
            time.sleep(AWAY_S)
        finally:
            server.start()
        wait_for(f"{it.operations_url}/readyz", it.processes[0])
        eventually(lambda: leaver not in it.active(), within_s=60)
        if asked == "by a command that waits":
            assert command.wait(60) == 0
        eventually(lambda: worker_lives(it))
        shown = it.leaver("connection", "show", it.connection)
        assert (shown["state"], shown["consecutive_failures"]) == ("active", 0), shown


def test_a_sync_that_met_a_locked_sqlite_file_is_done_within_a_minute(tmp_path: Path) -> None:
    """Somebody's backup holds the file for longer than a writer waits: the same as an outage."""
    with installed(tmp_path, users=20, groups=2) as it:
        assert it.sync()["status"] == "applied"
        it.entra.provisioning("arm", gap="frozen_job")
        leaver = disable_somebody(it)
        it.entra.fault(match="members", delay_s=1.0, times=1)
        command = it.start("sync", it.connection, "--full", "--json")
        eventually(lambda: has_struck(it))
        with contextlib.closing(sqlite3.connect(tmp_path / "leaver.db", isolation_level=None)) as backup:
            backup.execute("BEGIN IMMEDIATE")
            time.sleep(BUSY_TIMEOUT_S + 3)
            assert leaver in it.active(), "it has met the lock"
        eventually(lambda: leaver not in it.active(), within_s=60)
        assert command.wait(60) == 0
        assert it.leaver("connection", "show", it.connection)["consecutive_failures"] == 0


def make_due(url: str) -> None:
    """In a second: a slot is a second, and that of the last cycle counts as done."""
    with psycopg.connect(libpq_url(url), autocommit=True) as database:
        database.execute("UPDATE connections SET next_due_at = now() + interval '1 second'")


def has_struck(it: Installation) -> bool:
    """Whether somebody waits for the answer that the armed fault delays."""
    return [fault["hit"] for fault in it.entra.admin("GET", "/faults")] == [1]


def worker_lives(it: Installation) -> bool:
    checks = it.leaver("doctor", expect=(0, 1, 3))["checks"]
    return [check["status"] for check in checks if check["name"] == "worker"] == ["ok"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB; only root may make one."""
    with small_disk_at(tmp_path / "disk", megabytes=24) as disk:
        yield disk


def test_a_push_to_a_full_disk_is_answered_and_comes_again(small_disk: Path) -> None:
    """Issue 3: "a full disk": Entra hears of it, nothing is half-written, nobody is restarted once there is room."""
    with installed(small_disk, users=20, groups=2, worker=False) as it:
        before = it.active()
        leaver = disable_somebody(it)
        filler = small_disk / "filler"
        filler.write_bytes(b"\0" * shutil.disk_usage(small_disk).free)
        it.entra.provisioning("cycle")
        refused = ask(
            "POST", f"{it.scim_url}/Users", {"schemas": [USER], "userName": "late@fabrikam.com"}, it.token
        )
        assert refused.status >= 500
        assert refused.body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert "disk" in refused.body["detail"]
        assert "full" in one_line(it.run("sync", it.connection))
        assert it.active() == before

        filler.unlink()
        it.entra.provisioning("cycle")
        assert it.active() == before - {leaver}
        assert it.sync("--full")["status"] == "applied"


USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation where no worker lives: commands do the work themselves."""
    with installed(tmp_path_factory.mktemp("alone"), users=20, groups=2, worker=False) as it:
        assert it.sync()["status"] == "applied"
        yield it


def test_a_wrong_key_in_a_shell_costs_the_connection_nothing(alone: Installation) -> None:
    """The commonest way to have a wrong LEAVER_SECRET_KEY: somebody types a command in another shell."""
    before = alone.leaver("connection", "show", alone.connection)
    good = alone.environment["LEAVER_SECRET_KEY"]
    alone.environment["LEAVER_SECRET_KEY"] = secret_key("not of this installation")
    try:
        for _ in range(3):
            assert "LEAVER_SECRET_KEY is wrong" in one_line(alone.run("sync", alone.connection))
        checks = alone.leaver("doctor", alone.connection, expect=(1,))["checks"]
    finally:
        alone.environment["LEAVER_SECRET_KEY"] = good
    assert [check["status"] for check in checks if check["name"] == "credential"] == ["failed"]
    assert alone.leaver("connection", "show", alone.connection) == before
    assert alone.sync()["status"] == "applied"


def test_a_command_that_was_killed_is_named_until_its_lease_ends(alone: Installation) -> None:
    """A killed `leaver sync` blocks its connection for as long as its lease: whoever waits is told until when."""
    alone.environment["LEAVER_LEASE_S"] = "15"
    leaver = disable_somebody(alone)
    alone.entra.fault(match="members", delay_s=20.0, times=1)
    doomed = alone.start("sync", alone.connection)
    eventually(lambda: has_struck(alone))
    doomed.send_signal(signal.SIGKILL)
    doomed.wait()
    alone.entra.heal()
    done = alone.run("sync", alone.connection, "--json")
    assert done.returncode == 0, done.stderr
    assert "holds it until" in done.stderr
    assert "UTC" in done.stderr
    assert leaver not in alone.active()
