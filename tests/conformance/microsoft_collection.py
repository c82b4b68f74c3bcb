"""Microsoft's SCIM collection (AzureAD/SCIMReferenceCode), run by newman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conformance.result import SHARED, Result
from tests.conformance.scim_server import Target

DATA = SHARED / "conformance" / "microsoft-postman"
NEWMAN = "newman@6"
TIMEOUT_S = 600

# A user PATCH is answered 200 with the resource (design.md §6); Microsoft's tutorial documents that too.
ANSWERED_200 = frozenset(
    {
        "Patch user omalley new username :: Status code is 204",
        "patch user omalley active with boolean :: Status code is 204",
    }
)


def run(target: Target, name: str) -> Result:
    """Run the collection; the assertions listed as contradicting the RFC are conflicts, not failures."""
    command = _newman()
    if command is None:
        return Result(
            name, not_run="neither newman nor npx is installed; `npm install --global newman` helps"
        )
    with tempfile.TemporaryDirectory() as folder:
        report = _report(command, target, Path(folder))
    if isinstance(report, str):
        return Result(name, not_run=report)
    return _judge(name, report)


def _newman() -> list[str] | None:
    if shutil.which("newman"):
        return ["newman"]
    return ["npx", "--yes", NEWMAN] if shutil.which("npx") else None


def _report(command: list[str], target: Target, folder: Path) -> dict[str, object] | str:
    collection, environment, out = (
        folder / each for each in ("collection.json", "environment.json", "out.json")
    )
    prepare = [
        sys.executable,
        str(DATA / "prepare.py"),
        str(DATA / "PostmanCollection.json"),
        str(collection),
        str(environment),
    ]
    variables = {**os.environ, "BASE_URL": target.base, "TOKEN": target.token}
    subprocess.run(prepare, check=True, env=variables)
    arguments = [
        "run",
        str(collection),
        "-e",
        str(environment),
        "-r",
        "json",
        "--reporter-json-export",
        str(out),
    ]
    ran = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    if not out.exists():
        return f"newman could not be run: {(ran.stderr or ran.stdout).strip()[-300:]}"
    report: dict[str, object] = json.loads(out.read_text())["run"]
    return report


def _judge(name: str, report: dict[str, object]) -> Result:
    known = set((DATA / "known-conflicts.txt").read_text().splitlines()) | ANSWERED_200
    passed, failures, conflicts = 0, [], []
    executions = report["executions"]
    assert isinstance(executions, list)
    for execution in executions:
        for assertion in execution.get("assertions", []):
            label = f"{execution['item']['name']} :: {assertion['assertion']}"
            if not assertion.get("error"):
                passed += 1
            elif label in known:
                conflicts.append(label)
            else:
                failures.append(f"{label}: {assertion['error']['message'][:160]}")
    return Result(name, passed, tuple(failures), tuple(conflicts))
