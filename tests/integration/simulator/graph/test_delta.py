"""Delta queries of the simulated Graph."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulator.directory import Directory
from simulator.graph.behaviour import Behaviour
from simulator.seeding import Shape
from tests.builders.simulator.client import Answer, SimulatorClient, simulator_client

USERS = "/users/delta?$select=displayName,jobTitle,accountEnabled,manager"
GROUPS = "/groups/delta?$select=displayName,members"
DAY_S = 86_400


@pytest.fixture
async def client() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=60, groups=6, shape=Shape(nested_groups=0.3)) as client:
        yield client


def directory_of(client: SimulatorClient) -> Directory:
    return client.simulator.directory


def behaviour_of(client: SimulatorClient) -> Behaviour:
    return client.simulator.simulation.behaviour


def merged(pages: list[Answer]) -> dict[str, dict[str, Any]]:
    """Merge per id, members by id, as a client must."""
    state: dict[str, dict[str, Any]] = {}
    for page in pages:
        for item in page.value:
            known = state.setdefault(item["id"], {"members": {}})
            for member in item.pop("members@delta", []):
                known["members"][member["id"]] = "@removed" not in member
            known.update(item)
    return state


async def round_of(client: SimulatorClient, link: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Read one whole round; give the merged objects and the delta link."""
    pages = await client.pages(link)
    assert all(("@odata.nextLink" in p.body) != ("@odata.deltaLink" in p.body) for p in pages)
    return merged(pages), pages[-1].body["@odata.deltaLink"]


async def test_first_round_gives_everybody(client: SimulatorClient) -> None:
    """Follow `@odata.nextLink` until `@odata.deltaLink`; page size is not the client's."""
    behaviour_of(client).delta_page_size = 25
    pages = await client.pages(USERS)
    assert [len(page.value) for page in pages] == [25, 25, 10]
    found = merged(pages)
    assert set(found) == set(directory_of(client).users)
    user = next(u for u in directory_of(client).users.values() if u.manager_id)
    assert found[user.id]["manager@delta"] == [
        {"@odata.type": "#microsoft.graph.user", "id": user.manager_id}
    ]
    assert "mail" not in found[user.id]


async def test_sdk_spelling_works(client: SimulatorClient) -> None:
    """SDK writes `/users/delta()`; both work."""
    found, _ = await round_of(client, "/users/delta()")
    assert len(found) == 60


async def test_nothing_changed_gives_nothing(client: SimulatorClient) -> None:
    """An empty value and a new delta link; what one round gave the next does not repeat."""
    _, link = await round_of(client, USERS)
    directory_of(client).change_user(next(iter(directory_of(client).users)), {"jobTitle": "Astronaut"})
    found, link = await round_of(client, link)
    assert len(found) == 1
    found, again = await round_of(client, link)
    assert found == {}
    assert "$deltatoken=" in again


async def test_only_selected_properties_are_tracked(client: SimulatorClient) -> None:
    """A change of another property is no change."""
    _, link = await round_of(client, USERS)
    ann, ben = list(directory_of(client).users)[:2]
    directory_of(client).change_user(ann, {"city": "Oslo"})
    directory_of(client).change_user(ben, {"jobTitle": None})
    found, _ = await round_of(client, link)
    assert list(found) == [ben]
    assert found[ben]["jobTitle"] is None
    assert found[ben]["accountEnabled"] is True


async def test_minimal_gives_only_what_changed(client: SimulatorClient) -> None:
    """`Prefer: return=minimal` -> only changed properties, nulls included."""
    _, link = await round_of(client, USERS)
    ann = next(iter(directory_of(client).users))
    directory_of(client).change_user(ann, {"jobTitle": None})
    answer = await client.get(link, {"Prefer": "return=minimal"})
    assert answer.value == [{"jobTitle": None, "id": ann}]


