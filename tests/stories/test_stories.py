"""Stories of identity, as many as fit `make test`; all: `python -m tests.stories --events 4 --random 100000`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.stories import orders
from tests.stories.company import SETTINGS
from tests.stories.play import Story
from tests.stories.theatre import Theatre, theatre

NAMED = {
    "a silent match gives the account of somebody purged to somebody new": "push first: pull stands; purge A; "
    "hire C as A; pull goes on",
    "the purge of somebody deletes the account that somebody else was given": "push first: delete A; hire C as A; purge A",
    "somebody is restored after another got the name": "push first: delete A; hire C as A; rename C; restore A",
    "a restart parts two people whom Entra anchored to one account": "push first: delete A; hire C as A; rename C; "
    "restore A; restart",
    "names are swapped before they are read": "push first: pull stands; swap A and B; pull goes on",
    "names are swapped while the push stands": "pull first: push stands; swap A and B; push goes on",
    "a restart makes a twin of somebody renamed": "push first: push stands; rename A; restart; push goes on",
    "a restart makes a twin under object ids": "object ids: push stands; rename A; restart; push goes on; leave A",
    "twins go together": "push first: push stands; pull stands; rename A; restart; push goes on; leave A; pull goes on",
    "the name of somebody who went long ago": "pull alone: purge A; hire C as A",
    "the name of somebody deleted long ago": "pull first: delete A; hire C as A",
    "the name of somebody unassigned, who has another by now": "pull first: unassign A; name of A to B; rejoin A",
    "somebody unassigned swaps names": "pull first: unassign A; swap A and B; rejoin A",
    "an admin leaves, and somebody new has the name": "push first: make admin A; purge A; hire C as A",
    "a protected account is given away": "push first: protect A; pull stands; purge A; hire C as A; pull goes on",
    "the worker is killed while an account changes its holder": "push first: pull stands; purge A; hire C as A; "
    "kill the worker; pull goes on; on demand C",
    "the worker is killed while names are given up": "pull first: purge A; kill the worker; hire C as A; restart",
    "on demand for somebody who was given a name": "pull first: pull stands; purge A; hire C as A; on demand C",
    "somebody comes back under another name": "push first: leave A; rename A; rejoin A",
    "somebody comes back from the bin after a restart": "push first: delete A; restart; restore A",
    "three people have one name in turn": "pull first: purge A; hire C as A; purge C; hire D as C",
    "somebody new has the name in capitals": "push first: pull stands; purge A; hire C as A in capitals; pull goes on",
    "letter case is no other name": "pull first: recase A; push stands; recase B; swap A and B; recase A; push goes on",
    "addresses are swapped between two people": "push first: swap mails of A and B; restart; leave A",
    "addresses are swapped under a mapping of them": "foreign mapping: swap mails of A and B; push stands; leave A; restart",
    "a principal name is used again when the first is purged": "pull first: delete A; hire C as A; purge A; purge C; "
    "hire D as A",
    "somebody new was matched silently long before the first pull": "not yet read: purge A; hire C as A; pull goes on",
    "the deleted and the new have one account at the first pull": "not yet read: delete A; hire C as A; pull goes on; "
    "restore A",
    "a restart before the first pull": "not yet read: restart; rename B; pull goes on",
    "the name of somebody unassigned before the first pull": "not yet read: unassign A; name of A to B",
    "everything before the first pull": "not yet read: unassign A; rejoin A; swap A and B; restart; leave B; pull goes on",
    "names are swapped with a protected leaver before the first pull": "not yet read: unassign A; protect A; swap A and B",
    "names are swapped with an admin who left before the first pull": "not yet read: make admin A; leave A; swap A and B; "
    "restart",
    "three names go round before the first pull": "not yet read: rename A; hire C as A; unassign A; protect A; "
    "swap A and B; swap A and C",
    "names go round while the push stands": "not yet read: unassign A; protect A; push stands; swap A and B; push goes on; "
    "on demand A",
    "a foreign mapping, and a leaver who comes back": "foreign mapping: leave A; rejoin A; rename B; protect B; unassign A",
    "a foreign mapping, and all matched anew": "foreign mapping: push stands; leave A; rename B; restart; push goes on",
    "a foreign mapping, where the pull made the accounts": "foreign mapping, pull first: restart; unassign A; rename B; "
    "rejoin A",
}
ON_POSTGRESQL = (
    "push first: pull stands; purge A; hire C as A; pull goes on",
    "pull first: unassign A; swap A and B; rejoin A",
    "object ids, pull first: delete A; hire C as A; purge A",
)
PARTS = 4


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with theatre(tmp_path_factory.mktemp("stories")) as found:
        yield found


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with theatre(tmp_path_factory.mktemp("stories"), "postgresql") as found:
        yield found


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Conflicts and kills are meant to be met here; what went wrong is told by the story."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("story", NAMED.values(), ids=[name.replace(" ", "_") for name in NAMED])
async def test_a_named_story_keeps_every_promise(story: str, on_sqlite: Theatre) -> None:
    await on_sqlite.play(Story.read(story))


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_order_of_two_events_keeps_every_promise(part: int, on_sqlite: Theatre) -> None:
    await on_sqlite.play_every_order(
        SETTINGS["pull first"], 2, share=(part, PARTS), alphabet=orders.MOST_TELLING
    )
    assert not on_sqlite.broken


@pytest.mark.parametrize("seed", range(1, 5))
async def test_a_random_story_keeps_every_promise(seed: int, on_sqlite: Theatre) -> None:
    await on_sqlite.play(orders.random_story(seed, longest=6))


@pytest.mark.postgres
@pytest.mark.parametrize("story", ON_POSTGRESQL)
async def test_a_story_keeps_every_promise_on_postgresql(story: str, on_postgresql: Theatre) -> None:
    await on_postgresql.play(Story.read(story))


def test_a_story_is_read_back_as_it_was_told() -> None:
    story = orders.random_story(11, longest=8)
    assert Story.read(str(story)) == story
