"""Suites that pytest runs on both databases: scim2-server's storage contract, and Entra's twenty cycles at full size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.result import Result

TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tests, and under what."""

    tests: str
    environment: Mapping[str, str] = field(default_factory=dict)


SUITES = {
    "scim2-server's storage contract on both databases": Asked(
        "tests/integration/scim/test_storage_contract.py"
    ),
    "twenty cycles of Entra's over 2,000 people on both databases": Asked(
        "tests/integration/simulator/provisioning/test_against_leaver.py::test_twenty_cycles_of_joiners_movers_and_leavers",
        {"LEAVER_TEST_PEOPLE": "2000"},
    ),
}


def run(name: str) -> Result:
    """Run one of the suites; whatever it leaves out for want of a feature is told as a conflict."""
    asked = SUITES[name]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--tb=line", asked.tests]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, **asked.environment}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=root, env=environment
    )
    failures = re.findall(r"^(?:FAILED|ERROR) .+$", ran.stdout, re.M)
    if ran.returncode and not failures:
        failures = [ran.stdout[-500:] + ran.stderr[-500:]]
    passed = re.search(r"(\d+) passed", ran.stdout)
    skipped = re.findall(r"^SKIPPED .+$", ran.stdout, re.M)
    return Result(name, int(passed[1]) if passed else 0, tuple(failures), tuple(skipped))
