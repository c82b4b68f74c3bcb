"""A check as a value: what was looked at, how it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """What one check came to."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not looked at: an earlier check failed, or there is nothing to look at."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `remedy` says what to do; empty where nothing is to be done."""

    area: str
    name: str
    found: CheckStatus
    detail: str
    remedy: str = ""
