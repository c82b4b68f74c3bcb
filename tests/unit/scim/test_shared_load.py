"""What one tenant or token may cost others."""

from __future__ import annotations

import asyncio

import pytest

from scim.errors import TooManyLargeRequests, refusal_of
from scim.limits import ScimLimits
from scim.schema.definitions import user_shape
from scim.schema.filters import read_filter
from scim.shared_load import SharedLoad
from store.search.criteria import SearchQuery, comparisons, reads_every_row

LIMITS = ScimLimits(max_large_requests=2, max_logged_refusals=3)


@pytest.mark.parametrize(
    ("expression", "is_scan"),
    [
        ('userName eq "a"', False),
        ('externalId eq "a" and title co "b"', False),
        ('emails[type eq "work"].value eq "a"', False),
        ('userName eq "a" or id eq "b"', False),
        ('userName eq "a" or title eq "b"', True),
        ('displayName co "a"', True),
        ('emails[value co "a"]', True),
        ('not (userName eq "a")', True),
    ],
)
def test_a_search_that_no_index_answers_is_told_from_a_look_up(expression: str, is_scan: bool) -> None:
    assert reads_every_row(SearchQuery(read_filter(user_shape(), expression))) is is_scan
    assert not reads_every_row(SearchQuery())


def test_a_search_counts_by_its_comparisons() -> None:
    query = SearchQuery(
        read_filter(user_shape(), 'title co "a" or not (emails[type eq "b" and value co "c"])')
    )
    assert comparisons(query) == 3


async def test_large_requests_of_one_tenant_wait_for_each_other_and_not_for_another_tenant() -> None:
    load, running, most = SharedLoad(), 0, 0
    release = asyncio.Event()

    async def search(tenant: str) -> None:
        nonlocal running, most
        async with load.large_request(tenant, LIMITS):
            running += 1
            most = max(most, running)
            await release.wait()
            running -= 1

    tasks = [asyncio.create_task(search("contoso")) for _ in range(34)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert running == 2
    tasks.append(asyncio.create_task(search("northwind")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert running == 3
    with pytest.raises(TooManyLargeRequests, match="LEAVER_SCIM_MAX_LARGE_REQUESTS") as caught:
        await search("contoso")
    refusal = refusal_of(caught.value)
    assert (refusal.status, refusal.headers) == (429, {"Retry-After": "2"})
    assert "LEAVER_SCIM_MAX_LARGE_REQUESTS" in refusal.body["detail"]
    release.set()
    await asyncio.gather(*tasks)
    assert most == 3


def test_refused_writes_are_logged_up_to_a_number_a_minute_then_counted() -> None:
    now = 0.0
    load = SharedLoad(clock=lambda: now)
    assert [load.note_refusal("t1", LIMITS) for _ in range(5)] == [0, 0, 0, None, None]
    assert load.note_refusal("t2", LIMITS) == 0
    now = 61.0
    assert [load.note_refusal("t1", LIMITS) for _ in range(2)] == [2, 0]


async def test_large_bodies_of_one_tenant_are_taken_one_after_another() -> None:
    """Small ones and those of another tenant do not wait; one of many operations is large."""
    load = SharedLoad()
    ended: list[str] = []

    async def take(tenant: str, body: bytes, name: str) -> None:
        async with load.large_body(tenant, ScimLimits(), body):
            await asyncio.sleep(0.01)
            ended.append(name)

    await asyncio.gather(
        take("a", b" " * 100_000, "first"),
        take("a", b'{"op":"add"},' * 50, "second"),
        take("a", b'{"op":"add"}', "small"),
        take("b", b" " * 100_000, "b"),
    )
    assert (ended[0], ended[-1], set(ended[1:3])) == ("first", "second", {"small", "b"})


async def test_a_part_of_a_large_request_does_not_wait_for_itself() -> None:
    """A body of 40 kB may ask for a search, whose page is large."""
    load = SharedLoad()
    async with (
        load.large_body("a", ScimLimits(), b" " * 40_000),
        load.large_page("a", ScimLimits(), 1_000),
        load.large_request("a", ScimLimits()),
    ):
        pass
    assert load._turns == {}


@pytest.mark.parametrize(
    ("took_s", "others_ago_s", "pause_s"),
    [(0.05, 0.2, 0.45), (3.0, 0.2, 0.5), (0.004, 0.2, 0), (0.05, None, 0), (0.05, 5.0, 0)],
)
async def test_between_large_requests_there_is_a_pause_while_others_are_served(
    took_s: float, others_ago_s: float | None, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 10: a request holds the one writer for as long as it takes; others get nine times as long."""
    now, load, waits = 100.0, SharedLoad(clock=lambda: now), []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda delay_s, *_: waits.append(delay_s))
    if others_ago_s is not None:
        load.note_request("b")
        now += others_ago_s
    load.note_request("a")
    async with load.large_request("a", LIMITS):
        now += took_s
        load.note_request("a")
    assert waits == ([] if not pause_s else [pytest.approx(pause_s)])
    assert bool(load._turns) is bool(pause_s)


@pytest.mark.parametrize(
    ("body", "is_free"),
    [(b'{"op":1}' * 40, True), (b'{"op":1}' * 41, False), (b" " * 32_768, False)],
)
async def test_a_patch_of_all_that_entra_maps_has_its_turn_without_a_pause(
    body: bytes, is_free: bool
) -> None:
    """App Gallery requirements: 25 requests a second, also while other customers are served."""
    now = 100.0
    load = SharedLoad(clock=lambda: now)
    load.note_request("b")
    async with load.large_body("a", LIMITS, body):
        now += 0.05
    assert (load._turns == {}) is is_free
