"""The simulator as a program."""

import json
import socket
import urllib.request
from pathlib import Path

from tests.builders.simulator.process import start, stop

READY = {
    "login_url",
    "graph_url",
    "admin_url",
    "entra_tenant_id",
    "client_id",
    "client_secret",
    "app_id",
    "service_principal_id",
}


def admin(ready: dict[str, str], method: str, path: str) -> bytes:
    request = urllib.request.Request(f"{ready['admin_url']}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def test_ready_line_is_all_a_client_needs() -> None:
    """One JSON line when ready; SIGTERM ends it well."""
    process, ready = start()
    try:
        assert set(ready) == READY
        assert len(json.loads(admin(ready, "GET", "/state"))["users"]) == 12
    finally:
        assert stop(process) == 0


def test_company_survives_a_restart(tmp_path: Path) -> None:
    """`--state FILE` persists on exit and goes on from there: same ids, same secret, same people."""
    file = str(tmp_path / "company.json")
    process, first = start("--state", file)
    user = json.loads(admin(first, "GET", "/state"))["users"][0]["id"]
    admin(first, "DELETE", f"/users/{user}")
    assert stop(process) == 0
    process, second = start("--state", file)
    try:
        state = json.loads(admin(second, "GET", "/state"))["users"]
        assert {each["id"]: each["reason"] for each in state}[user] == "soft_deleted"
        assert second["client_secret"] == first["client_secret"]
    finally:
        stop(process)


def test_port_in_use_is_one_line() -> None:
    """What, why, what to do; no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process, ready = start("--port", str(taken.getsockname()[1]))
        _, errors = process.communicate(timeout=20)
    assert (ready, process.returncode) == ({}, 1)
    assert len(errors.strip().splitlines()) == 1
    assert "in use" in errors
