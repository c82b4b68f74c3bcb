"""Delta links: everything that changed, nothing twice, and a resync where the link is no longer good."""

import re

import pytest

from store.records import GraphId
from tests.builders.graph_reading import Reading, reading
from worker.graph.errors import ForeignLink, ResyncRequired
from worker.graph.read.delta import (
    GroupsDelta,
    Removal,
    UsersDelta,
    groups_link,
    read_groups_delta,
    read_users_delta,
    users_link,
)

DAY_S = 24 * 3600


async def users_since(run: Reading, link: str) -> UsersDelta:
    return await read_users_delta(run.graph, run.connection.policy, link)


async def link_of_users(run: Reading) -> str:
    return await users_link(run.graph, run.connection.policy)


async def test_nothing_changed_is_an_empty_delta_with_a_new_link() -> None:
    async with reading() as run:
        delta = await users_since(run, await link_of_users(run))
        assert (delta.changed, delta.removed, delta.managers) == ({}, {}, {})
        assert delta.link
        assert delta.proof.finished


async def test_changes_of_users_are_told_apart() -> None:
    """Graph, "Use delta query": `changed` is a soft delete, `deleted` is for good, restored has no marker."""
    async with reading() as run:
        directory = run.simulator.directory
        renamed, disabled, deleted, purged, restored, untouched = list(directory.users)[:6]
        link = await link_of_users(run)
        directory.change_user(renamed, {"displayName": "New Name"})
        directory.change_user(disabled, {"accountEnabled": False})
        for person in (deleted, purged, restored):
            directory.soft_delete_user(person)
        directory.purge_user(purged)
        directory.restore_user(restored)
        delta = await users_since(run, link)

        assert delta.changed[GraphId(renamed)].properties["displayName"] == "New Name"
        assert not delta.changed[GraphId(disabled)].account_enabled
        assert delta.removed == {deleted: Removal.SOFT_DELETED, purged: Removal.PURGED}
        assert restored in delta.changed
        assert untouched not in delta.changed
        assert (await users_since(run, delta.link or "")).changed == {}


async def test_a_new_manager_and_a_lost_one_are_told() -> None:
    async with reading() as run:
        directory = run.simulator.directory
        boss, gains, loses, keeps = list(directory.users)[:4]
        directory.set_manager(gains, None)
        directory.set_manager(loses, boss)
        directory.set_manager(keeps, boss)
        link = await link_of_users(run)
        directory.set_manager(gains, boss)
        directory.set_manager(loses, None)
        directory.change_user(keeps, {"displayName": "New Name"})
        delta = await users_since(run, link)
        assert delta.managers == {gains: boss, loses: None}
        assert keeps in delta.changed


async def test_a_link_taken_before_a_full_read_leaves_no_gap() -> None:
    """`$deltatoken=latest` first, then the full read: what happens meanwhile is in both, never in neither."""
    async with reading() as run:
        link = await link_of_users(run)
        directory = run.simulator.directory
        person = next(iter(directory.users))
        directory.change_user(person, {"displayName": "Meanwhile"})
        snapshot = await run.snapshot()
        delta = await users_since(run, link)
        assert snapshot.users[GraphId(person)].properties["displayName"] == "Meanwhile"
        assert person in delta.changed


async def test_pages_that_repeat_and_empty_pages_change_nothing() -> None:
    """Graph, "Use delta query": replays happen, objects come several times, a page may be empty."""
    async with reading(users=300) as run:
        directory, behaviour = run.simulator.directory, run.simulator.simulation.behaviour
        behaviour.delta_replays = True
        behaviour.delta_page_size = 20
        behaviour.empty_pages = (1, 3)
        link = await link_of_users(run)
        people = list(directory.users)[:100]
        for number, person in enumerate(people):
            directory.change_user(person, {"displayName": f"Person {number}"})
        delta = await users_since(run, link)
        assert delta.changed.keys() == set(people)
        assert delta.proof.pages > 5


async def groups_since(run: Reading, link: str) -> GroupsDelta:
    return await read_groups_delta(run.graph, link)


