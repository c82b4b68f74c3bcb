"""Requests are counted by the work that they cause."""

from __future__ import annotations

import pytest

from scim.auth.request_rate import RequestRate, scan_cost
from scim.errors import TooManyRequests
from scim.limits import ScimLimits
from store.records import TokenId

TOKEN = TokenId("token")


def test_work_is_paid_for_by_the_requests_that_follow() -> None:
    """A search over 120,000 rows is worth 340 requests; another token pays nothing."""
    now = [0.0]
    rate = RequestRate(ScimLimits(requests_per_s=100, burst=1_000), lambda: now[0])
    rate.count(TOKEN)
    for _ in range(4):
        rate.charge(TOKEN, scan_cost(120_000, 1))
    with pytest.raises(TooManyRequests) as refused:
        rate.count(TOKEN)
    assert 3 < refused.value.delay_s < 4
    rate.count(TokenId("another"))
    now[0] = 4.0
    rate.count(TOKEN)


def test_a_debt_ends_within_the_time_in_which_the_bucket_fills() -> None:
    now = [0.0]
    rate = RequestRate(ScimLimits(requests_per_s=100, burst=1_000), lambda: now[0])
    rate.charge(TOKEN, 1e9)
    now[0] = 10.1
    rate.count(TOKEN)


def test_without_a_rate_nothing_is_counted() -> None:
    rate = RequestRate(ScimLimits(requests_per_s=0))
    rate.charge(TOKEN, 1e9)
    rate.count(TOKEN)
