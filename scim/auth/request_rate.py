"""How many requests a token may make, counted by the work that they cause."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scim.errors import TooManyRequests
from scim.limits import ScimLimits, setting_of
from store.records import TokenId

_TOO_MANY = (
    "Too many requests with this token: slow down, and try again as Retry-After says, or have the operator of "
    f"Leaver raise {setting_of('requests_per_s')} or {setting_of('burst')}."
)

ROWS_READ_PER_REQUEST = 400
"""Rows that a search without an index reads in the time of one normal request."""
COMPARISONS_PER_REQUEST = 3_000
"""Comparisons of those rows with the terms of a filter."""
ROWS_SHOWN_PER_REQUEST = 30
"""Resources that are read and written as JSON in the time of one normal request."""


@dataclass(slots=True)
class _Bucket:
    """A token bucket: `burst` requests at once, `requests_per_s` in the long run."""

    left: float
    at: float


@dataclass(slots=True)
class RequestRate:
    """The token buckets of one process."""

    limits: ScimLimits
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[TokenId, _Bucket] = field(default_factory=dict)

    def count(self, token_id: TokenId) -> None:
        """Count one request; raise `TooManyRequests` if none is left."""
        if not self.limits.requests_per_s:
            return
        bucket = self._filled(token_id)
        if bucket.left < 1:
            raise TooManyRequests((1 - bucket.left) / self.limits.requests_per_s, _TOO_MANY)
        bucket.left -= 1

    def charge(self, token_id: TokenId, requests: float) -> None:
        """Count work that was worth so many requests more.

        The request is answered; those that follow wait until it is paid for, for at
        most the time in which the bucket fills once.
        """
        if self.limits.requests_per_s and requests > 0:
            bucket = self._filled(token_id)
            bucket.left = max(bucket.left - requests, -float(self.limits.burst))

    def _filled(self, token_id: TokenId) -> _Bucket:
        now, burst = self.clock(), self.limits.burst
        bucket = self._buckets.setdefault(token_id, _Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.at) * self.limits.requests_per_s)
        bucket.at = now
        return bucket


def scan_cost(rows: int, comparisons: int) -> float:
    """Return how many requests it is worth to compare rows so often each."""
    return rows / ROWS_READ_PER_REQUEST + rows * comparisons / COMPARISONS_PER_REQUEST


def answer_cost(resources: int) -> float:
    """Return how many requests an answer with so many resources is worth."""
    return resources / ROWS_SHOWN_PER_REQUEST
