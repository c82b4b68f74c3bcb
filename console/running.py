"""`leaver sync` and `leaver provision`: handed to a running worker and watched, or done here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from store.records import FindingState

REMAINING = frozenset({FindingState.OPEN, FindingState.HELD})


@dataclass(frozen=True, slots=True)
class Finished:
    """A cycle's report as JSON (design.md §6), and how many findings still wait."""

    result: Mapping[str, Any]
    remaining: int