async def test_changes_of_groups_and_members_are_told_apart() -> None:
    async with reading() as run:
        directory = run.simulator.directory
        one, two, three = (
            directory.create_group({"displayName": name}).id for name in ("One", "Two", "Three")
        )
        stays, leaves, comes = list(directory.users)[:3]
        directory.add_member(one, stays)
        directory.add_member(one, leaves)
        link = await groups_link(run.graph)
        directory.remove_member(one, leaves)
        directory.add_member(one, comes)
        directory.change_group(two, {"displayName": "Second"})
        directory.delete_group(three)
        delta = await groups_since(run, link)

        assert delta.members[GraphId(one)] == {leaves: False, comes: True}
        assert delta.changed[GraphId(two)].display_name == "Second"
        assert three in delta.removed
        assert three not in delta.changed


async def test_a_group_split_over_pages_is_put_together() -> None:
    """Graph, delta-query-groups: large groups repeat on several pages with other members."""
    async with reading(users=300) as run:
        directory = run.simulator.directory
        run.simulator.simulation.behaviour.delta_member_limit = 50
        group = GraphId(directory.create_group({"displayName": "Large"}).id)
        link = await groups_link(run.graph)
        for person in directory.users:
            directory.add_member(group, person)
        delta = await groups_since(run, link)
        assert delta.members[group] == dict.fromkeys(directory.users, True)
        assert delta.proof.pages >= 6


async def test_a_soft_deleted_member_stays_in_the_groups_delta() -> None:
    """Graph, delta-query-groups: removal is reported only when purged; users/delta tells earlier."""
    async with reading() as run:
        directory = run.simulator.directory
        group = GraphId(directory.create_group({"displayName": "Team"}).id)
        person = next(iter(directory.users))
        directory.add_member(group, person)
        of_users, of_groups = await link_of_users(run), await groups_link(run.graph)
        directory.soft_delete_user(person)
        assert (await groups_since(run, of_groups)).members.get(group, {}) == {}
        assert (await users_since(run, of_users)).removed == {person: Removal.SOFT_DELETED}


async def test_a_link_that_the_server_forgot_asks_for_a_resync() -> None:
    """Graph: 410 Gone with `resyncRequired`."""
    async with reading() as run:
        link = await link_of_users(run)
        run.simulator.simulation.behaviour.delta_epoch += 1
        with pytest.raises(ResyncRequired):
            await users_since(run, link)


async def test_a_link_older_than_seven_days_asks_for_a_resync() -> None:
    """Graph: directory tokens live seven days; the answer is `syncStateNotFound`."""
    async with reading() as run:
        link = await groups_link(run.graph)
        run.simulator.directory.advance(8 * DAY_S)
        with pytest.raises(ResyncRequired):
            await groups_since(run, link)


@pytest.mark.parametrize("status", [400, 404])
async def test_a_bad_token_asks_for_a_resync(status: int) -> None:
    """The exact answer is not documented: any 400 or 404 that talks of the sync state counts."""
    async with reading() as run:
        link = await link_of_users(run)
        body = {"error": {"code": "Directory_BadToken", "message": "x"}}
        run.break_down(match=re.escape("deltatoken"), status=status, body=body)
        with pytest.raises(ResyncRequired):
            await users_since(run, link)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 403},
        {"body": {"value": []}},
        {"body": {"value": [{"displayName": "x"}], "@odata.deltaLink": "x"}},
        {"body": {"value": [{"id": "x", "@removed": {"reason": "?"}}], "@odata.deltaLink": "x"}},
        {"body": {"value": [{"id": "x", "@removed": {}}], "@odata.deltaLink": "x"}},
        {
            "body": {
                "value": [{"id": "x", "accountEnabled": True, "manager@delta": "y"}],
                "@odata.deltaLink": "x",
            }
        },
    ],
    ids=[
        "503",
        "403",
        "no link",
        "no id",
        "unknown reason",
        "no reason",
        "malformed manager",
    ],
)
async def test_a_delta_that_was_not_read_to_its_end_gives_no_link(fault: dict[str, object]) -> None:
    """A link is kept only with everything it led to."""
    async with reading() as run:
        link = await link_of_users(run)
        run.break_down(match="deltatoken", **fault)
        delta = await users_since(run, link)
        assert not delta.proof.finished
        assert delta.link is None


async def test_a_stored_link_to_another_host_is_refused() -> None:
    async with reading() as run:
        with pytest.raises(ForeignLink):
            await users_since(run, "https://evil.example/v1.0/users/delta?$deltatoken=x")
