"""Lists of the simulated Graph: pages, options, casts, counts."""

from collections.abc import AsyncIterator

import pytest

from tests.builders.simulator.client import INDEX, SimulatorClient, simulator_client


@pytest.fixture
async def client() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=250, groups=10) as client:
        yield client


def largest_group(client: SimulatorClient) -> str:
    groups = client.simulator.directory.groups.values()
    return max(groups, key=lambda group: len(group.member_ids)).id


async def test_pages_hold_everybody_once(client: SimulatorClient) -> None:
    """Default 100 per page; a next link until the last."""
    pages = await client.pages("/users")
    assert [len(page.value) for page in pages] == [100, 100, 50]
    assert [user_id for page in pages for user_id in page.ids] == list(client.simulator.directory.users)


async def test_page_size_is_at_most_999(client: SimulatorClient) -> None:
    """`$top` 1-999; 1000 is refused with the documented words."""
    assert len((await client.get("/users?$top=999")).value) == 250
    refused = await client.get("/users?$top=1000")
    assert (refused.status, refused.error) == (400, "Request_BadRequest")
    message = "Invalid page size specified: '1000'. Must be between 1 and 999 inclusive."
    assert refused.body["error"]["message"] == message
    assert set(refused.body["error"]["innerError"]) == {"date", "request-id", "client-request-id"}


async def test_a_page_may_hold_fewer_than_asked_for(client: SimulatorClient) -> None:
    """`$top` is a wish; what counts is the next link (Graph, "Paging Microsoft Graph data")."""
    client.simulator.simulation.behaviour.largest_page = 80
    pages = await client.pages("/users?$top=999")
    assert [len(page.value) for page in pages] == [80, 80, 80, 10]


async def test_default_properties_lack_account_enabled(client: SimulatorClient) -> None:
    """Without `$select`: eleven properties, accountEnabled is not among them."""
    user = (await client.get("/users?$top=1")).value[0]
    assert len(user) == 11
    assert "accountEnabled" not in user


async def test_selected_properties_come_as_asked(client: SimulatorClient) -> None:
    """What has no value is null, an empty list for lists."""
    answer = await client.get("/users?$select=accountEnabled,faxNumber,otherMails&$top=1")
    assert list(answer.value[0]) == ["accountEnabled", "faxNumber", "otherMails"]
    assert (answer.value[0]["faxNumber"], answer.value[0]["otherMails"]) == (None, [])
    assert answer.body["@odata.context"].endswith("/$metadata#users(accountEnabled,faxNumber,otherMails)")


async def test_unknown_property_is_refused(client: SimulatorClient) -> None:
    """A misspelt `$select` is a 400, never a silent lack."""
    refused = await client.get("/users?$select=acountEnabled")
    assert (refused.status, refused.error) == (400, "Request_BadRequest")


async def test_nobody_is_skipped_when_others_vanish_between_pages(client: SimulatorClient) -> None:
    """The cursor is a place, not a number of items."""
    directory = client.simulator.directory
    first = await client.get("/users?$top=100")
    for user_id in first.ids[:50]:
        directory.purge_user(user_id)
    rest = await client.everything(first.body["@odata.nextLink"])
    assert {user["id"] for user in rest} == set(directory.users) - set(first.ids)


async def test_empty_page_with_a_next_link(client: SimulatorClient) -> None:
    """A page may hold zero items while a next link exists."""
    client.simulator.simulation.behaviour.empty_pages = (1, 3)
    pages = await client.pages("/users")
    assert [len(page.value) for page in pages] == [0, 100, 0, 100, 50]


async def test_sdk_spellings_are_the_same_address(client: SimulatorClient) -> None:
    """Doubled slashes, `%24`, options without the dollar sign, `graph.user`."""
    group = largest_group(client)
    plain = await client.get(f"/groups/{group}/members/microsoft.graph.user?$top=5", INDEX)
    assert (await client.get(f"//groups/{group}//members/graph.user?%24top=5", INDEX)).value == plain.value
    assert (await client.get(f"/groups/{group}/members/graph.user?top=5", INDEX)).value == plain.value
    base = client.simulator.graph_url
    assert (
        await client.get(f"{base}//v1.0/groups/{group}/members/graph.user?$top=5", INDEX)
    ).value == plain.value


