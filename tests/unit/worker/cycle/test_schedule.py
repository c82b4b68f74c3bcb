"""When the next cycle is due: beats, jitter and patience after failures."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from store.records import Policy
from tests.builders.connection_records import NOW, connection
from worker.cycle import schedule


def test_beats_are_one_interval_apart() -> None:
    """The default is a cycle every 40 minutes: one that starts on its beat is followed by the next beat."""
    first = schedule.next_due(connection(), NOW)
    assert schedule.next_due(connection(), first) == first + timedelta(minutes=40)


def test_the_next_beat_lies_between_a_quarter_and_five_quarters_of_the_interval_ahead() -> None:
    """Off the beat, the gap is never so short that the cycle is wasted, nor much longer than asked for."""
    gaps = {
        schedule.next_due(connection(), NOW + timedelta(minutes=offset)) - NOW - timedelta(minutes=offset)
        for offset in range(200)
    }
    assert timedelta(minutes=10) <= min(gaps)
    assert max(gaps) < timedelta(minutes=50)


def test_jitter_is_the_connection_s_own() -> None:
    """The same connection always gets the same beat; no clock and no dice."""
    assert schedule.next_due(connection("a"), NOW) == schedule.next_due(connection("a"), NOW)
    assert schedule.next_due(connection("a"), NOW) != schedule.next_due(connection("b"), NOW)


def test_connections_made_at_once_spread_over_the_interval() -> None:
    """A thousand connections in ten parts of the interval: no part holds more than twice its share."""
    parts = [0] * 10
    for number in range(1000):
        gap = schedule.next_due(connection(str(number)), NOW) - NOW - timedelta(minutes=10)
        parts[int(gap / timedelta(minutes=4))] += 1
    assert min(parts) > 50
    assert max(parts) < 200


@pytest.mark.parametrize("minutes", [1, 20, 1440])
def test_the_interval_is_each_connection_s_own(minutes: int) -> None:
    """`--interval-minutes` is per connection."""
    first = schedule.next_due(connection(interval_minutes=minutes), NOW)
    assert schedule.next_due(connection(interval_minutes=minutes), first) - first == timedelta(
        minutes=minutes
    )


def test_a_slot_keeps_its_name_until_the_connection_is_scheduled_anew() -> None:
    """The slot is the workflow id: asked twice, late or by another worker, it names the same run."""
    due = connection(next_due_at=NOW)
    assert schedule.slot(due, NOW) == schedule.slot(due, NOW + timedelta(hours=1)) == "20261122T100000Z"
    assert schedule.slot(replace(due, next_due_at=NOW + timedelta(minutes=40)), NOW) == "20261122T104000Z"


def test_a_passing_fault_is_tried_again_soon_and_then_later_and_later() -> None:
    """Back-off grows with every failure in a row."""
    delays = [
        cast(datetime, schedule.retry_at(connection(consecutive_failures=failures), NOW, 5)) - NOW
        for failures in (1, 2, 3)
    ]
    assert delays == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]


def test_what_the_other_side_asks_for_is_waited_out() -> None:
    """A `Retry-After` of ten minutes is kept."""
    assert schedule.retry_at(connection(consecutive_failures=1), NOW, 600) == NOW + timedelta(minutes=10)


def test_a_retry_is_never_later_than_the_back_off_of_the_store() -> None:
    """The store's next due time is the ceiling."""
    soon = NOW + timedelta(seconds=90)
    assert schedule.retry_at(connection(consecutive_failures=5, next_due_at=soon), NOW, 5) == soon


def test_a_pause_that_graph_asks_for_is_due_when_it_ends() -> None:
    """`Retry-After: 3600`: asking sooner brings the same answer; nothing is put off for more than a day."""
    soon = NOW + timedelta(seconds=90)
    of = connection(consecutive_failures=5, next_due_at=soon)
    assert schedule.retry_at(of, NOW, 3600) == NOW + timedelta(hours=1)
    assert schedule.retry_at(of, NOW, 1e9) == NOW + timedelta(days=1)


def test_a_quarantined_connection_is_not_tried_sooner() -> None:
    """Quarantine: a connection that keeps failing is tried less often."""
    assert schedule.retry_at(connection(consecutive_failures=4, quarantined_at=NOW), NOW, 5) is None


def test_everything_is_read_again_within_the_period_and_not_much_earlier() -> None:
    """Connections that were made together do not read everything together ever after."""
    times = [schedule.full_due(connection(f"c{number}"), NOW) - NOW for number in range(50)]
    assert all(timedelta(hours=18) <= each <= timedelta(hours=24) for each in times)
    assert max(times) - min(times) > timedelta(hours=4)
    often = connection(policy=Policy(full_every_hours=6))
    assert schedule.full_due(often, NOW) <= NOW + timedelta(hours=6)
