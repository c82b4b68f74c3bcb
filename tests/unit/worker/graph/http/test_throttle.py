"""The budget of an Entra tenant: who may ask Graph now, how many at once, and who goes first."""

import asyncio
from dataclasses import dataclass

import pytest

from worker.graph.errors import Throttled
from worker.graph.http.throttle import Priority, Throttle, quota_of, throttle_for
from worker.graph.network import HttpOrigin

ON_DEMAND, SCHEDULED = Priority.ON_DEMAND, Priority.SCHEDULED
FULL = {"x-ms-throttle-limit-percentage": "0.9"}
GRAPH = HttpOrigin.of("https://graph.microsoft.com")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> Throttle:
    return Throttle(clock)


async def spend(budget: Throttle, units: int, urgency: Priority = SCHEDULED) -> None:
    async with budget.slot(units, urgency):
        pass


async def waits(task: asyncio.Task[None]) -> bool:
    """Whether a request still waits after everybody who could go has gone."""
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def give_up(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def slow_down_to_one(budget: Throttle, clock: Clock) -> None:
    for _ in range(5):
        clock.now += 2.0
        budget.note_throttled(None)
    assert budget.at_once == 1


def test_connections_that_read_one_entra_tenant_share_its_budget() -> None:
    """Issue 3: "throttling shared per Entra tenant by resource units"."""
    assert throttle_for(GRAPH, "3F6D") is throttle_for(GRAPH, "3f6d")
    assert throttle_for(GRAPH, "3f6d") is not throttle_for(GRAPH, "aaaa")
    assert throttle_for(GRAPH, "3f6d") is not throttle_for(
        HttpOrigin.of("https://graph.microsoft.us"), "3f6d"
    )


@pytest.mark.parametrize(("users", "units"), [(0, 3500), (49, 3500), (50, 5000), (500, 5000), (501, 8000)])
def test_the_quota_follows_the_size_of_the_tenant(users: int, units: int) -> None:
    """Graph, "Throttling limits": S (<50 users) 3,500, M (50-500) 5,000, L (>500) 8,000 units per 10 s."""
    assert quota_of(users) == units


async def test_whoever_waits_in_person_goes_before_scheduled_work(budget: Throttle, clock: Clock) -> None:
    """Issue 3: on-demand requests go before scheduled ones when throttled."""
    slow_down_to_one(budget, clock)
    order: list[str] = []

    async def ask(name: str, urgency: Priority) -> None:
        async with budget.slot(1, urgency):
            order.append(name)

    async with asyncio.TaskGroup() as tasks, budget.slot(1, SCHEDULED):
        tasks.create_task(ask("scheduled", SCHEDULED))
        await asyncio.sleep(0)
        tasks.create_task(ask("on demand", ON_DEMAND))
        await asyncio.sleep(0)
        tasks.create_task(ask("scheduled too", SCHEDULED))
        await asyncio.sleep(0)
        assert order == []
    assert order == ["on demand", "scheduled", "scheduled too"]


async def test_scheduled_work_leaves_room_for_whoever_waits_in_person(budget: Throttle) -> None:
    await spend(budget, 2600)
    scheduled = asyncio.create_task(spend(budget, 100))
    assert await waits(scheduled)
    assert not await waits(asyncio.create_task(spend(budget, 100, ON_DEMAND)))
    await give_up(scheduled)


async def test_a_larger_tenant_lets_in_who_waited_for_room(budget: Throttle) -> None:
    await spend(budget, 2600)
    scheduled = asyncio.create_task(spend(budget, 100))
    assert await waits(scheduled)
    budget.set_tenant_size(10_000)
    assert not await waits(scheduled)


async def test_room_comes_back_by_itself_when_the_window_has_passed() -> None:
    budget = Throttle(window_s=0.05)
    await spend(budget, 2450)
    await asyncio.wait_for(spend(budget, 2450), timeout=5.0)
    assert budget.used == 2450


async def test_what_graph_says_a_request_did_cost_replaces_what_was_thought(budget: Throttle) -> None:
    async with budget.slot(5, SCHEDULED) as slot:
        budget.note_success(slot, {"x-ms-resource-unit": "2"})
    assert budget.used == 2


async def test_more_requests_fit_in_while_graph_is_well(budget: Throttle) -> None:
    """Additive increase: one more per round of good answers, up to a most."""
    for _ in range(4):
        async with budget.slot(1, SCHEDULED) as slot:
            budget.note_success(slot, {})
    assert budget.at_once == 4
    for _ in range(1000):
        async with budget.slot(1, SCHEDULED) as slot:
            budget.note_success(slot, {})
    assert budget.at_once == 16


async def test_requests_refused_together_slow_down_once(budget: Throttle, clock: Clock) -> None:
    """Multiplicative decrease; one burst of 429 is one reason."""
    for _ in range(3):
        budget.note_throttled(None)
    assert budget.at_once == 2
    clock.now += 2.0
    budget.note_throttled(None)
    assert budget.at_once == 1


async def test_a_quota_that_is_nearly_used_slows_down_before_graph_refuses(budget: Throttle) -> None:
    """Graph, "Throttling": `x-ms-throttle-limit-percentage` is sent from 0.8 on."""
    async with budget.slot(1, SCHEDULED) as slot:
        budget.note_success(slot, FULL)
    assert budget.at_once == 2


@pytest.mark.parametrize("urgency", [ON_DEMAND, SCHEDULED])
async def test_nobody_asks_before_the_time_that_graph_named(
    budget: Throttle, clock: Clock, urgency: Priority
) -> None:
    """Graph, "Throttling": retries count against the limit, so nobody of this tenant asks meanwhile."""
    budget.note_throttled(30.0)
    waiting = asyncio.create_task(spend(budget, 1, urgency))
    assert await waits(waiting)
    await give_up(waiting)
    clock.now += 31.0
    assert not await waits(asyncio.create_task(spend(budget, 1, urgency)))


async def test_whoever_gives_up_waiting_takes_no_place(budget: Throttle, clock: Clock) -> None:
    slow_down_to_one(budget, clock)
    async with budget.slot(1, SCHEDULED):
        waiting = asyncio.create_task(spend(budget, 1))
        assert await waits(waiting)
        await give_up(waiting)
    await asyncio.wait_for(spend(budget, 1), timeout=5.0)


async def test_whoever_gives_up_when_just_let_in_takes_no_place(budget: Throttle, clock: Clock) -> None:
    slow_down_to_one(budget, clock)
    async with budget.slot(1, SCHEDULED):
        waiting = asyncio.create_task(spend(budget, 1))
        assert await waits(waiting)
    waiting.cancel()  # let in by the end of the turn above, and not yet told
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(spend(budget, 1), timeout=5.0)


async def test_those_who_are_let_in_together_share_the_room_that_is_left(budget: Throttle) -> None:
    await spend(budget, 2450)
    waiting = [asyncio.create_task(spend(budget, 2000)) for _ in range(4)]
    assert await waits(waiting[0])
    budget.set_tenant_size(10_000)
    assert [await waits(task) for task in waiting] == [False, True, True, True]
    for task in waiting:
        await give_up(task)


async def test_whoever_gives_up_at_the_moment_of_being_let_in_takes_no_place(
    budget: Throttle, clock: Clock
) -> None:
    slow_down_to_one(budget, clock)
    async with budget.slot(1, SCHEDULED):
        waiting = asyncio.create_task(spend(budget, 1))
        assert await waits(waiting)
        waiting.cancel()
    await asyncio.wait_for(spend(budget, 1), timeout=5.0)
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_pause_longer_than_patience_is_told_at_once(budget: Throttle) -> None:
    """One 429 with `Retry-After: 3600` shut the tenant for every connection without a word."""
    budget.note_throttled(3600.0)
    with pytest.raises(Throttled, match="3600 s from now") as raised:
        async with budget.slot(1, SCHEDULED, patience_s=300.0):
            pass
    assert raised.value.retry_after_s == pytest.approx(3600.0)


async def test_requests_that_wait_already_are_told_as_well(budget: Throttle, clock: Clock) -> None:
    slow_down_to_one(budget, clock)

    async def ask(patience_s: float) -> None:
        async with budget.slot(1, SCHEDULED, patience_s):
            pass

    async with budget.slot(1, SCHEDULED):
        hurried, patient = asyncio.create_task(ask(300.0)), asyncio.create_task(ask(7200.0))
        assert await waits(hurried)
        budget.note_throttled(3600.0)
        with pytest.raises(Throttled):
            await hurried
    assert await waits(patient)
    await give_up(patient)


async def test_a_short_pause_is_waited_for(budget: Throttle, clock: Clock) -> None:
    budget.note_throttled(5.0)
    assert budget.paused_s == pytest.approx(5.0)
    clock.now += 5.0
    await spend(budget, 1)
    assert budget.paused_s == 0


def test_no_pause_is_longer_than_a_day(budget: Throttle) -> None:
    budget.note_throttled(1e9)
    assert budget.paused_s == pytest.approx(86_400.0)