async def test_cast_needs_its_header_on_every_page(client: SimulatorClient) -> None:
    """`ConsistencyLevel` must be sent again on every page; `@odata.count` is on the first page only."""
    group = largest_group(client)
    address = f"/groups/{group}/members/microsoft.graph.user?$count=true&$top=20"
    assert (await client.get(address)).error == "Request_UnsupportedQuery"
    pages = await client.pages(address, INDEX)
    assert len(pages) > 2
    assert pages[0].body["@odata.count"] == sum(len(page.value) for page in pages)
    assert all("@odata.count" not in page.body for page in pages[1:])
    assert (await client.get(pages[0].body["@odata.nextLink"])).error == "Request_UnsupportedQuery"


async def test_uncast_members_are_mixed_and_typed(client: SimulatorClient) -> None:
    """The plain list holds users and groups, each with its type."""
    directory = client.simulator.directory
    outer = next(
        g for g in directory.groups if any(m in directory.groups for m in directory.groups[g].member_ids)
    )
    members = await client.everything(f"/groups/{outer}/members?$select=id,accountEnabled&$top=7")
    assert [member["id"] for member in members] == directory.live_members(outer)
    shown = {member["@odata.type"]: set(member) for member in members}
    assert shown == {
        "#microsoft.graph.user": {"@odata.type", "id", "accountEnabled"},
        "#microsoft.graph.group": {"@odata.type", "id"},
    }


async def test_transitive_members_are_found_through_nesting(client: SimulatorClient) -> None:
    """`/transitiveMembers`: everybody below, each once."""
    directory = client.simulator.directory
    outer = next(
        g for g in directory.groups if any(m in directory.groups for m in directory.groups[g].member_ids)
    )
    found = await client.everything(f"/groups/{outer}/transitiveMembers/graph.user?$top=30", INDEX)
    ids = [user["id"] for user in found]
    assert set(ids) == {m for m in directory.transitive_members(outer) if m in directory.users}
    assert len(ids) == len(set(ids))


async def test_count_segment_needs_the_header(client: SimulatorClient) -> None:
    """A `$count` segment without the header gives `Request_BadRequest`; with it a bare number."""
    group = largest_group(client)
    assert (await client.get(f"/groups/{group}/members/$count")).error == "Request_BadRequest"
    counted = await client.get(f"/groups/{group}/members/$count", INDEX)
    assert counted.body == str(len(client.simulator.directory.live_members(group)))
    assert counted.headers["Content-Type"].startswith("text/plain")
    assert (await client.get("/users/$count", INDEX)).body == "250"


async def test_deleted_group_has_no_members(client: SimulatorClient) -> None:
    """404 `Request_ResourceNotFound` when the group is gone."""
    group = largest_group(client)
    client.simulator.directory.delete_group(group)
    gone = await client.get(f"/groups/{group}/members")
    assert (gone.status, gone.error) == (404, "Request_ResourceNotFound")


async def test_user_by_id_or_name(client: SimulatorClient) -> None:
    """`/users/{id | userPrincipalName}`, with the manager if asked."""
    directory = client.simulator.directory
    user = next(user for user in directory.users.values() if user.manager_id)
    by_name = await client.get(f"/users/{user.user_principal_name.upper()}?$select=id,accountEnabled")
    assert by_name.body["id"] == user.id
    expanded = await client.get(f"/users/{user.id}?$select=id&$expand=manager($levels=1;$select=id)")
    assert expanded.body["manager"] == {"@odata.type": "#microsoft.graph.user", "id": user.manager_id}
    assert (await client.get(f"/users/{user.id}/manager?$select=id")).body["id"] == user.manager_id


