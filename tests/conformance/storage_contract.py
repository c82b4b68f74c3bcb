"""scim2-server's storage contract (`scim2_server.testing`), asked of our store on both databases by pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conformance.result import Result

CONTRACT = "tests/integration/scim/test_scim_storage_contract.py"
NAME = "scim2-server's storage contract on both databases"
TIMEOUT_S = 900


def run() -> Result:
    """Run the contract; whatever it leaves out for want of a feature is told as a conflict."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--tb=line", CONTRACT]
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=root)
    failures = re.findall(r"^(?:FAILED|ERROR) .+$", ran.stdout, re.M)
    if ran.returncode and not failures:
        failures = [ran.stdout[-500:] + ran.stderr[-500:]]
    passed = re.search(r"(\d+) passed", ran.stdout)
    skipped = re.findall(r"^SKIPPED .+$", ran.stdout, re.M)
    return Result(NAME, int(passed[1]) if passed else 0, tuple(failures), tuple(skipped))
