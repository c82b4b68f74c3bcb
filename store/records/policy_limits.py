"""The values that a connection's settings may have, in one place for every face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Limit:
    """The least and the most that a number may be."""

    least: int
    most: int

    def allows(self, value: float) -> bool:
        """Return whether the value lies within both ends."""
        return self.least <= value <= self.most


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "interval_minutes": Limit(1, 10_080),
        "full_every_hours": Limit(1, 168),
        "held_plan_days": Limit(1, 90),
        "evidence_max_age_s": Limit(30, 3_600),
        "brake_release_minutes": Limit(1, 1_440),
        "ceiling_floor": Limit(1, 1_000),
        "ceiling_percent": Limit(1, 100),
        "ceiling_count": Limit(1, 100_000),
    }
)
"""By name of the setting.

A ceiling of 0 would hold every leaver, and one above 100 % holds none. A week without a
full reading leaves what an increment missed for a week.
"""
MOST_NAME_CHARACTERS = 100
MOST_SECRET_BYTES = 100_000
"""Of a secret or a certificate with its key; Entra's secrets have 40 characters."""
