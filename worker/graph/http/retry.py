"""Retry requests to Graph (tenacity). No other module waits for Graph.

Only `GraphTryAgain` is tried again. Graph's `Retry-After` decides the wait; without one
the wait grows from `first_wait_s` to `longest_wait_s` with jitter. A wait that would
exceed `total_s` is not begun: the error is raised at once, and the next cycle tries
again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from worker.graph.errors import GraphTryAgain

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of the attempts of one request.

    Tests pass short waits instead of patching the clock.
    """

    attempts: int = 6
    total_s: float = 300.0
    """From the first attempt to the beginning of the last."""
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    answer_within_s: float = 120.0
    """Limit of one attempt, body included; a slower page counts as a broken connection.
    """


async def with_retry(attempt: Callable[[], Awaitable[T]], policy: RetryPolicy) -> T:
    """Run `attempt` until it succeeds, fails for good, or the policy ends.

    Raises the last error. Without tenacity as long as nothing fails: its bookkeeping
    takes as long as a small answer.
    """
    began = time.monotonic()
    failed: list[GraphTryAgain] = []
    try:
        return await attempt()
    except GraphTryAgain as error:
        failed.append(error)

    async def one_attempt() -> T:  # tenacity awaits coroutine functions only, not what a lambda returns
        if failed:  # the attempt that was made
            raise failed.pop()
        return await attempt()

    total_s = policy.total_s - (time.monotonic() - began)
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(GraphTryAgain),
        wait=_wait(policy),
        stop=stop_after_attempt(policy.attempts) | stop_before_delay(total_s),
        before_sleep=_note,
        reraise=True,
    )
    return await retrying(one_attempt)


def _wait(policy: RetryPolicy) -> Callable[[RetryCallState], float]:
    growing = wait_random_exponential(multiplier=policy.first_wait_s, max=policy.longest_wait_s)

    def wait(state: RetryCallState) -> float:
        error = _error(state)
        if error is not None and error.retry_after_s is not None:
            return error.retry_after_s
        return float(growing(state))

    return wait


def _error(state: RetryCallState) -> GraphTryAgain | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, GraphTryAgain) else None


def _note(state: RetryCallState) -> None:
    _log.info(
        "graph.waiting",
        fault=type(_error(state)).__name__,
        attempt=state.attempt_number,
        wait_s=round(state.upcoming_sleep, 3),
    )
