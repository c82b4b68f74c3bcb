"""When a failure is tried again, and how many put a job into quarantine.

Pure: times in, times out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

GIVE_UP_AFTER = timedelta(days=28)
_FIRST_RETRIES = (timedelta(hours=6), timedelta(hours=12))
_DAY = timedelta(days=1)


class QuarantineReason(StrEnum):
    """As in Graph's `quarantineReason`, those that this service can meet."""

    BASE = "EncounteredBaseEscrowThreshold"
    TOTAL = "EncounteredTotalEscrowThreshold"
    PROPORTION = "EncounteredEscrowProportionThreshold"
    EXCEPTION = "EncounteredQuarantineException"
    TOO_MANY_DELETES = "TooManyDeletes"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Documented limits (QUAR); smaller ones make a quarantine reachable in a test."""

    evaluated_from: int = 5_000
    """Below so many failures nothing is judged."""
    proportion: float = 0.4
    base: int = 40_000
    """Failures of objects; failed references do not count."""
    total: int = 60_000
    """Failures with references."""

    def exceeded(self, failures: int, reference_failures: int, events: int) -> QuarantineReason | None:
        """Return the threshold that the failures exceed, if any."""
        total = failures + reference_failures
        if total < self.evaluated_from:
            return None
        if failures > self.base:
            return QuarantineReason.BASE
        if total > self.total:
            return QuarantineReason.TOTAL
        return QuarantineReason.PROPORTION if failures > self.proportion * events else None


def next_retry(first_failed_at: datetime, failed_at: datetime) -> datetime | None:
    """Return when to try again: 6, 12 and 24 hours after the first failure, then daily;
    None after 28 days.
    """
    waited = failed_at - first_failed_at
    for step in _FIRST_RETRIES:
        if waited < step:
            return first_failed_at + step
    days = waited // _DAY + 1
    return first_failed_at + days * _DAY if days * _DAY <= GIVE_UP_AFTER else None
