"""`python -m tests.properties --examples 100000 --requests 50000`: properties of the push by many random examples.

Properties are run by pytest, each with so many examples, new ones each time; then so many requests that make no sense, or
half of it, are sent to a server, half of them on each database: none may be answered with 500. Exit status 1: something does
not hold, and the smallest example is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROPERTIES = (
    "tests/property/scim",
    "tests/unit/scim/patch/test_apply.py",
    "tests/unit/scim/patch/test_agreement_with_scim2_models.py",
    "tests/unit/store/records/test_names.py",
)
"""A write that is not understood changes nothing; one notion of the same name; any text gives an answer."""


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.properties", description=__doc__)
    asked.add_argument("--examples", type=int, default=100_000, help="of each property; 0: none")
    asked.add_argument("--requests", type=int, default=50_000, help="on both databases together; 0: none")
    given = asked.parse_args()
    failed = _properties(given.examples) if given.examples else 0
    return failed | (_requests(given.requests) if given.requests else 0)


def _properties(examples: int) -> int:
    environment = {"HYPOTHESIS_PROFILE": "leaver", "LEAVER_TEST_EXAMPLES": str(examples)}
    # Without pytest's workers: each property is one long run.
    return _run("pytest", "-q", "-x", "-m", "hypothesis", "-n", "0", *PROPERTIES, **environment)


def _requests(number: int) -> int:
    return _run("tests.conformance", "random requests", LEAVER_TEST_REQUESTS=str(number))


def _run(module: str, *arguments: str, **environment: str) -> int:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
