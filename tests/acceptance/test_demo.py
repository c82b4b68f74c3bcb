"""The demo as whoever tries Leaver first meets it: one command, real processes, every claim proven."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.builders.installation import LEAVER, call, text_of

LONGEST_S = 180


def _demo(*options: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEAVER_")}
    return subprocess.Popen(
        [LEAVER, "demo", *options],
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _document(process: subprocess.Popen[str]) -> Any:
    """Reads one indented JSON document, while the process goes on."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            return json.loads("".join(lines))
    assert process.stderr is not None
    raise AssertionError(f"the demo ended without its document: {process.stderr.read()}")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_demo_proves_what_it_claims_and_can_be_kept() -> None:
    """issue 2, Demo: 200 people, 12 groups, 7 leavers, all found and repaired; `KEEP=1` leaves it running."""
    process = _demo("--json", "--keep")
    try:
        result = _document(process)
        assert result["ok"], result["doubts"]
        assert result["pushed"]["users"] == 200
        assert result["pushed"]["groups"] == 12
        assert result["leavers"] == 7
        # Seven leavers, an attribute, a membership, and a local account that policy leaves alone.
        assert (result["found"], result["repaired"]) == (10, 9)
        assert result["on_demand"] == "created"
        assert result["session_revoked"] is True
        assert result["history_kept"] is True

        kept = result["kept"]
        status, page = call("GET", f"{kept['scim_url']}/Users?count=1", token=kept["token"])
        assert (status, page["totalResults"]) == (200, 202)
        assert call("GET", f"{kept['admin_url']}/state")[0] == 200
        assert "Sign in to Leaver" in text_of(kept["console_url"])
        children = _children(process.pid)
        assert len(children) == 3, "simulator, server, worker"
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONGEST_S)
    assert (process.returncode, out, err) == (0, "", "")
    assert not any(map(_is_running, children))
    assert not Path(kept["folder"]).exists()


def test_a_demo_that_is_ended_early_takes_its_processes_with_it() -> None:
    """A demo that leaves servers behind would not be tried twice."""
    process = _demo("--json")
    until = time.monotonic() + LONGEST_S
    while not (children := _children(process.pid)):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert not any(map(_is_running, children))