async def test_deletion_has_two_reasons(client: SimulatorClient) -> None:
    """`changed` = soft-deleted, `deleted` = permanently gone; a restored object carries no marker."""
    ann, ben, cleo = list(directory_of(client).users)[:3]
    _, link = await round_of(client, USERS)
    for user in (ann, ben, cleo):
        directory_of(client).soft_delete_user(user)
    directory_of(client).purge_user(ben)
    found, link = await round_of(client, link)
    assert (found[ann]["@removed"], found[ben]["@removed"]) == ({"reason": "changed"}, {"reason": "deleted"})
    directory_of(client).restore_user(ann)
    directory_of(client).purge_user(cleo)
    found, _ = await round_of(client, link)
    assert "@removed" not in found[ann]
    assert found[ann]["displayName"]
    assert found[cleo]["@removed"] == {"reason": "deleted"}


async def test_manager_comes_and_goes(client: SimulatorClient) -> None:
    """Selecting `manager` tracks the relation."""
    directory = directory_of(client)
    user = next(u for u in directory.users.values() if u.manager_id)
    before = user.manager_id
    _, link = await round_of(client, USERS)
    directory.set_manager(user.id, None)
    found, _ = await round_of(client, link)
    gone = {"@odata.type": "#microsoft.graph.user", "id": before, "@removed": {"reason": "deleted"}}
    assert found[user.id]["manager@delta"] == [gone]


async def test_large_group_goes_on_over_pages(client: SimulatorClient) -> None:
    """The same group object repeats with other members."""
    behaviour_of(client).delta_member_limit = 10
    pages = await client.pages(GROUPS)
    assert len(pages) > 6
    found = merged(pages)
    for group in directory_of(client).groups.values():
        assert found[group.id]["members"] == dict.fromkeys(group.member_ids, True)


async def test_members_joined_and_left(client: SimulatorClient) -> None:
    """Inside `members@delta` the only reason is `deleted`; unchanged members are not repeated."""
    directory = directory_of(client)
    group = max(directory.groups.values(), key=lambda g: len(g.member_ids))
    leaver = next(m for m in group.member_ids if m in directory.users)
    joiner = next(u for u in directory.users if u not in group.member_ids)
    _, link = await round_of(client, GROUPS)
    directory.remove_member(group.id, leaver)
    directory.add_member(group.id, joiner)
    found, _ = await round_of(client, link)
    assert {group_id: item["members"] for group_id, item in found.items()} == {
        group.id: {leaver: False, joiner: True}
    }


async def test_soft_deleted_member_stays_until_purged(client: SimulatorClient) -> None:
    """groups/delta reports a deleted user's removal only when permanently deleted."""
    directory = directory_of(client)
    group = next(iter(directory.groups.values()))
    leaver = next(m for m in group.member_ids if m in directory.users)
    _, link = await round_of(client, GROUPS)
    directory.soft_delete_user(leaver)
    found, link = await round_of(client, link)
    assert found == {}
    directory.purge_user(leaver)
    found, _ = await round_of(client, link)
    assert found[group.id]["members"] == {leaver: False}


async def test_deleted_groups(client: SimulatorClient) -> None:
    """A security group is gone at once, a Microsoft 365 group can come back."""
    directory = directory_of(client)
    office = next(g.id for g in directory.groups.values() if g.restorable)
    security = next(g.id for g in directory.groups.values() if not g.restorable)
    _, link = await round_of(client, GROUPS)
    directory.delete_group(office)
    directory.delete_group(security)
    found, link = await round_of(client, link)
    assert (found[office]["@removed"], found[security]["@removed"]) == (
        {"reason": "changed"},
        {"reason": "deleted"},
    )
    directory.restore_group(office)
    found, _ = await round_of(client, link)
    assert set(found[office]["members"]) == set(directory.groups[office].member_ids)


async def test_change_during_the_first_round_is_not_lost(client: SimulatorClient) -> None:
    """What changes behind the cursor comes in the next round; replays happen."""
    behaviour_of(client).delta_page_size = 20
    directory = directory_of(client)
    first = await client.get(USERS)
    already_given = first.ids[0]
    directory.change_user(already_given, {"jobTitle": "Astronaut"})
    newcomer = directory.create_user({"userPrincipalName": f"new@{directory.domain}"}).id
    rest, link = await round_of(client, first.body["@odata.nextLink"])
    assert newcomer in rest
    found, _ = await round_of(client, link)
    assert found[already_given]["jobTitle"] == "Astronaut"


