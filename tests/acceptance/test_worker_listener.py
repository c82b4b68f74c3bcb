"""A worker of its own tells an operator's tools how it is."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.builders.installation import Installation, ask, installed, text_of, wait_for
from tests.builders.ports import free_port


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("listener"), worker=False, push=False) as it:
        it.environment["LEAVER_WORKER_PORT"] = str(port)
        wait_for(f"http://127.0.0.1:{port}/healthz", it.start("worker"))
        yield it


def test_a_worker_answers_as_the_server_does(installation: Installation, port: int) -> None:
    """`/healthz` `/readyz` `/metrics` operations; what the worker counts is counted in its own process."""
    base = f"http://127.0.0.1:{port}"
    assert ask("GET", f"{base}/healthz").status == 200
    assert ask("GET", f"{base}/readyz").status == 200
    deadline = time.monotonic() + 60
    while "leaver_cycles_total{" not in (metrics := text_of(f"{base}/metrics")):
        assert time.monotonic() < deadline, metrics
        time.sleep(0.5)
    assert "@" not in metrics, "a metric must not name people"


def test_a_worker_answers_nothing_else(installation: Installation, port: int) -> None:
    """It is no server: neither SCIM nor console."""
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/scim/v2/Users", timeout=10)


def test_a_port_that_is_taken_is_told_before_anything_runs(installation: Installation, port: int) -> None:
    """Bad input: a port in use."""
    done = installation.run("worker", "--port", str(port))
    assert done.returncode == 1
    assert "the port is in use" in done.stderr
