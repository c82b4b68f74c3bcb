"""What a suite found, and where the data of the suites lies."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

SHARED = Path(os.environ.get("LEAVER_SHARED") or Path(__file__).resolve().parents[3] / "shared")
"""Beside the clone, where it exists at all: most suites need data that is not part of the project."""


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    passed: int = 0
    failures: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    """Failures that are expected: the suite contradicts the RFC, Entra or the design, and its list says which
    and why."""
    not_run: str | None = None
    """Why the suite could not be run at all."""

    @property
    def ok(self) -> bool:
        return not self.failures

    def line(self) -> str:
        if self.not_run:
            return f"NOT RUN  {self.name}: {self.not_run}"
        verdict = "passed " if self.ok else "FAILED "
        counted = f"{self.passed} passed, {len(self.failures)} failed, {len(self.conflicts)} listed conflicts"
        return "\n".join(
            [f"{verdict}  {self.name}: {counted}", *(f"         {each}" for each in self.failures)]
        )


@dataclass(slots=True)
class Tally:
    """A result in the making."""

    name: str
    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, holds: bool, failure: str) -> None:
        if holds:
            self.passed += 1
        else:
            self.failures.append(failure)

    def result(self) -> Result:
        return Result(self.name, self.passed, tuple(self.failures))