async def test_user_without_manager(client: SimulatorClient) -> None:
    """`GET .../manager` gives 404 if none; an expanded object without manager simply lacks the key."""
    head = next(user.id for user in client.simulator.directory.users.values() if user.manager_id is None)
    assert (await client.get(f"/users/{head}/manager")).status == 404
    assert list((await client.get(f"/users/{head}?$select=id&$expand=manager")).body) == [
        "@odata.context",
        "id",
    ]


async def test_soft_deleted_user_is_hidden_and_in_the_recycle_bin(client: SimulatorClient) -> None:
    """A 404 on `/users/{id}` is decided by deletedItems; its name is prefixed there."""
    directory = client.simulator.directory
    user = next(iter(directory.users))
    name = directory.users[user].user_principal_name
    directory.soft_delete_user(user)
    assert (await client.get(f"/users/{user}")).status == 404
    listed = await client.get(
        "/directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName,deletedDateTime"
    )
    assert listed.value[0]["userPrincipalName"] == user.replace("-", "") + name
    assert listed.value[0]["deletedDateTime"].endswith("Z")
    one = await client.get(f"/directory/deletedItems/{user}")
    assert one.body["@odata.type"] == "#microsoft.graph.user"
    directory.purge_user(user)
    assert (await client.get(f"/directory/deletedItems/{user}")).status == 404


async def test_deleted_items_need_a_cast(client: SimulatorClient) -> None:
    """The type cast is required."""
    assert (await client.get("/directory/deletedItems")).status == 400


async def test_filters_and_order(client: SimulatorClient) -> None:
    """Simple filters as they are; `ne` needs the index; the page cursor holds under `$orderby`."""
    directory = client.simulator.directory
    disabled = {user.id for user in directory.users.values() if not user.enabled}
    found = await client.everything("/users?$filter=accountEnabled eq false&$select=id&$top=2")
    assert {user["id"] for user in found} == disabled
    assert (await client.get("/users?$filter=accountEnabled ne true")).error == "Request_UnsupportedQuery"
    ordered = await client.everything("/users?$orderby=surname desc&$select=surname&$top=60")
    names = [user["surname"].lower() for user in ordered]
    assert names == sorted(names, reverse=True)
    assert len(names) == 250


async def test_answer_is_compressed_when_asked(client: SimulatorClient) -> None:
    """gzip makes a page of 999 small; the reader sees the same."""
    plain = await client.get("/users?$top=200", {"Accept-Encoding": "identity"})
    packed = await client.get("/users?$top=200", {"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.value == plain.value


async def test_page_is_rendered_anew_after_a_change(client: SimulatorClient) -> None:
    """Remembered pages are forgotten when the directory changes."""
    directory = client.simulator.directory
    address = "/users?$select=id,jobTitle&$top=1"
    user = (await client.get(address)).value[0]["id"]
    directory.change_user(user, {"jobTitle": "Astronaut"})
    assert (await client.get(address)).value[0]["jobTitle"] == "Astronaut"


async def test_index_may_lag_behind_the_list(client: SimulatorClient) -> None:
    """An advanced query may miss a brand new member: use the plain list for decisions to remove."""
    directory = client.simulator.directory
    group = largest_group(client)
    newcomer = directory.create_user({"userPrincipalName": f"new@{directory.domain}"}).id
    directory.add_member(group, newcomer)
    client.simulator.simulation.behaviour.index_lag_s = 300
    plain = await client.everything(f"/groups/{group}/members?$select=id")
    indexed = await client.everything(f"/groups/{group}/members/graph.user?$select=id", INDEX)
    assert newcomer in {member["id"] for member in plain}
    assert newcomer not in {member["id"] for member in indexed}
    directory.advance(301)
    assert newcomer in {
        m["id"] for m in await client.everything(f"/groups/{group}/members/graph.user", INDEX)
    }


async def test_unknown_addresses(client: SimulatorClient) -> None:
    """What Graph does not have is a 400 with the segment; a wrong method a 405."""
    assert (await client.get("/nonsense")).error == "BadRequest"
    assert (await client.call("DELETE", "/users")).status == 405
