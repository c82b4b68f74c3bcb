"""Progress: phase, done, total, rate and time left, and how a person reads them."""

from __future__ import annotations

from console.cli.progress_bar import pace
from store.sync.cycles import Progress
from worker.progress import ProgressRate


def test_rate_and_time_left_are_those_of_the_phase() -> None:
    """Progress (phase, done, total, rate, time left) readable while it runs."""
    known = ProgressRate()
    known.progress("users", 0, 1_000, now=100.0)

    assert known.progress("users", 400, 1_000, now=102.0) == Progress(
        "users", 400, 1_000, rate_per_s=200.0, left_s=3.0
    )


def test_a_new_phase_starts_its_own_clock() -> None:
    """Applying is slower than reading: the rate of one says nothing of the other."""
    known = ProgressRate()
    known.progress("users", 0, None, now=0.0)
    known.progress("users", 5_000, None, now=1.0)
    known.progress("apply", 100, 300, now=1.0)

    assert known.progress("apply", 200, 300, now=11.0).left_s == 10.0


def test_work_that_was_done_before_the_clock_started_does_not_count() -> None:
    """A first look in the middle of a phase is no rate."""
    known = ProgressRate()

    assert known.progress("apply", 900, 1_000, now=5.0).rate_per_s is None
    assert known.progress("apply", 950, 1_000, now=10.0).rate_per_s == 10.0


def test_no_total_no_time_left() -> None:
    """Graph does not always say how many there are."""
    known = ProgressRate()
    known.progress("users", 0, None, now=0.0)
    told = known.progress("users", 100, None, now=1.0)

    assert (told.rate_per_s, told.left_s) == (100.0, None)


def test_what_stands_still_has_no_time_left() -> None:
    """Throttled from the start: a guess would be a lie."""
    known = ProgressRate()
    known.progress("users", 0, 10, now=0.0)
    told = known.progress("users", 0, 10, now=60.0)

    assert (told.rate_per_s, told.left_s) == (0.0, None)
    assert pace(told) == ""


def test_rate_and_time_left_in_words() -> None:
    """On the command line as a live bar."""
    assert pace(Progress("users")) == ""
    assert pace(Progress("users", 10, None, rate_per_s=1234.5)) == "1,234/s"
    assert pace(Progress("apply", 10, 900, rate_per_s=2.5, left_s=356.0)) == "2.5/s, 5:56 left"
