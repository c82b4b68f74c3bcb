"""`leaver sync` at a terminal: a live bar on standard error, and nothing but the result on standard output."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator

import pytest

from tests.builders.installation import LEAVER, Installation, installed


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("bar"), worker=False) as running:
        yield running


def at_a_terminal(installation: Installation, *words: str) -> tuple[str, str]:
    """Runs the command with standard error on a terminal; gives standard output and what the terminal showed."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [LEAVER, *words],
        env=installation.environment,
        cwd=installation.folder,
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # Linux says so where the other end is closed
            break
        if not piece:
            break
        shown += piece
    out, _ = process.communicate()
    os.close(leader)
    return out, shown.decode()


def test_a_person_sees_phase_count_and_time(installation: Installation) -> None:
    """progress (phase, done, total, rate, time left) ... on the command line as a live bar."""
    out, shown = at_a_terminal(installation, "sync", installation.connection, "--dry-run", "--json")

    assert "Applying" in shown  # the last phase: the ones before it may be over within a tenth of a second
    assert json.loads(out)["status"] == "reported"


def test_nobody_looks_nothing_is_drawn(installation: Installation) -> None:
    """In a pipe neither bar nor log: the document is all there is."""
    done = installation.run("sync", installation.connection, "--dry-run", "--json")

    assert json.loads(done.stdout)["status"] == "reported"
    assert done.stderr == ""
