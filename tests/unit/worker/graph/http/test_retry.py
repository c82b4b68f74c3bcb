"""Patience: whom to try again, how long, and when to stop."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from worker.graph.error_bodies import parse_retry_after
from worker.graph.errors import BadRequest, ConnectionFault, GraphError, ServiceFault, Throttled
from worker.graph.http.retry import RetryPolicy, with_retry

QUICK = RetryPolicy(attempts=4, total_s=5.0, first_wait_s=0.001, longest_wait_s=0.01)


def failing(*errors: GraphError) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    """An attempt that fails with these errors in turn, then succeeds; and its calls."""
    left = list(errors)
    calls: list[int] = []

    async def attempt() -> str:
        calls.append(len(calls))
        if left:
            raise left.pop(0)
        return "read"

    return attempt, calls


@pytest.mark.parametrize(
    "fault",
    [Throttled("t", 0.001), ServiceFault("s"), ConnectionFault("c")],
    ids=["429", "5xx", "connection"],
)
async def test_what_may_pass_is_tried_again(fault: GraphError) -> None:
    attempt, calls = failing(fault, fault)
    assert await with_retry(attempt, QUICK) == "read"
    assert len(calls) == 3


async def test_what_will_not_pass_is_not_tried_again() -> None:
    attempt, calls = failing(BadRequest("no"))
    with pytest.raises(BadRequest):
        await with_retry(attempt, QUICK)
    assert len(calls) == 1


async def test_attempts_are_capped_and_the_last_error_is_raised() -> None:
    """Issue 3: "capped in attempts and in total time"."""
    attempt, calls = failing(*[ServiceFault(str(number)) for number in range(9)])
    with pytest.raises(ServiceFault, match="3"):
        await with_retry(attempt, QUICK)
    assert len(calls) == 4


async def test_retry_after_is_obeyed_to_the_fraction() -> None:
    """Graph, throttling guidance: wait what `Retry-After` says; kiota's own handler crashes on a fraction."""
    attempt, _ = failing(Throttled("wait", 0.15))
    started = time.monotonic()
    await with_retry(attempt, QUICK)
    assert 0.15 <= time.monotonic() - started < 1.0


async def test_a_wait_longer_than_patience_is_not_begun() -> None:
    attempt, calls = failing(Throttled("an hour", 3600.0))
    started = time.monotonic()
    with pytest.raises(Throttled):
        await with_retry(attempt, QUICK)
    assert len(calls) == 1
    assert time.monotonic() - started < 1.0


def test_retry_after_may_be_a_date() -> None:
    """RFC 9110 §10.2.3: `Retry-After = HTTP-date / delay-seconds`."""
    now = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)
    assert parse_retry_after(format_datetime(now + timedelta(seconds=30), usegmt=True), now) == 30.0
    assert parse_retry_after(format_datetime(now - timedelta(seconds=30), usegmt=True), now) == 0.0
    assert parse_retry_after("Mon, 11 May 2026 08:00:10 -0000", now) == 10.0


@pytest.mark.parametrize("value", ["-5", "0"])
def test_retry_after_is_never_negative(value: str) -> None:
    assert parse_retry_after(value) == 0.0