async def test_replays_and_empty_pages(client: SimulatorClient) -> None:
    """Pages may be empty with a next link; the same object may come several times. Merged it is the same."""
    calm, _ = await round_of(client, GROUPS)
    behaviour = behaviour_of(client)
    behaviour.empty_pages, behaviour.delta_replays, behaviour.delta_page_size = (1, 3), True, 2
    pages = await client.pages(GROUPS)
    assert [bool(page.value) for page in pages[:3]] == [False, True, False]
    given = [group_id for page in pages for group_id in page.ids]
    assert len(given) > len(set(given))
    assert merged(pages) == calm


async def test_sync_from_now(client: SimulatorClient) -> None:
    """`?$deltatoken=latest` returns only a deltaLink."""
    answer = await client.get(f"{USERS}&$deltatoken=latest")
    assert answer.value == []
    ann = next(iter(directory_of(client).users))
    directory_of(client).change_user(ann, {"jobTitle": "Astronaut"})
    found, _ = await round_of(client, answer.body["@odata.deltaLink"])
    assert list(found) == [ann]


async def test_token_is_good_for_seven_days(client: SimulatorClient) -> None:
    """After that: 410 with a Location (link with empty token), a full resync."""
    _, link = await round_of(client, USERS)
    directory_of(client).advance(7 * DAY_S - 60)
    _, link = await round_of(client, link)
    directory_of(client).advance(7 * DAY_S + 60)
    gone = await client.get(link)
    assert (gone.status, gone.error) == (410, "syncStateNotFound")
    assert gone.headers["Location"].endswith("/v1.0/users/delta?$deltatoken=")
    found, _ = await round_of(client, gone.headers["Location"])
    assert len(found) == 60


async def test_server_may_ask_for_a_resync(client: SimulatorClient) -> None:
    """410 Gone, `resyncRequired`; a token made afterwards is good."""
    _, link = await round_of(client, GROUPS)
    await client.admin("POST", "/delta/expire")
    gone = await client.get(link)
    assert (gone.status, gone.error) == (410, "resyncRequired")
    _, link = await round_of(client, GROUPS)
    assert (await client.get(link)).status == 200


async def test_only_named_objects_are_tracked(client: SimulatorClient) -> None:
    """`$filter` only `id eq 'a' or id eq 'b'`, up to 50 ids."""
    ann, ben, cleo = list(directory_of(client).users)[:3]
    found, link = await round_of(client, f"{USERS}&$filter=id eq '{ann}' or id eq '{ben}'")
    assert set(found) == {ann, ben}
    for user in (ann, cleo):
        directory_of(client).change_user(user, {"jobTitle": "Astronaut"})
    found, _ = await round_of(client, link)
    assert set(found) == {ann}
    many = " or ".join(f"id eq '{n}'" for n in range(51))
    assert (await client.get(f"/users/delta?$filter={many}")).status == 400


@pytest.mark.parametrize(
    "option", ["$top=5", "$expand=manager", "$orderby=displayName", "$filter=city eq 'Oslo'"]
)
async def test_other_options_are_refused(client: SimulatorClient, option: str) -> None:
    """`$expand`, `$top`, `$orderby` unsupported for users and groups."""
    assert (await client.get(f"/users/delta?{option}")).status == 400


async def test_some_properties_cannot_be_tracked(client: SimulatorClient) -> None:
    """Those outside the main store give 501 NotImplemented."""
    assert (await client.get("/users/delta?$select=id,skills")).status == 501


async def test_damaged_or_foreign_token_is_refused(client: SimulatorClient) -> None:
    """Tokens are opaque and belong to one resource."""
    _, link = await round_of(client, USERS)
    assert (await client.get(link + "x")).status == 400
    assert (await client.get(link.replace("/users/", "/groups/"))).status == 400
